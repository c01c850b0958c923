"""Copies of folders as workspaces. What a run does in its copy leaves the original alone, also by git or by links."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gradient_server.runners.process.deletion import remove_tree
from gradient_server.runners.process.limits import Quota, SetupError, real_path

_T = TypeVar("_T")
_CHUNK = 2**20
_ALTERNATES = ("objects", "info", "alternates")
# What the repository of a worktree has in common with others, and what is its own.
_SHARED = ("config", "hooks", "info", "lfs", "logs", "objects", "packed-refs", "refs", "shallow")
_OWN = ("HEAD", "config.worktree", "index", "info/sparse-checkout", "logs/HEAD")
# Settings of where the work tree is, and of whether there is none.
_PLACE = re.compile(
    rb"^([ \t]*(?:\[core\][ \t]*)?)(worktree|bare)[ \t]*=[ \t]*(.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE
)


def copy_folder(source: Path, folder: Path, leave_out: Path, remark: Callable[[str], object]) -> None:
    """Copy a folder into an empty one. The user can read and write the copy, also if the original is read-only.

    Files that are removed meanwhile, and sockets, are left out. Links into the folder lead into the copy; all others
    lead where they did. A git repository that is elsewhere, as that of a worktree or a submodule, is copied too.

    :param Path leave_out: a folder that is never copied
    :param remark: receives a sentence on what was left out

    :raises SetupError: a file cannot be read, is a device or a pipe, or they exceed the quota
    """
    copy = _Copy(source, folder, leave_out)
    copy.add(source, folder)
    for git in copy.repositories:
        _separate_repository(copy, source / git, folder / git)
    if copy.sockets:
        count = len(copy.sockets)
        remark(f"The workspace is a copy without the {count} sockets of the folder, such as {copy.sockets[0]}")


class _Copy:
    """A copy that is being made, of one folder or of several."""

    def __init__(self, source: Path, folder: Path, leave_out: Path) -> None:
        self.source, self.folder = source, folder
        self.repositories: list[Path] = []
        """The `.git` in the folder: relative paths of files, folders and links."""
        self.sockets: list[str] = []
        self._quota = Quota()
        self._real_source = real_path(source)
        self._left_out = {identity for path in (leave_out, folder) if (identity := _identity(path))}

    def add(self, source: Path, target: Path) -> None:
        """Copy a folder into one that exists."""
        pending, finished = [(source, target)], list[tuple[Path, os.stat_result]]()
        while pending:
            directory, copy = pending.pop()
            for name in _unless_gone(directory, os.listdir) or ():
                found = self.add_entry(directory / name, copy / name)
                if found and stat.S_ISDIR(found.st_mode):
                    pending.append((directory / name, copy / name))
                    finished.append((copy / name, found))
        # Last, because a copy in a folder changes its time.
        for path, found in reversed(finished):
            path.chmod(stat.S_IMODE(found.st_mode) & 0o777 | stat.S_IRWXU)
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))

    def add_entry(self, source: Path, target: Path) -> os.stat_result | None:
        """Copy a file or a link, or make a folder for it. Return what it is; None: it is left out."""
        found = _unless_gone(source, os.lstat)
        if not found or (found.st_dev, found.st_ino) in self._left_out or _is_worktree_list(source):
            return None
        if source.name == ".git" and source.is_relative_to(self.source):
            self.repositories.append(source.relative_to(self.source))
        if stat.S_ISLNK(found.st_mode):
            self._quota.take(0)
            leads_to = _unless_gone(source, self._link_target)
            if leads_to is None:
                return None
            target.symlink_to(leads_to)
        elif stat.S_ISDIR(found.st_mode):
            self._quota.take(0)
            target.mkdir(mode=0o700)
        elif stat.S_ISSOCK(found.st_mode):
            self.sockets.append(str(source.relative_to(self.source)).encode(errors="replace").decode())
            return None
        elif stat.S_ISREG(found.st_mode):
            return self._add_file(source, target)
        else:
            raise SetupError(f"{source} in the workspace is neither a file nor a folder; remove it")
        return found

    def _add_file(self, source: Path, target: Path) -> os.stat_result | None:
        # It may have become a link, or a pipe that would block.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        reader = _unless_gone(source, lambda path: os.open(path, flags))
        if reader is None:
            return None
        with open(reader, "rb", buffering=0) as file:
            found = os.fstat(reader)
            if not stat.S_ISREG(found.st_mode):
                return None
            self._quota.take(found.st_size)
            with target.open("xb", buffering=0) as copy:
                remaining = found.st_size
                # A file that grows is copied as long as it was.
                while remaining > 0 and (chunk := file.read(min(remaining, _CHUNK))):
                    copy.write(chunk)
                    remaining -= len(chunk)
                if source.parts[-3:] == _ALTERNATES:
                    _make_absolute(copy.fileno(), target, source.parent.parent)
                os.fchmod(copy.fileno(), stat.S_IMODE(found.st_mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR)
                os.utime(copy.fileno(), ns=(found.st_atime_ns, found.st_mtime_ns))
        return found

    def _link_target(self, link: Path) -> str:
        """Return where the copy of a link leads: into the copy if the link leads into the folder."""
        target = os.readlink(link)
        absolute = link.parent / target
        directory = real_path(link.parent)
        if not directory.is_relative_to(self._real_source):
            return target
        inside = directory.relative_to(self._real_source)
        place = real_path(absolute.parent) / absolute.name if absolute.name != ".." else real_path(absolute)
        for found in (place, real_path(absolute)):
            if found.is_relative_to(self._real_source):
                is_kept = not os.path.isabs(target) and Path(os.path.normpath(inside / target)).parts[:1] != ("..",)
                return target if is_kept else os.path.relpath(found, directory)
        return target if os.path.isabs(target) else str(place)


def _separate_repository(copy: _Copy, original: Path, git: Path) -> None:
    """Make the `.git` of a copied folder a repository of its own, unless it is one.

    :param Path original: the `.git` of the original
    :param Path git: that of the copy
    """
    if _is_within(git, copy.folder):
        _forget_settings(
            _git_directory(git), lambda name, place: name == b"worktree" and not _is_below(place, copy.folder)
        )
        return
    own = _git_directory(original)
    if not own.is_dir():
        return  # it leads nowhere, and so does the copy
    commondir = own / "commondir"
    shared = own / commondir.read_text().strip() if commondir.is_file() else own
    if (shared / "reftable").exists():
        raise SetupError(
            f"{original} in the workspace names a git repository elsewhere whose format, reftable, cannot be copied; "
            "set workspaceRef, so that it is cloned"
        )
    remove_tree(git)
    git.mkdir(mode=0o700)
    for directory, names in ((shared, _SHARED), (own, _OWN)):
        for name in names:
            source, target = real_path(directory / name), git / name
            if not source.exists():
                continue
            target.parent.mkdir(mode=0o700, exist_ok=True)
            if source.is_dir():
                target.mkdir(mode=0o700)
                copy.add(source, target)
            else:
                target.unlink(missing_ok=True)
                copy.add_entry(source, target)
    _forget_settings(git, lambda name, place: True)


def _git_directory(git: Path) -> Path:
    """Return the repository that a `.git` names: itself, or another place if it is a file or a link."""
    if git.is_file():
        with contextlib.suppress(OSError):
            content = os.fsdecode(git.read_bytes())
            return real_path(git.parent / content.removeprefix("gitdir:").strip())
    return real_path(git)


def _is_within(git: Path, folder: Path) -> bool:
    """Whether a repository is in a folder with everything that commits change."""
    found = _git_directory(git)
    places = [found, *((found / name) for name in ("HEAD", "index", *_SHARED))]
    commondir = found / "commondir"
    if commondir.is_file():
        places.append(found / os.fsdecode(commondir.read_bytes()).strip())
    return found.exists() and all(_is_below(place, folder) for place in places)


def is_bare_repository(path: Path) -> bool:
    """Whether a folder is a git repository itself, and not the work tree of one."""
    return all((path / name).exists() for name in ("HEAD", "objects", "refs"))


def _is_worktree_list(path: Path) -> bool:
    """Whether it is where a repository lists its worktrees, which git in the copy would remove or move."""
    return path.name == "worktrees" and is_bare_repository(path.parent)


def _forget_settings(git: Path, is_wrong: Callable[[bytes, Path], bool]) -> None:
    """Remove settings from the configuration of a repository: its default work tree is the folder above."""

    def replaced(found: re.Match[bytes]) -> bytes:
        prefix, name, value = found.groups()
        place = git / os.fsdecode(value.strip(b'"'))
        return prefix if is_wrong(name.lower(), place) else found[0]

    for config in (git / "config", git / "config.worktree"):
        if config.is_file():
            config.write_bytes(_PLACE.sub(replaced, config.read_bytes()))


def _is_below(path: Path, folder: Path) -> bool:
    return real_path(path).is_relative_to(real_path(folder))


def _make_absolute(descriptor: int, alternates: Path, objects: Path) -> None:
    """Make paths of a file absolute that are relative to the objects of the original."""
    content = alternates.read_bytes()
    lines = [os.path.join(os.fsencode(real_path(objects)), line) for line in content.splitlines() if line]
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"".join(line + b"\n" for line in lines), 0)


def _unless_gone(path: Path, read: Callable[[Path], _T]) -> _T | None:
    """Return what reading a file returns; None: it is not there any more, or has become something else.

    :raises SetupError: it may not be read
    """
    try:
        return read(path)
    except PermissionError as error:
        raise SetupError(
            f"{path} in the workspace cannot be read ({error.strerror}): make it readable for the user of the server, "
            "or keep it out of the folder"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP):
            return None
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
