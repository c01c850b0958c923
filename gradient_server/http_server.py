"""The HTTP server: uvicorn, configured for a server that starts, stops and restarts inside of another program."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

BACKLOG = 2048
"""Connections that the kernel keeps until they are accepted."""
ACCEPTED_AT_ONCE = 16
"""Connections that asyncio accepts in one go; they hold open files before idle ones can be evicted for them."""
MAX_CONNECTIONS = 1000
"""Open connections above which each new one evicts an idle one."""
RESERVED_FILES = 40
"""Open files that connections leave to others at least: the store, logs, processes, what is accepted in one go."""
MIN_FILES = 64
"""Open files that a process must be allowed to have for a server to start in it."""
MAX_HEAD_BYTES = 2**14
"""Size of a request line and its headers."""
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every response: none is kept in a cache, and none is taken for a page that it is not."""
KEEP_ALIVE = 75
"""Seconds before an idle connection is closed: longer than clients keep one, so that they do not reuse a closed one."""
GRACE = 1.0
"""Seconds that requests have left to complete when the server stops."""
_TURNS = 5


def listen(host: str, port: int, *, timeout: float = 0.0) -> socket.socket:
    """Return a listening socket; connections wait in its backlog until the server runs.

    :param str host: the address
    :param int port: the port; 0: a free one
    :param float timeout: seconds to wait for a port in use, which the kernel may have lent to an outgoing connection

    :raises OSError: the port is in use, the machine does not have the address, or the process may open too few files
    """
    if _max_files() < MIN_FILES:
        text = f"a server needs {MIN_FILES} open files, and this process may have {_max_files()}; see ulimit -n"
        raise OSError(errno.EMFILE, text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + timeout
    while True:
        try:
            listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)
        else:
            # Connections inherit it. Without it, the second half of a response waits until the first is acknowledged.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listener


def http_server(app: ASGIApp, *, before_stopping: Callable[[], None]) -> HttpServer:
    """Return a server for an application.

    :param app: the application
    :param before_stopping: is called before the server waits for open requests; ends those that would take long
    """
    config = uvicorn.Config(
        app,
        # uvicorn would choose by what else is installed; this is what is tested.
        http=Connection,
        loop="asyncio",
        ws="none",
        lifespan="off",
        workers=1,
        # The program that starts the server configures logging; mistakes of clients are not logged.
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        backlog=max(1, min(ACCEPTED_AT_ONCE, _max_files() // 16)),
        headers=list(HEADERS.items()),
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(3 * GRACE),
    )
    return HttpServer(config, before_stopping)


class HttpServer(uvicorn.Server):
    """A uvicorn server that can be suspended, and stops quietly whatever its clients are doing."""

    def __init__(self, config: uvicorn.Config, before_stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_stopping = before_stopping
        self.loop: asyncio.AbstractEventLoop | None = None
        self.serving = threading.Event()
        """Whether it accepts connections."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)
        self.serving.set()

    async def suspend(self) -> None:
        """Stop listening, reset all connections and wait until their requests have ended."""
        await self._stop_accepting()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            _reset(connection.transport)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=GRACE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let open requests complete, and drop those that do not within `GRACE`."""
        await self._stop_accepting()
        self._before_stopping()
        dropping = asyncio.get_running_loop().call_later(GRACE, self._drop_connections)
        await super().shutdown(sockets)
        dropping.cancel()
        self._drop_connections()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=GRACE)

    async def _stop_accepting(self) -> None:
        """Leave new connections to the kernel, and finish opening those that are accepted already."""
        self.serving.clear()
        loop = asyncio.get_running_loop()
        for listener in (found for server in self.servers for found in server.sockets):
            loop.remove_reader(listener.fileno())
        # Opening takes some turns of the loop; asyncio loses a connection if its server is closed before.
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _drop_connections(self) -> None:
        # Requests then see a disconnected client and end; uvicorn would log cancelled ones as failures.
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class _RequestReader(h11.Connection):
    """Reads requests. Rejects heads that are too large, and requests of which it is not certain where they end."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self.rejection = HTTPStatus.BAD_REQUEST
        """The status of the response to the request that was rejected."""

    def next_event(self) -> Any:
        """Return the next event, as h11 does."""
        begins = self.their_state is h11.IDLE
        before = self._unread if begins else 0
        try:
            event = super().next_event()
            if begins and isinstance(event, h11.Request):
                self._check(event, before - self._unread)
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                self.rejection = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise
        return event

    @property
    def _unread(self) -> int:
        return len(self.trailing_data[0])

    def _check(self, request: h11.Request, size: int) -> None:
        if size > MAX_HEAD_BYTES:  # h11 limits only what comes in several pieces
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise h11.RemoteProtocolError("The head is too large", error_status_hint=status)
        names = {name for name, _ in request.headers}
        # Whoever passed it on may have read another end than h11: RFC 9112, sections 6.1 and 6.3.
        if b"transfer-encoding" in names and (b"content-length" in names or request.http_version < b"1.1"):
            raise h11.RemoteProtocolError("The body has two ends")


class Connection(H11Protocol):
    """A connection that a fault can break; requests carry it as `scope["state"]["connection"]`."""

    _idle_since = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = self._reader = _RequestReader()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Open the connection; if there are too many, close the one that has been idle for longest."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": self}
        self._idle_since = self.loop.time()
        if len(self.connections) > _max_connections():
            self._evict_idle()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Reject a malformed request; if its response has been started, only close the connection."""
        if cycle := self._cycle:
            cycle.disconnected = True  # the application sends no response any more
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            status = self._reader.rejection
            body = (msg if status == HTTPStatus.BAD_REQUEST else status.phrase).encode()
            headers = {**HEADERS, "Content-Type": "text/plain", "Content-Length": str(len(body)), "Connection": "close"}
            head = h11.Response(status_code=status, reason=status.phrase, headers=list(headers.items()))
            for event in (head, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def reset(self) -> None:
        """Reset the connection, as if a cable had been cut: its client gets a connection error."""
        _reset(self.transport)

    def close(self) -> None:
        """Close the connection once what has been written is sent, whatever length was announced."""
        self.transport.close()

    @property
    def _is_idle(self) -> bool:
        """Whether the client has to send something: a request, or the rest of one."""
        return self._cycle is None or self._cycle.response_complete or self.conn.their_state is h11.SEND_BODY

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn's annotation leaves out that there may be none

    def _evict_idle(self) -> None:
        connections: list[Connection] = [found for found in self.connections if isinstance(found, Connection)]
        idle = [found for found in connections if found is not self and found._is_idle]
        if idle:
            longest = min(idle, key=lambda found: found._idle_since)
            longest.transport.abort()
            self.connections.discard(longest)


def _max_connections() -> int:
    """Return how many connections may be open; a quarter of the files that the process may open is left for others."""
    files = _max_files()
    return min(MAX_CONNECTIONS, files * 3 // 4, files - RESERVED_FILES)


def _max_files() -> int:
    """Return how many files the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _reset(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        # With no time to linger, closing sends a reset.
        lingering = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
    transport.abort()
