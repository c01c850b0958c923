"""URLs of workspaces: what kind of address one is, its credentials, and how it is shown without them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from gradient_server.runners.supervised.limits import SetupError

EXPECTED = (
    "it must be a local folder, a zip or tar file (local, or by http), or a git repository "
    "(https://..., ssh://..., git@host:path)"
)
_SCP_LIKE = re.compile(r"[\w.-]+@[\w.-]+:(?!//)")
_WITH_HOST = ("http", "https", "ssh", "git")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_BEFORE_USERINFO = re.compile(r"//|:|%3A", re.IGNORECASE)
_AFTER_USERINFO = re.compile("@|%40")
_QUERY = re.compile(r"[?#]|%3F|%23", re.IGNORECASE)
_URL_IN_TEXT = re.compile(r"[A-Za-z][\w+.-]{0,20}://[^\s'\"]+")


class Credentials(NamedTuple):
    """User name and password for the host of a workspace."""

    username: str
    password: str


def scheme_of(url: str) -> str:
    """Return the scheme of a URL; `ssh` for `git@host:path`, and nothing for a path.

    :raises SetupError: it is no URL, or an ssh URL with a password
    """
    if is_scp_like(url):
        return "ssh"
    try:
        parts = urlsplit(url)
        _ = parts.port
        if parts.scheme in _WITH_HOST and not parts.hostname:
            raise ValueError("no host")
        if "@" in parts.netloc and "@" in parts.path + parts.query + parts.fragment:
            raise ValueError("a password that is not percent-encoded, or a path that could be one")
    except ValueError:
        # Neither the URL nor the error is shown: both may contain a password.
        raise SetupError(f"The workspace is no URL: {EXPECTED}") from None
    if parts.scheme == "ssh" and parts.password:
        raise SetupError(
            f"The workspace {redacted(url)} has a password, which ssh does not take from there: "
            "leave the password out, and let ssh find a key"
        )
    return parts.scheme


def is_scp_like(url: str) -> bool:
    """Whether it is an address as ssh and scp take it: `git@host:path`."""
    return bool(_SCP_LIKE.match(url))


def credentials_of(url: str, body: Mapping[str, Any]) -> Credentials | None:
    """Return the credentials in the parameters of the experiment, or else those in an http URL.

    :raises SetupError: they have control characters, which neither git nor http can send
    """
    username, password = body.get("workspaceUsername"), body.get("workspacePassword")
    where = "workspaceUsername or workspacePassword"
    if username is None and password is None:
        parts = urlsplit(url)
        if parts.username is None and parts.password is None:
            return None
        username, password = unquote(parts.username or ""), unquote(parts.password or "")
        where = f"The user name or password in the URL of the workspace {redacted(url)}"
    if _CONTROL.search(f"{username}{password}"):
        raise SetupError(f"{where} has a control character; it must be text in one line")
    return Credentials(username or "", password or "")


def redacted(url: str) -> str:
    """Return a URL without credentials, query and fragment, each of which may be a secret.

    The path of a file is shown as it is, apart from what looks like a URL in it.
    """
    if is_scp_like(url):
        return _QUERY.split(url, maxsplit=1)[0]
    if url.startswith("~") or (url.startswith("/") and "//" not in url):
        return _redacted_path(url)
    scheme, _, path = url.partition(":")
    if (scheme.lower() == "file" and path[:2] != "//") or path[:3] == "///":
        path = path.lstrip("/")
        return url[: len(url) - len(path)] + redacted(f"/{path}")[1:]
    return _QUERY.split(without_credentials(url), maxsplit=1)[0]


def _redacted_path(path: str) -> str:
    """Return a path without what stands between // or a colon and the last @, with the name before the colon."""
    before, rest = _BEFORE_USERINFO.search(path), _AFTER_USERINFO.split(path)[-1]
    if not before or before.start() > len(path) - len(rest) - 1:
        return path
    return path[: path.rfind("/", 0, before.start()) + 1] + "***@" + rest


def without_credentials(url: str) -> str:
    """Return a URL without password and user name; ssh keeps its user name, which is no secret."""
    if is_scp_like(url):
        return url
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:  # of an unknown form, so credentials may be anywhere before an @
        head, *query = _QUERY.split(url, maxsplit=1)
        if query and _AFTER_USERINFO.search(query[0]) and _BEFORE_USERINFO.search(head):
            return "***"
        return url if parts.scheme == "file" else _AFTER_USERINFO.split(head)[-1]
    userinfo, _, host = parts.netloc.rpartition("@")
    name = userinfo.partition(":")[0] if parts.scheme == "ssh" else ""
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if name else host))


def redact_urls(text: str) -> str:
    """Return a text with all URLs in it redacted."""

    def replaced(found: re.Match[str]) -> str:
        try:
            return redacted(found[0])
        except ValueError:
            return "***"

    return _URL_IN_TEXT.sub(replaced, text)
