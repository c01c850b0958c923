"""How a supervisor is told to end: by SIGTERM, at any moment."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Generator
from types import FrameType


class Interrupted(BaseException):
    """The supervisor was told to end, while it was in the middle of something that takes long."""


class Told:
    """Whether the supervisor was told to end. Whatever waits for `wakes` is woken by that, and when a child ends."""

    def __init__(self) -> None:
        self.to_end = False
        self._may_interrupt = False
        self.wakes, wake = os.pipe()
        for end in (self.wakes, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_term)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT):
            # Not ignored: commands would inherit that, and could not be interrupted by what they start.
            signal.signal(number, lambda number, frame: None)

    @contextlib.contextmanager
    def interrupting(self) -> Generator[None, None, None]:
        """Let the block end at once when it is told.

        :raises Interrupted: it was told, also before
        """
        self._may_interrupt = True
        try:
            if self.to_end:
                raise Interrupted
            yield
        finally:
            self._may_interrupt = False

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self.to_end = True
        if self._may_interrupt:
            self._may_interrupt = False
            raise Interrupted
