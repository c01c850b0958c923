"""The disk space that the files of a run take: what its removal frees, and what it shares by hard links."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gradient_server.runners.base import BLOCK, DiskUsage


def disk_usage(path: Path) -> DiskUsage:
    """Return the space that a file or folder takes, with all that is in the folder: blocks, not lengths.

    Links are not followed, and other file systems that are mounted there are not counted. What cannot be read, or is
    removed meanwhile, is not counted either.
    """
    own = 0
    linked: dict[int, tuple[int, int, int]] = {}
    for found in _entries(path):
        size = found.st_blocks * BLOCK
        if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
            seen = linked[found.st_ino][0] if found.st_ino in linked else 0
            linked[found.st_ino] = seen + 1, found.st_nlink, size
        else:
            own += size
    own += sum(size for seen, links, size in linked.values() if seen >= links)
    shared = sum(size * seen // links for seen, links, size in linked.values() if seen < links)
    return DiskUsage(own=own, shared=shared)


def _entries(path: Path) -> Iterator[os.stat_result]:
    try:
        top = path.lstat()
    except OSError:
        return
    yield top
    folders = [str(path)] if stat.S_ISDIR(top.st_mode) else []
    while folders:
        # A folder that cannot be read, or is deeper than the system takes a path, is left out.
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    if found.st_dev != top.st_dev:
                        continue
                    yield found
                    if stat.S_ISDIR(found.st_mode):
                        folders.append(entry.path)
