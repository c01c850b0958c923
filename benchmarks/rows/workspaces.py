"""Uploads of folders: one large file, and many small ones, beside raw httpx that sends the same bytes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.races import Race
from benchmarks.servers import serving
from benchmarks.workers import RAW, THIS, working

_PART = 8 * 2**20
_LARGE = 2**30
_SMALL_FILES = 10_000
_SMALL = 1_000
_MEGABYTE = 1e6
_MOST = 1.3
_KINDS = ("seconds", "cpu")


def upload_1g(bench: Bench) -> list[Line]:
    """Upload a file of a GiB. Raw httpx reads its parts, hashes them for their addresses, and sends them."""
    size = bench.size(_LARGE // _PART) * _PART
    with tempfile.TemporaryDirectory() as directory:
        (folder := Path(directory, "large")).mkdir()
        with Path(folder, "data.bin").open("wb") as file:
            for _ in range(size // _PART):
                file.write(os.urandom(_PART))
        found = _race(bench, folder, "upload_file")
        peak, of_server = _peaks(bench, folder)
        with Path(folder, "data.bin").open("r+b") as file:
            file.truncate(size // 4)
        quarter, _ = _peaks(bench, folder)
    name = f"upload of {size // 2**20:,} MiB"
    aim = Aim("of the memory that a quarter takes", peak / quarter, most=1.1)
    return [
        Line(name, "s", found.medians(1), found.ratios(), [Aim("of raw httpx", found.against(RAW), most=_MOST)]),
        Line(f"{name}, memory at its peak", "MB", {THIS: peak / _MEGABYTE}, aims=[aim]),
        Line(f"{name}, memory of the server", "MB", {THIS: of_server / _MEGABYTE}),
    ]


def upload_10k(bench: Bench) -> list[Line]:
    """Upload small files. Raw httpx sends the tar file that the standard library makes of them, in the same parts."""
    count = bench.size(_SMALL_FILES)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory, "small")
        for number in range(count):
            path = folder / f"{number // 100:03}" / f"{number % 100:02}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(_SMALL))
        found = _race(bench, folder, "upload_tar")
        with serving() as server, working([THIS], server, bench.interpreters) as workers:
            workers[THIS].do("upload", folder=str(folder))
            again = workers[THIS].do("upload", folder=str(folder))["seconds"]
    aim = Aim("of raw httpx", found.against(RAW), most=_MOST)
    return [
        Line(f"upload of {count:,} small files", "s", found.medians(1), found.ratios(), [aim]),
        Line(f"upload of {count:,} small files, again", "s", {THIS: again}),
    ]


def _race(bench: Bench, folder: Path, raw_upload: str) -> Race:
    """Have both upload to servers of their own, which have nothing yet."""
    methods = {THIS: "upload", RAW: raw_upload}
    races: list[Race] = []
    for number in range(bench.rounds(5)):
        found: dict[str, dict[str, float]] = {}
        for name in sorted(methods, reverse=bool(number % 2)):
            with serving() as server, working([name], server, bench.interpreters) as workers:
                found[name] = workers[name].do(methods[name], folder=str(folder))
        races.append(Race(*({name: [found[name][kind]] for name in methods} for kind in _KINDS)))
    return Race.of(races)


def _peaks(bench: Bench, folder: Path) -> tuple[float, float]:
    """Return the most memory of an upload, and that of its server."""
    with serving() as server, working([THIS], server, bench.interpreters) as workers:
        peak: float = workers[THIS].do("upload_changed", traced=True, folder=str(folder))["peak"]
        return peak, server.figures()["peak"]
