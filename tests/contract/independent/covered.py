"""How much of the contract the traffic covered, by the reports of Redocly: a table, and the floor. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

NEVER = {
    ("createExperiment", "404"): "the local server takes experiments of any project",
    ("runExperiment", "404"): "the local server takes experiments of any project",
    ("createExperiment", "413"): "bodies of many MiB are sent in tests/server/api/test_protocol.py",
    ("runExperiment", "413"): "bodies of many MiB are sent in tests/server/api/test_protocol.py",
}
"""Statuses that the local server is not brought to answer with here, and why."""


@frozen
class Part:
    """One kind of thing that an operation has: those that were seen, and those that were not."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join([*self.seen, *(f"({name})" for name in self.unseen)])


@frozen(kw_only=True)
class Covered:
    """What was seen of one operation."""

    operation: str
    parameters: Part
    fields: Part
    statuses: Part


def covered(from_clients: Mapping[str, Any], from_all: Mapping[str, Any]) -> list[Covered]:
    """Put two reports together: what is sent counts where clients sent it, a status counts whoever it was said to."""
    everything = {report["operationId"]: report for report in from_all["operations"]}
    return [
        Covered(
            operation=report["operationId"],
            parameters=_part(report, "name", kind="parameter"),
            fields=_part(report, "path", kind="property", target="request"),
            statuses=_part(everything[report["operationId"]], "status", kind="response"),
        )
        for report in from_clients["operations"]
    ]


def _part(report: Mapping[str, Any], name: str, **wanted: str) -> Part:
    def names(items: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
        return tuple(item[name] for item in items if wanted.items() <= item.items())

    return Part(names(report["covered"]), names(report["missing"]))


def below_the_floor(found: Iterable[Covered]) -> list[str]:
    """Say what is missing, and which exception is none any more."""
    problems, unseen = [], set()
    for one in found:
        problems += [f"{one.operation}: no client sent the parameter {name}" for name in one.parameters.unseen]
        problems += [f"{one.operation}: no client sent the field {name}" for name in one.fields.unseen]
        unseen |= {(one.operation, status) for status in one.statuses.unseen}
    problems += [f"{operation}: the server never answered {status}" for operation, status in unseen - NEVER.keys()]
    problems += [f"{operation}: {status} is no exception any more" for operation, status in NEVER.keys() - unseen]
    return sorted(problems)


def table(found: Iterable[Covered]) -> list[str]:
    """Show it, an operation a line and aligned; in brackets what was not seen."""
    rows = [("operation", "statuses", "fields", "parameters")]
    for one in found:
        fields = len(one.fields.seen), len(one.fields.seen) + len(one.fields.unseen)
        rows.append(
            (
                one.operation,
                str(one.statuses),
                "{}/{}".format(*fields) if fields[1] else "-",
                str(one.parameters) or "-",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons = [f"({status}) of {operation}: {reason}" for (operation, status), reason in NEVER.items()]
    return [*lines, "", *reasons]
