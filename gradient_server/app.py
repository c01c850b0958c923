"""The ASGI application: routing, security, validation and answers, all as the contract says."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gradient_server.api import responses as answers
from gradient_server.api.answer_check import problem_of
from gradient_server.api.contract import Contract, Operation
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.once import Once
from gradient_server.api.operations import Operations
from gradient_server.api.responses import ApiResponse
from gradient_server.api.security import Authentication, RateLimiter
from gradient_server.api.validation import InvalidRequest, checked_body, checked_parameters
from gradient_server.clock import Clock
from gradient_server.dashboard.app import Dashboard
from gradient_server.faults.control import PATH, FaultControl
from gradient_server.faults.injection import FaultInjection
from gradient_server.store.sqlite import CannotBeKept
from gradient_server.store.store import Store

logger = logging.getLogger("gradient_server")
Endpoint = Callable[[Request], Awaitable[Response]]


def application(
    store: Store,
    clock: Clock,
    api_key: str,
    *,
    check_answers: bool = False,
    polls: LongPolls | None = None,
    injection: FaultInjection | None = None,
    rate_limiter: RateLimiter | None = None,
) -> Starlette:
    """Build the application.

    :param Store store: the experiments
    :param Clock clock: what time it is
    :param str api_key: the key that requests must carry
    :param bool check_answers: check every answer against the contract; one that is wrong is logged and becomes a 500
    :param LongPolls polls: the requests that are held open; default: some of its own
    :param FaultInjection injection: what goes wrong on purpose; default: nothing, until somebody asks for it
    :param RateLimiter rate_limiter: limits incorrect API keys; default: a new one
    """
    contract = Contract()
    polls = polls or LongPolls(clock)
    injection = injection or FaultInjection(store, clock)
    operations, once = Operations(store, clock), Once(store, api_key)
    keys = Authentication(contract.key_header, api_key, rate_limiter)
    places: dict[str, dict[str, Endpoint]] = {}
    for operation in contract.operations:
        act = once.guarded(operation.id, getattr(operations, _snake_case(operation.id)))
        endpoint = _endpoint(operation, act, polls, keys, check_answers=check_answers)
        faulty = injection.wrap(operation, endpoint)
        for prefix in operation.prefixes:
            places.setdefault(prefix + operation.path, {})[operation.method] = faulty
    control = FaultControl(injection)
    places[PATH] = {method: _beside_the_contract(act, keys) for method, act in control.methods.items()}
    places |= Dashboard(store, operations, clock, polls, keys).routes()
    # Addresses without variables first: `/experiments/run/` is not the experiment called `run`.
    routes = [Route(path, _Place(places[path])) for path in sorted(places, key=lambda path: "{" in path)]
    app = Starlette(routes=routes, exception_handlers={404: _no_such_path})
    app.router.redirect_slashes = False
    return app


class _Place:
    """One address with its methods; as a class, so that Starlette passes every method on."""

    def __init__(self, methods: dict[str, Endpoint]) -> None:
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        endpoint = self._methods.get(request.method)
        allowed = ", ".join(sorted(self._methods))
        response = await endpoint(request) if endpoint else answers.method_not_allowed(allowed).render()
        await response(scope, receive, send)


def _endpoint(
    operation: Operation,
    act: Callable[..., Awaitable[ApiResponse]],
    polls: LongPolls,
    keys: Authentication,
    *,
    check_answers: bool,
) -> Endpoint:
    wrong_key = answers.UNAUTHORIZED if answers.UNAUTHORIZED.status in operation.answers else answers.INCORRECT_API_KEY

    async def endpoint(request: Request) -> Response:
        try:
            if refusal := keys.check(request, wrong_key):
                return refusal.render()
            answer = await _answer(operation, act, polls, request)
            if request.method != "GET" and "handle" in request.path_params:
                polls.wake(request.path_params["handle"])
            if check_answers and (problem := problem_of(operation, answer)):
                text = f"The contract does not allow what {operation.id} answered: {problem}"
                logger.error(text)
                answer = answers.internal_error(text)
            return answer.render()
        except ClientDisconnect:
            return Response()  # to nobody
        except Exception as error:
            logger.exception("%s failed", operation.id)
            if isinstance(error, CannotBeKept):
                return answers.internal_error(f"Nothing was done: the store {error.strerror}").render()
            return answers.internal_error("The log of the server says more").render()

    return endpoint


def _beside_the_contract(act: Callable[[bytes], ApiResponse], keys: Authentication) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if refusal := keys.check(request, answers.INCORRECT_API_KEY):
            return refusal.render()
        try:
            raw = await _body(request)
        except ClientDisconnect:
            return Response()  # to nobody
        return (answers.BODY_TOO_LARGE if raw is None else act(raw)).render()

    return endpoint


async def _answer(
    operation: Operation, act: Callable[..., Awaitable[ApiResponse]], polls: LongPolls, request: Request
) -> ApiResponse:
    try:
        query = request.query_params.multi_items()
        given = checked_parameters(operation, request.path_params, query, request.headers)
        if "wait" in given:
            return await polls.answer(lambda: act(given, {}), given["wait"], request.receive)
        if not operation.body_kinds:
            return await act(given, {})
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return answers.UNSUPPORTED_MEDIA_TYPE
        raw = await _body(request)
        return answers.BODY_TOO_LARGE if raw is None else await act(given, checked_body(operation, raw))
    except InvalidRequest as error:
        return answers.invalid_request(error.problems)


async def _body(request: Request) -> bytes | None:
    """Read the body; None: it is too large. What is left of it then is received, and forgotten, by the layer below."""
    if int(request.headers.get("content-length", 0)) > answers.MAX_BODY_BYTES:
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > answers.MAX_BODY_BYTES:
            return None
    return bytes(body)


async def _no_such_path(request: Request, error: Exception) -> Response:
    return answers.NO_SUCH_ENDPOINT.render()


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
