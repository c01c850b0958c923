"""Large answers: a long list, and a long log."""

from __future__ import annotations

from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.races import race
from benchmarks.servers import Wanted, serving
from benchmarks.workers import CONTENDERS, OLD, RAW, THIS, working

PAGE = 10_000
_MEGABYTE = 1e6


def list_10k(bench: Bench) -> list[Line]:
    """List experiments."""
    count = bench.size(10_000)
    with serving(Wanted(count, seconds=0)) as server, working(CONTENDERS, server, bench.interpreters) as workers:
        found = race(workers, "list_all", bench.rounds(7), count=count)
    aims = [
        Aim("of raw httpx", found.against(RAW), most=1.6),
        Aim("times as fast as the old client", found.faster_than(OLD), least=10),
    ]
    return [Line(f"list() of {count:,}", "s", found.medians(1), found.ratios(), aims)]


def logs_100k(bench: Bench) -> list[Line]:
    """Read a log from its beginning to its end."""
    rows, page = bench.size(100_000), bench.size(PAGE)
    lines = []
    with (
        serving(Wanted(rows=rows, seconds=0)) as server,
        working(CONTENDERS, server, bench.interpreters) as workers,
    ):
        asked: dict[str, Any] = {"handle": server.handles[0], "page": page}
        for way in ("logs", "yield_logs"):
            found = race(workers, way, bench.rounds(7), **asked)
            aims = [
                Aim("of raw httpx", found.against(RAW), most=1.35),
                Aim("times as fast as the old client", found.faster_than(OLD), least=6),
            ]
            lines.append(Line(f"{way}() of {rows:,} rows", "s", found.medians(1), found.ratios(), aims))
        one_page = workers[THIS].do("page", traced=True, **asked)["peak"]
        peaks = {name: worker.do("yield_logs", traced=True, **asked)["peak"] for name, worker in workers.items()}
    aim = Aim("of what one page takes", peaks[THIS] / one_page, most=2)
    figures = {name: peak / _MEGABYTE for name, peak in peaks.items()}
    return [*lines, Line("yield_logs(), memory at its peak", "MB", figures, aims=[aim])]
