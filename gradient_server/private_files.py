"""Files and folders that their owner alone can read, made in one step, and nowhere through a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator
from pathlib import Path

_LONGEST = 2**16
_OTHERS = 0o077
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, readable by its owner alone.

    :raises OSError: something has that name, be it a link to nothing; or it cannot be written there; the error has its
        `filename`
    """
    with _named(path), os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


@contextlib.contextmanager
def private_folder(path: Path) -> Generator[PrivateFolder, None, None]:
    """Open a folder that is its owner's alone; it is made if it is missing.

    :raises OSError: it is somebody else's, others may enter it, or it is none; the error has its `filename`
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(0o700)
    place = _opened(path, path, os.O_DIRECTORY)
    try:
        _check_owner(path, place)
        yield PrivateFolder(path, place)
    finally:
        os.close(place)


class PrivateFolder:
    """A folder that is open: what has its name later is not it.

    :param Path path: where it is, for errors
    :param int place: its descriptor
    """

    def __init__(self, path: Path, place: int) -> None:
        self._path = path
        self._place = place

    def text_of(self, name: str) -> str | None:
        """Read a file; None: there is none.

        :raises OSError: it is no file, somebody else's, or others may read it; the error has its `filename`
        """
        path = self._path / name
        try:
            file = _opened(path, name, os.O_NONBLOCK, self._place)
        except FileNotFoundError:
            return None
        with os.fdopen(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EINVAL, "it is no file", str(path))
            _check_owner(path, file)
            return opened.read(_LONGEST).decode("utf-8", "replace")

    def add(self, name: str, text: str) -> None:
        """Write a file, unless there is one. Nobody reads half of it; of two at once one is the first.

        :raises OSError: it cannot be written; the error has its `filename`
        """
        draft = f".{name}.{secrets.token_hex(8)}"
        with _named(self._path / name):
            opened = os.open(draft, _NEW, 0o600, dir_fd=self._place)
            try:
                with os.fdopen(opened, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                with contextlib.suppress(FileExistsError):
                    os.link(draft, name, src_dir_fd=self._place, dst_dir_fd=self._place, follow_symlinks=False)
            finally:
                os.unlink(draft, dir_fd=self._place)


@contextlib.contextmanager
def _named(path: Path) -> Generator[None, None, None]:
    """Let errors say which file they are about; those of a full disk do not, and a draft has another name."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None


def _opened(path: Path, name: str | Path, flags: int, place: int | None = None) -> int:
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | flags, dir_fd=place)
    except OSError as error:
        # Where a folder was asked for, a link is said to be none.
        reason = "it is a symbolic link" if path.is_symlink() else error.strerror
        raise type(error)(error.errno, reason, str(path)) from None


def _check_owner(path: Path, opened: int) -> None:
    found = os.fstat(opened)
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to somebody else", str(path))
    if found.st_mode & _OTHERS:
        wanted = 700 if stat.S_ISDIR(found.st_mode) else 600
        mode = stat.S_IMODE(found.st_mode)
        text = f"others may use it (mode {mode:o}); chmod {wanted} makes it yours alone"
        raise PermissionError(errno.EPERM, text, str(path))
