"""What the server answers when it cannot do what it was asked, in the words of the historical services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen
class Answer:
    """A status and a body: JSON, plain text, or nothing."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(factory=dict)


FORBIDDEN = Answer(403, {"details": "Incorrect API Key provided", "error": "Forbidden"})
UNAUTHORIZED = Answer(401, "Authentication failed")
NOT_FOUND = Answer(404, {"details": "Experiment not found", "error": "Object not found"})
NO_SUCH_PATH = Answer(404, {"details": "There is nothing at this address", "error": "Not found"})
WRONG_MEDIA_TYPE = Answer(415, {"details": "Send the body as application/json", "error": "Unsupported media type"})
BROKEN = Answer(500, {"error": "Internal server error"})


def invalid(problems: Mapping[str, list[str]] | str) -> Answer:
    """Answer a request that is not as the contract says; the problems are listed by the name of the member."""
    return Answer(400, {"details": problems, "error": "Experiment data error"})


def conflict(details: str) -> Answer:
    """Answer a request that does not fit the state of the experiment."""
    return Answer(409, {"details": details, "error": "Conflict"})


def wrong_method(allowed: str) -> Answer:
    """Answer a method that an address does not have."""
    details = f"This address answers to {allowed}"
    return Answer(405, {"details": details, "error": "Method not allowed"}, {"Allow": allowed})
