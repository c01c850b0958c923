"""What a `workspaceUrl` is: a folder, an archive, a git repository, or nothing. Pure, but for a look at local files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from gradient_server.runners.process.set_up import CannotSetUp

_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_SCP_LIKE = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")
_WITH_HOST = ("http", "https", "ssh", "git")
_RIGHT = (
    "it must be a local folder, a zip or tar file (local, or by http), or a git repository "
    "(https://..., ssh://..., git@host:path)"
)


class Credentials(NamedTuple):
    """Who one is to the host of a workspace."""

    username: str
    password: str


class Kind(Enum):
    """What a workspace is."""

    NOTHING = "nothing"
    FOLDER = "folder"
    ARCHIVE = "archive"
    DOWNLOAD = "download"
    GIT = "git"


def kind_of(url: str, ref: str | None) -> tuple[Kind, Path | None]:
    """Say what it is, and where where it is local.

    :raises CannotSetUp: it is nothing that can be used here; the text says what could
    """
    if url in ("", "none"):
        return Kind.NOTHING, None
    try:
        scheme, password = _parts(url)
    except ValueError:
        # Neither the URL nor the error is told: a password may be in both, and nobody knows where.
        raise CannotSetUp(f"The workspace is no URL: {_RIGHT}") from None
    if scheme == "ssh" and password:
        raise CannotSetUp(
            f"The workspace {shown_address(url)} has a password, which ssh does not take from there: "
            "leave the password out, and let ssh find a key"
        )
    if _SCP_LIKE.match(url) or scheme in ("ssh", "git"):
        return Kind.GIT, None
    if scheme in ("http", "https"):
        is_archive = urlsplit(url).path.lower().endswith(_ARCHIVES)
        return (Kind.DOWNLOAD if is_archive else Kind.GIT), None
    if scheme == "file":
        return _local(Path(unquote(urlsplit(url).path)), without_credentials(url), ref)
    if scheme:
        raise CannotSetUp(f"The workspace {shown_address(url)} cannot be fetched from here: {_RIGHT}")
    try:
        path = Path(url).expanduser()
    except RuntimeError:
        raise CannotSetUp(f"The workspace {url} is in the home of somebody whom the server does not know") from None
    return _local(path, url, ref)


def _parts(url: str) -> tuple[str, str | None]:
    """Give the scheme and the password of a URL.

    :raises ValueError: it is none
    """
    parts = urlsplit(url)
    if parts.scheme in _WITH_HOST and not parts.netloc:
        raise ValueError("it has no host")
    return parts.scheme, parts.password


def _local(path: Path, shown: str, ref: str | None) -> tuple[Kind, Path]:
    if not path.is_absolute():
        raise CannotSetUp(f"The workspace {shown} is a relative path, and a server cannot know to what: give all of it")
    if path.is_file():
        return Kind.ARCHIVE, path
    if path.exists() and not path.is_dir():
        raise CannotSetUp(f"The workspace {shown} is neither a file nor a folder: {_RIGHT}")
    if not path.is_dir():
        raise CannotSetUp(f"The workspace {shown} does not exist on the machine of the server: {_RIGHT}")
    is_bare = all((path / name).exists() for name in ("HEAD", "objects", "refs"))
    return (Kind.GIT if is_bare or ref is not None else Kind.FOLDER), path


def credentials_of(url: str, body: Mapping[str, Any]) -> Credentials | None:
    """Find who to be: as the parameters of the experiment say, or else as the URL does."""
    username, password = body.get("workspaceUsername"), body.get("workspacePassword")
    if username is None and password is None:
        parts = urlsplit(url)
        username, password = parts.username, parts.password
        if parts.scheme not in ("http", "https") or (username is None and password is None):
            return None
        username, password = unquote(username or ""), unquote(password or "")
    return Credentials(username or "", password or "")


def without_credentials(url: str) -> str:
    """Give a URL as programs may have it in their arguments: without a password, and with the name for ssh alone."""
    if _is_path(url):
        return url
    parts = urlsplit(url)
    if not parts.netloc:  # of a kind that nobody knows, and so anything can be in it
        return url.rpartition("@")[2] if parts.scheme != "file" else url
    who, _, host = parts.netloc.rpartition("@")
    name = who.partition(":")[0] if parts.scheme == "ssh" else ""
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if name else host))


def shown_address(url: str) -> str:
    """Give a URL as it may be told: what comes behind a question mark is often a secret, too."""
    if _is_path(url):
        return url
    return re.split("[?#]", without_credentials(url), maxsplit=1)[0]


def _is_path(url: str) -> bool:
    return bool(_SCP_LIKE.match(url)) or not urlsplit(url).scheme
