"""Requests that do not mean this server, or that a browser sends for pages of somebody else: they are not looked at."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from gradient_server.api.own_names import OwnNames, same_origin
from gradient_server.api.responses import Answer, forbidden, rendered

_LONGEST = 80
"""How much is repeated of what a request says."""
_OWN_SITES = ("same-origin", "none")
"""What `Sec-Fetch-Site` says of our own pages, and of an address that somebody has typed."""
_HEADERS = (b"host", b"origin", b"sec-fetch-site")


def own_requests_only(app: ASGIApp, names: OwnNames) -> ASGIApp:
    """Give an application that refuses foreign requests, whatever they ask for and whatever key they carry."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = refusal_of(scope["headers"], names)
        await (rendered(refusal) if refusal else app)(scope, receive, send)

    return guarded


def refusal_of(headers: Iterable[tuple[bytes, bytes]], names: OwnNames) -> Answer | None:
    """Give the answer to a foreign request; None: it is none.

    :param headers: the headers of the request, their names in small letters
    :param OwnNames names: what the server is called
    """
    said = [(name, value.decode("latin-1")) for name, value in headers if name in _HEADERS]
    place = next((value for name, value in said if name == b"host"), None)
    # Only HTTP/1.0 comes without, and browsers do not speak it.
    if place is not None and not names.have(place):
        return forbidden(f"This server is not called {_shown(place)}; if it is, start it with --allow-host NAME")
    for name, value in said:
        if name == b"origin" and not same_origin(value, place):
            return forbidden(f"Pages of {_shown(value)} may not use this server; only its own may")
        if name == b"sec-fetch-site" and value not in _OWN_SITES:
            return forbidden("Pages of other sites may not use this server, or link to it; type or paste its address")
    return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...")
