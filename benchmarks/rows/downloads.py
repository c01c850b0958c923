"""Downloads of artifacts: one that is large, and many that are small."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.races import Race, race
from benchmarks.servers import Wanted, serving
from benchmarks.workers import RAW, THIS, working
from gradient import ExperimentsClient

_PROGRAM = """
import os
with open({raw!r}, "wb") as raw:
    for number in range({count}):
        with open(f"{{os.environ['PS_MODEL_PATH']}}/{{number:05}}.bin", "wb") as file:
            for start in range(0, {size}, 2**20):
                content = os.urandom(min(2**20, {size} - start))
                file.write(content)
                raw.write(content)
"""
_MEBIBYTE = 2**20
_MEGABYTE = 1e6
_PART = 8 * _MEBIBYTE


def download_1g(bench: Bench) -> list[Line]:
    """Download one artifact of 1 GiB."""
    size = bench.size(1024)
    return _downloads(bench, f"download() of {size:,} MiB", 1, size * _MEBIBYTE)


def download_10k(bench: Bench) -> list[Line]:
    """Download 10,000 artifacts of 4 KiB."""
    count = bench.size(10_000)
    return _downloads(bench, f"download() of {count:,} files of 4 KiB", count, 4096)


def _downloads(bench: Bench, name: str, count: int, size: int) -> list[Line]:
    with tempfile.TemporaryDirectory() as directory:
        raw, target = Path(directory, "raw"), Path(directory, "target")
        wanted = Wanted(command=shlex.join(["python", "-c", _PROGRAM.format(raw=str(raw), count=count, size=size)]))
        with (
            serving(wanted, runs=Path(directory, "runs"), raw=raw) as server,
            working([THIS, RAW], server, bench.interpreters) as workers,
        ):
            (handle,), places = server.handles, server.places
            with ExperimentsClient(places["api_key"], base_url=places["experiments_url"]) as client:
                client.start(handle)
                client.wait(handle)
            races = list[Race]()
            for _ in range(bench.rounds(5)):
                target.mkdir()
                races.append(race(workers, "download", 1, handle=handle, size=size, target=str(target)))
                shutil.rmtree(target)
            target.mkdir()
            peak = workers[THIS].do("download", traced=True, handle=handle, size=size, target=str(target))["peak"]
    found = Race.of(races)
    flat = Aim("of what a part has", peak / _PART, most=4)
    return [
        Line(name, "s", found.medians(1), found.ratios(), [Aim("of raw httpx", found.against(RAW), most=1.3)]),
        Line(f"{name}, memory at its peak", "MB", {THIS: peak / _MEGABYTE}, aims=[flat]),
    ]
