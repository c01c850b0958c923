"""Idempotency keys: a repeated request with the same key gets the stored response and has no second effect."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from gradient_server.api.operations import Handler, Parameters
from gradient_server.api.responses import EXPERIMENT_NOT_FOUND, IDEMPOTENCY_KEY_REUSED, ApiResponse, conflict
from gradient_server.store.records import StoredResponse
from gradient_server.store.store import Store

HEADER = "Idempotency-Key"
_STORED_ERRORS = {EXPERIMENT_NOT_FOUND.status, conflict("").status}


class IdempotencyMiddleware:
    """Wraps handlers so that each idempotency key takes effect once.

    :param Store store: keeps the responses
    :param str api_key: the API key that the idempotency keys belong to
    :param real_time: returns real seconds since 1970
    """

    def __init__(self, store: Store, api_key: str, real_time: Callable[[], float] = time.time) -> None:
        self._store = store
        self._api_key = api_key
        self._real_time = real_time
        # A lock exists for as long as a request holds it or waits for it.
        self._locks: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def wrap(self, operation_id: str, handler: Handler) -> Callable[[Parameters, Any], Awaitable[ApiResponse]]:
        """Return a handler that takes effect once for each key, also for requests at the same time."""

        async def wrapped(parameters: Parameters, body: Any) -> ApiResponse:
            if HEADER not in parameters:
                return await _call(handler, parameters, body)
            key = key_digest(self._api_key, parameters[HEADER])
            request = fingerprint(operation_id, parameters, body)
            async with self._locks.setdefault(key, asyncio.Lock()):
                replayed = replay(self._store.stored_response(key), request, self._real_time())
                if replayed:
                    return replayed
                # Changes and response are committed together: after a crash in between, the changes would come twice.
                with self._store.transaction():
                    response = await _call(handler, parameters, body)
                    if is_stored(response):
                        self._store.store_response(key, _stored(request, response, self._real_time()))
                return response

        return wrapped


def key_digest(api_key: str, key: str) -> bytes:
    """Return the digest under which a response is stored; neither of the keys can be recovered from it."""
    return _digest([api_key, key])


def fingerprint(operation_id: str, parameters: Parameters, body: Mapping[str, Any]) -> bytes:
    """Return a digest of a request: its operation, its parameters without the idempotency key, and its body."""
    return _digest([operation_id, {name: value for name, value in parameters.items() if name != HEADER}, body])


def replay(stored: StoredResponse | None, request: bytes, now: float) -> ApiResponse | None:
    """Return the response to a request whose key was used before; None: the key is free.

    :param StoredResponse stored: the stored response of the key
    :param bytes request: the fingerprint of the request
    :param float now: real seconds since 1970
    """
    if stored is None or stored.is_expired(now):
        return None
    return ApiResponse(stored.status, json.loads(stored.body)) if stored.request == request else IDEMPOTENCY_KEY_REUSED


def is_stored(response: ApiResponse) -> bool:
    """Whether a response is final; a request that failed otherwise may be repeated with the same key."""
    return 200 <= response.status < 300 or response.status in _STORED_ERRORS


def _stored(request: bytes, response: ApiResponse, timestamp: float) -> StoredResponse:
    # As JSON, which takes less memory than the objects.
    body = json.dumps(response.body)
    return StoredResponse(request=request, status=response.status, body=body, timestamp=timestamp)


def _digest(value: object) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()


async def _call(handler: Handler, parameters: Parameters, body: Any) -> ApiResponse:
    response = handler(parameters, body)
    return await response if inspect.isawaitable(response) else response
