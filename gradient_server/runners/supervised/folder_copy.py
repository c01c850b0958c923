"""Copies of folders as workspaces: what their ignore list lets through, as clones where the file system can."""

from __future__ import annotations

import errno
import fcntl
import heapq
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from gradient_ext.workspace_files import FoundFile, workspace_files
from gradient_server.runners.base import BLOCK
from gradient_server.runners.supervised.limits import SetupError, listed, real_path

_CHUNK = 2**20
# Python has it from 3.14 on. Systems on which it is another number, or unknown, refuse this one.
_CLONE: int = getattr(fcntl, "FICLONE", 0x40049409)
_FIRST_ROW, _NEXT_ROW = 2.0, 10.0
"""Seconds after which a copy that takes long is remarked on, and between the next remarks."""


def copy_folder(source: Path, folder: Path, leave_out: Path, remark: Callable[[str], object]) -> None:
    """Copy what belongs to a workspace, as `workspace_files` says, into an empty folder.

    Each file is a clone if the file system can make one, as Btrfs and XFS can: it takes no space until one of the two
    is written to. Otherwise it is a copy, with its holes. It is never a hard link, through which a run would write to
    the original. Times and the right to execute are kept; the user can read and write the copy, also if the original
    is read-only. Links into the folder lead into the copy; all others lead where they did. Left out are files that
    vanish meanwhile, sockets, pipes and devices, and a `.git` that only names a repository elsewhere, as that of a
    worktree: git in the copy would write there.

    :param Path leave_out: a folder that is never copied
    :param remark: receives sentences on what was left out, and on how far a long copy is

    :raises SetupError: files cannot be read, or the disk has no room for them
    """
    real_source, left_out = real_path(source), real_path(leave_out)
    patterns: list[str] = []
    if left_out.is_relative_to(real_source) and left_out != real_source:
        patterns.append("/" + re.sub(r"([^\w/])", r"\\\1", str(left_out.relative_to(real_source))))
    ignored: list[str] = []
    try:
        total = sum(_space(status) for _, status in workspace_files(source, patterns))
        _Copy(source, folder, total, remark).add(workspace_files(source, patterns, ignored.append))
    except PermissionError as error:
        raise _unreadable([os.fsdecode(error.filename)]) from error
    except _NoSpaceError as error:
        files = workspace_files(source, patterns)
        largest = heapq.nlargest(3, ((_space(status), path) for path, status in files))
        names = listed([f"{path} ({_shown(size)})" for size, path in largest])
        raise SetupError(
            f"The workspace {source} {error}. Its largest files are {names}: name in .gradientignore what a run does "
            "not need, or give commands its path"
        ) from None
    if ignored:
        ignored.sort(key=lambda path: (path.rstrip("/").count("/"), path))
        remark(f"Left out of the workspace by .gitignore or .gradientignore: {listed(ignored)}")


class _NoSpaceError(Exception):
    """The disk has no room for the rest of the files. The text has the figures."""


class _Copy:
    """A copy that is being made.

    :param int total: bytes of all files
    """

    def __init__(self, source: Path, folder: Path, total: int, remark: Callable[[str], object]) -> None:
        self._source, self._folder, self._total, self._remark = source, folder, total, remark
        self._real_source = real_path(source)
        self._done = 0
        self._is_space_checked = False
        self._next_row = time.monotonic() + _FIRST_ROW

    def add(self, files: Iterable[FoundFile]) -> None:
        """Copy files, links and folders."""
        special: list[str] = []
        unreadable: list[str] = []
        folders: list[FoundFile] = []
        for path, status in files:
            target = self._folder / path
            try:
                if stat.S_ISDIR(status.st_mode):
                    target.mkdir(mode=0o700)
                    folders.append(FoundFile(path, status))
                elif path.rpartition("/")[2] == ".git":
                    continue
                elif stat.S_ISLNK(status.st_mode):
                    target.symlink_to(self._link_target(self._source / path))
                elif stat.S_ISREG(status.st_mode):
                    self._copy_file(self._source / path, target)
                else:
                    special.append(path)
            except PermissionError:
                unreadable.append(str(self._source / path))
            except OSError as error:  # it has vanished, or become something else
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP, errno.ENXIO):
                    raise
        if unreadable:
            raise _unreadable(unreadable)
        # Last, because a copy in a folder changes its time.
        for path, status in reversed(folders):
            (self._folder / path).chmod(stat.S_IMODE(status.st_mode) & 0o777 | stat.S_IRWXU)
            os.utime(self._folder / path, ns=(status.st_atime_ns, status.st_mtime_ns))
        if special:
            self._remark(f"Left out of the workspace, because they are sockets, pipes or devices: {listed(special)}")

    def _copy_file(self, source: Path, target: Path) -> None:
        # It may have become a link, or a pipe that would block.
        with open(os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return
            with target.open("xb", buffering=0) as copy:
                if status.st_size and not _is_cloned(file.fileno(), copy.fileno()):
                    self._check_space()
                    self._copy_content(file.fileno(), copy.fileno(), status.st_size)
                self._done += _space(status)
                os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
                os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))

    def _check_space(self) -> None:
        """Raise an error if the disk has no room for the rest. Clones need none."""
        if not self._is_space_checked:
            free = shutil.disk_usage(self._folder).free
            if self._total - self._done > free:
                needed = _shown(self._total - self._done)
                raise _NoSpaceError(f"needs {needed}, and the disk of the runs has {_shown(free)} free")
            self._is_space_checked = True

    def _copy_content(self, source: int, target: int, size: int) -> None:
        """Copy the data, but not the holes. A file that grows is copied as long as it was."""
        end = 0
        while end < size:
            try:
                position = os.lseek(source, end, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                break  # a hole is at the end
            end = min(os.lseek(source, position, os.SEEK_HOLE), size)
            while position < end and (chunk := os.pread(source, min(end - position, _CHUNK), position)):
                position += os.pwrite(target, chunk, position)
                if time.monotonic() >= self._next_row:
                    self._next_row = time.monotonic() + _NEXT_ROW
                    done = _shown(self._done + position)
                    self._remark(f"Copying {self._source}: {done} of {_shown(self._total)}")
        os.ftruncate(target, size)

    def _link_target(self, link: Path) -> str:
        """Return where the copy of a link leads: into the copy if the link leads into the folder."""
        target = os.readlink(link)
        absolute = link.parent / target
        directory = real_path(link.parent)
        place = real_path(absolute.parent) / absolute.name if absolute.name != ".." else real_path(absolute)
        for found in (place, real_path(absolute)):
            if found.is_relative_to(self._real_source):
                inside = os.path.normpath(directory.relative_to(self._real_source) / target)
                is_kept = not os.path.isabs(target) and Path(inside).parts[:1] != ("..",)
                return target if is_kept else os.path.relpath(found, directory)
        return target if os.path.isabs(target) else str(place)


def _is_cloned(source: int, target: int) -> bool:
    """Make an empty file a clone of another, and return whether the file system can."""
    try:
        fcntl.ioctl(target, _CLONE, source)
    except OSError:
        return False
    return True


def _space(status: os.stat_result) -> int:
    """Return how many bytes of the disk a copy needs. A file with holes needs less than its size."""
    return min(status.st_size, status.st_blocks * BLOCK) if stat.S_ISREG(status.st_mode) else 0


def _shown(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def _unreadable(paths: list[str]) -> SetupError:
    return SetupError(
        f"These files of the workspace cannot be read: {listed(paths)}. Make them readable for the user of the server, "
        "or name them in .gradientignore"
    )
