"""Sessions of those who gave the API key, and who may use them.

Browsers send the cookies of a host to all of its ports, also to the servers of other users. So a session belongs to the
user of this machine, or to the other machine, that logged in: a cookie that somebody else was sent opens nothing.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gradient_server.api.security import peer_of
from gradient_server.settings import parse_address

SESSION_SECONDS = 12 * 3600.0
"""How long a session lasts that is not used."""
MAX_SESSIONS = 1_000
"""How many sessions there can be; a new one replaces the one that has not been used for longest."""
COOKIE_PATH = "/page"
"""The path of all pages: servers on other ports get the cookie in requests for such a path only."""
_SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


class _Session(NamedTuple):
    owner: str
    last_used: float


class Sessions:
    """Random tokens in memory: the API key itself is in no cookie and in no URL.

    :param now: returns monotonic seconds
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        # Those that were used last come last.
        self._sessions: dict[str, _Session] = {}

    def start(self, owner: str) -> str:
        """Start a session and return its token.

        :param str owner: who logs in, as `owner_of` returns it
        """
        token = secrets.token_urlsafe(32)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[token] = _Session(owner, self._now())
        return token

    def use(self, token: str, owner: Callable[[], str]) -> bool:
        """Whether there is a session with this token and this owner; it lasts longer then."""
        session = self._sessions.get(token)
        if session is None or self._now() - session.last_used > SESSION_SECONDS or owner() != session.owner:
            return False
        del self._sessions[token]
        self._sessions[token] = _Session(session.owner, self._now())
        return True

    def end(self, token: str) -> None:
        """End a session, if there is one with this token."""
        self._sessions.pop(token, None)


# --- cookies


def tokens_of(request: Request) -> list[str]:
    """Return the tokens in the cookies of a request: a server on another port can have set further ones."""
    pairs = (part.strip().partition("=") for text in request.headers.getlist("cookie") for part in text.split(";"))
    return [token for name, _, token in pairs if name == _cookie_name(request)]


def set_token(response: Response, request: Request, token: str) -> None:
    """Set the cookie with the token of a session."""
    response.set_cookie(_cookie_name(request), token, path=COOKIE_PATH, httponly=True, samesite="strict")


def delete_token(response: Response, request: Request) -> None:
    """Delete the cookie."""
    response.delete_cookie(_cookie_name(request), path=COOKIE_PATH, httponly=True, samesite="strict")


def _cookie_name(request: Request) -> str:
    """Return a name with the port, because servers on other ports of the host set cookies for all of its ports."""
    server = request.scope.get("server") or ("", "")
    return f"gradient_session_{server[1]}"


# --- owners


def owner_of(request: Request) -> str:
    """Return who sent a request: a user of this machine if the system knows the user, otherwise the peer."""
    client, server = request.scope["client"], request.scope["server"]
    user = _user_of_socket(client, server)
    return peer_of(client[0]) if user is None else f"user {user}"


def _user_of_socket(local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    """Return the id of the user who opened a connection on this machine; None: it is not known.

    :param local: address and port of the one who opened it
    :param remote: address and port that it was opened to
    """
    ends = set(zip(_table_entries(*local), _table_entries(*remote), strict=False))
    for table in _SOCKETS:
        try:
            with table.open() as lines:
                for fields in map(str.split, lines):
                    if (fields[1], fields[2]) in ends:
                        return int(fields[7])
        except OSError:
            continue
    return None


def _table_entries(address: str, port: int) -> Iterator[str]:
    """Return an address and a port as the kernel lists them: 32 bits at a time, also as mapped to IPv6."""
    found = parse_address(address.partition("%")[0])
    if found is None:
        return
    mapped = b"\0" * 10 + b"\xff" * 2 + found.packed
    for form in [found.packed, mapped] if found.version == 4 else [found.packed]:
        words = (int.from_bytes(form[start : start + 4], sys.byteorder) for start in range(0, len(form), 4))
        yield f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
