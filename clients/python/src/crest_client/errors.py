"""What can go wrong, in the server's own words where it has some."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class CrestError(Exception):
    """Anything that this package raises for what a server did or did not do."""

    accepted: int = 0
    """Of :meth:`Client.send`: how many events were taken by the requests before the one that failed."""


class ApiError(CrestError):
    """The server has refused the request, and says why."""

    def __init__(self, status: int, body: Mapping[str, Any], retry_after: Optional[float] = None) -> None:
        message = body.get("error") or f"the server answered with status {status}"
        super().__init__(f"{status}: {message}")
        self.status = status
        """The status of HTTP, from 400 on."""
        self.message = str(message)
        """The server's own words."""
        self.body = body
        """All of its answer: ``index`` and ``field`` of a wrong event, ``boards`` and ``windows`` that there are, ``kept``."""
        self.retry_after = retry_after
        """After how many seconds the same may be asked again, where the server says so."""


class Unreachable(CrestError):
    """No connection could be made, or it broke before there was an answer. Nothing was asked that changes anything."""


class OutcomeUnknown(CrestError):
    """
    Events were sent, and nobody knows whether they were taken: the answer did not come, or says so. Who sends them again may
    count them twice; who does not may lose them.
    """
