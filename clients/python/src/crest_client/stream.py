"""Server-sent events, as the HTML standard has them."""

from __future__ import annotations

from typing import Iterable, Iterator, List, NamedTuple, Optional


class Event(NamedTuple):
    """One event of a stream."""

    name: str
    """``snapshot`` or ``status``."""
    data: str
    """Its JSON."""
    id: Optional[str]
    """Of a snapshot: it changes with the ranking."""


class Parser:
    """Takes the lines of a stream, without their ends, and gives whole events."""

    def __init__(self) -> None:
        self.retry: Optional[float] = None
        """After how many seconds to come back, once the stream has ended, where the server said so."""
        self._begin()

    def _begin(self) -> None:
        self._name, self._id, self._data = "message", None, []  # type: str, Optional[str], List[str]

    def take(self, line: str) -> Optional[Event]:
        """The event that this line completes, if it does."""
        if not line:
            event = Event(self._name, "\n".join(self._data), self._id) if self._data else None
            self._begin()
            return event
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id":
            self._id = value
        elif field == "retry" and value.isdigit():
            self.retry = int(value) / 1000
        return None

    def all(self, lines: Iterable[bytes]) -> Iterator[Event]:
        """The events of a stream. One that its end cuts off is none."""
        for line in lines:
            if not line.endswith(b"\n"):
                return
            event = self.take(line.decode("utf-8").rstrip("\r\n"))
            if event is not None:
                yield event
