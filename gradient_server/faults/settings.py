"""Settings of fault injection, and the fault that follows from them and the number of a request. No I/O."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from random import Random
from typing import Any, TypeVar, cast

from attrs import asdict, field, frozen
from jsonschema_rs import Draft202012Validator

LOGS = "getLogs"
"""The operation that returns log pages."""
MAX_SECONDS = 3600
MAX_ITEMS = 200
"""How many statuses, operations or the like a setting can have: as many as there are statuses."""


class Kind(StrEnum):
    """The kinds of faults, by the names under which they are counted."""

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
_PAGES = {"repeated": Kind.REPEATED_PAGE, "mixed": Kind.MIXED_PAGE, "old": Kind.OLD_PAGE, "late": Kind.LATE_PAGE}


def _array_of(items: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": MAX_ITEMS, "description": description}


def _names(names: Collection[str]) -> dict[str, Any]:
    return _array_of({"enum": [*names]}, f"one or more of {', '.join(names)}")


_STATUSES = _array_of({"type": "integer", "minimum": 400, "maximum": 599}, f"1 to {MAX_ITEMS} statuses from 400 to 599")
_SECONDS: dict[str, Any] = {
    "type": ["array", "null"],
    "items": {"type": "number", "minimum": 0, "maximum": MAX_SECONDS},
    "minItems": 2,
    "maxItems": 2,
    "description": f"seconds from 0 to {MAX_SECONDS}, or the least and the most of them",
}
SCHEMA: dict[str, dict[str, Any]] = {
    "rate": {"type": "number", "minimum": 0, "maximum": 1, "description": "a number from 0 to 1"},
    "seed": {"type": "integer", "description": "a whole number"},
    "statuses": _STATUSES,
    "statuses_after": _STATUSES,
    "html": {"type": ["boolean", "null"], "description": "true or false"},
    "retry_after": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 10**9,
        "description": "a whole number of seconds from 0",
    },
    "retry_after_date": {"type": "boolean", "description": "true or false"},
    "latency": _SECONDS,
    "resets": _names(_RESETS),
    "bodies": _names(_BODIES),
    "slow": _SECONDS,
    "log_pages": _names(_PAGES),
    "operations": _array_of({"type": "string"}, f"1 to {MAX_ITEMS} ids of operations"),
    "times": {"type": ["integer", "null"], "minimum": 1, "description": "a whole number above 0"},
}
"""The settings as JSON Schema; the descriptions go into errors."""
_VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMA.items()}


class InvalidFaultsError(ValueError):
    """One or more settings are invalid.

    :param problems: texts by the name of the setting
    """

    def __init__(self, problems: Mapping[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {' '.join(texts)}" for name, texts in problems.items()))
        self.problems = problems


@frozen(kw_only=True)
class Fault:
    """A fault for one request.

    :param Kind kind: what happens
    :param int status: the status of the response, for faults that have one
    :param bool html: whether its body is HTML, as proxies send it, or the error body of the services
    :param float seconds: how long the response is delayed, or its body takes
    :param float share: where it happens, from 0 to below 1: how much of a body is sent, how old a page is
    """

    kind: Kind
    status: int
    html: bool
    seconds: float
    share: float


_Value = TypeVar("_Value")


def _as_tuple(given: Sequence[_Value] | _Value | None) -> tuple[_Value, ...]:
    if given is None:
        return ()
    is_one = isinstance(given, str) or not isinstance(given, Sequence)
    return tuple(cast("Sequence[_Value]", [given] if is_one else given))


def _statuses(given: Sequence[int] | int | None) -> tuple[int, ...]:
    return _as_tuple(given)


def _texts(given: Sequence[str] | str | None) -> tuple[str, ...]:
    return _as_tuple(given)


def _range(given: Sequence[float] | float | None) -> tuple[float, float] | None:
    """Return one duration as the least and the most; that there are two numbers is validated later."""
    if given is None:
        return None
    is_one = isinstance(given, str) or not isinstance(given, Sequence)
    return cast("tuple[float, float]", (given, given) if is_one else tuple(cast("Sequence[float]", given)))


@frozen(kw_only=True)
class Faults:
    """Settings of fault injection. A request that is hit gets one of the faults, each with the same probability.

    :param float rate: share of the requests that are hit, from 0 to 1; default: 1, all of them
    :param int seed: decides which requests are hit, and by which fault; default: 0
    :param statuses: one or more from 400 to 599: the server responds with it and does not act
    :param statuses_after: one or more from 400 to 599: the server acts and responds with it, as a proxy would
    :param bool html: whether these responses have an HTML page, or the error body of the services; default: either
    :param int retry_after: seconds in their `Retry-After` header; default: no header
    :param bool retry_after_date: whether `Retry-After` is the date at which these seconds are over; default: False
    :param latency: seconds, or the least and the most of them, by which a response is delayed; the server has acted
    :param resets: "before" or "after" the server acts, or both: the connection is reset instead of a response
    :param bodies: "truncated": the connection is closed in the middle of the body; "half": half of a JSON document is
        sent as if it was all of it; or both; the server has acted
    :param slow: seconds, or the least and the most of them, over which a body is sent in small pieces
    :param log_pages: one or more of: "repeated", rows come twice; "mixed", rows of several jobs are not ordered by
        line, but those of each job are; "old", the page begins before the requested line; "late", the page is empty
        although there are rows. The last two end with the run: after its end nothing is withheld.
    :param operations: ids of operations in the contract, such as "createExperiment"; default: all
    :param int times: how many faults to inject at most; default: no limit

    All seconds are real ones.

    :raises InvalidFaultsError: settings are invalid, or no fault is chosen
    """

    rate: float = 1.0
    seed: int = 0
    statuses: tuple[int, ...] = field(default=(), converter=_statuses)
    statuses_after: tuple[int, ...] = field(default=(), converter=_statuses)
    html: bool | None = None
    retry_after: int | None = None
    retry_after_date: bool = False
    latency: tuple[float, float] | None = field(default=None, converter=_range)
    resets: tuple[str, ...] = field(default=(), converter=_texts)
    bodies: tuple[str, ...] = field(default=(), converter=_texts)
    slow: tuple[float, float] | None = field(default=None, converter=_range)
    log_pages: tuple[str, ...] = field(default=(), converter=_texts)
    operations: tuple[str, ...] = field(default=(), converter=_texts)
    times: int | None = None

    def __attrs_post_init__(self) -> None:
        problems = {
            name: [f"It must be {SCHEMA[name]['description']}, not {reprlib.repr(value)}."]
            for name, value in asdict(self, recurse=False).items()
            if not _is_valid(name, value)
        }
        if not problems and not any(self.kinds_for(operation) for operation in self.operations or [LOGS]):
            problems["faults"] = [
                "No fault is chosen; give statuses, statuses_after, latency, resets, bodies, slow or log_pages."
            ]
        if problems:
            raise InvalidFaultsError(problems)

    def kinds_for(self, operation: str) -> list[Kind]:
        """Return the kinds of faults that can happen to requests for an operation."""
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

    def fault_for(self, request: int, operation: str) -> Fault | None:
        """Return the fault of a request; None: it is not hit.

        :param int request: its number, among those that can be hit
        :param str operation: the id of its operation
        """
        random = Random(f"{self.seed} {request}")
        hit, which, place, duration, coin = (random.random() for _ in range(5))
        kinds = self.kinds_for(operation)
        if hit >= self.rate or not kinds:
            return None
        kind = kinds[int(which * len(kinds))]
        statuses = self.statuses if kind == Kind.STATUS else self.statuses_after
        least, most = (self.latency if kind == Kind.LATENCY else self.slow) or (0.0, 0.0)
        return Fault(
            kind=kind,
            status=int(statuses[int(place * len(statuses))]) if statuses else 0,
            html=coin < 0.5 if self.html is None else self.html,
            seconds=least + (most - least) * duration,
            share=place,
        )


def _is_valid(name: str, value: Any) -> bool:
    try:
        is_valid = _VALIDATORS[name].is_valid(value)
    except ValueError:  # nothing that JSON knows
        return False
    return is_valid and (SCHEMA[name] is not _SECONDS or value is None or value[0] <= value[1])
