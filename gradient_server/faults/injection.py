"""What goes wrong on purpose, around the operations: for how long, to which requests, and how often it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from attrs import define, field
from gradient_api.constants import TERMINAL_STATES
from starlette.requests import Request
from starlette.responses import Response

from gradient_server.api.contract import Operation
from gradient_server.api.validation import InvalidRequest, checked_parameters
from gradient_server.clock import Clock
from gradient_server.faults.effects import Page, instead_of_acting, instead_of_answering, instead_of_asking
from gradient_server.faults.settings import LOGS, Fault, Faults, WrongFaults
from gradient_server.runners.base import state_at
from gradient_server.store.store import Store

HEADER = "X-Gradient-Fault"
"""The header of an answer that says what was done to it."""
Endpoint = Callable[[Request], Awaitable[Response]]


@define(eq=False)
class FaultPeriod:
    """A time in which something goes wrong. As a context manager it ends with the block; then what was before is back.

    :param Faults faults: what goes wrong
    """

    faults: Faults | None
    _injection: FaultInjection
    _before: FaultPeriod | None = field(default=None, init=False)
    _requests: int = field(default=0, init=False)
    _hits: int = field(default=0, init=False)

    def __enter__(self) -> Self:
        # Not before: what will not come back is not kept, however often something else is let go wrong.
        self._before = self._injection.before(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._injection.end(self, self._before)

    def next_fault(self, operation: str) -> Fault | None:
        """Say what happens to the next request."""
        faults = self.faults
        if faults is None or not faults.kinds_for(operation) or self._hits == faults.times:
            return None
        fault = faults.fault(self._requests, operation)
        self._requests += 1
        self._hits += fault is not None
        return fault

    def missed(self) -> None:
        """Take back the last hit: there was nothing that could have gone wrong."""
        self._hits -= 1


class FaultInjection:
    """Lets things go wrong, and counts them. Safe to be told so from other threads.

    :param Store store: the experiments
    :param Clock clock: what time it is
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.injected: Counter[str] = Counter()
        """How often what has gone wrong."""
        self._store = store
        self._clock = clock
        self._operations: list[str] = []
        self._period: FaultPeriod | None = None
        self._replaced: FaultPeriod | None = None

    @property
    def faults(self) -> Faults | None:
        """What goes wrong now."""
        return self._period.faults if self._period else None

    def begin(self, faults: Faults | None) -> FaultPeriod:
        """Let this go wrong from now on, and nothing else; None: nothing.

        :raises WrongFaults: there is no such operation
        """
        unknown = sorted({*faults.operations} - {*self._operations}) if faults else []
        if unknown:
            text = f"There is no {', '.join(unknown)}; there are {', '.join(self._operations)}."
            raise WrongFaults({"operations": [text]})
        period = FaultPeriod(faults, self)
        self._replaced, self._period = self._period, period
        return period

    def before(self, period: FaultPeriod) -> FaultPeriod | None:
        """Say what a period that has just begun has replaced."""
        return self._replaced if self._period is period else None

    def end(self, period: FaultPeriod, before: FaultPeriod | None) -> None:
        """Go back to what was before a period, unless it has ended otherwise."""
        if self._period is period:
            self._period = before
            self._replaced = None

    def forget(self) -> None:
        """Let nothing go wrong any more, and forget what has."""
        self._period = self._replaced = None
        self.injected.clear()

    def around(self, operation: Operation, endpoint: Endpoint) -> Endpoint:
        """Give an operation with which things go wrong."""
        self._operations.append(operation.id)

        async def injected(request: Request) -> Response:
            period = self._period
            fault = period.next_fault(operation.id) if period else None
            if not (period and period.faults and fault):
                return await endpoint(request)
            answer, is_spoiled = await self._answer(fault, period.faults, operation, endpoint, request)
            if is_spoiled:
                self.injected[fault.kind.value] += 1
                answer.headers[HEADER] = fault.kind.value
            else:
                period.missed()
            return answer

        return injected

    async def _answer(
        self, fault: Fault, faults: Faults, operation: Operation, endpoint: Endpoint, request: Request
    ) -> tuple[Response, bool]:
        """Answer a request that was hit, and say whether there was something that could go wrong."""
        if spoiled := instead_of_acting(fault, faults):
            return spoiled, True
        page = self._page_asked(operation, request)
        if page and (earlier := instead_of_asking(fault, page, request)):
            old_page = await endpoint(earlier)
            if old_page.status_code == 200:
                return old_page, True
        answer = await endpoint(request)
        spoiled = instead_of_answering(fault, faults, answer, page)
        return (spoiled, True) if spoiled else (answer, False)

    def _page_asked(self, operation: Operation, request: Request) -> Page | None:
        if operation.id != LOGS:
            return None
        try:
            given = checked_parameters(operation, request.path_params, request.query_params.multi_items(), {})
        except InvalidRequest:
            return None
        found = self._store.get(given["experimentId"])
        goes_on = found is not None and state_at(found.run.transitions, self._clock.now()) not in TERMINAL_STATES
        return Page(given=given, run_goes_on=goes_on)
