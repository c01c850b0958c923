"""Cost against size: the time for an item and the memory for all of them, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.races import Race, race
from benchmarks.servers import Wanted, serving
from benchmarks.workers import RAW, THIS, Worker, working

SIZES = (1_000, 10_000, 100_000)
_PAGE = 1_000
_MICROSECOND = 1e-6
_MEGABYTE = 1e6
_FLAT = 1.2
_PAGES_IN_MEMORY = 2


def growth(bench: Bench) -> list[Line]:
    """List experiments and read logs of several sizes at one server."""
    sizes, page = [bench.size(size) for size in SIZES], bench.size(_PAGE)
    logs = [Wanted(rows=size, seconds=0) for size in sizes]
    with (
        serving(*logs, Wanted(sizes[-1], seconds=0)) as server,
        working([THIS, RAW], server, bench.interpreters) as workers,
    ):
        lists: dict[int, dict[str, Any]] = {size: {"count": size} for size in sizes}
        walks = {size: {"count": size, "page": page} for size in sizes}
        handles = dict(zip(sizes, server.handles, strict=False))
        follows: dict[int, dict[str, Any]] = {size: {"handle": handles[size], "page": page} for size in sizes}
        return [
            *_costs("list", _races(bench, workers, "list_first", lists)),
            *_costs("yield_logs", _races(bench, workers, "yield_logs", follows)),
            *_peaks("iter_experiments", workers[THIS], walks),
            *_peaks("yield_logs", workers[THIS], follows),
        ]


def _races(
    bench: Bench, workers: Mapping[str, Worker], what: str, asked: Mapping[int, Mapping[str, Any]]
) -> dict[int, Race]:
    """Have all sizes take turns, so that a machine that becomes slower affects all of them."""
    rounds: dict[int, list[Race]] = {size: [] for size in asked}
    for _ in range(bench.rounds(5)):
        for size, given in asked.items():
            rounds[size].append(race(workers, what, 1, max(1, max(asked) // size // 10), **given))
    return {size: Race.of(races) for size, races in rounds.items()}


def _costs(what: str, races: Mapping[int, Race]) -> Iterator[Line]:
    lines = [
        Line(f"{what}() of {size:,}, an item", "µs", found.medians(_MICROSECOND * size), found.ratios())
        for size, found in races.items()
    ]
    # Few items are dearer, as a call has a cost of its own, too; many should not be dearer than fewer.
    *fewer, many = [line.figures[THIS] for line in lines]
    yield from _with_aim(lines, Aim("of the cheapest of fewer", many / min(fewer), most=_FLAT))


def _peaks(what: str, worker: Worker, asked: Mapping[int, Mapping[str, Any]]) -> Iterator[Line]:
    peaks = {size: worker.do(what, traced=True, **given)["peak"] for size, given in asked.items()}
    lines = [
        Line(f"{what}() of {size:,}, memory at its peak", "MB", {THIS: peak / _MEGABYTE})
        for size, peak in peaks.items()
    ]
    # The smallest size is one page.
    text = "of the memory that one page takes"
    yield from _with_aim(lines, Aim(text, max(peaks.values()) / min(peaks.values()), most=_PAGES_IN_MEMORY))


def _with_aim(lines: list[Line], aim: Aim) -> list[Line]:
    """Return the lines with an aim for the last one, that of the largest size."""
    return [*lines[:-1], evolve(lines[-1], aims=[aim])]
