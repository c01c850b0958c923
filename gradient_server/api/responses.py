"""The responses of the API: `ApiResponse`, and error bodies in the words of the historical services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from starlette.responses import JSONResponse, PlainTextResponse, Response


@frozen
class Pending:
    """The event that would change a response; a long poll waits for it.

    :param str handle: the experiment that the event is about
    :param float timestamp: when it happens unless a request changes that, in simulated seconds; infinity: unknown
    """

    handle: str
    timestamp: float


@frozen
class ApiResponse:
    """A status and a body: JSON, plain text, bytes, or none.

    :param Pending pending: what a long poll would wait for; None: the response is final
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(factory=dict[str, str])
    pending: Pending | None = field(default=None, eq=False)

    def render(self) -> Response:
        """Return the Starlette response to send."""
        headers = dict(self.headers)
        if self.body is None:
            return Response(status_code=self.status, headers=headers)
        if isinstance(self.body, str):
            return PlainTextResponse(self.body, self.status, headers)
        if isinstance(self.body, bytes):
            return Response(self.body, self.status, headers, "application/octet-stream")
        return JSONResponse(self.body, self.status, headers)


def _error(status: int, error: str, details: object, headers: Mapping[str, str] | None = None) -> ApiResponse:
    return ApiResponse(status, {"details": details, "error": error}, headers or {})


MAX_BODY_BYTES = 2**20
"""The largest request body that is accepted, as the contract says; useful ones are a hundred times smaller."""
INCORRECT_API_KEY = _error(403, "Forbidden", "Incorrect API Key provided")
UNAUTHORIZED = ApiResponse(401, "Authentication failed")
EXPERIMENT_NOT_FOUND = _error(404, "Object not found", "Experiment not found")
NO_REMOVAL = _error(404, "Object not found", "The experiment was not deleted since the server started")
INVALID_TOKEN = ApiResponse(401, {"status": 401, "message": "No such API token"})
INCORRECT_KEY_RESPONSES = (INVALID_TOKEN, UNAUTHORIZED, INCORRECT_API_KEY)
"""The responses to an incorrect key; an operation has the first of them that the contract allows."""
NO_SUCH_ENDPOINT = _error(404, "Not found", "There is nothing at this address")
IDEMPOTENCY_KEY_REUSED = _error(
    422,
    "Unprocessable content",
    "The Idempotency-Key belongs to another request; give each call a key of its own",
)


def body_too_large(limit: int) -> ApiResponse:
    """Return a 413 that says how many bytes a body can have."""
    return _error(413, "Request entity too large", f"A body can have at most {limit // 2**20} MiB")


def insufficient_storage(details: str) -> ApiResponse:
    """Return a 507 for a disk that is full."""
    return _error(507, "Insufficient storage", details)


def invalid_request(problems: Mapping[str, list[str]] | str) -> ApiResponse:
    """Return a 400 that lists the problems by the name of the field."""
    return _error(400, "Experiment data error", problems)


def invalid_instance(context: str, problems: Mapping[str, list[str]] | str) -> ApiResponse:
    """Return a 400 that lists the problems by the name of the field, as the host of projects and tags wrote it.

    :param str context: what the request is about
    :param problems: texts by the name of the field, or one text about the whole
    """
    named = {"body": [problems]} if isinstance(problems, str) else dict(problems)
    text = " ".join(f"{name}: {' '.join(texts)}" for name, texts in named.items())
    details = {"context": context, "messages": named}
    more = {"statusCode": 400, "details": details}
    return project_error(400, f"The `{context}` instance is not valid. {text}", "ValidationError", more)


def project_error(
    status: int, message: str, name: str = "Error", more: Mapping[str, object] | None = None
) -> ApiResponse:
    """Return an error as the host of projects wrote it."""
    return ApiResponse(status, {"error": {"name": name, "status": status, "message": message, **(more or {})}})


PROJECT_NOT_FOUND = project_error(404, "Project not found")


def forbidden(details: str) -> ApiResponse:
    """Return a 403 for a request that is rejected whatever its API key is."""
    return _error(403, "Forbidden", details)


def method_not_allowed(allowed: str) -> ApiResponse:
    """Return a 405 that names the methods of the endpoint."""
    return _error(405, "Method not allowed", f"This address answers to {allowed}", {"Allow": allowed})


def conflict(details: str) -> ApiResponse:
    """Return a 409 for a request that does not fit the state of the experiment."""
    return _error(409, "Conflict", details)


def unsupported_media_type(expected: str) -> ApiResponse:
    """Return a 415 that names the media type of the body."""
    return _error(415, "Unsupported media type", f"Send the body as {expected}")


def too_many_incorrect_keys(seconds: int) -> ApiResponse:
    """Return a 429 for a client that has sent too many incorrect API keys."""
    details = f"Too many incorrect API keys; try again in {seconds} seconds"
    return _error(429, "Too many requests", details, {"Retry-After": str(seconds)})


def internal_error(details: str) -> ApiResponse:
    """Return a 500."""
    return _error(500, "Internal server error", details)


def not_implemented(operation_id: str) -> ApiResponse:
    """Return a 501 for an operation of the contract that has no handler."""
    return _error(501, "Not implemented", f"This server does not implement {operation_id}")
