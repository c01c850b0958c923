"""Folders and archives as parts to upload: bytes that depend on nothing but names and contents of files.

A folder becomes a tar file without times and owners. It is cut into parts where files end, so that a file that changes
changes the part that it is in, and no other: the beginnings of large files, and names with a certain checksum, are
where parts end. An archive is uploaded as it is.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, cast

from gradient_api.constants import MAX_PART_BYTES, MAX_WORKSPACE_BYTES, MAX_WORKSPACE_FILES

from gradient_ext._json import is_sequence
from gradient_ext.display.tables import size_text
from gradient_ext.errors import InvalidParametersError, WorkspaceError
from gradient_ext.redaction import escape_control_characters
from gradient_ext.workspace_files import FoundFile, workspace_files

_MIN_PART = 2**20
"""A part that ends after a file, and not because it is full, has at least these bytes."""
_ENDINGS = 16
"""One of so many files is the last one of its part, as the checksum of its path says."""
_NAMED = 3
_ADVICE = "name what a run does not need in .gradientignore or ignore_files"
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A file may have become a link since it was found, or a pipe that would block."""


class Source(NamedTuple):
    """A folder or archive that is to be uploaded.

    :param Path path: a folder or an archive
    :param ignore_files: patterns of what to leave out of a folder
    """

    path: Path
    ignore_files: tuple[str, ...] = ()


def checked_source(workspace: object, ignore_files: object, method: str) -> Source:
    """Return the folder or archive that a caller names.

    :param workspace: its path
    :param ignore_files: patterns, as a list or in one text with commas; None: none
    :param str method: the method that was called, for error texts

    :raises InvalidParametersError: there is no such folder or archive, or the patterns are none
    """
    problems: list[str] = []
    given = ignore_files.split(",") if isinstance(ignore_files, str) else [] if ignore_files is None else ignore_files
    if not is_sequence(given) or not all(isinstance(pattern, str) for pattern in given):
        problems.append("ignore_files: must be a list of str such as ['data', '*.ckpt'], or a str with commas")
        given = ()
    path = Path()
    try:
        name = os.fsdecode(cast("str", workspace))
    except TypeError:
        name = ""
    if not name or "\0" in name:
        problems.append(f"workspace: must be the path of a folder or archive such as '.', not {workspace!r:.60}")
    else:
        path = Path(os.path.expanduser(name))
        if not path.is_dir() and not path.is_file():
            text = "is neither a folder nor an archive on this machine; what the server fetches is a workspace_url"
            problems.append(f"workspace: {_shown(str(path))} {text}")
        elif path.is_file() and not (zipfile.is_zipfile(path) or tarfile.is_tarfile(path)):
            problems.append(f"workspace: {_shown(str(path))} is neither a zip nor a tar file")
    if problems:
        raise InvalidParametersError(method, problems)
    return Source(path, tuple(pattern.strip() for pattern in map(str, given) if pattern.strip()))


