"""What goes wrong between the callers and the server: everything that the server can do, but to pages of logs. Pure."""

from __future__ import annotations

from random import Random
from typing import Any

TIMEOUT = 0.5
"""Seconds for which the client waits; an answer that is held back comes later than that."""
RATE = 0.3
_RETRY_AFTER: tuple[dict[str, Any], ...] = (
    {},
    {"retry_after": 1},
    {"retry_after": 1, "retry_after_date": True},
)


def bad_network(seed: int, period: int, rate: float = RATE) -> dict[str, Any]:
    """Give settings of `LocalServer.faults()`.

    :param int seed: what the choice of requests that are hit follows from
    :param int period: the number of the time between two restarts; in each, others are hit, and a server that cannot
        do what it is asked says in another way how long to wait: not at all, in seconds, or by a date
    :param float rate: share of the requests that are hit
    """
    return {
        "rate": rate,
        "seed": seed * 1_000_003 + period,
        "statuses": [408, 429, 500, 502, 503, 504],
        "statuses_after": [500, 502, 503, 504],
        "resets": ["before", "after"],
        "bodies": ["truncated", "half"],
        "latency": [TIMEOUT * 1.2, TIMEOUT * 2],
        "slow": [0.02, 0.2],
        **_RETRY_AFTER[period % len(_RETRY_AFTER)],
    }


def moments(seed: int, count: int, calls: int) -> list[int]:
    """Say after how many finished calls the server goes away: so many different moments, in the middle of the work."""
    return sorted(Random(seed).sample(range(calls // 20, calls - calls // 20), count))
