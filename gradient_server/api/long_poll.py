"""Long polls: requests that are held open until there is something new to say, without looking again and again."""

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
    """All requests that are held open. They sleep until simulated time, or somebody who did something, wakes them.

    :param Clock clock: what time it is in the simulation
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asleep: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
        self._lock = threading.Lock()
        self._over = False
        clock.watch(self.wake)

    def wake(self, handle: str | None = None) -> None:
        """Let those look again who wait for an experiment; without one, all. Any thread can call this."""
        # Under the lock: who is in the list has a loop that is not closed yet.
        with self._lock:
            chosen = self._asleep.values() if handle is None else [self._asleep.get(handle, set())]
            for loop, event in (sleeper for sleepers in chosen for sleeper in sleepers):
                loop.call_soon_threadsafe(event.set)

    def end(self) -> None:
        """Answer all at once, as if their time was over, and hold none open any more."""
        self._over = True
        self.wake()

    async def answer(self, act: Callable[[], Awaitable[ApiResponse]], seconds: float, receive: Receive) -> ApiResponse:
        """Give an answer that nothing is pending of, or that is not the first one; or the first, when time is over.

        :param act: says what the answer is now
        :param float seconds: for how many real seconds to wait
        :param Receive receive: tells when the client has gone

        :raises ClientDisconnect: nobody waits for the answer any more
        """
        first = await act()
        if first.pending is None:
            return first
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self._wakeable(first.pending.handle) as woken:
            leaving = asyncio.create_task(_leaving(receive, woken))
            try:
                # Something may have happened before this one could be woken, so the first look is here.
                while (answer := await act()) == first and answer.pending is not None:
                    left = deadline - loop.time()
                    if left <= 0 or self._over:
                        break
                    await _within(min(left, self._clock.real_seconds_to(answer.pending.timestamp)), woken)
                    if leaving.done():
                        raise ClientDisconnect
            finally:
                leaving.cancel()
        return answer

    @contextlib.contextmanager
    def _wakeable(self, handle: str) -> Generator[asyncio.Event, None, None]:
        sleeper = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            self._asleep.setdefault(handle, set()).add(sleeper)
        try:
            yield sleeper[1]
        finally:
            with self._lock:
                self._asleep[handle].discard(sleeper)
                if not self._asleep[handle]:
                    del self._asleep[handle]


async def gone(receive: Receive) -> None:
    """Wait until the client has gone; what it sends until then is received, and forgotten."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _leaving(receive: Receive, woken: asyncio.Event) -> None:
    await gone(receive)
    woken.set()


async def _within(seconds: float, event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    event.clear()
