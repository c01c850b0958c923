"""Single calls, one after the other on an open connection."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.races import race
from benchmarks.servers import Wanted, serving
from benchmarks.workers import CONTENDERS, OLD, RAW, working

_MILLISECOND = 1e-3


def get(bench: Bench) -> list[Line]:
    """Read one experiment."""
    return _get(bench, "get", tls=False, faster_than_old=1.3)


def get_tls(bench: Bench) -> list[Line]:
    """Read one experiment over TLS."""
    return _get(bench, "get over TLS", tls=True, faster_than_old=3)


def create(bench: Bench) -> list[Line]:
    """Create an experiment."""
    wanted = Wanted()
    with serving() as server, working(CONTENDERS, server, bench.interpreters) as workers:
        times = bench.size(100)
        found = race(workers, "create", bench.rounds(21), times, parameters=wanted.parameters, body=wanted.body)
    aims = [Aim("of raw httpx", found.against(RAW), most=1.25)]
    return [Line("create", "ms", found.medians(_MILLISECOND), found.ratios(), aims)]


def _get(bench: Bench, name: str, *, tls: bool, faster_than_old: float) -> list[Line]:
    with serving(tls=tls) as server, working(CONTENDERS, server, bench.interpreters) as workers:
        found = race(workers, "get", bench.rounds(21), bench.size(100), handle=server.handles[0])
    aims = [
        Aim("of raw httpx", found.against(RAW), most=1.15),
        Aim("times as fast as the old client", found.faster_than(OLD), least=faster_than_old),
    ]
    return [Line(name, "ms", found.medians(_MILLISECOND), found.ratios(), aims)]
