"""The metrics of a long log of a real run: the first time, when all rows are read, and once they are known."""

from __future__ import annotations

import shlex
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.servers import Wanted, serving
from benchmarks.workers import THIS
from gradient import ExperimentsClient

_PROGRAM = """
import random
for step in range({count}):
    print(f"step {{step}}  loss {{random.random():.4f}}  accuracy {{random.random():.3f}}")
"""
_ROWS = 1_000_000
_MILLISECONDS = 1000.0


def metrics_1m(bench: Bench) -> list[Line]:
    """Read the two metrics of a million rows, of a few runs after each other."""
    count, first, known = bench.size(_ROWS), list[float](), list[float]()
    command = shlex.join(["python", "-c", _PROGRAM.format(count=count)])
    wanted = Wanted(count=bench.rounds(3), command=command)
    with tempfile.TemporaryDirectory() as folder, serving(wanted, runs=Path(folder, "runs")) as server:
        places = server.places
        with ExperimentsClient(
            places["api_key"], base_url=places["experiments_url"], logs_url=places["logs_url"]
        ) as client:
            for experiment in client.list():
                client.start(experiment.id)
                client.wait(experiment.id)
                first.append(_seconds(client, experiment.id, count))
                known += [_seconds(client, experiment.id, count) for _ in range(5)]
    seconds, milliseconds = statistics.median(first), statistics.median(known) * _MILLISECONDS
    return [
        Line(
            f"metrics of {count:,} rows, the first time",
            "s",
            {THIS: seconds},
            aims=[Aim("seconds", seconds, most=2)],
        ),
        Line(
            f"metrics of {count:,} rows, once known",
            "ms",
            {THIS: milliseconds},
            aims=[Aim("milliseconds", milliseconds, most=50)],
        ),
    ]


def _seconds(client: ExperimentsClient, experiment_id: str, count: int) -> float:
    began = time.perf_counter()
    found = client.metrics(experiment_id)
    seconds = time.perf_counter() - began
    if [series.total for series in found] != [count, count]:
        raise RuntimeError(f"These are not two metrics of {count:,} rows: {found}")
    return seconds
