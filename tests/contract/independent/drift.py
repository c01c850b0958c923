"""Redocly's comparison of recorded traffic with the contract."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import har
from attrs import frozen
from contract import KEY_HEADER, SPEC_PATH
from node import REPORTS, run
from recording import Exchange


@frozen
class Verdict:
    """What is wrong, and how much there was to judge."""

    problems: list[str]
    exchanges: int
    documented: int
    coverage: dict[str, Any]
    """What of the contract the traffic covered, in the form that Redocly gives it."""


def compared(name: str, exchanges: Iterable[Exchange]) -> Verdict:
    """Write exchanges to a HAR file, without the key, and let Redocly compare it with the contract."""
    recorded, report, coverage = (REPORTS / f"{name}.{ending}" for ending in ("har", "drift.json", "coverage.json"))
    recorded.write_text(json.dumps(har.archive(exchanges, KEY_HEADER), indent=1), encoding="utf-8")
    done = run(
        "redocly",
        *("drift", recorded, "--api", SPEC_PATH, "--traffic-format", "har", "--match-mode", "basepath"),
        # The header of the key is declared as a security scheme, where this command does not look for headers.
        *("--ignore-headers", KEY_HEADER, "--format", "json", "-o", report, "--coverage-output", coverage),
    )
    if not coverage.exists():
        raise RuntimeError(f"redocly drift gave no report:\n{done.stdout}{done.stderr}")
    said = json.loads(report.read_text(encoding="utf-8"))
    return Verdict(
        problems=[_described(problem) for problem in said["problems"]],
        exchanges=said["run"]["totalExchanges"],
        documented=said["run"]["documentedExchanges"],
        coverage=json.loads(coverage.read_text(encoding="utf-8")),
    )


def _described(problem: dict[str, Any]) -> str:
    return f"{problem['method']} {problem['url']} ({problem['status']}): {problem['message']}"
