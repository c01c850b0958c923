"""The artifacts of nodes whose machines share no files with their supervisor: sent to it when commands have ended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradient_server.runners.base import Artifact, ArtifactReader
from gradient_server.runners.supervised.artifact_files import (
    ArtifactFolder,
    artifact_folders,
    list_artifacts,
    open_artifact,
)
from gradient_server.runners.supervised.channel import Channel
from gradient_server.runners.supervised.environment import Node

_CHUNK = 1024 * 1024
_LISTED = 100
"""Artifacts that are listed at once."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_REST = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def send_artifacts(channel: Channel, root: Path, body: Mapping[str, Any]) -> None:
    """Send all artifacts of a node, piece by piece.

    :param Path root: the folder with those for data and for commands; what commands have written elsewhere stays there
    :param body: the request that created the experiment

    :raises OSError: the connection is broken
    """
    folders, after = folders_below(root, body), ""
    while found := list_artifacts(folders, after, _LISTED):
        after = found[-1].name
        for artifact in found:
            if reader := open_artifact(folders, artifact.name):
                with contextlib.closing(reader):
                    _send(channel, artifact, reader)


def _send(channel: Channel, artifact: Artifact, reader: ArtifactReader) -> None:
    offset = 0
    while (chunk := reader.read(offset, _CHUNK)) or not offset:
        channel.send("artifact", chunk, name=artifact.name, offset=offset, modified=artifact.modified)
        if not chunk:
            return
        offset += len(chunk)


def folders_below(root: Path, body: Mapping[str, Any]) -> Sequence[ArtifactFolder]:
    """Return those folders with artifacts that are in another one."""
    folders = artifact_folders(root / "storage", root / "workspace", body)
    return [folder for folder in folders if folder.base.is_relative_to(root)]


class ArtifactCollection:
    """The artifacts of all nodes, in the folders of the run. Of those with the same name, one is kept.

    :param nodes: the nodes of the run; leading ones, and then the first ones, come before others
    :param folders: where artifacts are kept
    """

    def __init__(self, nodes: Sequence[Node], folders: Sequence[ArtifactFolder]) -> None:
        self._order = sorted(range(len(nodes)), key=lambda index: not nodes[index].leads)
        self._folders = {folder.name: folder for folder in folders}
        self._owners: dict[str, int] = {}
        """The places in the order of the nodes whose artifacts are kept, by name."""

    def write(self, index: int, name: str, offset: int, data: bytes, modified: float) -> None:
        """Write a piece of an artifact.

        :param int index: of the node that it is of
        :param float modified: the time of the file there

        :raises OSError: that is impossible
        """
        place, owner = self._order.index(index), self._owners.get(name, len(self._order))
        first, *parts = name.split("/")
        folder = self._folders.get(first)
        if place > owner or not folder or not parts or not {"", ".", ".."}.isdisjoint(parts):
            return
        self._owners[name] = place
        path = Path(folder.base, folder.inside, *parts)
        if not offset:
            path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, _REST if offset else _NEW, 0o600), "wb") as file:
            file.seek(offset)
            file.write(data)
            file.flush()
            os.utime(file.fileno(), (modified, modified))
