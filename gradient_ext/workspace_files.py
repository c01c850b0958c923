"""The files of a folder that belong to a workspace: all but those that an ignore list names."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec, Pattern

IGNORED = (".git", ".venv", "__pycache__", "node_modules")
"""Names that are left out, whatever `.gitignore` contains."""


class FoundFile(NamedTuple):
    """A file, a link or a folder of a workspace.

    :param str path: relative to the top, with slashes
    :param status: what `os.lstat` says of it
    """

    path: str
    status: os.stat_result


class _Pattern(NamedTuple):
    parsed: Pattern
    is_path: bool
    """Whether it is matched with the path from the folder of the pattern; otherwise with the name alone."""

    def matches(self, path: str) -> bool:
        """Whether it matches a path, and not only a folder above it, which was decided about there."""
        parent, slash, name = path.rstrip("/").rpartition("/")
        if not self.is_path:
            return self.parsed.match_file(name + path[len(parent + slash + name) :]) is not None
        return self.parsed.match_file(path) is not None and self.parsed.match_file(parent + slash) is None


class _Patterns(NamedTuple):
    """The patterns of a folder, the last one first.

    :param str folder: its path with a slash at the end; empty: the top
    """

    folder: str
    patterns: tuple[_Pattern, ...]


def workspace_files(
    folder: Path, ignore_files: Iterable[str] = (), on_ignored: Callable[[str], object] = lambda path: None
) -> Iterator[FoundFile]:
    """Yield what belongs to a workspace, in the order of names; a folder comes before what is in it.

    It is ignored if the first of these that has a matching pattern says so: `ignore_files`; `.gradientignore`, that of
    the folder that a file is in and then those above; `IGNORED`; `.gitignore`, in the same order. Patterns are those of
    git: the last one of a file that matches decides, and nothing in a folder that is ignored comes. Links are not
    followed. What vanishes meanwhile is left out.

    :param Path folder: the top; it may be a link
    :param ignore_files: patterns relative to the top
    :param on_ignored: receives the paths of what `.gradientignore` and `.gitignore` leave out; folders end with a slash

    :raises OSError: a folder or a file of patterns cannot be read; the error has its `filename`
    """
    given, default = _Patterns("", _parsed(ignore_files)), _Patterns("", _parsed(IGNORED))
    pending: list[tuple[str, tuple[_Patterns, ...], tuple[_Patterns, ...]]] = [("", (), ())]
    while pending:
        prefix, own, of_git = pending.pop()
        names = _names(folder / prefix, is_top=not prefix)
        if ".gradientignore" in names:
            own = (_Patterns(prefix, _parsed(_lines(folder / prefix / ".gradientignore"))), *own)
        if ".gitignore" in names:
            of_git = (_Patterns(prefix, _parsed(_lines(folder / prefix / ".gitignore"))), *of_git)
        subfolders: list[str] = []
        for name in names:
            path = prefix + name
            try:
                status = os.lstat(folder / path)
            except FileNotFoundError:
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            place = f"{path}/" if is_folder else path
            if _is_ignored(place, (given, *own, default, *of_git)):
                if not _is_ignored(place, (given, default)):
                    on_ignored(place)
                continue
            yield FoundFile(path, status)
            if is_folder:
                subfolders.append(f"{path}/")
        pending += [(subfolder, own, of_git) for subfolder in reversed(subfolders)]


def _names(folder: Path, *, is_top: bool) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        if is_top:
            raise
        return []


def _is_ignored(path: str, strongest_first: Iterable[_Patterns]) -> bool:
    for folder, patterns in strongest_first:
        below = path[len(folder) :]
        for pattern in patterns:
            if pattern.matches(below):
                return bool(pattern.parsed.include)
    return False


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except (FileNotFoundError, IsADirectoryError):
        return []


def _parsed(lines: Iterable[str]) -> tuple[_Pattern, ...]:
    found: list[_Pattern] = []
    for line in lines:
        # Git does not take `folder/**` for the folder itself, so that something in it can be taken back with a `!`.
        line = f"{line[:-3]}/*" if line.endswith("/**") else line
        with contextlib.suppress(ValueError):  # Git, too, ignores lines that are no patterns.
            parsed = GitIgnoreSpec.from_lines([line]).patterns
            is_path = "/" in line.strip().rstrip("/")
            found += [_Pattern(pattern, is_path) for pattern in parsed if pattern.include is not None]
    return tuple(reversed(found))
