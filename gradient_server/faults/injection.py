"""Fault injection around the operations: periods, counts, and the faulty responses."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from attrs import define, field
from gradient_api.constants import TERMINAL_STATES
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gradient_server.api.contract import Operation
from gradient_server.api.validation import MAX_TEXTS, InvalidRequestError, shorten, validate_parameters
from gradient_server.clock import Clock
from gradient_server.faults.responses import (
    DelayedResponse,
    ResetResponse,
    ThrottledResponse,
    TruncatedResponse,
    error_response,
    part_of,
)
from gradient_server.faults.settings import LOGS, Fault, Faults, InvalidFaultsError, Kind
from gradient_server.runners.base import state_at
from gradient_server.store.store import Store

HEADER = "X-Gradient-Fault"
"""The header of a response that names the fault injected into it."""
Endpoint = Callable[[Request], Awaitable[Response]]
Row = dict[str, Any]


@define(eq=False)
class FaultPeriod:
    """A period of fault injection. As a context manager it ends with the block, and the previous period continues.

    :param Faults faults: the settings; None: no faults
    """

    faults: Faults | None
    _injection: FaultInjection
    _previous: FaultPeriod | None = None
    _requests: int = field(default=0, init=False)
    _hits: int = field(default=0, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._injection.end(self, self._previous)

    def next_fault(self, operation: str) -> Fault | None:
        """Return the fault of the next request; None: it is not hit."""
        faults = self.faults
        if faults is None or not faults.kinds_for(operation) or self._hits == faults.times:
            return None
        fault = faults.fault_for(self._requests, operation)
        self._requests += 1
        self._hits += fault is not None
        return fault

    def take_back(self) -> None:
        """Take back the last hit: the fault could not happen to that request."""
        self._hits -= 1


class FaultInjection:
    """Injects faults and counts them. Other threads may begin and end periods.

    :param Store store: the experiments
    :param Clock clock: the simulated time
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.injected: Counter[str] = Counter()
        """How often each kind of fault has been injected."""
        self._store = store
        self._clock = clock
        self._operations: list[str] = []
        self._period: FaultPeriod | None = None

    @property
    def faults(self) -> Faults | None:
        """The settings of the current period."""
        return self._period.faults if self._period else None

    def begin(self, faults: Faults | None) -> FaultPeriod:
        """Inject these faults from now on, in place of any others; None: no faults.

        :raises InvalidFaultsError: an operation does not exist
        """
        unknown = sorted({*faults.operations} - {*self._operations}) if faults else []
        if unknown:
            names = ", ".join(map(shorten, unknown[:MAX_TEXTS]))
            text = f"There is no {names}; there are {', '.join(self._operations)}."
            raise InvalidFaultsError({"operations": [text]})
        self._period = FaultPeriod(faults, self, self._period)
        return self._period

    def end(self, period: FaultPeriod, previous: FaultPeriod | None) -> None:
        """Return to the previous period, unless this one has been replaced."""
        if self._period is period:
            self._period = previous

    def reset(self) -> None:
        """Inject no faults any more, and forget how often it was done."""
        self._period = None
        self.injected.clear()

    def wrap(self, operation: Operation, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint that injects faults into an operation."""
        self._operations.append(operation.id)

        async def injected(request: Request) -> Response:
            period = self._period
            fault = period.next_fault(operation.id) if period else None
            if not (period and period.faults and fault):
                return await endpoint(request)
            page = self._log_page(operation, request)
            response, is_faulty = await _respond(fault, period.faults, page, endpoint, request)
            if is_faulty:
                self.injected[fault.kind.value] += 1
                response.headers[HEADER] = fault.kind.value
            else:
                period.take_back()
            return response

        return injected

    def _log_page(self, operation: Operation, request: Request) -> _LogPage | None:
        if operation.id != LOGS:
            return None
        try:
            query = validate_parameters(operation, request.path_params, request.query_params.multi_items(), {})
        except InvalidRequestError:
            return None
        found = self._store.get(query["experimentId"])
        is_running = found is not None and state_at(found.run.transitions, self._clock.now()) not in TERMINAL_STATES
        return _LogPage(query, is_running)


@define
class _LogPage:
    """The log page that a request asks for; once the run has ended, nothing of it is withheld."""

    query: dict[str, Any]
    is_running: bool


async def _respond(
    fault: Fault, faults: Faults, page: _LogPage | None, endpoint: Endpoint, request: Request
) -> tuple[Response, bool]:
    """Return the response to a request that is hit, and whether the fault could happen to it."""
    if fault.kind == Kind.STATUS:
        return error_response(fault, faults), True
    if fault.kind == Kind.RESET_BEFORE:
        return ResetResponse(), True
    if fault.kind == Kind.OLD_PAGE and page and page.is_running and page.query["line"]:
        old_page = await endpoint(_older_request(request, page.query, fault.share))
        if old_page.status_code == 200:
            return old_page, True
    response = await endpoint(request)
    faulty = _altered(fault, faults, response) or _altered_page(fault, page, response)
    return (faulty, True) if faulty else (response, False)


def _altered(fault: Fault, faults: Faults, response: Response) -> Response | None:
    """Return a response with the fault; None: the fault cannot happen to this one."""
    body = bytes(response.body)
    match fault.kind:
        case Kind.STATUS_AFTER:
            return error_response(fault, faults)
        case Kind.RESET_AFTER:
            return ResetResponse()
        case Kind.LATENCY:
            return DelayedResponse(response, fault.seconds)
        case Kind.SLOW_BODY if body:
            return ThrottledResponse(response, fault.seconds)
        case Kind.TRUNCATED_BODY if len(body) > 1:
            return TruncatedResponse(response, fault.share)
        case Kind.HALF_BODY if len(body) > 1 and isinstance(response, JSONResponse):
            return Response(part_of(response, fault.share), response.status_code, media_type=response.media_type)
        case _:
            return None


def _altered_page(fault: Fault, page: _LogPage | None, response: Response) -> Response | None:
    if page is None or response.status_code != 200:
        return None
    rows = json.loads(bytes(response.body))
    match fault.kind:
        case Kind.LATE_PAGE if page.is_running:
            return Response(status_code=204)
        case Kind.REPEATED_PAGE:
            altered = repeated(rows, page.query["limit"])
        case Kind.MIXED_PAGE:
            altered = mixed(rows, Random(fault.share))
        case _:
            return None
    return JSONResponse(altered) if altered != rows else None


def _older_request(request: Request, query: dict[str, Any], share: float) -> Request:
    older_query = {name: query[name] for name in ("experimentId", "limit")} | {"line": older(query["line"], share)}
    return Request({**request.scope, "query_string": urlencode(older_query).encode()}, request.receive)


# Log pages of servers that keep rows in several places: true rows in another order. No job goes back, and no row is
# left out of a page that is not full, so that a careful reader can follow.


def repeated(rows: Sequence[Row], limit: int) -> list[Row]:
    """Return rows twice, one right after the other: of a full page those that fit, else as many as have room."""
    room = len(rows) if len(rows) >= limit else limit - len(rows)
    return [row for place, row in enumerate(rows) for _ in range(2 if place < room else 1)][:limit]


def mixed(rows: Sequence[Row], random: Random) -> list[Row]:
    """Return the rows of all jobs in random order, but those of each job in theirs."""
    turns = [row["jobId"] for row in rows]
    random.shuffle(turns)
    left = {job: iter([row for row in rows if row["jobId"] == job]) for job in set(turns)}
    return [next(left[job]) for job in turns]


def older(line: int, share: float) -> int:
    """Return a line before another one."""
    # In whole numbers: a line can have more digits than a float.
    return line * int(share * 2**53) >> 53
