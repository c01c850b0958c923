"""The throughput of the local server on one processor, and long polls."""

from __future__ import annotations

import asyncio
import json
import statistics
import time

from gradient_api.constants import API_KEY_HEADER

from benchmarks import load
from benchmarks.bench import Bench
from benchmarks.figures import Aim, Line
from benchmarks.servers import Server, Wanted, serving
from benchmarks.workers import THIS

_CONNECTIONS = 8
_SECONDS = 1.0
_MEGABYTE = 1e6
_LONG = 1e6
_PATIENCE = 30.0


def server(bench: Bench) -> list[Line]:
    """Send requests as fast as it responds, and have it hold long polls."""
    return [*_rates(bench), _held(bench)]


def _rates(bench: Bench) -> list[Line]:
    wanted = Wanted(rows=100, seconds=0)
    with serving(wanted, processor=0) as found:
        key = {API_KEY_HEADER: found.places["api_key"]}
        experiments, handle = f"{found.places['experiments_url']}experiments/", found.handles[0]
        logs = f"{found.places['logs_url']}/jobs/logs?experimentId={handle}&limit=100"
        asked = {
            "get": load.request("GET", f"{experiments}{handle}/", key),
            "create": load.request("POST", experiments, key, json.dumps(wanted.body).encode()),
            "100 log rows": load.request("GET", logs, key),
        }
        rates: dict[str, list[float]] = {name: [] for name in asked}
        seconds = min(_SECONDS, _SECONDS * bench.effort)
        for _ in range(bench.rounds(7)):
            for name, text in asked.items():
                rates[name].append(load.requests_a_second(experiments, text, seconds, _CONNECTIONS))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    aims = {"get": [Aim("a second", medians["get"], least=1000)]}
    return [
        Line(f"server: {name}, one processor", "requests/s", {THIS: rate}, aims=aims.get(name, []))
        for name, rate in medians.items()
    ]


def _held(bench: Bench) -> Line:
    count = bench.size(1000)
    with serving(Wanted(rows=1, seconds=_LONG)) as found:
        asyncio.run(_hold(found, count))
        peak = found.figures()["peak"] / _MEGABYTE
    aim = Aim("megabytes", peak, most=200)
    return Line(f"server: {count:,} idle long polls, memory at its peak", "MB", {THIS: peak}, aims=[aim])


async def _hold(found: Server, count: int) -> None:
    key, handle = {API_KEY_HEADER: found.places["api_key"]}, found.handles[0]
    text = load.request("GET", f"{found.places['logs_url']}/jobs/logs?experimentId={handle}&wait=60", key)
    connections = await load.held(found.places["logs_url"], text, count)
    deadline = time.monotonic() + _PATIENCE
    while (held := found.figures()["open"]) < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"The server holds {held} of {count} requests open")
        await asyncio.sleep(0.05)
    for connection in connections:
        connection.close()
