"""The addresses of the page. Who gives the key gets a session; without one there is the login, and no more."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from gradient_server.api.long_poll import LongPolls
from gradient_server.api.operations import Operations
from gradient_server.api.responses import INCORRECT_API_KEY
from gradient_server.api.security import Authentication
from gradient_server.clock import Clock
from gradient_server.dashboard.experiments import Experiments
from gradient_server.dashboard.frame import login_page, message_page
from gradient_server.dashboard.news import News
from gradient_server.dashboard.sessions import Sessions
from gradient_server.store.store import Store

logger = logging.getLogger("gradient_server")
Endpoint = Callable[[Request], Awaitable[Response]]
HEADERS = {
    # No scripts and styles but those of the page's own files: what an experiment prints cannot become one.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with that, browsers send forms with `Origin: null`, which looks like somebody else's page.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_KINDS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_WRONG_KEY = "That is not the key of this server."
_TOO_MANY_WRONG_KEYS = "There have been too many wrong keys; wait for a minute."
_MOST_BYTES = 10_000
_MOST_SECONDS = 30.0
_HERE = re.compile(r"/(page/experiments/[\w.~-]+)?(\?[\w=&-]*)?")


class Page:
    """Everything that can be looked at.

    :param Store store: the experiments
    :param Operations operations: what can be asked about them
    :param Clock clock: what time it is
    :param LongPolls polls: the requests that are held open
    :param Authentication keys: knows the key that has to be given
    """

    def __init__(
        self, store: Store, operations: Operations, clock: Clock, polls: LongPolls, keys: Authentication
    ) -> None:
        self._experiments = Experiments(store, operations, clock)
        self._news = News(self._experiments)
        self._polls = polls
        self._keys = keys
        self._sessions = Sessions()

    def places(self) -> dict[str, dict[str, Endpoint]]:
        """Give all addresses, with what answers there, by method."""
        return {
            "/": {"GET": self._inside(self._list)},
            "/page/login": {"GET": _safe(self._login), "POST": _safe(self._try_key)},
            "/page/logout": {"POST": _safe(self._logout)},
            "/page/files/{name}": {"GET": _safe(_file)},
            "/page/experiments/{handle}": {"GET": self._inside(self._experiment)},
            "/page/experiments/{handle}/news": {"GET": self._inside(self._what_is_new, in_background=True)},
            "/page/experiments/{handle}/curves": {"GET": self._inside(self._curves, in_background=True)},
        }

    def _inside(self, endpoint: Endpoint, *, in_background: bool = False) -> Endpoint:
        """Let only those in who have a session.

        :param bool in_background: whether scripts ask, who have no use for a form
        """

        async def inside(request: Request) -> Response:
            if self._sessions.is_there(request.cookies.get(_cookie(request), "")):
                return await endpoint(request)
            if in_background:
                return JSONResponse({"error": "Log in first"}, 401)
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/page/login?to={quote(_here(request.url.path + query))}", 303)

        return _safe(inside)

    async def _list(self, request: Request) -> Response:
        from gradient_server.dashboard.list_view import AT_ONCE, list_page

        offset = _whole(request, "offset") or 0
        experiments, total = self._experiments.page(offset, AT_ONCE)
        return HTMLResponse(list_page(experiments, offset, total))

    async def _experiment(self, request: Request) -> Response:
        from gradient_server.dashboard.experiment_view import experiment_page

        handle = request.path_params["handle"]
        log = self._news.log(handle, _whole(request, "after"))
        curves = await self._experiments.curves(handle)
        # After the log: a log that is over ends with the outcome. And it may have been deleted by now.
        experiment = self._experiments.find(handle)
        if experiment is None:
            text = "There is no such experiment; it may have been deleted. "
            return HTMLResponse(message_page("Not found", text), 404)
        return HTMLResponse(experiment_page(experiment, log, curves, self._experiments.jobs(handle)))

    async def _what_is_new(self, request: Request) -> Response:
        handle = request.path_params["handle"]
        look = self._news.since(handle, _whole(request, "state"), request.query_params.get("seen"))
        answer = await self._polls.answer(look, min(_whole(request, "wait") or 0, _MOST_SECONDS), request.receive)
        return JSONResponse(answer.body or {}, 200 if answer.status == 204 else answer.status)

    async def _curves(self, request: Request) -> Response:
        from gradient_server.dashboard.experiment_view import curves_part

        handle = request.path_params["handle"]
        return HTMLResponse(curves_part(await self._experiments.curves(handle), self._experiments.jobs(handle)))

    async def _login(self, request: Request) -> Response:
        to = _here(request.query_params.get("to", ""))
        if self._sessions.is_there(request.cookies.get(_cookie(request), "")):
            return RedirectResponse(to, 303)
        return HTMLResponse(login_page(to))

    async def _try_key(self, request: Request) -> Response:
        given = await _form(request)
        to = _here(given.get("to", ""))
        if refusal := self._keys.check_key(given.get("key", "").strip(), request, INCORRECT_API_KEY):
            text = _WRONG_KEY if refusal is INCORRECT_API_KEY else _TOO_MANY_WRONG_KEYS
            return HTMLResponse(login_page(to, text), refusal.status, refusal.headers)
        response = RedirectResponse(to, 303)
        response.set_cookie(_cookie(request), self._sessions.begin(), path="/", httponly=True, samesite="strict")
        return response

    async def _logout(self, request: Request) -> Response:
        self._sessions.end(request.cookies.get(_cookie(request), ""))
        response = RedirectResponse("/page/login", 303)
        response.delete_cookie(_cookie(request), path="/", httponly=True, samesite="strict")
        return response


def _safe(endpoint: Endpoint) -> Endpoint:
    async def safe(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except ClientDisconnect:
            return Response()  # to nobody
        except Exception:
            logger.exception("%s could not be shown", request.url.path)
            response = HTMLResponse(message_page("Something went wrong", "The log of the server says more."), 500)
        response.headers.update(HEADERS)
        return response

    return safe


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _KINDS:
        return HTMLResponse(message_page("Not found", "There is nothing at this address."), 404)
    return Response(_content_of(name), media_type=_KINDS[name])


@cache
def _content_of(name: str) -> str:
    text = (files("gradient_server.dashboard") / name).read_text(encoding="utf-8")
    if name == "page.css":
        from gradient_ext.html_tables import BACKGROUNDS

        text += "".join(f".badge.{tone} {{ background: {colour}; }}\n" for tone, colour in BACKGROUNDS.items())
    return text


async def _form(request: Request) -> Mapping[str, str]:
    """Read the members of a form; none of one that is larger than any that a browser has from here."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            return {}
    try:
        read = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in read.items()}


def _cookie(request: Request) -> str:
    """Name the cookie. Browsers do not tell ports apart: servers on other ports have cookies of their own."""
    server: tuple[str, Any] = request.scope.get("server") or ("", "")
    return f"gradient_session_{server[1]}"


def _here(to: str) -> str:
    """Give an address to go on to: one of this page, whatever was asked for."""
    return to if _HERE.fullmatch(to) else "/"


def _whole(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
