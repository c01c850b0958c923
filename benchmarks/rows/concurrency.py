"""Many experiments at once, by one asynchronous client."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.races import race
from benchmarks.servers import Wanted, serving
from benchmarks.workers import RAW, THIS, working

_AT_ONCE = 50
# Fast, so that the benchmark measures calls and not the time that runs take.
_TIME_SCALE = 1000.0


def async_1000(bench: Bench) -> list[Line]:
    """Create, start and await experiments."""
    count, wanted = max(_AT_ONCE, bench.size(1000)), Wanted(seconds=10)
    given: dict[str, Any] = {"parameters": wanted.parameters, "body": wanted.body}
    with (
        serving(time_scale=_TIME_SCALE) as server,
        working([THIS, RAW], server, bench.interpreters) as workers,
    ):
        found = race(workers, "many", bench.rounds(3), count=count, at_once=_AT_ONCE, **given)
    aim = Aim("of the throughput of raw httpx.AsyncClient", found.faster_than(RAW), least=0.9)
    name = f"{count:,} create + start + wait, {_AT_ONCE} at a time"
    return [Line(name, "s", found.medians(1), found.ratios(), [aim])]
