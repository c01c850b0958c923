"""Download artifacts: what to request next, and where it is written.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio  # sync:

from gradient_ext.artifacts import ArtifactList, Batch, batches, name_problem, total_size
from gradient_ext.display import TransferReporter
from gradient_ext.download_folder import DownloadFolder
from gradient_ext.errors import ConflictError, DownloadError

_ATTEMPTS = 4
"""How often artifacts are listed and requested that change while they are downloaded."""


async def async_download(
    folder: DownloadFolder,
    find: Callable[[], Awaitable[ArtifactList]],
    fetch: Callable[[Batch, int], Awaitable[bytes]],
    reporter: TransferReporter,
) -> Sequence[Path]:
    """Download artifacts, and return the paths of all of them; those that are there already are not requested.

    :param folder: where to
    :param find: lists the artifacts
    :param fetch: returns a part of the content of a batch, from an offset
    :param reporter: is told how much has come

    :raises DownloadError: they cannot be written, or go on changing
    """
    changed: list[str] = []
    for attempt in range(_ATTEMPTS):
        found = await find()
        _check_names(folder, found)
        missing = await anyio.to_thread.run_sync(folder.missing, found)  # sync: missing = folder.missing(found)
        total = total_size(found)
        done = total - total_size(missing)
        empty = [(each, 0, memoryview(b"")) for each in missing if not each.size]
        await anyio.to_thread.run_sync(folder.write, empty)  # sync: folder.write(empty)
        changed = []
        # One that goes on changing does not hold up the others.
        for batch in batches(missing, together=not attempt):
            reporter.show(done, total)
            offset = folder.offset(batch.artifacts[0])
            try:
                while offset < batch.size:
                    content = await fetch(batch, offset)
                    parts = batch.split(offset, content)
                    await anyio.to_thread.run_sync(folder.write, parts)  # sync: folder.write(parts)
                    offset += len(content)
                    reporter.show(done + offset, total)
            except ConflictError:
                changed += batch.names
                folder.discard(batch.artifacts)
            done += batch.size
        if not changed:
            return [folder.place(each) for each in found]
    raise DownloadError(folder.path, "Some artifacts changed again and again while they were read", changed)


def _check_names(folder: DownloadFolder, found: ArtifactList) -> None:
    for each in found:
        if problem := name_problem(each.name):
            text = f"The server has an artifact that must not be written, {problem}"
            raise DownloadError(folder.path, text, [each.name])
