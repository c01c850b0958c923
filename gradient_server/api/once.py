"""Exactly once: what is asked for again with the same `Idempotency-Key` is answered again, and not done again."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from gradient_server.api.idempotency import HEADER, FirstAnswer, is_kept, known_answer, name_of, request_of
from gradient_server.api.responses import ApiResponse
from gradient_server.store.store import Store

Given = Mapping[str, Any]
Body = dict[str, Any]
Act = Callable[[Given, Body], ApiResponse | Awaitable[ApiResponse]]


class Once:
    """The keys of one API key.

    :param Store store: where first answers are kept
    :param str api_key: whose keys they are
    :param real_time: gives real seconds since 1970
    """

    def __init__(self, store: Store, api_key: str, real_time: Callable[[], float] = time.time) -> None:
        self._store = store
        self._api_key = api_key
        self._real_time = real_time
        # A lock is there for as long as somebody has it or waits for it.
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    def guarded(self, operation_id: str, act: Act) -> Callable[[Given, Body], Awaitable[ApiResponse]]:
        """Give an operation that does a request with a key once, whether it comes later again or at the same time."""

        async def guarded(given: Given, body: Body) -> ApiResponse:
            key = given.get(HEADER)
            if key is None:
                return await _acted(act, given, body)
            name, request = name_of(self._api_key, key), request_of(operation_id, given, body)
            turn = self._turns.setdefault(name, asyncio.Lock())
            async with turn:
                known = known_answer(self._store.first_answer(name), request, self._real_time())
                if known:
                    return known
                # Its changes and its answer count together: else a crash in between would have them done twice.
                with self._store.transaction():
                    answer = await _acted(act, given, body)
                    if is_kept(answer):
                        self._store.keep(name, FirstAnswer.of(request, answer, self._real_time()))
                return answer

        return guarded


async def _acted(act: Act, given: Given, body: Body) -> ApiResponse:
    answer = act(given, body)
    return await answer if inspect.isawaitable(answer) else answer
