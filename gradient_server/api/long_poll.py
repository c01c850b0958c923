"""Long polls: requests that are held until their response changes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Generator

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from gradient_server.api.responses import ApiResponse
from gradient_server.clock import Clock


class LongPolls:
    """The requests that are held. Each sleeps until a simulated timestamp or an event of its experiment.

    :param Clock clock: the simulated time
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sleepers: set[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()
        self._ended = False
        clock.watch(self.wake)

    def wake(self, handle: str | None = None) -> None:
        """Wake the requests that wait for an experiment, or all. Any thread can call this."""
        # Under the lock: the loop of a registered sleeper is not closed yet.
        with self._lock:
            for waits_for, loop, event in self._sleepers:
                if handle in (None, waits_for):
                    loop.call_soon_threadsafe(event.set)

    def end(self) -> None:
        """Answer all held requests now, and hold none from now on."""
        self._ended = True
        self.wake()

    async def hold(
        self, respond: Callable[[], Awaitable[ApiResponse]], seconds: float, receive: Receive
    ) -> ApiResponse:
        """Return the response as soon as it is final or has changed, and otherwise when the wait is over.

        :param respond: returns the current response
        :param float seconds: how long to wait, in real seconds
        :param Receive receive: receives the disconnect of the client

        :raises ClientDisconnect: the client has disconnected
        """
        first = await respond()
        if first.pending is None:
            return first
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self._sleeper(first.pending.handle) as woken:
            disconnecting = asyncio.create_task(_set_on_disconnect(receive, woken))
            try:
                # Again at once: an event may have come before the sleeper was registered.
                while (response := await respond()) == first and response.pending is not None:
                    left = deadline - loop.time()
                    if left <= 0 or self._ended:
                        break
                    await _wait(woken, min(left, self._clock.real_seconds_to(response.pending.timestamp)))
                    if disconnecting.done():
                        raise ClientDisconnect
            finally:
                disconnecting.cancel()
        return response

    @contextlib.contextmanager
    def _sleeper(self, handle: str) -> Generator[asyncio.Event, None, None]:
        event = asyncio.Event()
        sleeper = handle, asyncio.get_running_loop(), event
        with self._lock:
            self._sleepers.add(sleeper)
        try:
            yield event
        finally:
            with self._lock:
                self._sleepers.remove(sleeper)


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client disconnects; discard what it sends until then."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _set_on_disconnect(receive: Receive, event: asyncio.Event) -> None:
    await wait_for_disconnect(receive)
    event.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
