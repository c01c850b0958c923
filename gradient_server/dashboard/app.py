"""The routes of the dashboard. The API key, or a link signed with it, starts a session; all pages need one."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from importlib.resources import files
from urllib.parse import parse_qs, quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse

from gradient_server.api.artifacts import chunks
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.operations import Operations
from gradient_server.api.responses import EXPERIMENT_NOT_FOUND, INCORRECT_API_KEY, ApiResponse
from gradient_server.api.security import Authentication
from gradient_server.clock import Clock
from gradient_server.dashboard import views
from gradient_server.dashboard.data import DashboardData, parse_lines
from gradient_server.dashboard.listing import Query, RunList
from gradient_server.dashboard.login import LOGIN_PATH, LoginLinks
from gradient_server.dashboard.sessions import Sessions, delete_token, owner_of, set_token, tokens_of
from gradient_server.store.store import Store

logger = logging.getLogger("gradient_server")
Endpoint = Callable[[Request], Awaitable[Response]]
HEADERS = {
    # Only the scripts and styles in `static/`: nothing that an experiment prints can become one.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # Not `no-referrer`: browsers would send forms with `Origin: null`, as a page of another site does.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_MAX_FORM_BYTES = 10_000
_MAX_WAIT = 30.0
"""The longest that a request for updates is held open, in seconds."""
_MEDIA_TYPES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "list.js": "text/javascript",
    "chart.js": "text/javascript",
    "updates.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "uPlot.iife.min.js": "text/javascript",
    "uPlot.min.css": "text/css",
}
_LIST = "/page/"
EXPERIMENTS = f"{_LIST}experiments/"
"""The path of the page of an experiment, without its handle."""
_COMPARE = f"{_LIST}compare"
_OWN_PAGE = re.compile(_LIST + r"(experiments/[\w.~-]+|compare)?(\?[\w=&%+.:*~-]*)?", re.ASCII)
_LINK_REFUSED = (
    "This login link does not work any more: a link works once, within an hour, and for the user who made it. "
    "Enter the key, or make a new link with: gradient server open"
)
_NOT_FOUND = "There is no such experiment; it may have been deleted."


class Dashboard:
    """The pages and what their script requests.

    :param Store store: the experiments
    :param Operations operations: the operations that clients call
    :param Clock clock: the current time
    :param LongPolls polls: the requests that are held open
    :param Authentication authentication: checks API keys
    :param LoginLinks links: checks login links
    """

    def __init__(
        self,
        store: Store,
        operations: Operations,
        clock: Clock,
        polls: LongPolls,
        authentication: Authentication,
        links: LoginLinks,
    ) -> None:
        self._data = DashboardData(store, operations, clock)
        self._runs = RunList(store, clock, self._data.last_metrics)
        self._clock = clock
        self._polls = polls
        self._authentication = authentication
        self._links = links
        self._sessions = Sessions()

    def routes(self) -> dict[str, dict[str, Endpoint]]:
        """Return the endpoint of each path and method."""
        return {
            "/": {"GET": _protected(_to_list)},
            _LIST: {"GET": self._with_session(self._list)},
            _COMPARE: {"GET": self._with_session(self._compare)},
            f"{_COMPARE}/charts": {"GET": self._with_session(self._compared_charts, is_page=False)},
            LOGIN_PATH: {"GET": _protected(self._login_form), "POST": _protected(self._log_in)},
            "/page/logout": {"POST": _protected(self._log_out)},
            "/page/files/{name}": {"GET": _protected(_static_file)},
            EXPERIMENTS + "{handle}": {"GET": self._with_session(self._experiment)},
            EXPERIMENTS + "{handle}/updates": {"GET": self._with_session(self._updates, is_page=False)},
            EXPERIMENTS + "{handle}/artifact": {"GET": self._with_session(self._artifact)},
            EXPERIMENTS + "{handle}/charts": {"GET": self._with_session(self._charts, is_page=False)},
        }

    def _with_session(self, endpoint: Endpoint, *, is_page: bool = True) -> Endpoint:
        """Return an endpoint that requires a session: without one, pages lead to the login, scripts get a 401."""

        async def checked(request: Request) -> Response:
            if self._has_session(request):
                return await endpoint(request)
            if not is_page:
                return JSONResponse({"error": "Log in first"}, 401)
            return RedirectResponse(f"{LOGIN_PATH}?to={quote(_own_page(request.url.path + _query(request)))}", 303)

        return _protected(checked)

    async def _list(self, request: Request) -> Response:
        query = Query.read(request.query_params)
        return HTMLResponse(views.list_page(await self._runs.page(query), query, self._clock))

    async def _compare(self, request: Request) -> Response:
        query = Query.read(request.query_params)
        return HTMLResponse(views.compare_page(await self._runs.selected(query), query))

    async def _compared_charts(self, request: Request) -> Response:
        runs = await self._runs.selected(Query.read(request.query_params))
        names = Counter(run.facts.name for run in runs)
        # The id tells runs with the same name apart.
        named = {
            f"{run.facts.name} {run.handle}" if names[run.facts.name] > 1 else run.facts.name or run.handle: run.run
            for run in runs
        }
        return JSONResponse(await self._data.comparison(named))

    async def _experiment(self, request: Request) -> Response:
        handle, after = request.path_params["handle"], _whole_number(request, "after")
        run = self._data.run(handle)
        if run is None:
            return HTMLResponse(views.message_page("Not found", _NOT_FOUND), 404)
        log = self._data.last_rows(run) if after is None else self._data.rows_after(run, after)
        # After the log: where the log is complete, the state is the last one.
        experiment = self._data.experiment(handle)
        if experiment is None:
            return HTMLResponse(views.message_page("Not found", _NOT_FOUND), 404)
        artifacts = await asyncio.to_thread(self._data.artifacts, run, views.MAX_ARTIFACTS + 1)
        return HTMLResponse(views.experiment_page(experiment, log, artifacts, self._now()))

    async def _artifact(self, request: Request) -> Response:
        """Send a file, as one to save: no browser must take it for a page."""
        run = self._data.run(request.path_params["handle"])
        name = request.query_params.get("name", "")
        reader = await asyncio.to_thread(self._data.open_artifact, run, name) if run else None
        if reader is None:
            return HTMLResponse(views.message_page("Not found", "There is no such artifact."), 404)
        found = reader.artifact()
        headers = {
            "Content-Length": str(found.size),
            "Content-Disposition": f"attachment; filename*=utf-8''{quote(name.rpartition('/')[2], safe='')}",
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(chunks(reader, found), headers=headers, media_type="application/octet-stream")

    async def _updates(self, request: Request) -> Response:
        handle, state = request.path_params["handle"], _whole_number(request, "state")
        lines = None if (text := request.query_params.get("lines")) is None else parse_lines(text)

        async def changes() -> ApiResponse:
            return self._data.changes(handle, state, lines)

        wait = min(_whole_number(request, "wait") or 0, _MAX_WAIT)
        response = await self._polls.hold(changes, wait, request.receive)
        if response.status == 204:
            return JSONResponse({})
        if response.status == 200 and not response.body:
            return JSONResponse({"over": True})
        run = self._data.run(handle)
        log = self._data.last_rows(run, lines) if run and lines is not None else None
        experiment = self._data.experiment(handle)
        if experiment is None:
            return JSONResponse(EXPERIMENT_NOT_FOUND.body, 404)
        return JSONResponse(views.update(experiment, log, self._now()))

    async def _charts(self, request: Request) -> Response:
        handle = request.path_params["handle"]
        run = self._data.run(handle)
        return JSONResponse(await self._data.charts(run)) if run else JSONResponse(EXPERIMENT_NOT_FOUND.body, 404)

    async def _login_form(self, request: Request) -> Response:
        next_url = _own_page(request.query_params.get("to", ""))
        if self._has_session(request):
            return RedirectResponse(next_url, 303)
        if (token := request.query_params.get("token")) is not None:
            return self._log_in_by_link(request, token, next_url)
        return HTMLResponse(views.login_page(next_url))

    def _log_in_by_link(self, request: Request, token: str, next_url: str) -> Response:
        is_genuine = self._links.is_genuine(token)
        if refusal := self._authentication.check_attempt(request, INCORRECT_API_KEY, is_correct=is_genuine):
            return _refused(refusal, next_url, _LINK_REFUSED)
        if not self._links.redeem(token, owner_of(request)):
            return _refused(INCORRECT_API_KEY, next_url, _LINK_REFUSED)
        return self._start_session(request, next_url)

    async def _log_in(self, request: Request) -> Response:
        form = await _form(request)
        next_url = _own_page(form.get("to", ""))
        if refusal := self._authentication.check_key(form.get("key", "").strip(), request, INCORRECT_API_KEY):
            return _refused(refusal, next_url, "That is not the key of this server.")
        return self._start_session(request, next_url)

    def _start_session(self, request: Request, next_url: str) -> Response:
        response = RedirectResponse(next_url, 303)
        set_token(response, request, self._sessions.start(owner_of(request)))
        return response

    async def _log_out(self, request: Request) -> Response:
        for token in tokens_of(request):
            self._sessions.end(token)
        response = RedirectResponse(LOGIN_PATH, 303)
        delete_token(response, request)
        return response

    def _now(self) -> datetime:
        return self._clock.date(self._clock.now())

    def _has_session(self, request: Request) -> bool:
        return any(self._sessions.use(token, lambda: owner_of(request)) for token in tokens_of(request))


def _refused(refusal: ApiResponse, next_url: str, problem: str) -> Response:
    """Return the login form with what was wrong with the last attempt."""
    if refusal is not INCORRECT_API_KEY:
        problem = "There have been too many wrong keys; wait for a minute."
    return HTMLResponse(views.login_page(next_url, problem), refusal.status, refusal.headers)


def _protected(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose responses carry the security headers, also when it fails."""

    async def protected(request: Request) -> Response:
        try:
            response = await endpoint(request)
        except ClientDisconnect:
            return Response()  # nobody receives it
        except Exception:
            logger.exception("%s failed", request.url.path)
            response = HTMLResponse(views.message_page("Something went wrong", "The log of the server says more."), 500)
        response.headers.update(HEADERS)
        return response

    return protected


async def _to_list(request: Request) -> Response:
    """Lead from the address of the server to the list, whose path the cookie has."""
    return RedirectResponse(_LIST + _query(request), 303)


async def _static_file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _MEDIA_TYPES:
        return HTMLResponse(views.message_page("Not found", "There is nothing at this address."), 404)
    content = (files("gradient_server.dashboard") / "static" / name).read_text(encoding="utf-8")
    if name == "page.css":
        content += views.badge_styles()
    return Response(content, media_type=_MEDIA_TYPES[name])


async def _form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form; none if it is larger than the login form can be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            return {}
    try:
        fields = parse_qs(body.decode())
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _query(request: Request) -> str:
    return f"?{request.url.query}" if request.url.query else ""


def _own_page(url: str) -> str:
    """Return a URL if it leads to a page of the dashboard, otherwise that of the first page."""
    return url if _OWN_PAGE.fullmatch(url) else _LIST


def _whole_number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None
