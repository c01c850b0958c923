"""Room on the disk that is kept free for what has to be written when there is no other: that something is ended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

_STEP = 2**14


class Reserve:
    """A file that has room for others.

    :param Path path: where it is
    :param int size: how many bytes it keeps, where there are so many
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._is_full = False

    def fill(self) -> None:
        """Keep as much as there is; that may be nothing."""
        if self._is_full:
            return
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            file = os.open(self._path, flags, 0o600)
            try:
                # Written, not only made as long as that: it is about what is taken from the disk.
                while (left := self._size - os.fstat(file).st_size) > 0:
                    os.write(file, bytes(min(left, _STEP)))
                self._is_full = True
            finally:
                os.close(file)

    def release(self) -> None:
        """Let go of all of it."""
        self._is_full = False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def released(self) -> Generator[None, None, None]:
        """Let go of it in the block, and keep afterwards what is left."""
        self.release()
        try:
            yield
        finally:
            self.fill()
