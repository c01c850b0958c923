"""The rows of the benchmark, in the order in which they run. Each returns lines of figures and their aims."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.bench import Bench
from benchmarks.figures import Line
from benchmarks.rows import (
    calls,
    concurrency,
    downloads,
    following,
    growth,
    imports,
    metrics,
    pages,
    server,
    workspaces,
)

Row = Callable[[Bench], list[Line]]
ROWS: dict[str, Row] = {
    "get": calls.get,
    "get_tls": calls.get_tls,
    "create": calls.create,
    "list_10k": pages.list_10k,
    "logs_100k": pages.logs_100k,
    "follow_idle": following.follow_idle,
    "follow_latency": following.follow_latency,
    "metrics_1m": metrics.metrics_1m,
    "download_1g": downloads.download_1g,
    "download_10k": downloads.download_10k,
    "async_1000": concurrency.async_1000,
    "import": imports.importing,
    "growth": growth.growth,
    "server": server.server,
    "upload_1g": workspaces.upload_1g,
    "upload_10k": workspaces.upload_10k,
}
