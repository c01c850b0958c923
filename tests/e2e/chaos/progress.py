"""How far it is: on a terminal in one line that changes twice a second, elsewhere in a line for each tenth."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

PACE = 0.5


class Progress:
    """Shows in its block how far something is.

    :param str what: what is being done, in the plural
    :param int total: how much there is to do
    :param done: gives how much is done
    :param TextIO stream: where to show it
    """

    def __init__(self, what: str, total: int, done: Callable[[], int], stream: TextIO = sys.stderr) -> None:
        self._what, self._total, self._done, self._stream = what, total, done, stream
        self._over = threading.Event()
        self._began = time.monotonic()
        # Of its own, because who works may be waiting for the server.
        self._thread = threading.Thread(target=self._show, daemon=True, name="progress")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _show(self) -> None:
        is_terminal = self._stream.isatty()
        tenths = 0
        is_over = False
        while not is_over:
            is_over = self._over.wait(PACE)
            done = self._done()
            seconds = time.monotonic() - self._began
            text = f"  {done:>{len(str(self._total))}} of {self._total} {self._what} after {seconds:.0f} s"
            if is_terminal:
                print(f"\r{text}\x1b[K", end="\n" if is_over else "", file=self._stream, flush=True)
            elif done * 10 // self._total > tenths:
                tenths = done * 10 // self._total
                print(text, file=self._stream, flush=True)
