"""Send events to Crest, read its rankings, and follow them as they change.

>>> from crest_client import Client
>>> crest = Client("http://127.0.0.1:8080")
>>> crest.send([{"item_id": "abc", "timestamp": 1711670400}])        # doctest: +SKIP
>>> for ranking in crest.follow("default", window="last_1m"):        # doctest: +SKIP
...     print(ranking["items"][:3])
"""

from . import types
from .client import Client
from .errors import ApiError, CrestError, OutcomeUnknown, Unreachable
from .stream import Event

__all__ = ["ApiError", "Client", "CrestError", "Event", "OutcomeUnknown", "Unreachable", "types"]
__version__ = "0.1.0"
