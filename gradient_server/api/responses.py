"""What the server answers when it cannot do what it was asked, in the words of the historical services."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from attrs import field, frozen
from starlette.responses import JSONResponse, PlainTextResponse, Response


@frozen
class Pending:
    """What an answer waits for that will be another one when something happens.

    :param str handle: the experiment to which it happens
    :param float moment: the simulated moment at which it happens if nobody does anything; infinity: it does not
    """

    handle: str
    moment: float


@frozen
class Answer:
    """A status and a body: JSON, plain text, or nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(factory=dict[str, str])
    pending: Pending | None = field(default=None, eq=False)
    """What a long poll would wait for; None: it has this answer at once."""


MOST_BYTES = 8 * 2**20
"""The largest body that is taken; the largest that makes sense is a thousand times smaller."""
FORBIDDEN = Answer(403, {"details": "Incorrect API Key provided", "error": "Forbidden"})
UNAUTHORIZED = Answer(401, "Authentication failed")
NOT_FOUND = Answer(404, {"details": "Experiment not found", "error": "Object not found"})
NO_SUCH_PATH = Answer(404, {"details": "There is nothing at this address", "error": "Not found"})
TOO_LARGE = Answer(
    413, {"details": f"A body can have at most {MOST_BYTES // 2**20} MiB", "error": "Request entity too large"}
)
WRONG_MEDIA_TYPE = Answer(415, {"details": "Send the body as application/json", "error": "Unsupported media type"})
TOO_MANY_CONNECTIONS = Answer(
    503, {"details": "Too many connections are open", "error": "Service unavailable"}, {"Retry-After": "1"}
)
OTHER_REQUEST = Answer(
    422,
    {
        "details": "The Idempotency-Key belongs to another request; give each call a key of its own",
        "error": "Unprocessable content",
    },
)


def invalid(problems: Mapping[str, list[str]] | str) -> Answer:
    """Answer a request that is not as the contract says; the problems are listed by the name of the member."""
    return Answer(400, {"details": problems, "error": "Experiment data error"})


def broken(details: str) -> Answer:
    """Answer when something is wrong with the server itself."""
    return Answer(500, {"details": details, "error": "Internal server error"})


def forbidden(details: str) -> Answer:
    """Answer a request that is refused whatever its key is."""
    return Answer(403, {"details": details, "error": FORBIDDEN.body["error"]})


def too_many_wrong_keys(seconds: int) -> Answer:
    """Answer who has given wrong keys again and again."""
    details = f"Too many incorrect API keys; try again in {seconds} seconds"
    return Answer(429, {"details": details, "error": "Too many requests"}, {"Retry-After": str(seconds)})


def too_slow(what: str, seconds: float) -> Answer:
    """Answer a request that does not come to its end."""
    return Answer(408, {"details": f"The {what} took longer than {seconds:g} seconds", "error": "Request timeout"})


def conflict(details: str) -> Answer:
    """Answer a request that does not fit the state of the experiment."""
    return Answer(409, {"details": details, "error": "Conflict"})


def wrong_method(allowed: str) -> Answer:
    """Answer a method that an address does not have."""
    details = f"This address answers to {allowed}"
    return Answer(405, {"details": details, "error": "Method not allowed"}, {"Allow": allowed})


def not_http(status: HTTPStatus, problem: str) -> Answer:
    """Answer what cannot be read as a request."""
    return Answer(status, {"details": f"This is not a request in HTTP/1.1: {problem}", "error": status.phrase})


def rendered(answer: Answer) -> Response:
    """Write an answer down as it is sent."""
    headers = dict(answer.headers)
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers)
    if isinstance(answer.body, str):
        return PlainTextResponse(answer.body, answer.status, headers)
    return JSONResponse(answer.body, answer.status, headers)
