"""The calls of the API."""

from __future__ import annotations

import gzip
import http.client
import json
import ssl
import time
from datetime import datetime
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Union, cast
from urllib.parse import quote

from .connection import LONGEST_WAIT, Connections, refusal
from .errors import ApiError, CrestError, OutcomeUnknown, Unreachable
from .stream import Event, Parser
from .types import Accepted, Board, GroupedBoard, KnownItem, Ready, Rising, Series, Snapshot, Status

Moment = Union[int, str, datetime]
"""Milliseconds since 1970 UTC, RFC 3339, or a ``datetime`` with its time zone."""

Group = Mapping[str, str]

LARGEST_BODY = 4 << 20
"""Half of what a server takes unless it is told otherwise."""
SILENCE = 10.0
"""Seconds. A stream says something each second: one that does not is gone, whatever the connection says."""


class Client:
    """
    A server of Crest. May be used by several threads.

    :param url: ``http://host:port``, also with a path, where a proxy puts one.
    :param token: for what is read, where the server asks for one.
    :param ingest_token: for what is sent; the same unless it is given.
    :param timeout: seconds for a connection to be made, and for the next bytes of an answer.
    :param retries: how often a request is made again where the server is away, or answers 503 and when to come again.
    :param context: for TLS; the system's certificates unless it is given.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: Optional[str] = None,
        ingest_token: Optional[str] = None,
        timeout: float = 10.0,
        retries: int = 5,
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._connections = Connections(url, timeout, retries, context)
        self._token = token
        self._ingest_token = token if ingest_token is None else ingest_token

    # Events

    def send(self, events: Iterable[Mapping[str, Any]], *, batch: int = 1000) -> Accepted:
        """
        Sends events, ``batch`` to a request. When it returns, all of them will outlive the server.

        A request is taken whole or not at all, and is made again only where nothing of it was taken. Where one fails, the
        error's ``accepted`` says how many events the requests before it had.

        :return: how many were taken in all, and how many of these will not be counted (``late``, ``unmatched``).
        :raises ApiError: an event is wrong, which ``body`` names by its index within the request; or the server refuses.
        :raises OutcomeUnknown: nobody knows whether the last request was taken. Sending it again may count it twice.
        :raises Unreachable: the server is away; nothing of the last request was taken.
        """
        total: Accepted = {"message": "Event queued for processing", "accepted": 0}
        for body in bodies(events, batch):
            try:
                answer = self._post(body)
            except CrestError as error:
                error.accepted = total["accepted"]
                raise
            total["accepted"] += answer["accepted"]
            for name in ("late", "unmatched"):
                if name in answer:
                    total[name] = total.get(name, 0) + answer[name]
        return total

    def _post(self, body: bytes) -> Accepted:
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        packed = gzip.compress(body, compresslevel=1)
        try:
            return cast(Accepted, self._connections.post("/events", packed, headers, self._ingest_token))
        except ApiError as error:
            if error.status == 503 and error.retry_after is None:
                raise OutcomeUnknown(error.message) from error
            raise

    # Rankings

    def top_k(
        self,
        board: Optional[str] = None,
        *,
        window: Optional[str] = None,
        k: Optional[int] = None,
        group: Optional[Group] = None,
        start: Optional[Moment] = None,
        end: Optional[Moment] = None,
        final: bool = False,
    ) -> Snapshot:
        """
        A ranking: of a window by its name or size, by default the first; or of a past interval, from ``start`` up to ``end``.

        :param board: by default the board ``default``, or the first.
        :param group: one value for each of the board's dimensions; by default the whole board.
        :param final: only a ranking that never changes again.
        """
        return cast(Snapshot, self._get(ranking(board), query(group, window, start, end, k=k, final=final)))

    def rising(
        self,
        board: Optional[str] = None,
        *,
        window: Optional[str] = None,
        against: str = "previous",
        k: Optional[int] = None,
        group: Optional[Group] = None,
        start: Optional[Moment] = None,
        end: Optional[Moment] = None,
    ) -> Rising:
        """What rises in a window or interval, against the one before or the same one so much earlier (``1d``)."""
        asked = query(group, window, start, end, k=k, by="rise", against=against)
        return cast(Rising, self._get(ranking(board), asked))

    def item(
        self,
        board: str,
        item_id: str,
        *,
        window: Optional[str] = None,
        group: Optional[Group] = None,
        start: Optional[Moment] = None,
        end: Optional[Moment] = None,
        step: Optional[str] = None,
        final: bool = False,
    ) -> KnownItem:
        """One item, whether a ranking lists it or not; with ``step`` or an interval also its points."""
        path = f"/items/{segment(board)}/{segment(item_id)}"
        return cast(KnownItem, self._get(path, query(group, window, start, end, step=step, final=final)))

    def series(
        self,
        board: str,
        *,
        window: Optional[str] = None,
        k: Optional[int] = None,
        group: Optional[Group] = None,
        start: Optional[Moment] = None,
        end: Optional[Moment] = None,
        step: Optional[str] = None,
    ) -> Series:
        """The top items of a window or interval, and what each has in each step of it: what a chart draws."""
        return cast(Series, self._get(f"/series/{segment(board)}", query(group, window, start, end, k=k, step=step)))

    # What there is

    def boards(self) -> List[Board]:
        """All boards."""
        found: List[Board] = []
        after: Dict[str, str] = {}
        while True:
            page = self._get("/boards", after)
            found += page["boards"]
            if "next" not in page:
                return found
            after = {"after": page["next"]}

    def board(self, name: str) -> GroupedBoard:
        """One board, with its largest groups."""
        return cast(GroupedBoard, self._get(f"/boards/{segment(name)}", {}))

    def status(self) -> Status:
        """What the job has read, counted and refused, and what holds it up."""
        return cast(Status, self._get("/status", {}))

    def ready(self) -> Ready:
        """Whether the server answers as it should, and what is wrong; asked once."""
        response = self._connections.open("GET", "/readyz", {}, self._token)
        try:
            body = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(str(error)) from error
        finally:
            response.close()
        if "ready" not in body:
            raise ApiError(response.status, body)
        return cast(Ready, body)

    # As it changes

    def follow(
        self,
        board: str,
        *,
        window: Optional[str] = None,
        k: Optional[int] = None,
        group: Optional[Group] = None,
        final: bool = False,
        patience: Optional[float] = None,
    ) -> Iterator[Snapshot]:
        """
        A ranking at once, and then each time that it changes. Comes back by itself when the connection ends or falls silent; a
        ranking that was given before is then not given again, and those in between are passed over.

        :param patience: seconds to try to come back for; without it, for ever.
        :raises ApiError: the server refuses: there is no such board or window.
        :raises Unreachable: patience has run out.
        """
        for event in self.stream(board, window=window, k=k, group=group, final=final, patience=patience):
            if event.name == "snapshot":
                yield cast(Snapshot, json.loads(event.data))

    def stream(
        self,
        board: str,
        *,
        window: Optional[str] = None,
        k: Optional[int] = None,
        group: Optional[Group] = None,
        final: bool = False,
        patience: Optional[float] = None,
    ) -> Iterator[Event]:
        """All events of a stream, as :meth:`follow`: also ``status`` each second, with what :meth:`status` answers."""
        path, asked = f"/stream/{segment(board)}", query(group, window, None, None, k=k, final=final)
        last: Optional[str] = None
        heard, wait, failures = time.monotonic(), 1.0, 0
        while True:
            parser = Parser()
            try:
                for event in self._read_stream(path, asked, last, parser):
                    heard, failures = time.monotonic(), 0
                    if event.id is not None and event.id == last:
                        continue
                    last = event.id or last
                    yield event
                    # However long the caller took, it was not the server who was away.
                    heard = time.monotonic()
                lost: CrestError = Unreachable("the server ended the stream")
            except Unreachable as error:
                lost = error
            except ApiError as error:
                if error.status != 503:
                    raise
                lost = error
            if patience is not None and time.monotonic() - heard >= patience:
                raise Unreachable(f"no stream for {patience:g} s: {lost}") from lost
            wait = parser.retry or wait
            time.sleep(min(wait * 1.5**failures, LONGEST_WAIT))
            failures = min(failures + 1, 10)

    def _read_stream(
        self, path: str, asked: Mapping[str, str], last: Optional[str], parser: Parser
    ) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = last
        response = self._connections.open("GET", path, asked, self._token, headers, timeout=SILENCE)
        try:
            if response.status >= 300:
                raise refusal(response)
            yield from parser.all(response)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(str(error) or type(error).__name__) from error
        finally:
            response.close()

    def _get(self, path: str, asked: Mapping[str, str]) -> Any:
        return self._connections.get(path, asked, self._token)


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def ranking(board: Optional[str]) -> str:
    return "/top-k" if board is None else f"/top-k/{segment(board)}"


def query(
    group: Optional[Group], window: Optional[str], start: Optional[Moment], end: Optional[Moment], **rest: Any
) -> Dict[str, str]:
    """The pairs of a query; what is not given is left to the server."""
    given = {"window": window, "from": moment(start), "to": moment(end), **rest}
    pairs = {name: text(value) for name, value in given.items() if value is not None and value is not False}
    for dimension in group or {}:
        if dimension in given:
            raise ValueError(f"group: the API reads {dimension!r} as another thing than a dimension")
    return {**pairs, **(group or {})}


def text(value: Any) -> str:
    return "true" if value is True else str(value)


def moment(given: Optional[Moment]) -> Optional[str]:
    """A moment as the API reads it."""
    if not isinstance(given, datetime):
        return None if given is None else str(given)
    if given.tzinfo is None:
        raise ValueError(f"{given}: a datetime needs a time zone to be a moment")
    return given.isoformat()


def bodies(events: Iterable[Mapping[str, Any]], batch: int) -> Iterator[bytes]:
    """Events as lines of JSON, so many to a body, and no body longer than servers take."""
    if batch < 1:
        raise ValueError(f"batch = {batch}: must be at least 1")
    lines: List[bytes] = []
    size = 0
    for event in events:
        line = json.dumps(event, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode("utf-8") + b"\n"
        if lines and (len(lines) == batch or size + len(line) > LARGEST_BODY):
            yield b"".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield b"".join(lines)
