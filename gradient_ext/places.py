"""Places for which threads wait."""

from __future__ import annotations

from queue import SimpleQueue
from types import TracebackType


class Places:
    """So many threads may be within its `with` statement at once.

    Unlike `threading.Semaphore`, which is written in Python, it has no lock that Ctrl-C can leave locked.

    :param int count: how many
    """

    def __init__(self, count: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def __enter__(self) -> None:
        self._free.get()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._free.put(None)
