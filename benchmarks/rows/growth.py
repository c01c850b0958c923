"""Cost against size: whether an item costs the same however many there are, and memory stays as promised."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.races import race
from benchmarks.servers import Wanted, serving
from benchmarks.workers import RAW, THIS, working

SIZES = (1_000, 10_000, 100_000)
_PAGE = 1_000
_MICROSECOND = 1e-6
_MEGABYTE = 1e6
_FLAT = 1.2
_PAGES_IN_MEMORY = 2


def growth(bench: Bench) -> list[Line]:
    """List and read logs of several sizes."""
    costs: dict[str, list[Line]] = {"list": [], "yield_logs": []}
    peaks: dict[str, list[Line]] = {"iter_experiments": [], "yield_logs": []}
    for size in SIZES:
        count = bench.size(size)
        with (
            serving(Wanted(count, rows=count, seconds=0)) as server,
            working([THIS, RAW], server, bench.interpreters) as workers,
        ):
            log: dict[str, Any] = {"handle": server.handles[0], "page": bench.size(_PAGE)}
            times = max(1, SIZES[1] // size)
            for what, act, asked in (("list", "list_all", {"count": count}), ("yield_logs", "yield_logs", log)):
                found = race(workers, act, bench.rounds(5), times, **asked)
                name = f"{what}() of {count:,}, an item"
                costs[what].append(Line(name, "µs", found.medians(_MICROSECOND * count), found.ratios()))
            for what, asked in (("iter_experiments", {"page": bench.size(_PAGE)}), ("yield_logs", log)):
                peak = workers[THIS].do(what, traced=True, **asked)["peak"] / _MEGABYTE
                peaks[what].append(Line(f"{what}() of {count:,}, memory at its peak", "MB", {THIS: peak}))
    flat = [_with_aim(lines, "the dearest size to the cheapest, an item", _FLAT) for lines in costs.values()]
    # The smallest size is one page.
    small = [_with_aim(lines, "of the memory that one page takes", _PAGES_IN_MEMORY) for lines in peaks.values()]
    return [line for lines in flat + small for line in lines]


def _with_aim(lines: list[Line], text: str, most: float) -> list[Line]:
    """Say at the last line, that of the largest size, what it should be."""
    figures = [line.figures[THIS] for line in lines]
    return [*lines[:-1], evolve(lines[-1], aims=[Aim(text, max(figures) / min(figures), most=most)])]
