"""What goes wrong on purpose, how often, and with which request. Pure: a function of the settings and of a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from random import Random

from attrs import field, fields, frozen

from gradient_server.faults import checks

LOGS = "getLogs"
"""The operation whose answers are pages of logs."""


class Kind(StrEnum):
    """What can go wrong, by the names under which it is counted."""

    STATUS = "status"
    STATUS_AFTER = "status_after"
    LATENCY = "latency"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    TRUNCATED_BODY = "truncated_body"
    HALF_BODY = "half_body"
    SLOW_BODY = "slow_body"
    REPEATED_PAGE = "repeated_page"
    MIXED_PAGE = "mixed_page"
    OLD_PAGE = "old_page"
    LATE_PAGE = "late_page"


_RESETS = {"before": Kind.RESET_BEFORE, "after": Kind.RESET_AFTER}
_BODIES = {"truncated": Kind.TRUNCATED_BODY, "half": Kind.HALF_BODY}
_PAGES = {
    "repeated": Kind.REPEATED_PAGE,
    "mixed": Kind.MIXED_PAGE,
    "old": Kind.OLD_PAGE,
    "late": Kind.LATE_PAGE,
}


class WrongFaults(ValueError):
    """Something is set that cannot be.

    :param problems: texts by the name of the setting
    """

    def __init__(self, problems: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in problems.items()))
        self.problems = problems


@frozen(kw_only=True)
class Fault:
    """What happens to one request.

    :param Kind kind: what it is
    :param int status: the status that is answered
    :param bool html: whether it comes with a page as proxies have them, or with the error body of the services
    :param float seconds: how long it takes
    :param float share: where it happens, from 0 to below 1: how much of a body is sent, how old a page is
    """

    kind: Kind
    status: int
    html: bool
    seconds: float
    share: float


def _by(check: checks.Check) -> dict[str, checks.Check]:
    return {"check": check}


def _statuses(given: Sequence[int] | int | None) -> tuple[int, ...]:
    return checks.several(given)


def _names(given: Sequence[str] | str | None) -> tuple[str, ...]:
    return checks.several(given)


@frozen(kw_only=True)
class Faults:
    """What is to go wrong. Of all that is named, one thing happens to a request that is hit, each equally likely.

    :param float rate: share of the requests that are hit, from 0 to 1; default: 1, every one
    :param int seed: what follows from it is which requests are hit, and by what; default: 0
    :param statuses: one or more from 400 to 599: answered instead of acting
    :param statuses_after: one or more from 400 to 599: answered by a proxy, so to speak, after the server has acted
    :param bool html: whether these come with an HTML page or with the error body of the services; default: either
    :param int retry_after: seconds that these name in `Retry-After`; default: there is none
    :param bool retry_after_date: whether `Retry-After` names the date at which they are over; default: False
    :param latency: seconds, or the least and the most of them, for which an answer is held back; the server has acted
    :param resets: "before" or "after" the server acts, or both: the connection is reset, and nothing is answered
    :param bodies: "truncated", when the connection ends in the middle of a body, "half", when half of a JSON document
        is sent as if it was all of it, or both; the server has acted
    :param slow: seconds, or the least and the most of them, over which a body comes in small pieces
    :param log_pages: one or more of: "repeated", rows come twice; "mixed", rows of several jobs are not ordered by
        line, but those of each job are; "old", the page begins before the line that was asked for; "late", it is empty
        although there are rows. The last two end with the run: who asks after its end is told everything.
    :param operations: ids of operations in the contract, such as "createExperiment"; default: all
    :param int times: how often something happens at most; default: without end

    All seconds are real ones.

    :raises WrongFaults: something of it cannot be, or nothing would go wrong
    """

    rate: float = field(default=1.0, metadata=_by(checks.number(0, 1, "It must be a number from 0 to 1.")))
    seed: int = field(default=0, metadata=_by(checks.whole(-math.inf, math.inf, "It must be a whole number.")))
    statuses: tuple[int, ...] = field(default=(), converter=_statuses, metadata=_by(checks.statuses()))
    statuses_after: tuple[int, ...] = field(default=(), converter=_statuses, metadata=_by(checks.statuses()))
    html: bool | None = field(default=None, metadata=_by(checks.truth(optional=True)))
    retry_after: int | None = field(
        default=None, metadata=_by(checks.whole(0, 10**9, "It must be a whole number of seconds.", optional=True))
    )
    retry_after_date: bool = field(default=False, metadata=_by(checks.truth()))
    latency: tuple[float, float] | None = field(default=None, converter=checks.span, metadata=_by(checks.seconds()))
    resets: tuple[str, ...] = field(default=(), converter=_names, metadata=_by(checks.names(_RESETS)))
    bodies: tuple[str, ...] = field(default=(), converter=_names, metadata=_by(checks.names(_BODIES)))
    slow: tuple[float, float] | None = field(default=None, converter=checks.span, metadata=_by(checks.seconds()))
    log_pages: tuple[str, ...] = field(default=(), converter=_names, metadata=_by(checks.names(_PAGES)))
    operations: tuple[str, ...] = field(default=(), converter=_names, metadata=_by(checks.names()))
    times: int | None = field(
        default=None, metadata=_by(checks.whole(1, math.inf, "It must be a whole number above 0.", optional=True))
    )

    def __attrs_post_init__(self) -> None:
        problems: dict[str, list[str]] = {}
        for setting in fields(type(self)):
            if text := setting.metadata["check"](getattr(self, setting.name)):
                problems[setting.name] = [text]
        if not problems and not any(self.kinds_for(operation) for operation in self.operations or [LOGS]):
            problems["faults"] = [
                "Nothing would go wrong; give statuses, statuses_after, latency, resets, bodies, slow or log_pages."
            ]
        if problems:
            raise WrongFaults(problems)

    def kinds_for(self, operation: str) -> list[Kind]:
        """Say what can happen to requests for an operation."""
        if self.operations and operation not in self.operations:
            return []
        chosen = {
            *(_RESETS[name] for name in self.resets),
            *(_BODIES[name] for name in self.bodies),
            *(_PAGES[name] for name in self.log_pages if operation == LOGS),
        }
        further = {
            Kind.STATUS: self.statuses,
            Kind.STATUS_AFTER: self.statuses_after,
            Kind.LATENCY: self.latency,
            Kind.SLOW_BODY: self.slow,
        }
        return [kind for kind in Kind if kind in chosen or further.get(kind)]

    def fault(self, request: int, operation: str) -> Fault | None:
        """Say what happens to a request; None: nothing.

        :param int request: its number, among those to which something can happen
        :param str operation: the id of its operation
        """
        random = Random(f"{self.seed} {request}")
        hit, which, place, duration, coin = (random.random() for _ in range(5))
        kinds = self.kinds_for(operation)
        if hit >= self.rate or not kinds:
            return None
        kind = kinds[int(which * len(kinds))]
        codes = self.statuses if kind == Kind.STATUS else self.statuses_after
        least, most = (self.latency if kind == Kind.LATENCY else self.slow) or (0.0, 0.0)
        return Fault(
            kind=kind,
            status=codes[int(place * len(codes))] if codes else 0,
            html=coin < 0.5 if self.html is None else self.html,
            seconds=least + (most - least) * duration,
            share=place,
        )
