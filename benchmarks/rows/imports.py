"""The time to import the package, to make a client and to call it for the first time, each in a fresh process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from attrs import frozen

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line, compared, ratio
from benchmarks.servers import serving
from benchmarks.workers import OLD, RAW, THIS

_IMPORTED = "from gradient import ExperimentsClient, constants"
_MADE = "from gradient import ExperimentsClient; client = ExperimentsClient(KEY)"
_CALLED = f"{_MADE}; client.get(HANDLE)"


@frozen
class Comparison:
    """Some code, what it is compared with, and how many times as long it may take.

    :param str label: both, as short text
    :param bool with_old: whether the old client runs what it is compared with
    """

    label: str
    code: str
    base: str
    most: float | None = None
    least: float | None = None
    with_old: bool = False


_COMPARISONS = (
    Comparison("import gradient / import httpx", "import gradient", "import httpx", most=0.1),
    Comparison("client and constants imported / import attrs", _IMPORTED, "import attrs", most=1.3),
    Comparison("client made / import httpx, attrs", _MADE, "import httpx, attrs", most=1.25),
    Comparison("client made / old one imported", _MADE, "import gradient", least=1.5, with_old=True),
    Comparison("first call / httpx.get", _CALLED, "import httpx; httpx.get(URL, headers=HEADERS).json()"),
    Comparison("first call / of the old client", _CALLED, _CALLED, with_old=True),
)


def importing(bench: Bench) -> list[Line]:
    """Import, make a client, call it."""
    with serving() as server:
        handle = server.handles[0]
        names: dict[str, object] = {
            "KEY": server.places["api_key"],
            "HANDLE": handle,
            "URL": f"{server.places['experiments_url']}experiments/{handle}/",
            "HEADERS": {"X-API-Key": server.places["api_key"]},
        }
        environment = {**os.environ, **server.environment}
        return [
            _line(bench, comparison, names, environment)
            for comparison in _COMPARISONS
            if not comparison.with_old or bench.interpreters[OLD]
        ]


def _line(bench: Bench, comparison: Comparison, names: dict[str, object], environment: dict[str, str]) -> Line:
    base = bench.interpreters[OLD] if comparison.with_old else sys.executable
    assert base
    times: dict[str, list[float]] = {"code": [], "base": []}
    for _ in range(bench.rounds(15)):
        times["code"].append(_seconds(sys.executable, comparison.code, names, environment))
        times["base"].append(_seconds(base, comparison.base, names, environment))
    found = ratio(times["code"], times["base"])
    other = OLD if comparison.with_old else RAW
    aims = []
    if comparison.most is not None:
        aims = [Aim("times as long", found.value, most=comparison.most)]
    elif comparison.least is not None:
        aims = [Aim("times as fast", 1 / found.value, least=comparison.least)]
    medians = {who: statistics.median(taken) * 1000 for who, taken in zip((THIS, other), times.values(), strict=True)}
    return Line(comparison.label, "ms", medians, {compared(other): found}, aims)


def _seconds(python: str, code: str, names: dict[str, object], environment: dict[str, str]) -> float:
    """Return how long some code takes in a process of its own, without the start of the interpreter."""
    given = "\n".join(f"{name} = {value!r}" for name, value in names.items())
    timed = f"import time\n{given}\nbegan = time.perf_counter()\n{code}\nprint(time.perf_counter() - began)"
    # -P: the installed package, not the modules in the current directory.
    program = [python, "-P", "-W", "ignore", "-c", timed]
    return float(subprocess.run(program, capture_output=True, text=True, check=True, env=environment).stdout)
