"""Which answers are given again: what an `Idempotency-Key` stands for, and what is decided when one comes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from gradient_server.api.responses import EXPERIMENT_NOT_FOUND, IDEMPOTENCY_KEY_REUSED, ApiResponse, conflict

HEADER = "Idempotency-Key"
KEPT_SECONDS = 24 * 60 * 60.0
"""Real seconds for which a key is kept at least."""
_DECIDED = {EXPERIMENT_NOT_FOUND.status, conflict("").status}


@frozen(kw_only=True)
class FirstAnswer:
    """The first answer to a key.

    :param bytes request: the digest of what was asked for
    :param int status: the status of the answer
    :param str body: the body of the answer, as JSON: shorter than what it stands for, and there can be many
    :param float moment: when it was given, in real seconds since 1970
    """

    request: bytes
    status: int
    body: str
    moment: float

    @classmethod
    def of(cls, request: bytes, answer: ApiResponse, moment: float) -> FirstAnswer:
        """Make one out of an answer."""
        return cls(request=request, status=answer.status, body=json.dumps(answer.body), moment=moment)

    def is_over(self, now: float) -> bool:
        """Say whether it has been kept for long enough."""
        return now - self.moment > KEPT_SECONDS


def name_of(api_key: str, key: str) -> bytes:
    """Name a key of an API key. Neither can be read out of the name."""
    return _digest([api_key, key])


def request_of(operation_id: str, given: Mapping[str, Any], body: Mapping[str, Any]) -> bytes:
    """Give a digest of what is asked for: the operation, its parameters and its body."""
    return _digest([operation_id, {name: value for name, value in given.items() if name != HEADER}, body])


def known_answer(first: FirstAnswer | None, request: bytes, now: float) -> ApiResponse | None:
    """Decide what is answered without doing anything; None: the request is new, and has to be done.

    :param FirstAnswer first: the first answer to the key of the request, if there is one
    :param bytes request: the digest of the request
    :param float now: real seconds since 1970
    """
    if first is None or first.is_over(now):
        return None
    return ApiResponse(first.status, json.loads(first.body)) if first.request == request else IDEMPOTENCY_KEY_REUSED


def is_kept(answer: ApiResponse) -> bool:
    """Say whether an answer is what the operation decided. Others can be different the next time, and are not kept."""
    return 200 <= answer.status < 300 or answer.status in _DECIDED


def _digest(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
