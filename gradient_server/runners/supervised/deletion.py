"""The files of a run on the disk: the space that they take, and their removal.

Both are about all that is the run's own, and nothing that is only mounted or linked there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gradient_server.runners.base import BLOCK, DiskUsage

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
# Opens a folder that may not be read, too. Only Linux has it.
_HANDLE = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW


class Leftover(NamedTuple):
    """A file or folder that could not be removed, and why."""

    path: str
    reason: str


class _Level(NamedTuple):
    """A folder between the top and the one that is being emptied."""

    name: str
    identity: tuple[int, int]
    subfolders: list[str]
    """Those that are still to be removed."""
    leftovers: int
    """How many there were before it."""


def remove_tree(path: Path, on_freed: Callable[[int], object] = int) -> list[Leftover]:
    """Remove a folder with all that is in it, and return what had to be left.

    Links are removed and never followed. What is mounted in it is left, with the folders above. Folders may be
    read-only, and nested deeper than the system takes a path or this process may open files: one is open at a time.

    :param on_freed: receives the bytes that are freed, again and again; a file frees nothing while it has other links
    """
    leftovers: list[Leftover] = []
    try:
        current = os.open(path.parent, _FOLDER)
    except FileNotFoundError:
        return leftovers
    levels = [_Level(str(path.parent), _identity(current), [path.name], 0)]

    def attempt(action: Callable[..., object], name: str, folder: int) -> None:
        depth = len(levels)
        try:
            freed = 0 if action is enter else _own_bytes(name, folder)
            action(name, dir_fd=folder)
            on_freed(freed)
        except FileNotFoundError:
            pass
        except OSError as error:
            place = os.path.join(*(level.name for level in levels[:depth]), name)
            leftovers.append(Leftover(place, error.strerror or str(error)))

    def enter(name: str, *, dir_fd: int) -> None:
        nonlocal current
        try:
            opened = _open_folder(name, dir_fd)
        except NotADirectoryError:  # a file, or a link that has taken the place of the folder
            freed = _own_bytes(name, dir_fd)
            os.unlink(name, dir_fd=dir_fd)
            on_freed(freed)
            return
        os.close(current)
        current = opened
        levels.append(_Level(name, _identity(current), [], len(leftovers)))
        with os.scandir(current) as found:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
        levels[-1].subfolders.extend(name for name, is_folder in entries if is_folder)
        for name, is_folder in entries:
            if not is_folder:
                attempt(os.unlink, name, current)

    try:
        while levels[0].subfolders or len(levels) > 1:
            if levels[-1].subfolders:
                attempt(enter, levels[-1].subfolders.pop(), current)
                continue
            name, _, _, before = levels.pop()
            parent = os.open("..", _FOLDER, dir_fd=current)
            os.close(current)
            current = parent
            if _identity(current) != levels[-1].identity:
                raise OSError(errno.ESTALE, "it was moved while it was being removed")
            if len(leftovers) == before:
                attempt(os.rmdir, name, current)
    except OSError as error:
        leftovers.append(Leftover(str(path), error.strerror or str(error)))
    finally:
        os.close(current)
    return leftovers


def _own_bytes(name: str, folder: int) -> int:
    """Return the bytes that a file or an empty folder frees when it is removed."""
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    has_other_links = found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode)
    return 0 if has_other_links else found.st_blocks * BLOCK


def _open_folder(name: str, parent: int) -> int:
    """Open a folder in an open folder, and take the right to empty it.

    :raises NotADirectoryError: it is no folder
    :raises OSError: it cannot be entered, or is the root of another mount
    """
    handle = os.open(name, _HANDLE, dir_fd=parent)
    try:
        if _mount(handle) != _mount(parent):
            raise OSError(errno.EBUSY, "something is mounted there")
        found = os.fstat(handle)
        if found.st_mode & stat.S_IRWXU != stat.S_IRWXU and found.st_uid == os.geteuid():
            os.chmod(f"/proc/self/fd/{handle}" if sys.platform == "linux" else handle, stat.S_IRWXU)
        return os.open(".", _FOLDER, dir_fd=handle)
    finally:
        os.close(handle)


def _mount(folder: int) -> str | int:
    """Return the id of the mount that an open folder is in. Two bind mounts of a device differ in it."""
    if sys.platform == "linux":
        with open(f"/proc/self/fdinfo/{folder}") as lines:
            return next(line for line in lines if line.startswith("mnt_id:"))
    return os.fstat(folder).st_dev


def _identity(folder: int) -> tuple[int, int]:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


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
