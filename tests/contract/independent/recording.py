"""A reverse proxy that keeps what goes over the wire, both ways."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from attrs import frozen

Headers = tuple[tuple[str, str], ...]

# Said between two neighbours, not from end to end. The length is written anew, which is the same for a whole body.
_OF_THE_CONNECTION = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}
_PATIENCE = 30.0


@frozen(kw_only=True)
class Exchange:
    """A request, as the client sent it, and the answer that it got."""

    began: datetime
    seconds: float
    method: str
    url: str
    request_headers: Headers
    request_body: bytes
    status: int
    answer_headers: Headers
    answer_body: bytes

    def answer_header(self, name: str) -> str | None:
        """Find a header of the answer."""
        return next((value for found, value in self.answer_headers if found.lower() == name.lower()), None)


class Recorder:
    """Passes requests on by the longest prefix of their path that there is a way for.

    :param ways: where requests go, by the prefix of their path; the prefix is taken off
    :param exchanges: where to put what was seen; an exchange is there before the client has the answer
    :param added: headers to add on the way, from the method and the path without its prefix
    """

    def __init__(
        self,
        ways: Mapping[str, str],
        exchanges: list[Exchange],
        added: Callable[[str, str], Mapping[str, str]] = lambda method, path: {},
    ) -> None:
        recorder = self
        self._ways = sorted(ways.items(), key=lambda way: len(way[0]), reverse=True)
        self._exchanges = exchanges
        self._added = added

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                exchange = recorder._exchange(self.command, self.path, tuple(self.headers.items()), body)
                self.send_response_only(exchange.status)
                for name, value in exchange.answer_headers:
                    self.send_header(name, value)
                if exchange.status != 204:
                    self.send_header("Content-Length", str(len(exchange.answer_body)))
                self.end_headers()
                self.wfile.write(exchange.answer_body)

            do_GET = do_POST = do_PUT = do_DELETE = pass_on

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _exchange(self, method: str, path: str, headers: Headers, body: bytes) -> Exchange:
        began, start = datetime.now(UTC), time.monotonic()
        try:
            status, answer_headers, answer_body = self._passed_on(method, path, headers, body)
        except (OSError, HTTPException) as error:
            status, answer_headers, answer_body = (
                502,
                (("Content-Type", "application/problem+json"),),
                repr(error).encode(),
            )
        exchange = Exchange(
            began=began,
            seconds=time.monotonic() - start,
            method=method,
            url=self.url + path,
            request_headers=headers,
            request_body=body,
            status=status,
            answer_headers=answer_headers,
            answer_body=answer_body,
        )
        self._exchanges.append(exchange)
        return exchange

    def _passed_on(self, method: str, path: str, headers: Headers, body: bytes) -> tuple[int, Headers, bytes]:
        prefix, target = next(way for way in self._ways if path.startswith(way[0] + "/"))
        path = path.removeprefix(prefix)
        connection = HTTPConnection(urlsplit(target).netloc, timeout=_PATIENCE)
        try:
            given = {name: value for name, value in headers if name.lower() not in _OF_THE_CONNECTION}
            connection.request(method, path, body or None, {**given, **self._added(method, path.partition("?")[0])})
            answer = connection.getresponse()
            kept = tuple((name, value) for name, value in answer.getheaders() if name.lower() not in _OF_THE_CONNECTION)
            return answer.status, kept, answer.read()
        finally:
            connection.close()
