"""Places for which those wait who want to send something."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final

LONGEST_WAIT: Final = 1e8
"""Seconds that clocks and sockets take; it is three years."""


class NoPlaceError(Exception):
    """There was no place in time."""

    def __init__(self, count: int) -> None:
        super().__init__(f"all {count} are in use")


class Places:
    """So many threads may be within its `with` statements at once.

    Unlike `threading.Semaphore`, which is written in Python, it has no lock that Ctrl-C can leave locked.

    :param int count: how many
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def within(self, seconds: float | None) -> _Place:
        """Give what waits for a place at the beginning of a `with` statement, and gives it back at its end.

        :param float seconds: for how long to wait; None: for ever
        """
        return _Place(self._free, self._count, seconds)


class _Place:
    def __init__(self, free: SimpleQueue[None], count: int, seconds: float | None) -> None:
        self._free = free
        self._count = count
        self._seconds = seconds

    def __enter__(self) -> None:
        try:
            self._free.get(timeout=None if self._seconds is None else min(self._seconds, LONGEST_WAIT))
        except Empty:
            raise NoPlaceError(self._count) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._free.put(None)


class AsyncPlaces:
    """The same for tasks.

    :param int count: how many
    """

    def __init__(self, count: int) -> None:
        import anyio

        self._count = count
        self._free = anyio.Semaphore(count)

    @asynccontextmanager
    async def within(self, seconds: float | None) -> AsyncGenerator[None, None]:
        """Wait for a place at the beginning of an `async with` statement, and give it back at its end.

        :param float seconds: for how long to wait; None: for ever

        :raises NoPlaceError: there was none in that time
        """
        import anyio

        try:
            with anyio.fail_after(seconds):
                await self._free.acquire()
        except TimeoutError:
            raise NoPlaceError(self._count) from None
        try:
            yield
        finally:
            self._free.release()
