"""Following a log: the requests while nothing happens, and the latency of rows."""

from __future__ import annotations

import math
import statistics

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.servers import Wanted, serving
from benchmarks.workers import OLD, THIS, working
from gradient_ext.polling import LONGEST_HOLD

_SILENCE = 60
# The old client would send tens of thousands of requests.
_SILENCE_OF_THE_OLD = 5
_LONG = 1e6
_ROWS_A_SECOND = 20
# A simulated run is set up before that, and torn down afterwards.
_SHARE_THAT_RUNS = 0.85


def follow_idle(bench: Bench) -> list[Line]:
    """Follow an experiment that prints nothing."""
    silence = bench.size(_SILENCE)
    seconds = {THIS: silence, OLD: min(silence, _SILENCE_OF_THE_OLD)}
    figures: dict[str, dict[str, float]] = {"requests": {}, "connections": {}}
    for name in (THIS, OLD):
        with (
            serving(Wanted(rows=1, seconds=_LONG)) as server,
            working([name], server, bench.interpreters) as workers,
        ):
            for worker in workers.values():
                worker.do("follow", handle=server.handles[0], seconds=seconds[name])
                counted = server.figures()
                for kind, found in figures.items():
                    found[name] = counted[kind] * silence / seconds[name]
    # After the first request, there should be one for each time that the server holds one open.
    held = math.ceil(silence / LONGEST_HOLD)
    aim = Aim(f"for each {LONGEST_HOLD:.0f} s, after the first", (figures["requests"][THIS] - 1) / held, most=1)
    aims = {"requests": [aim], "connections": []}
    return [Line(f"{kind} in {silence} s of silence", kind, figures[kind], aims=aims[kind]) for kind in figures]


def follow_latency(bench: Bench) -> list[Line]:
    """Follow an experiment that prints twenty rows a second."""
    rows = bench.size(400)
    latencies = {}
    for name in (THIS, OLD):
        with (
            serving(Wanted(rows=rows, seconds=rows / _ROWS_A_SECOND / _SHARE_THAT_RUNS)) as server,
            working([name], server, bench.interpreters) as workers,
        ):
            for worker in workers.values():
                latencies[name] = sorted(worker.do("latencies", handle=server.handles[0])["result"])
    figures = {
        share: {name: statistics.quantiles(found, n=100)[share - 1] * 1000 for name, found in latencies.items()}
        for share in (50, 99)
    }
    aims = {50: [Aim("milliseconds, this client", figures[50][THIS], most=10)], 99: []}
    return [Line(f"from row to caller, p{share}", "ms", figures[share], aims=aims[share]) for share in figures]
