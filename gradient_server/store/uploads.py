"""Uploaded workspaces: parts, each in a file with its SHA-256 as the name, and for each workspace a list of its parts.

A file has its name when all of it is written. Like the store, it survives the end of the server; after a power failure
parts may be damaged, which is found when a run gets them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path

from gradient_server.private_files import make_private_folder
from gradient_server.runners.base import BLOCK, DiskUsage, StoredFiles

KEPT_SECONDS = 24 * 60 * 60.0
"""For how long parts are kept that no workspace has, and workspaces that no experiment has had since they were made."""
_SCHEME = "upload:"
_ID_LENGTH = 16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UploadError(Exception):
    """An upload is refused: parts are missing or damaged. The text says so."""


class NoRoomError(Exception):
    """The disk is full."""


class Uploads:
    """The uploaded workspaces of a server. All methods may be called from any thread.

    :param Path folder: where they are kept; None: in a temporary folder, for as long as the server runs
    :param real_time: returns real seconds since 1970
    """

    def __init__(self, folder: Path | None = None, real_time: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._is_temporary = folder is None
        self._real_time = real_time
        self._lock = threading.Lock()
        self._workspaces = dict[str, tuple[str, ...]]()
        """The parts of each workspace, by its id."""
        self._awaited = Counter[str]()
        """How many experiments are still expected that have a workspace: clients make one, and then the other."""
        if folder is not None and folder.exists():
            make_private_folder(folder)
            for path in self._files("workspaces"):
                try:
                    self._workspaces[path.name] = tuple(json.loads(path.read_bytes()))
                except ValueError:
                    path.unlink()

    def stored_files(self) -> list[StoredFiles]:
        """Return what it keeps, as one entry, if there is anything."""
        if not (self._files("parts") or self._files("workspaces")):
            return []
        return [StoredFiles("uploads", "uploads", "workspaces that clients have uploaded", self._disk_usage)]

    def _disk_usage(self) -> DiskUsage:
        size = 0
        for path in (*self._files("parts"), *self._files("workspaces")):
            with contextlib.suppress(OSError):  # it is removed meanwhile
                size += path.stat().st_blocks * BLOCK
        return DiskUsage(own=size)

    def missing(self, digests: Collection[str]) -> list[str]:
        """Return those of some parts that are not there. The others are kept for a day from now on."""
        return [digest for digest in dict.fromkeys(digests) if not self._touch(self._part(digest))]

    def add_part(self, digest: str, content: bytes) -> None:
        """Store a part. Another request may do the same at the same time.

        :raises UploadError: it has another digest
        :raises NoRoomError: the disk is full
        """
        if hashlib.sha256(content).hexdigest() != digest:
            raise UploadError("The part does not have the digest of its address")
        with _checked_room():
            self._write(self._part(digest), content)

    def add_workspace(self, digest: str, name: str, digests: Sequence[str], size: int, used: Collection[str]) -> str:
        """Make a workspace of parts, and return its URL. Remove what nobody has needed for a day.

        :param str digest: the SHA-256 of the digests of its parts, each with a line feed
        :param str name: what to call it in the URL
        :param digests: its parts
        :param int size: the bytes of all parts
        :param used: the URLs of the workspaces of experiments

        :raises UploadError: parts are missing, or digest or size are those of another workspace
        :raises NoRoomError: the disk is full
        """
        if hashlib.sha256("".join(f"{part}\n" for part in digests).encode()).hexdigest() != digest:
            raise UploadError("The parts are not those of the digest in the address")
        workspace = digest[:_ID_LENGTH]
        with self._lock, _checked_room():
            sizes = {part: self._size(part) for part in digests}
            if missing := sum(found is None for found in sizes.values()):
                parts = "1 part of the workspace is" if missing == 1 else f"{missing} parts of the workspace are"
                raise UploadError(f"{parts} missing")
            found = sum(sizes[part] or 0 for part in digests)
            if found != size:
                raise UploadError(f"The parts have {found} bytes, and not {size}")
            self._write(self._list(workspace), json.dumps(digests).encode())
            self._workspaces[workspace] = tuple(digests)
            self._awaited[workspace] += 1
            self._remove_old(used)
        return f"{_SCHEME}{name}/{workspace}"

    def remove_old(self, used: Collection[str]) -> None:
        """Remove what nobody has needed for a day.

        :param used: the URLs of the workspaces of experiments
        """
        with self._lock:
            self._remove_old(used)

    def parts(self, url: str | None) -> tuple[str, ...] | None:
        """Return the paths of the parts of a workspace; None: the URL is not that of an upload.

        :raises LookupError: it is the URL of an upload that is not there
        """
        if (workspace := _id_of(url)) is None:
            return None
        with self._lock:
            return tuple(str(self._part(digest)) for digest in self._workspaces[workspace])

    def use(self, url: str | None) -> None:
        """Note that an experiment has a workspace from now on."""
        workspace = _id_of(url)
        with self._lock:
            if workspace in self._workspaces:
                self._awaited[workspace] = max(0, self._awaited[workspace] - 1)
                self._touch(self._list(workspace))

    def release(self, url: str | None) -> None:
        """Remove a workspace that no experiment has any more, unless one is still expected."""
        workspace = _id_of(url)
        with self._lock:
            if workspace in self._workspaces and not self._awaited[workspace]:
                self._remove([workspace])

    def clear(self) -> None:
        """Remove everything."""
        with self._lock:
            self._remove(list(self._workspaces))
            self._awaited.clear()
            for path in self._files("parts"):
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the temporary folder, if it is one."""
        if self._is_temporary and self._folder is not None:
            self.clear()
            for folder in (self._folder / "workspaces", self._folder / "parts", self._folder):
                with contextlib.suppress(OSError):
                    folder.rmdir()

    def _remove_old(self, used: Collection[str]) -> None:
        oldest, used_ids = self._real_time() - KEPT_SECONDS, {_id_of(url) for url in used}
        self._remove([each for each in self._workspaces.keys() - used_ids if _is_older(self._list(each), oldest)])
        needed = {digest for digests in self._workspaces.values() for digest in digests}
        for path in self._files("parts"):
            if path.name not in needed and _is_older(path, oldest):
                path.unlink(missing_ok=True)

    def _remove(self, workspaces: Collection[str]) -> None:
        """Remove workspaces, and the parts that no other one has."""
        parts = {digest for each in workspaces for digest in self._workspaces.pop(each)}
        for each in workspaces:
            self._list(each).unlink(missing_ok=True)
            self._awaited.pop(each, None)
        for digest in parts.difference(*self._workspaces.values()):
            self._part(digest).unlink(missing_ok=True)

    def _part(self, digest: str) -> Path:
        return self._made_folder() / "parts" / digest

    def _list(self, workspace: str) -> Path:
        return self._made_folder() / "workspaces" / workspace

    def _files(self, name: str) -> list[Path]:
        folder = self._folder / name if self._folder else None
        return list(folder.iterdir()) if folder and folder.is_dir() else []

    def _made_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="gradient-uploads-"))
        return self._folder

    def _size(self, digest: str) -> int | None:
        try:
            return self._part(digest).stat().st_size
        except FileNotFoundError:
            return None

    def _touch(self, path: Path) -> bool:
        """Note that a file is needed, and return whether it is there."""
        try:
            os.utime(path, (self._real_time(), self._real_time()))
        except FileNotFoundError:
            return False
        return True

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file whole, or not at all."""
        make_private_folder(self._made_folder())
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
            self._touch(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _id_of(url: str | None) -> str | None:
    """Return the id in the URL of an uploaded workspace; None: it is another URL."""
    return url.rpartition("/")[2] if url and url.startswith(_SCHEME) else None


def _is_older(path: Path, timestamp: float) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime < timestamp
    return False


@contextlib.contextmanager
def _checked_room() -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise NoRoomError(f"The disk of the server is full: {error.strerror}") from None
