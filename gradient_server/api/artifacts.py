"""Responses to the operations on artifacts: pages of the list, and parts of the content."""

from __future__ import annotations

import contextlib
import itertools
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256

from gradient_server.api.responses import ApiResponse, conflict
from gradient_server.api.validation import shorten
from gradient_server.clock import Clock
from gradient_server.runners.base import Artifact, ArtifactReader, Run

_CHUNK = 2**18
"""Bytes that a browser gets at once."""


def artifact_page(run: Run, after: str, limit: int, clock: Clock) -> ApiResponse:
    """Return a page of the artifacts of a run."""
    data = [
        {
            "name": found.name,
            "size": found.size,
            "modified": clock.date(found.modified).isoformat(timespec="microseconds"),
            "version": found.version,
        }
        for found in run.artifacts(after, limit, clock.now())
    ]
    return ApiResponse(200, {"data": data, "message": "success"})


def artifact_content(
    run: Run, names: Sequence[str], versions: Sequence[str] | None, offset: int, limit: int, now: float
) -> ApiResponse:
    """Return bytes of artifacts, one after the other, from an offset."""
    if versions is not None and len(versions) != len(names):
        return conflict("The versions are not those of the names; give one for each, or none")
    parts: list[bytes] = []
    for name, version in zip(names, versions or itertools.repeat(None), strict=False):
        reader = run.open_artifact(name, now)
        if reader is None:
            return conflict(f"The artifact {shorten(name)} is not there; list the artifacts again")
        with contextlib.closing(reader):
            found = reader.artifact()
            part = reader.read(offset, limit) if offset < found.size and limit else b""
            expected = min(limit, max(0, found.size - offset))
            # What is written while it is read is part old and part new.
            is_changed = reader.artifact().version != found.version or len(part) != expected
        if is_changed or version not in (None, found.version):
            return conflict(f"The artifact {shorten(name)} has changed; list it again")
        parts.append(part)
        limit -= len(part)
        offset = max(0, offset - found.size)
    content = b"".join(parts)
    digest = b64encode(sha256(content).digest()).decode()
    return ApiResponse(200, content, {"Content-Digest": f"sha-256=:{digest}:"})


def chunks(reader: ArtifactReader, found: Artifact) -> Iterator[bytes]:
    """Yield the content of an artifact, and close it.

    :raises OSError: it has changed, so that the rest would not belong to what has been sent
    """
    with contextlib.closing(reader):
        offset = 0
        while offset < found.size:
            chunk = reader.read(offset, min(_CHUNK, found.size - offset))
            if reader.artifact().version != found.version:
                raise OSError(f"The artifact {shorten(found.name)} has changed while it was sent")
            offset += len(chunk)
            yield chunk