class Package:
    """A folder or an archive that is uploaded.

    :param Source source: what it is

    :raises WorkspaceError: it is empty, larger than the contract allows, or cannot be read; or a link leads out of it
    """

    def __init__(self, source: Source) -> None:
        self._top = Path(os.path.realpath(source.path))
        self._is_archive = self._top.is_file()
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self._top.name).lstrip("-.")[:80].rstrip("-")
        self.name = name or "workspace"
        """The name of the workspace on the server."""
        try:
            if self._is_archive:
                self._files = [FoundFile("", self._top.stat())]
            else:
                self._files = [found for found in workspace_files(self._top, source.ignore_files) if _is_packed(found)]
        except OSError as error:
            raise _unreadable(error, error.filename) from error
        self.files = None if self._is_archive else len(self._files)
        """How many files, links and folders it has; None: that is not known."""
        self.size = sum(_size(found) for found in self._files)
        """The bytes of its files."""
        _check_limits(source.path, self._files, self.size)
        self._links = {path: self._link(path) for path, status in self._files if stat.S_ISLNK(status.st_mode)}

    def parts(self) -> Iterator[bytes]:
        """Yield the parts, none of which is empty; one is in memory at a time.

        :raises WorkspaceError: a file vanishes or changes while it is read, or cannot be read
        """
        part = bytearray()
        for piece, least in self._pieces():
            if part and len(part) + len(piece) > MAX_PART_BYTES:
                yield bytes(part)
                part.clear()
            if not part and len(piece) >= least:
                yield piece  # as it is: most of a large file
                continue
            part += piece
            if len(part) >= least:
                yield bytes(part)
                part.clear()
        if part:
            yield bytes(part)

    def _pieces(self) -> Iterator[tuple[bytes, int]]:
        """Yield pieces that stay in one part, each with the size from which on its part ends there."""
        if self._is_archive:
            with self._opened("") as (file, status):
                yield from self._content(file, status.st_size)
            return
        for path, status in self._files:
            if not stat.S_ISREG(status.st_mode):
                yield self._header(path, status), MAX_PART_BYTES
                continue
            with self._opened(path) as (file, status):
                header = self._header(path, status)
                if len(header) + status.st_size + tarfile.BLOCKSIZE <= MAX_PART_BYTES:
                    ((content, _),) = self._content(file, status.st_size)
                    is_end = zlib.crc32(os.fsencode(path)) % _ENDINGS == 0
                    yield header + content, _MIN_PART if is_end else MAX_PART_BYTES
                else:
                    yield header, 0
                    yield from self._content(file, status.st_size)
        yield bytes(2 * tarfile.BLOCKSIZE), 0  # the end of a tar file

    def _content(self, file: IO[bytes], size: int) -> Iterator[tuple[bytes, int]]:
        """Yield the content of a file; in a tar file, zeros fill its last block."""
        while size > MAX_PART_BYTES:
            piece = file.read(MAX_PART_BYTES)
            size -= MAX_PART_BYTES
            yield piece, 0
        piece = file.read(size)
        padding = 0 if self._is_archive else -size % tarfile.BLOCKSIZE
        yield piece + bytes(padding), 0

    def _header(self, path: str, status: os.stat_result) -> bytes:
        entry = tarfile.TarInfo(path)
        entry.mode = 0o755 if status.st_mode & 0o111 else 0o644
        if stat.S_ISREG(status.st_mode):
            entry.size = status.st_size
        elif stat.S_ISDIR(status.st_mode):
            entry.type = tarfile.DIRTYPE
        else:
            entry.type, entry.linkname = tarfile.SYMTYPE, self._links[path]
        return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")

    def _link(self, path: str) -> str:
        """Return where a link leads to, from the folder that it is in."""
        try:
            link = os.readlink(self._top / path)
        except OSError as error:
            raise _unreadable(error, path) from error
        parent = os.path.realpath((self._top / path).parent)
        target = os.path.realpath(os.path.join(parent, link))
        if not Path(target).is_relative_to(self._top):
            raise WorkspaceError(f"{_shown(path)} is a link to {_shown(link)}, outside of the workspace; {_ADVICE}")
        return os.path.relpath(target, parent) if os.path.isabs(link) else link

    @contextlib.contextmanager
    def _opened(self, path: str) -> Generator[tuple[IO[bytes], os.stat_result], None, None]:
        try:
            with open(os.open(self._top / path, _OPEN), "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise _changed(path)
                yield file, status
                now = os.fstat(file.fileno())
                if (now.st_size, now.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
                    raise _changed(path or self._top.name)
        except OSError as error:
            raise _unreadable(error, path or self._top.name) from error


def _is_packed(found: FoundFile) -> bool:
    """Whether it is a file, a folder or a link, and not a socket, a pipe or a device."""
    return any(is_kind(found.status.st_mode) for is_kind in (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK))


def _size(found: FoundFile) -> int:
    return found.status.st_size if stat.S_ISREG(found.status.st_mode) else 0


def _check_limits(given: Path, files: Sequence[FoundFile], size: int) -> None:
    if not files:
        raise WorkspaceError(f"{_shown(str(given))} has no files, or all of them are ignored")
    if size > MAX_WORKSPACE_BYTES:
        largest = heapq.nlargest(_NAMED, files, key=_size)
        names = ", ".join(f"{_shown(found.path or given.name)} ({size_text(_size(found))})" for found in largest)
        raise WorkspaceError(
            f"The workspace has {size_text(size)}, and {size_text(MAX_WORKSPACE_BYTES)} can be uploaded. "
            f"Its largest files are {names}: {_ADVICE}, or give workspace_url a folder that the server can read"
        )
    if len(files) > MAX_WORKSPACE_FILES:
        folders = Counter(found.path.partition("/")[0] for found in files)
        names = ", ".join(f"{_shown(name)} ({count:,})" for name, count in folders.most_common(_NAMED))
        raise WorkspaceError(
            f"The workspace has {len(files):,} files and folders, and {MAX_WORKSPACE_FILES:,} can be uploaded. "
            f"Most are in {names}: {_ADVICE}"
        )


def _changed(path: str) -> WorkspaceError:
    return WorkspaceError(f"{_shown(path)} has changed while it was read; try again, or {_ADVICE}")


def _unreadable(error: OSError, path: str) -> WorkspaceError:
    if isinstance(error, FileNotFoundError):
        return WorkspaceError(f"{_shown(path)} has vanished while the workspace was packed; try again")
    return WorkspaceError(f"{_shown(path)} cannot be read: {error.strerror or error}; make it readable, or {_ADVICE}")


def _shown(path: str) -> str:
    return escape_control_characters(path.encode(errors="backslashreplace").decode())
