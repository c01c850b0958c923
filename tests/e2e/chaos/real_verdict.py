"""Compares what followers of real runs were told with what there is at the end. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tests.e2e.chaos.followers import ROWS, Followed, Rows

_NOT_USED = "This runs as a process of the server's machine: "


def wrong_in(
    told: Sequence[Followed], again: Mapping[str, Rows], ran: Sequence[str], listed: Sequence[str]
) -> dict[str, list[str]]:
    """Give by the kind of what must not be a sentence for each time that it is.

    :param told: what callers were told
    :param again: by their handles, the rows of experiments as they are at the end
    :param ran: the name of an experiment for each time that a command of it has begun
    :param listed: the handles of all experiments, as the server lists them
    """
    times = Counter(ran)
    ended = [one for one in told if not one.error]
    return {
        "errors of the client": [f"{one.name}: {one.error!r}" for one in told if one.error],
        "rows lost": [f"{one.name}: {row}" for one in ended for row in _missing(one)],
        "rows doubled": [f"{one.name}: {row}" for one in told for row in _doubled(one.rows)],
        "rows out of order": [f"{one.name}" for one in told if not _is_ordered(one.rows)],
        "logs not as printed": [f"{one.name}: {one.rows}" for one in ended if _known(one) != _expected(one)],
        "logs that have changed": [f"{one.name}" for one in ended if again[one.handle] != one.rows],
        "wrong outcomes": [f"{one.name}: {one.state}" for one in ended if one.state != one.kind.outcome],
        "commands that never ran": [one.name for one in ended if times[one.name] < one.kind.nodes],
        "commands that ran twice": [one.name for one in told if times[one.name] > one.kind.nodes],
        "experiments not listed": [one.name for one in ended if listed.count(one.handle) != 1],
        "experiments of nobody": [handle for handle in listed if handle not in {one.handle for one in told}],
    }


def _expected(one: Followed) -> list[list[tuple[int, str]]]:
    """What the nodes of an experiment print, the shortest first; their first row says what is not used."""
    printed = [(1, _NOT_USED), *((number + 1, f"{one.name} {number}") for number in range(1, ROWS + 1))]
    return [printed[:1]] * (one.kind.nodes - one.kind.workers) + [printed] * one.kind.workers


def _known(one: Followed) -> list[list[tuple[int, str]]]:
    rows = [
        [(line, _NOT_USED if text.startswith(_NOT_USED) else text) for line, text in job] for job in one.rows.values()
    ]
    return sorted(rows, key=len)


def _missing(one: Followed) -> list[tuple[int, str]]:
    found = Counter(row for job in _known(one) for row in job)
    return list((Counter(row for job in _expected(one) for row in job) - found).elements())


def _doubled(rows: Rows) -> list[int]:
    return [line for job in rows.values() for line, times in Counter(line for line, _ in job).items() if times > 1]


def _is_ordered(rows: Rows) -> bool:
    return all(job == sorted(job) for job in rows.values())
