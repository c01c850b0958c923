"""Files that several machines have by NFS, whose clients tell each other late: what is written, and what has changed.

A client sends what is written when a file is closed or synchronised, otherwise after up to half a minute. Another one
believes what it knows about a file for as long, unless it opens the file.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_FLUSH_INTERVAL = 0.05


def is_on_nfs(path: Path, mounts: str | None = None) -> bool:
    """Whether a path is on NFS.

    :param str mounts: the content of `/proc/self/mountinfo`; None: that of this process
    """
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text(errors="surrogateescape")
        except OSError:  # not on Linux
            return False
    found: list[tuple[int, str]] = []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].replace("\\040", " ")
        if path.is_relative_to(point):
            found.append((len(point), after.split(" ")[0]))
    # Of several at one place, the last one is seen.
    return bool(found) and max(reversed(found), key=lambda each: each[0])[1].startswith("nfs")


def refresh(paths: Sequence[Path]) -> None:
    """Have this machine see what others have written to files. Opening a file does that."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC))


class Flusher:
    """Has other machines see what this process writes to files, as soon as it is written.

    :param paths: of the files, which need not exist yet
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._sizes: dict[Path, int] = {}
        self._thread = threading.Thread(target=self._run_loop, daemon=True, name="flusher")

    def start(self) -> None:
        """Start it. It goes on until this process ends, which closes the files."""
        self._thread.start()

    def flush(self) -> None:
        """Synchronise the files that have grown since the last time."""
        for path in self._paths:
            with contextlib.suppress(OSError):
                size = os.stat(path).st_size
                if size != self._sizes.get(path, 0):
                    file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        os.fsync(file)
                    finally:
                        os.close(file)
                    self._sizes[path] = size

    def _run_loop(self) -> None:
        pause = threading.Event()
        while True:
            self.flush()
            pause.wait(_FLUSH_INTERVAL)
