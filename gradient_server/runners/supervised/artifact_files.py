"""The files that a run has written, read without leaving its folders: links that lead out are never followed."""

from __future__ import annotations

import contextlib
import os
import stat
import time
import unicodedata
from collections.abc import Generator, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from attrs import frozen

from gradient_server.runners.base import Artifact, ArtifactReader
from gradient_server.runners.supervised.environment import model_path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Nobody waits for the writer of a pipe that has taken the place of a file.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TICK = 0.02
"""Seconds after which a write certainly has another time than the one before: file systems count in ticks of 10 ms."""
_MAX_DEPTH = 64
"""Folders within each other; what is deeper is no artifact, because each takes a file descriptor."""


@frozen
class ArtifactFolder:
    """A folder that a run writes artifacts to.

    :param str name: how the names of its artifacts begin
    :param Path base: a folder that commands cannot move
    :param str inside: where it is below that, which commands can
    """

    name: str
    base: Path
    inside: str

    @contextlib.contextmanager
    def opened(self) -> Generator[int | None, None, None]:
        """Open it in the block; None: it is not there, or leads out of its base."""
        folder = None
        with contextlib.suppress(OSError):
            root = os.open(self.base, _FOLDER)
            try:
                folder = self._entered(root)
            finally:
                os.close(root)
        try:
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    def _entered(self, root: int) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            return _entered(root, [] if self.inside == "." else self.inside.split("/"))
        # It may be a link to another folder in the base.
        base = os.path.realpath(self.base)
        place = os.path.relpath(os.path.realpath(os.path.join(base, self.inside)), base)
        with contextlib.suppress(OSError, ValueError):
            return _entered(root, [] if place == "." else place.split("/"))
        return None


def artifact_folders(storage: Path, workspace: Path, body: Mapping[str, Any]) -> tuple[ArtifactFolder, ...]:
    """Return the folders of a run, ordered by name.

    :param Path storage: where its commands keep data and models
    :param Path workspace: where they run
    :param body: the request that created the experiment
    """
    model, given = model_path(storage, body), body.get("artifactDirectory")
    inside = str(model.relative_to(storage)) if model.is_relative_to(storage) else None
    models = ArtifactFolder("model", model, ".") if inside is None else ArtifactFolder("model", storage, inside)
    # An absolute artifact directory was a mount point of a container.
    if not given or os.path.isabs(given):
        return (models,)
    return ArtifactFolder("artifacts", workspace, given), models


def list_artifacts(folders: Sequence[ArtifactFolder], after: str, limit: int) -> list[Artifact]:
    """Return artifacts in the order of their names, those after a name, at most `limit`."""
    return list(islice(_all(folders, after), limit))


def open_artifact(folders: Sequence[ArtifactFolder], name: str) -> FileReader | None:
    """Open an artifact; None: there is none of that name."""
    first, *parts = name.split("/")
    folder = next((each for each in folders if each.name == first), None)
    if folder is None or not parts or "\0" in name:
        return None
    with folder.opened() as root:
        file = None if root is None else _opened_file(root, parts, follow=True)
    if file is None:
        return None
    age = time.time() - os.fstat(file).st_ctime
    if 0 <= age < _TICK:
        time.sleep(_TICK - age)  # Otherwise the next write could leave the version as it is.
    return FileReader(name, file)


