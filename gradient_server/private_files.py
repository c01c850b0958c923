"""Files and folders that only their owner can read, made in one step and never through a symbolic link."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator
from pathlib import Path

_MAX_BYTES = 2**16
_OTHERS = 0o077
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # which follows no link, either


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, or check that an existing one is private.

    :raises OSError: it belongs to another user, others may enter it, or it is no folder; the error has its `filename`
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(0o700)
    descriptor = _open(path, os.O_DIRECTORY)
    try:
        _check_private(path, descriptor)
    finally:
        os.close(descriptor)


def read_private(path: Path) -> str | None:
    """Return the text of a file that only its owner can read; None: there is no such file.

    :raises OSError: it is no file, belongs to another user, or others may read it; the error has its `filename`
    """
    try:
        descriptor = _open(path, os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        _check_private(path, descriptor)
        return os.read(descriptor, _MAX_BYTES).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def write_new(path: Path, text: str) -> None:
    """Write a new file, readable by its owner alone.

    :raises OSError: the name is taken, also by a dangling link, or it cannot be written; the error has its `filename`
    """
    with _errors_with(path), os.fdopen(os.open(path, _NEW, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_if_missing(path: Path, text: str) -> None:
    """Write a file like `write_new`, unless it exists. Nobody reads half of it, and of two writers one wins.

    :raises OSError: it cannot be written; the error has its `filename`
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with _errors_with(path):
        try:
            write_new(draft, text)
            with contextlib.suppress(FileExistsError):
                os.link(draft, path, follow_symlinks=False)
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def _errors_with(path: Path) -> Generator[None, None, None]:
    """Raise errors with this path: those of a full disk have none, and a draft has another name."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | flags)
    except OSError as error:
        # The kernel says of a link to a folder that it is no folder.
        reason = "it is a symbolic link" if path.is_symlink() else error.strerror
        raise type(error)(error.errno, reason, str(path)) from None


def _check_private(path: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to somebody else", str(path))
    if found.st_mode & _OTHERS:
        wanted = 700 if stat.S_ISDIR(found.st_mode) else 600
        mode = stat.S_IMODE(found.st_mode)
        text = f"others may use it (mode {mode:o}); chmod {wanted} makes it yours alone"
        raise PermissionError(errno.EPERM, text, str(path))
