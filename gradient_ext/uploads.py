# Derived from async_uploads.py by `make generate`. Do not edit.
"""Upload workspaces: the parts that the server does not have, and then the list of all of them.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from gradient_ext import LazyModule
from gradient_ext._json import require
from gradient_ext.display import TransferReporter
from gradient_ext.errors import ConflictError, NotFoundError
from gradient_ext.packing import Package

if TYPE_CHECKING:
    from gradient_api import models, types
    from gradient_api.api import workspaces as workspaces_api

    from gradient_ext.transport import Transport
else:
    models, types, workspaces_api = map(
        LazyModule, ("gradient_api.models", "gradient_api.types", "gradient_api.api.workspaces")
    )

_PARTS_AT_ONCE = 4
"""How many parts are asked about in one request, and are in memory."""
_ATTEMPTS = 3
"""How often all of it is read: parts may vanish that the server had, as when what else needed them is deleted."""
_ACTION = "Failed to upload the workspace"


class _Part(NamedTuple):
    digest: str
    content: bytes


def upload(transport: Transport, package: Package, reporter: TransferReporter) -> str:
    """Upload what the server does not have of a folder or archive, and return the URL of the workspace.

    :param Transport transport: where to
    :param Package package: the folder or archive
    :param TransferReporter reporter: is told how much the server has

    :raises WorkspaceError: it cannot be read, or has changed meanwhile
    :raises NotFoundError: the server takes no uploads
    """
    attempt = 1
    while True:
        digests: list[str] = []
        size = 0
        parts = package.parts()
        while True:
            batch = _read(parts)
            if not batch:
                break
            missing = _missing(transport, [part.digest for part in batch])
            for digest, content in batch:
                if digest in missing:
                    _send(transport, digest, content)
                    missing.discard(digest)
                digests.append(digest)
                size += len(content)
                reporter.show(min(size, package.size), package.size)
            batch, content = (), b""  # The next parts need the memory.
        try:
            return _create(transport, package, digests, size)
        except ConflictError:
            if attempt == _ATTEMPTS:
                raise
        attempt += 1


def _read(parts: Iterator[bytes]) -> Sequence[_Part]:
    return [_Part(hashlib.sha256(content).hexdigest(), content) for content in islice(parts, _PARTS_AT_ONCE)]


def _missing(transport: Transport, digests: Sequence[str]) -> set[str]:
    body = models.PartList(parts=[*digests])
    try:
        return transport.call(
            lambda client: workspaces_api.find_missing_parts.sync_detailed(client=client, body=body),
            _missing_in,
            action=_ACTION,
        )
    except NotFoundError as error:
        error.words = ("This server takes no uploads; name the workspace by a workspace_url", *error.words)
        raise


def _missing_in(answer: models.MissingParts) -> set[str]:
    return {require("string", digest, "missing") for digest in require("array", answer.data.missing, "missing")}


def _send(transport: Transport, digest: str, content: bytes) -> None:
    transport.call(
        lambda client: workspaces_api.upload_part.sync_detailed(
            # Bytes, and no file, so that they can be sent again.
            digest,
            client=client,
            body=types.File(cast(Any, content)),
        ),
        lambda answer: None,
        action=_ACTION,
    )


def _create(transport: Transport, package: Package, digests: Sequence[str], size: int) -> str:
    body = models.NewWorkspace(name=package.name, parts=[*digests], size=size)
    if package.files is not None:
        body.files = package.files
    whole = hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
    url: str = transport.call(
        lambda client: workspaces_api.create_workspace.sync_detailed(whole, client=client, body=body),
        lambda answer: require("string", answer.data.url, "url", min_length=1),
        action=_ACTION,
    )
    return url
