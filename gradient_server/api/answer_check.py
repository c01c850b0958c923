"""Whether an answer is one that the contract allows. Pure."""

from __future__ import annotations

from gradient_server.api.contract import Operation
from gradient_server.api.responses import ApiResponse


def problem_of(operation: Operation, answer: ApiResponse) -> str | None:
    """Say what the contract does not allow in an answer; None: it is as it should be."""
    media_types = operation.answers.get(answer.status)
    if media_types is None:
        return f"it has no status {answer.status}"
    if not media_types:
        return None if answer.body is None else f"status {answer.status} has no body"
    media_type = "text/plain" if isinstance(answer.body, str) else "application/json"
    if media_type not in media_types:
        return f"status {answer.status} has no body of {media_type}"
    errors = media_types[media_type].iter_errors(answer.body)
    found = [f"{'.'.join(map(str, error.instance_path)) or 'the body'}: {error.message}" for error in errors]
    return "; ".join(found) or None
