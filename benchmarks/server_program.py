"""A local server in a process of its own, with experiments, that counts its requests. `servers` starts it.

Its argument is its settings as JSON. It prints its address in a line, and its figures for each line of its input.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from gradient_server.api.contract import packaged_contract
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.validation import validate_body
from gradient_server.app import application
from gradient_server.clock import Clock
from gradient_server.http_server import http_server, listen
from gradient_server.runners.base import Runner
from gradient_server.runners.process.runner import ProcessRunner
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.settings import DEFAULT_KEY
from gradient_server.store.store import Store


class Counted:
    """An application that counts its requests and the connections on which they come.

    :param str raw: a file that is sent at `/raw` as it is; None: there is none
    """

    def __init__(self, app: ASGIApp, raw: str | None) -> None:
        self._app = app
        self._raw = raw
        self.requests = self.open = 0
        self.connections: set[tuple[str, int]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        self.requests += 1
        self.connections.add(tuple(scope["client"]))
        self.open += 1
        try:
            app = FileResponse(self._raw) if self._raw and scope["path"] == "/raw" else self._app
            await app(scope, receive, send)
        finally:
            self.open -= 1


def main() -> None:
    """Serve until standard input ends."""
    settings = json.loads(sys.argv[1])
    if settings["processor"] is not None:
        os.sched_setaffinity(0, {settings["processor"]})
    clock = Clock(settings["time_scale"])
    polls, runner = LongPolls(clock), _runner(settings["runs"])
    runner.attach(clock, polls.wake)
    store = Store(clock, 0, runner)
    runner.recover()
    handles = list(_filled(store, settings["experiments"]))
    app = Counted(application(store, clock, DEFAULT_KEY, polls=polls), settings["raw"])
    http = http_server(app, before_stopping=polls.end)
    http.config.ssl_certfile = settings["certificate"]
    opened = listen("127.0.0.1", 0)
    serving = threading.Thread(target=http.run, kwargs={"sockets": [opened]}, daemon=True)
    serving.start()
    http.serving.wait()
    print(json.dumps({"port": opened.getsockname()[1], "api_key": DEFAULT_KEY, "handles": handles}), flush=True)
    for _ in sys.stdin:
        figures = {"requests": app.requests, "connections": len(app.connections), "open": app.open, "peak": _peak()}
        print(json.dumps(figures), flush=True)
    http.should_exit = True
    serving.join()
    runner.close()
    store.uploads.close()


def _runner(directory: str | None) -> Runner:
    return SimulatedRunner() if directory is None else ProcessRunner(Path(directory), slots=1, keep=False)


def _filled(store: Store, wanted: list[dict[str, Any]]) -> Iterator[str]:
    """Add experiments to a store, and yield the handle of the first one of each kind."""
    body_schema = next(found.body for found in packaged_contract().operations if found.body)
    for kind in wanted:
        body = validate_body(body_schema, json.dumps(kind["body"]).encode())
        handles = [store.add(body, start=kind["start"]).handle for _ in range(kind["count"])]
        yield handles[0]


def _peak() -> int:
    """Return the most memory that this process has used, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main()
