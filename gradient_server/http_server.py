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
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from gradient_server.api.responses import TOO_MANY_CONNECTIONS, ApiResponse, malformed_http, request_timeout
from gradient_server.connection_limit import longest_waiting, most_connections
from gradient_server.listening import BACKLOG
from gradient_server.slow_clients import SECONDS, STEP, Part, SlowClients, Step

GRACE = 1.0
"""Seconds that a request which is under way has left when the server is told to stop."""
LINGER = 2.0
"""Seconds for which a connection that was refused is still read from, so that its client gets to read the refusal."""
_TURNS = 5
_TICKS = 10
"""Ticks of uvicorn, which are a tenth of a second, between two looks at all connections."""
_ACCEPTED_AT_ONCE = 16
"""Connections that are accepted before one has to go for each; they are open files until it has gone."""
LONGEST_HEAD = 2**14
"""Bytes of the line of a request and its headers."""
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
        backlog=_ACCEPTED_AT_ONCE,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(GRACE + LINGER),
    )
    return HttpServer(config, before_stopping)


class HttpServer(uvicorn.Server):
    """A uvicorn server that ends without a word, whatever its clients are in the middle of."""

    def __init__(self, config: uvicorn.Config, before_stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_stopping = before_stopping
        self._slow_clients = SlowClients[Protocol]()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.serving = threading.Event()
        """Whether it accepts connections."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for found in sockets or []:
            found.listen(BACKLOG)
        self.serving.set()

    async def on_tick(self, counter: int) -> bool:
        """Now and then, let go of clients that are too slow."""
        if counter % _TICKS == 0:
            connections = [found for found in self.server_state.connections if isinstance(found, Protocol)]
            for connection, part in self._slow_clients.found(connections, asyncio.get_running_loop().time()):
                connection.give_up(part)
        return await super().on_tick(counter)

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
    quiet_since = 0.0
    """When it was opened, or got its last answer; in the time of the loop."""

    @property
    def waits_for_client(self) -> bool:
        """Whether it is the turn of its client: to send something, or to read what was sent to it."""
        is_at_work = self._cycle is not None and not self._cycle.response_complete
        return not is_at_work or self.conn.their_state is h11.SEND_BODY or self.transport.get_write_buffer_size() > 0

    @property
    def owed(self) -> Step | None:
        """What its client is to do now; None: it is the server's turn, or nobody's."""
        if unread := self.transport.get_write_buffer_size():
            return Step(Part.ANSWER, unread // STEP)
        if self._refused:
            return None
        if self.conn.their_state is h11.SEND_BODY:
            return Step(Part.BODY, self._cycle)
        # Between requests, uvicorn waits for as long as connections are kept.
        if self.conn.their_state is h11.IDLE and (self._cycle is None or self.conn.trailing_data[0]):
            return Step(Part.HEAD, self._cycle)
        return None

    @property
    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn leaves out that there may be none

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Begin; requests carry the connection that they come on, as `scope["state"]["connection"]`."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "connection": self}
        self.quiet_since = self.loop.time()
        if len(self.connections) > most_connections():
            self._make_room()

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
        error = sys.exception()
        status = HTTPStatus(error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400)
        problem, _, _ = str(error).partition(": b")  # what was sent is not repeated; a key may be in it
        self._refuse(malformed_http(status, problem))

    def on_response_complete(self) -> None:
        """Go on with what the client has sent in the meantime."""
        self.quiet_since = self.loop.time()
        super().on_response_complete()

    def give_up(self, part: Part) -> None:
        """Let go of a client that is too slow, and say so, if it may still be listening."""
        if part is Part.ANSWER:
            self.transport.abort()
        elif part is Part.HEAD and not self.conn.trailing_data[0]:
            self.transport.close()  # it has not begun, and waits for nothing
        else:
            self._refuse(request_timeout(part.value, SECONDS[part]))

    def _make_room(self) -> None:
        others: list[Protocol] = [found for found in self.connections if isinstance(found, Protocol)]
        others.remove(self)
        waiting = longest_waiting(others)
        if waiting:
            waiting.transport.abort()
            self.connections.discard(waiting)
        else:
            self._refuse(TOO_MANY_CONNECTIONS)

    def _refuse(self, answer: ApiResponse) -> None:
        """Answer, unless an answer is under way, let go of the request, and close the connection after a while."""
        self._refused = True
        if self._cycle is not None:
            self._cycle.disconnected = True
            self._cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._send(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closing at once would take the refusal away from a client that is still sending.
        self.loop.call_later(LINGER, self.transport.close)

    def _send(self, answer: ApiResponse) -> None:
        response = answer.render()
        status = HTTPStatus(response.status_code)
        headers = [*response.raw_headers, (b"connection", b"close")]
        events = (
            h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
            h11.Data(data=bytes(response.body)),
            h11.EndOfMessage(),
        )
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))


def _reset(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        # Nothing is to linger: the kernel then resets what it would otherwise close in an orderly way.
        lingering = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
    transport.abort()
