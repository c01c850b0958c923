"""The folder that artifacts are downloaded to: what is there already, and what is written without leaving it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Generator, Iterable
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from gradient_ext.artifacts import WORK_FOLDER, Artifact
from gradient_ext.display.tables import parsed_timestamp
from gradient_ext.errors import DownloadError

_SAME_TIME = 0.001
"""Seconds by which the times of the same file may differ: some file systems have no finer ones."""


class DownloadFolder:
    """A folder that one download at a time writes to. What is not complete is in a hidden folder in it.

    :param str path: the folder; it is created if it is missing
    :param str handle: the experiment whose artifacts are downloaded

    :raises DownloadError: from all of its methods: it cannot be used, or another download uses it
    """

    def __init__(self, path: str, handle: str) -> None:
        self.path = path
        self._handle = handle
        self._root = path
        self._work = os.path.join(path, WORK_FOLDER)
        self._lock: int | None = None
        self._checked: set[str] = set()

    def __enter__(self) -> Self:
        with self._errors():
            os.makedirs(self._root, exist_ok=True)
            self._root = os.path.realpath(self._root)
            self._checked.add(self._root)
            self._work = os.path.join(self._root, WORK_FOLDER)
            while self._lock is None:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self._work, mode=0o700)
                self._lock = self._locked()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release it. After success, nothing is left that is not complete."""
        if self._lock is not None:
            if kind is None:
                shutil.rmtree(self._work, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    os.rmdir(self._work)  # if nothing has come yet
            os.close(self._lock)
            self._lock = None

    def place(self, artifact: Artifact) -> Path:
        """Return the path of an artifact."""
        return Path(self.path, artifact.name)

    def missing(self, artifacts: Iterable[Artifact]) -> list[Artifact]:
        """Return the artifacts that are not there with the same size and time."""
        return [each for each in artifacts if not self._has(each)]

    def offset(self, artifact: Artifact) -> int:
        """Return how many bytes of an artifact are there from an earlier download."""
        try:
            return min(os.stat(self._part(artifact)).st_size, max(0, artifact.size - 1))
        except OSError:
            return 0

    def write(self, parts: Iterable[tuple[Artifact, int, memoryview]]) -> None:
        """Write parts of artifacts, each at an offset, and move those that are complete to their places."""
        for artifact, offset, content in parts:
            with self._errors(artifact.name):
                path = self._part(artifact)
                flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(path, flags, 0o666), "wb", buffering=0) as file:
                    file.truncate(offset)
                    file.seek(offset)
                    while content:
                        content = content[file.write(content) :]
                    size = file.tell()
                if size == artifact.size:
                    self._complete(artifact, path)

    def discard(self, artifacts: Iterable[Artifact]) -> None:
        """Remove what is there of artifacts that have changed."""
        for artifact in artifacts:
            with contextlib.suppress(OSError):
                os.unlink(self._part(artifact))

    def _locked(self) -> int | None:
        """Lock the hidden folder; None: another download has just ended and removed it."""
        folder = os.open(self._work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(folder)
            raise DownloadError(self.path, "Another download to this folder is at work; wait until it ends") from None
        if os.path.exists(self._work) and os.path.samestat(os.fstat(folder), os.stat(self._work)):
            return folder
        os.close(folder)
        return None

    def _part(self, artifact: Artifact) -> str:
        # What belongs to another version or experiment has another name.
        source = "\0".join((self._handle, artifact.name, artifact.version))
        return os.path.join(self._work, f"{sha256(source.encode()).hexdigest()[:40]}.part")

    def _has(self, artifact: Artifact) -> bool:
        modified = parsed_timestamp(artifact.modified)
        try:
            found = os.lstat(os.path.join(self._root, artifact.name))
        except OSError:
            return False
        if modified is None or found.st_size != artifact.size or not stat.S_ISREG(found.st_mode):
            return False
        return abs(found.st_mtime - modified.timestamp()) <= _SAME_TIME

    def _complete(self, artifact: Artifact, part: str) -> None:
        place = os.path.join(self._root, artifact.name)
        self._make_folder(os.path.dirname(place))
        if modified := parsed_timestamp(artifact.modified):
            os.utime(part, (modified.timestamp(), modified.timestamp()))
        os.replace(part, place)

    def _make_folder(self, folder: str) -> None:
        if folder in self._checked:
            return
        self._make_folder(os.path.dirname(folder))
        if os.path.islink(folder) and not Path(folder).resolve().is_relative_to(self._root):
            raise OSError(errno.ELOOP, "A link leads out of the folder", folder)
        if not os.path.isdir(folder):
            os.mkdir(folder)
        self._checked.add(folder)

    @contextlib.contextmanager
    def _errors(self, name: str | None = None) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            place = os.fsdecode(error.filename2 or error.filename or name or self.path)
            reason = f"{error.strerror or error}: {place}"
            raise DownloadError(self.path, reason, [name] if name else []) from None
