"""The workspace of a run: a copy of what `workspaceUrl` names, in a folder of its own."""

from __future__ import annotations

import io
import os
import string
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from gradient_server.runners.supervised.archives import extract
from gradient_server.runners.supervised.deletion import remove_tree
from gradient_server.runners.supervised.folder_copy import copy_folder
from gradient_server.runners.supervised.git import clone, is_bare_repository
from gradient_server.runners.supervised.limits import MAX_BYTES, Quota, SetupError, listed, real_path
from gradient_server.runners.supervised.workspace_url import (
    EXPECTED,
    Credentials,
    credentials_of,
    redact_urls,
    redacted,
    scheme_of,
    without_credentials,
)

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_UPLOAD_IS_GONE = "The uploaded workspace is not on the server any more; upload it again"
_HTTP = ("http://", "https://")
_TIMEOUT = 60.0
"""Seconds without a byte after which a download fails."""
_RETRY_DELAYS = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts to fetch a part of an uploaded workspace."""
_CHUNK = 2**16


def prepare_workspace(
    body: Mapping[str, Any],
    folder: Path,
    leave_out: Path,
    remark: Callable[[str], object] = lambda text: None,
    upload: Sequence[str] | None = None,
) -> Path:
    """Create the workspace and return the directory in it that commands run in.

    :param body: the request that created the experiment
    :param Path folder: where to create it; must not exist
    :param Path leave_out: where the server keeps its runs; it is never a part of a workspace
    :param remark: receives sentences on what the workspace lacks
    :param upload: the paths of files that are the workspace, one after the other; None: nobody has uploaded it

    :raises SetupError: it cannot be created
    """
    try:
        folder.mkdir(mode=0o700)
        try:
            if upload is not None:
                _extract_upload(upload, folder)
            else:
                _fill(folder, body, leave_out, remark)
            directory = _working_directory(folder, body.get("workingDirectory"))
            _make_artifact_directory(folder, body.get("artifactDirectory"))
        except (OSError, SetupError):
            remove_tree(folder)  # half of it may fill the disk
            raise
    except OSError as error:
        place = f" ({redacted(os.fsdecode(error.filename))})" if isinstance(error.filename, str | bytes) else ""
        raise SetupError(f"The workspace cannot be set up: {error.strerror or error}{place}") from error
    return directory


def _fill(folder: Path, body: Mapping[str, Any], leave_out: Path, remark: Callable[[str], object]) -> None:
    url: str = body.get("workspaceUrl") or ""
    ref: str | None = body.get("workspaceRef") or None
    if url in ("", "none"):
        return
    scheme = scheme_of(url)
    if scheme == "upload":
        raise SetupError(_UPLOAD_IS_GONE)
    if scheme in ("ssh", "git"):
        clone(url, ref, None, folder, remark)
    elif scheme in ("http", "https"):
        if not urlsplit(url).path.lower().endswith(_ARCHIVE_SUFFIXES):
            clone(url, ref, credentials_of(url, body), folder, remark)
            return
        with tempfile.NamedTemporaryFile(dir=folder.parent, prefix="archive-") as file:
            _download(url, credentials_of(url, body), file)
            extract(Path(file.name), folder, redacted(url), Quota())
    else:
        path = _local_path(url, scheme)
        if path.is_file():
            extract(path, folder, redacted(str(path)), Quota())
        elif is_bare_repository(path) or ref is not None:
            clone(path.as_uri(), ref, None, folder, remark)
        else:
            _copy(path, folder, leave_out, remark)


def _extract_upload(parts: Sequence[str], folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder.parent, prefix="archive-") as file:
        for part in parts:
            # A URL, where the machine does not see the files of the server, or a path.
            content = _fetched_part(part) if part.startswith(_HTTP) else _stored_part(Path(part))
            file.write(content)
        file.flush()
        extract(Path(file.name), folder, "that was uploaded", Quota())


def _stored_part(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SetupError(_UPLOAD_IS_GONE) from None
    if sha256(content).hexdigest() != path.name:
        path.unlink(missing_ok=True)  # so that it is uploaded again
        raise SetupError("The uploaded workspace was damaged on the disk of the server; upload it again")
    return content


def _fetched_part(url: str) -> bytes:
    """Return a part that the server has for nodes; the server may be started again meanwhile."""
    address, _, digest = url.rpartition("/")
    shown = f"from the server at {urlsplit(address).netloc}"
    buffer = io.BytesIO()
    for delay in (*_RETRY_DELAYS, None):
        buffer.seek(0)
        buffer.truncate()
        try:
            _download(url, None, buffer, shown)
            break
        except SetupError:
            if delay is None:
                raise
            time.sleep(delay)
    if sha256(buffer.getvalue()).hexdigest() != digest:
        raise SetupError(f"The uploaded workspace came damaged {shown}; upload it again")
    return buffer.getvalue()


def _local_path(url: str, scheme: str) -> Path:
    shown = redacted(url)
    if scheme == "file":
        path = Path(unquote(urlsplit(url).path))
    elif scheme:
        raise SetupError(f"The workspace {shown} cannot be fetched from here: {EXPECTED}")
    else:
        try:
            path = Path(url).expanduser()
        except RuntimeError:
            text = f"The workspace {shown} is in the home of somebody whom the server does not know"
            raise SetupError(text) from None
    if not path.is_absolute():
        raise SetupError(f"The workspace {shown} is a relative path, which the server cannot resolve: make it absolute")
    if not path.exists():
        raise SetupError(f"The workspace {shown} does not exist on the machine of the server: {EXPECTED}")
    if not path.is_file() and not path.is_dir():
        raise SetupError(f"The workspace {shown} is neither a file nor a folder: {EXPECTED}")
    return path


def _copy(source: Path, folder: Path, leave_out: Path, remark: Callable[[str], object]) -> None:
    runs = real_path(leave_out)
    if real_path(source).is_relative_to(runs) and real_path(folder).is_relative_to(real_path(source)):
        raise SetupError(f"The workspace {source} is where the server keeps its runs; give the folder of a project")
    copy_folder(source, folder, runs, remark)


def _download(url: str, credentials: Credentials | None, file: IO[bytes], name: str | None = None) -> None:
    """Download an archive. Redirects to another host are followed without the credentials.

    :param str name: of the archive in errors, if its URL is a secret
    """
    # Not at the top of the module: each supervisor would take 130 ms instead of 110 to start.
    from http.client import HTTPException, IncompleteRead
    from urllib import error, request

    shown, quota = name or redacted(url), Quota(bytes=MAX_BYTES)
    passwords = request.HTTPPasswordMgrWithPriorAuth()
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler(),
        request.UnknownHandler(),
        request.HTTPHandler(),
        request.HTTPSHandler(),
        request.HTTPDefaultErrorHandler(),
        request.HTTPRedirectHandler(),
        request.HTTPErrorProcessor(),
        request.HTTPBasicAuthHandler(passwords),
    ):
        opener.add_handler(handler)
    try:
        url = _ascii_url(without_credentials(url))
        if credentials:
            host = urlunsplit(urlsplit(url)._replace(path="/", query="", fragment=""))
            passwords.add_password(None, host, *credentials, is_authenticated=True)
        with opener.open(url, timeout=_TIMEOUT) as response:
            while chunk := response.read(_CHUNK):
                quota.take(len(chunk), files=0)
                file.write(chunk)
            if response.length:
                raise IncompleteRead(b"", response.length)
    except error.HTTPError as failure:
        failure.close()
        raise SetupError(f"The workspace {shown} cannot be fetched: the answer was {failure.code}") from failure
    except error.URLError as failure:
        raise SetupError(f"The workspace {shown} cannot be fetched: {redact_urls(str(failure.reason))}") from failure
    except (HTTPException, TimeoutError, ConnectionError, ValueError) as failure:
        reason = redact_urls(str(failure)) or type(failure).__name__
        raise SetupError(f"The workspace {shown} cannot be fetched: {reason}") from failure
    file.flush()


def _ascii_url(url: str) -> str:
    """Return a URL with everything encoded that is not ASCII.

    :raises ValueError: there cannot be a host of that name
    """
    parts = urlsplit(url)
    return quote(urlunsplit(parts._replace(netloc=parts.netloc.encode("idna").decode())), safe=string.punctuation)


def _working_directory(folder: Path, given: str | None) -> Path:
    if not given:
        return folder
    directory = _inside(folder, given, "workingDirectory")
    if not directory.is_dir():
        names = sorted(os.listdir(folder))
        found = f"it has {listed(names)}" if names else "which is empty"
        raise SetupError(f"workingDirectory {given} is no folder of the workspace: {found}")
    return directory


def _make_artifact_directory(folder: Path, given: str | None) -> None:
    # An absolute path was a mount point of a container; the first log row says that it is not used.
    if given and not os.path.isabs(given):
        _inside(folder, given, "artifactDirectory").mkdir(parents=True, exist_ok=True)


def _inside(folder: Path, given: str, parameter: str) -> Path:
    directory = folder / given
    if not real_path(directory).is_relative_to(real_path(folder)):
        raise SetupError(f"{parameter} {given} is not in the workspace; give a path that is relative to its top")
    return directory
