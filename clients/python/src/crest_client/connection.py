"""One request over one connection, and when to try it again."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import time
from typing import Any, Dict, Mapping, Optional
from urllib.parse import urlencode, urlsplit

from .errors import ApiError, CrestError, OutcomeUnknown, Unreachable

FIRST_WAIT = 0.1
LONGEST_WAIT = 10.0
LONGEST_ERROR = 1 << 20


class Connections:
    """
    Makes the requests to one server. Each has a connection of its own: on one that is kept open, nobody could tell a server that
    closed it from one that took the events and died.
    """

    def __init__(self, url: str, timeout: float, retries: int, context: Optional[ssl.SSLContext]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r}: must be http://host:port or https://host:port")
        if parts.query or parts.fragment or parts.username:
            raise ValueError(f"{parts.hostname}: the address must have no query, no fragment and no user")
        self._secure = parts.scheme == "https"
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._timeout, self._retries = timeout, retries
        self._context = context

    def get(self, path: str, query: Mapping[str, str], token: Optional[str]) -> Any:
        """The JSON of an answer; asked again where the server is away or says that it may be."""
        return self._again(lambda: self._answer("GET", path, query, token))

    def post(self, path: str, body: bytes, headers: Mapping[str, str], token: Optional[str]) -> Any:
        """The JSON of an answer; sent again only where nothing of it was taken."""
        return self._again(lambda: self._answer("POST", path, {}, token, headers, body))

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        token: Optional[str],
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
        timeout: Optional[float] = None,
    ) -> http.client.HTTPResponse:
        """
        The head of an answer, whatever its status; closing it closes the connection.

        :raises Unreachable: there is no connection, or, for a GET, no answer.
        :raises OutcomeUnknown: a POST was begun, and there is no answer.
        """
        connection = self._connection(self._timeout if timeout is None else timeout)
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(f"{self._host}: {error}") from error
        sent: Dict[str, str] = {"Accept-Encoding": "identity", "Connection": "close", **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        target = self._base + path + (f"?{urlencode(query)}" if query else "")
        try:
            try:
                connection.request(method, target, body=body, headers=sent)
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses a body by its length answers before it has read it.
                pass
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(method, error) from error

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._secure:
            context = self._context or ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _lost(self, method: str, error: Exception) -> CrestError:
        said = f"{self._host}: {error or type(error).__name__}"
        return OutcomeUnknown(said) if method == "POST" else Unreachable(said)

    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        token: Optional[str],
        headers: Optional[Mapping[str, str]] = None,
        body: Optional[bytes] = None,
    ) -> Any:
        response = self.open(method, path, query, token, headers, body)
        try:
            if response.status >= 300:
                raise refusal(response)
            return json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(method, error) from error
        finally:
            response.close()

    def _again(self, ask: Any) -> Any:
        wait = FIRST_WAIT
        for left in range(self._retries, -1, -1):
            try:
                return ask()
            except Unreachable:
                pause = wait
                if not left:
                    raise
            except ApiError as error:
                if error.status != 503 or error.retry_after is None or not left:
                    raise
                pause = max(error.retry_after, wait)
            # Not all clients at the same moment.
            time.sleep(pause * random.uniform(1.0, 1.25))
            wait = min(wait * 2, LONGEST_WAIT)
        raise AssertionError("the last try returns or raises")


def refusal(response: http.client.HTTPResponse) -> CrestError:
    """The error that an answer is. Of a POST, 503 without Retry-After says that nobody knows what became of it."""
    text = response.read(LONGEST_ERROR)
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    said = response.getheader("Retry-After", "")
    return ApiError(response.status, body, float(said) if said.isdigit() else None)
