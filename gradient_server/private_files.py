"""Files and folders of this user alone: the key, the store with its side files, and the folders of runs.

One rule for all of them: they belong to the user and are no links, nobody else may write them, and nobody else can put
something else in their place. What must be secret, nobody else may read. New files and folders are made so in one step.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import secrets
import stat
from collections.abc import Generator
from pathlib import Path

_MAX_BYTES = 2**16
_LINK = "it is a symbolic link"
_NO_FILE = "it is no file"
_OTHERS = 0o077
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL  # which follows no link, either


def make_private_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, or check that an existing one is private.

    :raises OSError: it belongs to another user, others may enter or replace it, or it is no folder; the error has its
        `filename`
    """
    for parent in [parent for parent in reversed(path.parents) if not parent.exists()]:
        # Not with the umask, which may let everybody write.
        with contextlib.suppress(FileExistsError):
            parent.mkdir(0o700)
    check_place(path)
    with contextlib.suppress(FileExistsError):
        path.mkdir(0o700)
    descriptor = _open(path, os.O_DIRECTORY)
    try:
        _check_private(path, descriptor)
    finally:
        os.close(descriptor)


def check_own_file(path: Path) -> None:
    """Check that a file belongs to the user, and nobody else may write it; there may be none.

    The file is not opened: to close it would release the lock of a database.

    :raises OSError: that is not so, or it is no file; the error has its `filename`
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        text = _LINK if stat.S_ISLNK(found.st_mode) else _NO_FILE
        raise OSError(errno.EINVAL, text, str(path))
    _check_owner(path, found)
    if _others_may_write(found):
        mode = stat.S_IMODE(found.st_mode)
        text = f"others may write it (mode {mode:o}); if you trust what is in it, chmod 600 makes it yours alone"
        raise PermissionError(errno.EPERM, text, str(path))


def check_place(path: Path) -> None:
    """Check that nobody but the user and root can replace what is at a path, whether or not it exists.

    Each folder above it, up to the user's home, belongs to one of these. Others may only write it if it is sticky, as
    /tmp is; then they cannot rename what is not theirs.

    :raises OSError: that is not so; the error has the `filename` of the path
    """
    home = os.path.realpath(os.path.expanduser("~"))
    parent = os.path.realpath(path.parent)
    for folder in (parent, *map(str, Path(parent).parents)):
        try:
            found = os.stat(folder)
        except OSError:
            return  # The path cannot be reached, as its next use will say.
        if found.st_uid not in (0, os.geteuid()):
            raise PermissionError(errno.EPERM, f"{folder} belongs to somebody else, who could replace it", str(path))
        if _others_may_write(found) and not found.st_mode & stat.S_ISVTX:
            mode = stat.S_IMODE(found.st_mode)
            text = (
                f"others may write {folder} (mode {mode:o}) and so replace it; chmod go-w that, or take another folder"
            )
            raise PermissionError(errno.EPERM, text, str(path))
        if folder == home:
            return


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
            raise OSError(errno.EINVAL, _NO_FILE, str(path))
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
        reason = _LINK if path.is_symlink() else error.strerror
        raise type(error)(error.errno, reason, str(path)) from None


def _check_private(path: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    _check_owner(path, found)
    if found.st_mode & _OTHERS:
        wanted = 700 if stat.S_ISDIR(found.st_mode) else 600
        mode = stat.S_IMODE(found.st_mode)
        text = f"others may use it (mode {mode:o}); chmod {wanted} makes it yours alone"
        raise PermissionError(errno.EPERM, text, str(path))


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to somebody else", str(path))


def _others_may_write(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWGRP and not _is_own_group(found.st_gid):
        return True
    return bool(found.st_mode & stat.S_IWOTH)


def _is_own_group(number: int) -> bool:
    """Whether nobody but the user and root is in a group, as in those that many systems make for each user."""
    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # as in a container
        return number == os.getegid()
    return (group.gr_name == user or number == 0) and {*group.gr_mem} <= {user, "root"}