class FileReader(ArtifactReader):
    """An open file.

    :param str name: the name of the artifact
    :param int file: its descriptor
    """

    def __init__(self, name: str, file: int) -> None:
        self._name = name
        self._file = open(file, "rb", buffering=0)  # noqa: SIM115 - closed by `close`, or with its last reference

    def artifact(self) -> Artifact:
        """Return its size and time now."""
        return _artifact(self._name, os.fstat(self._file.fileno()))

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of it."""
        return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        """Close it."""
        self._file.close()


def _all(folders: Sequence[ArtifactFolder], after: str) -> Iterator[Artifact]:
    first, *rest = after.split("/")
    for folder in folders:
        if folder.name >= first:
            with folder.opened() as root:
                if root is not None:
                    yield from _below(root, root, (), rest if folder.name == first else [], folder.name)


def _below(root: int, folder: int, place: tuple[str, ...], after: Sequence[str], prefix: str) -> Iterator[Artifact]:
    """Yield the artifacts in an open folder, those after some parts of a name.

    :param int root: the folder at the top
    :param place: the names of the folders on the way from there
    :param str prefix: the name of the artifacts before that in this folder
    """
    try:
        with os.scandir(folder) as found:
            entries = sorted(
                (wire_name(entry.name), entry.name, entry.is_dir(follow_symlinks=False)) for entry in found
            )
    except OSError:
        return
    for shown, name, is_folder in entries:
        if after and shown < after[0]:
            continue
        is_first = bool(after) and shown == after[0]
        full = f"{prefix}/{shown}"
        if not is_folder:
            if not (is_first and len(after) == 1) and (state := _state(root, folder, place, name)):
                yield _artifact(full, state)
        elif len(place) < _MAX_DEPTH and (inner := _opened(folder, name, _FOLDER | os.O_NOFOLLOW)) is not None:
            try:
                yield from _below(root, inner, (*place, name), after[1:] if is_first else (), full)
            finally:
                os.close(inner)


def _state(root: int, folder: int, place: tuple[str, ...], name: str) -> os.stat_result | None:
    """Return the state of a regular file, or of the one that a link leads to; None: it is something else."""
    try:
        state = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    if stat.S_ISLNK(state.st_mode):
        file = _opened_file(root, [*place, name], follow=True)
        if file is None:
            return None
        try:
            return os.fstat(file)
        finally:
            os.close(file)
    return state if stat.S_ISREG(state.st_mode) else None


def _opened_file(root: int, parts: Sequence[str], *, follow: bool) -> int | None:
    """Open a regular file below an open folder, or the one in the same folder that a relative link leads to."""
    target = None
    try:
        folder = _entered(root, parts[:-1])
    except (OSError, ValueError):
        return None
    try:
        name = _local_name(folder, parts[-1])
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISREG(mode):
            return _checked(os.open(name, _FILE, dir_fd=folder))
        if follow and stat.S_ISLNK(mode):
            target = os.path.normpath(os.path.join(*parts[:-1], os.readlink(name, dir_fd=folder)))
    except (OSError, ValueError):
        return None
    finally:
        os.close(folder)
    if target is None or os.path.isabs(target):
        return None
    return _opened_file(root, target.split("/"), follow=False)


def _checked(file: int) -> int | None:
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def _entered(root: int, names: Sequence[str]) -> int:
    """Open a folder below an open one, without following links.

    :raises OSError: it is not there
    :raises ValueError: one of these is no name
    """
    folder = os.dup(root)
    for name in names:
        try:
            inner = os.open(_local_name(folder, name), _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _opened(folder: int, name: str, flags: int) -> int | None:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError:
        return None


def _artifact(name: str, state: os.stat_result) -> Artifact:
    # A hash, because it is part of URLs, in which there is little room.
    facts = f"{state.st_mtime_ns} {state.st_ctime_ns} {state.st_size} {state.st_ino}"
    return Artifact(name, state.st_size, state.st_mtime, blake2b(facts.encode(), digest_size=8).hexdigest())


def wire_name(name: str) -> str:
    """Return the name of a file as text: what clients could not read or write is written as in URLs."""
    if (name.isprintable() and "\\" not in name) or not any(map(_is_special, name)):
        return name
    parts = (_quoted(each) if _is_special(each) or each == "%" else each for each in name)
    return "".join(parts)


def _is_special(character: str) -> bool:
    return character == "\\" or unicodedata.category(character) in ("Cc", "Cs")


def _quoted(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(character))


def _local_name(folder: int, shown: str) -> str:
    """Return the name of the file that is shown so.

    :raises ValueError: it cannot be one
    """
    if shown in ("", ".", ".."):
        raise ValueError(shown)
    with contextlib.suppress(OSError):
        os.stat(shown, dir_fd=folder, follow_symlinks=False)
        return shown
    name = os.fsdecode(unquote_to_bytes(shown))
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(shown)
    return name
