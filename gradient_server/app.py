"""The ASGI application: the routes of the contract, of fault injection and of the dashboard, behind authentication."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gradient_server.api import responses
from gradient_server.api.contract import Contract, Operation, packaged_contract
from gradient_server.api.idempotency import IdempotencyMiddleware
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.operations import Operations, Parameters, experiment_pages
from gradient_server.api.responses import ApiResponse
from gradient_server.api.security import Authentication, RateLimiter
from gradient_server.api.validation import InvalidRequestError, response_problem, validate_body, validate_parameters
from gradient_server.clock import Clock
from gradient_server.dashboard.app import EXPERIMENTS, Dashboard
from gradient_server.dashboard.login import LoginLinks
from gradient_server.faults.control import PATH, FaultControl
from gradient_server.faults.injection import FaultInjection
from gradient_server.runners.base import NODE_FILES
from gradient_server.store.sqlite import StoreWriteError
from gradient_server.store.store import Store

logger = logging.getLogger("gradient_server")
Endpoint = Callable[[Request], Awaitable[Response]]
AsyncHandler = Callable[[Parameters, Any], Awaitable[ApiResponse]]
LARGE_BODY_BYTES = 2**14
"""The size above which a body is validated in a thread, because that takes a while."""
# One thread: several would keep each other and the event loop waiting for the interpreter.
_VALIDATION = ThreadPoolExecutor(1, "gradient_server validation")


def application(
    store: Store,
    clock: Clock,
    api_key: str,
    *,
    check_answers: bool = False,
    polls: LongPolls | None = None,
    injection: FaultInjection | None = None,
    rate_limiter: RateLimiter | None = None,
    contract: Contract | None = None,
    operations: Operations | None = None,
) -> Starlette:
    """Return the application.

    :param Store store: the experiments
    :param Clock clock: the simulated time
    :param str api_key: the API key that requests must carry
    :param bool check_answers: validate every response against the contract; an invalid one is logged and becomes a 500
    :param LongPolls polls: the requests that are held; default: new ones
    :param FaultInjection injection: the faults that are injected; default: none, until a client sets some
    :param RateLimiter rate_limiter: limits incorrect API keys; default: a new one
    :param Contract contract: the operations; default: those of the packaged contract
    :param Operations operations: their handlers; an operation without one is answered with 501
    """
    contract = contract or packaged_contract()
    operations = operations or Operations(store, clock)
    polls = polls or LongPolls(clock)
    injection = injection or FaultInjection(store, clock)
    authentication = Authentication(contract.key_header, api_key, rate_limiter)
    idempotency = IdempotencyMiddleware(store, api_key)
    endpoints: dict[str, dict[str, Endpoint]] = {}
    for operation in contract.operations:
        handler = getattr(operations, operation.handler_name, None)
        if handler is None:
            logger.warning("%s has no handler: it is answered with 501", operation.id)
        wrapped = idempotency.wrap(operation.id, handler) if handler else None
        endpoint = _OperationEndpoint(operation, wrapped, polls, authentication, check_answers=check_answers)
        for prefix in operation.prefixes:
            methods = endpoints.setdefault(prefix + operation.path, {})
            methods[operation.method] = injection.wrap(operation, endpoint)
    control = FaultControl(injection)
    endpoints[PATH] = {method: _control_endpoint(act, authentication) for method, act in control.methods.items()}
    endpoints[NODE_FILES + "{token}/{digest}"] = {"GET": partial(_file_for_nodes, store)}
    endpoints |= Dashboard(store, operations, clock, polls, authentication, LoginLinks(api_key)).routes()
    # Paths without variables first: `/experiments/run/` is not the experiment with the handle `run`.
    routes = [Route(path, _Methods(endpoints[path])) for path in sorted(endpoints, key=lambda path: "{" in path)]
    app = Starlette(routes=routes, exception_handlers={404: _no_such_endpoint})
    app.router.redirect_slashes = False
    return app


class _Methods:
    """The endpoints of one path, by method; a class, so that Starlette passes every method on."""

    def __init__(self, endpoints: dict[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        endpoint = self._endpoints.get(request.method)
        if endpoint:
            response = await endpoint(request)
        else:
            response = responses.method_not_allowed(", ".join(sorted(self._endpoints))).render()
        await response(scope, receive, send)


class _OperationEndpoint:
    """Answers requests of one operation: authentication, validation, handler or long poll, check of the response."""

    def __init__(
        self,
        operation: Operation,
        handler: AsyncHandler | None,
        polls: LongPolls,
        authentication: Authentication,
        *,
        check_answers: bool,
    ) -> None:
        self._operation = operation
        self._handler = handler
        self._polls = polls
        self._authentication = authentication
        self._check_answers = check_answers
        # The hosts of logs and of projects have responses of their own.
        declared = (each for each in responses.INCORRECT_KEY_RESPONSES if str(each.status) in operation.responses)
        allowed = (each for each in declared if response_problem(operation, each) is None)
        self._incorrect_key = next(allowed, responses.INCORRECT_API_KEY)
        self._invalid_request = responses.invalid_request
        if self._incorrect_key == responses.INVALID_TOKEN:  # on the host of projects and tags
            self._invalid_request = partial(responses.invalid_instance, operation.tags[0].removesuffix("s"))

    async def __call__(self, request: Request) -> Response:
        """Return the response to a request; whatever fails is logged and becomes a 500."""
        try:
            if rejection := self._authentication.check(request, self._incorrect_key):
                return rejection.render()
            experiment_pages.set(str(request.base_url.replace(path=EXPERIMENTS)))
            if self._handler is None:
                return responses.not_implemented(self._operation.id).render()
            response = await self._respond(request, self._handler)
            if request.method != "GET" and "handle" in request.path_params:
                self._polls.wake(request.path_params["handle"])
            if self._check_answers and (problem := response_problem(self._operation, response)):
                text = f"The contract does not allow what {self._operation.id} answered: {problem}"
                logger.error(text)
                response = responses.internal_error(text)
            return response.render()
        except ClientDisconnect:
            return Response()  # Nobody receives it.
        except Exception as error:
            logger.exception("%s failed", self._operation.id)
            if isinstance(error, StoreWriteError):
                return responses.internal_error(f"Nothing was stored: the store {error.strerror}").render()
            return responses.internal_error("The log of the server says more").render()

    async def _respond(self, request: Request, handler: AsyncHandler) -> ApiResponse:
        operation = self._operation
        try:
            query = request.query_params.multi_items()
            parameters = validate_parameters(operation, request.path_params, query, request.headers)
            if "wait" in parameters:
                return await self._polls.hold(lambda: handler(parameters, {}), parameters["wait"], request.receive)
            if operation.body is None:
                return await handler(parameters, {})
            media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type != operation.body.media_type and (media_type or operation.body.required):
                return responses.unsupported_media_type(operation.body.media_type)
            limit = operation.body.max_bytes or responses.MAX_BODY_BYTES
            raw = await _read_body(request, limit)
            if raw is None:
                return responses.body_too_large(limit)
            if not operation.body.is_json:
                return await handler(parameters, raw)
            if len(raw) <= LARGE_BODY_BYTES:
                return await handler(parameters, validate_body(operation.body, raw))
            # Other clients have their turn meanwhile.
            loop = asyncio.get_running_loop()
            return await handler(
                parameters, await loop.run_in_executor(_VALIDATION, validate_body, operation.body, raw)
            )
        except InvalidRequestError as error:
            return self._invalid_request(error.problems)


def _control_endpoint(act: Callable[[bytes], ApiResponse], authentication: Authentication) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        if rejection := authentication.check(request, responses.INCORRECT_API_KEY):
            return rejection.render()
        try:
            raw = await _read_body(request, responses.MAX_BODY_BYTES)
        except ClientDisconnect:
            return Response()  # Nobody receives it.
        return (responses.body_too_large(responses.MAX_BODY_BYTES) if raw is None else act(raw)).render()

    return endpoint


async def _file_for_nodes(store: Store, request: Request) -> Response:
    path = store.file_for_nodes(request.path_params["token"])
    return FileResponse(path) if path and path.is_file() else responses.NO_SUCH_ENDPOINT.render()


async def _read_body(request: Request, limit: int) -> bytes | None:
    """Return the body, or None if it is too large; the server discards the rest of it then."""
    if int(request.headers.get("content-length", 0)) > limit:
        return None
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            return None
    return bytes(body)


async def _no_such_endpoint(request: Request, error: Exception) -> Response:
    return responses.NO_SUCH_ENDPOINT.render()
