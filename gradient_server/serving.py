"""HTTP for the application: uvicorn, with quiet endings and with the error bodies of the services."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from gradient_server.answers import not_http, rendered

GRACE = 1.0
"""Seconds that a request which is under way has left when the server is told to stop."""
LINGER = 2.0
"""Seconds for which a connection that was refused is still read from, so that its client gets to read the refusal."""
_TURNS = 5
KEEP_ALIVE = 75
"""Seconds before an idle connection is closed. Longer than clients keep them, or they would meet closed ones."""


def http_server(app: ASGIApp, *, before_stopping: Callable[[], None]) -> HttpServer:
    """Make the server of an application.

    :param app: the application
    :param before_stopping: what lets requests end soon that would take their time
    """
    config = uvicorn.Config(
        app,
        # What uvicorn would choose depends on what else is installed; what runs is what was tested.
        http=Protocol,
        loop="asyncio",
        ws="none",
        lifespan="off",
        workers=1,
        # A library leaves the logging of its program alone; what a caller did wrong is no matter for the log.
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(GRACE + LINGER),
    )
    return HttpServer(config, before_stopping)


class HttpServer(uvicorn.Server):
    """A uvicorn server that ends without a word, whatever its clients are in the middle of."""

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
        self.serving.set()

    async def suspend(self) -> None:
        """Stop listening and break all connections. Nothing is being done any more when this returns."""
        await self._stop_accepting()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            _reset(connection.transport)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=GRACE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, let requests that are under way end, and drop those that do not."""
        await self._stop_accepting()
        self._before_stopping()
        dropping = asyncio.get_running_loop().call_later(GRACE, self._drop_connections)
        await super().shutdown(sockets)
        dropping.cancel()
        self._drop_connections()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=GRACE)

    async def _stop_accepting(self) -> None:
        """Leave new connections to the kernel, and let those begin that it has handed over already."""
        self.serving.clear()
        loop = asyncio.get_running_loop()
        for listening in (found for server in self.servers for found in server.sockets):
            loop.remove_reader(listening.fileno())
        # A connection takes some turns of the loop to begin, and asyncio loses it if its server is closed before.
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def _drop_connections(self) -> None:
        # The requests notice that nobody waits for them, and end. Cancelled ones would be logged as failures.
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class Protocol(H11Protocol):
    """One connection. What is not HTTP is answered as other errors are, and in a way that the client gets to see."""

    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin; requests carry the connection that they come on, as `scope["state"]["connection"]`."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": self}

    def reset(self) -> None:
        """Break the connection, as if a cable was cut: what is under way is lost, and the client meets an error."""
        _reset(self.transport)

    def close(self) -> None:
        """Close the connection as soon as what has been written is sent, whatever was promised."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what the client sent; after a refusal, read on and forget it."""
        if not self._refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, and let go of the request that was being read, if one was."""
        self._refused = True
        if self.cycle is not None:  # pyright: ignore[reportUnnecessaryComparison] # uvicorn leaves out that there may be none
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(sys.exception())
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closing at once would take the refusal away from a client that is still sending.
        self.loop.call_later(LINGER, self.transport.close)

    def _send(self, error: BaseException | None) -> None:
        status = HTTPStatus(error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400)
        problem, _, _ = str(error).partition(": b")  # what was sent is not repeated; a key may be in it
        response = rendered(not_http(status, problem))
        headers = [*response.raw_headers, (b"connection", b"close")]
        for event in (
            h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")


def _reset(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        # Nothing is to linger: the kernel then resets what it would otherwise close in an orderly way.
        lingering = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
    transport.abort()
