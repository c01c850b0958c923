"""Servers in processes of their own that go away in the middle of the work, and come back at the same address."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from gradient_server.faults import control as fault_control

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 30.0
"""Seconds after which a server that does not serve is not going to."""


class ServerInAProcess(ABC):
    """A server in another process, so that client and server do not take turns.

    :param Path directory: an empty directory for its files
    """

    how: str
    """In words, how it goes away."""
    _program: str
    """The module to run; it is talked to in lines."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._errors = directory / "stderr.txt"
        self._injected: Counter[str] = Counter()
        self.times_away = 0
        """How often it went away."""

    @abstractmethod
    def go_away(self) -> None:
        """Go away and come back, with everything that was acknowledged; what goes wrong then is to be said anew."""

    @abstractmethod
    def _places(self) -> dict[str, Any]:
        """Let the first server serve, and say where everything is."""

    def let_go_wrong(self, settings: dict[str, Any] | None) -> None:
        """Let things go wrong from now on; None: nothing.

        :param settings: those of `LocalServer.faults()`
        """
        self._ask("PUT" if settings else "DELETE", settings)

    def injected(self) -> Counter[str]:
        """Count what has gone wrong on purpose. What a server injects at the moment of its death is not counted."""
        return self._injected + Counter(self._ask("GET")["injected"])

    @property
    def complaints(self) -> str:
        """What it wrote to its standard error: nothing, if all is well."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        with self._errors.open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._program],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        places = self._places()
        self.experiments_url, self.logs_url = places["experiments_url"], places["logs_url"]
        self.api_key = places["api_key"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        """Read a line of what the program says."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The server has ended: {self.complaints}")
        return line

    def _ask(self, method: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        url, headers = self.logs_url + fault_control.PATH, {"X-API-Key": self.api_key}
        # Each on a connection of its own: one that is kept would be broken by the next restart.
        answer = httpx.request(method, url, json=settings, headers=headers, timeout=PATIENCE, trust_env=False)
        told: dict[str, Any] = answer.raise_for_status().json()
        return told


class RestartedServer(ServerInAProcess):
    """A server that breaks all connections, does not listen for a moment, and goes on."""

    how = "restarts"
    _program = "tests.e2e.chaos.restartable"

    def go_away(self) -> None:
        """Restart, and remember everything."""
        print(file=self._process.stdin, flush=True)
        self._line()
        self.times_away += 1

    def _places(self) -> dict[str, Any]:
        places: dict[str, Any] = json.loads(self._line())
        return places


class KilledServer(ServerInAProcess):
    """A server that is killed with SIGKILL, and started again on the same port with the same file.

    :param Path directory: an empty directory for its files
    :param options: further ones of its command line
    """

    how = "kills"
    _program = "tests.e2e.chaos.forking"

    def __init__(self, directory: Path, *options: str) -> None:
        super().__init__(directory)
        self._options = options

    def go_away(self) -> None:
        """Die, and come back with what is in the file."""
        self._injected = self.injected()
        self._kill()
        self._launch(httpx.URL(self.logs_url).port)
        self.times_away += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._kill()
        super().__exit__(kind, error, traceback)

    def _places(self) -> dict[str, Any]:
        return self._launch(0)

    def _launch(self, port: int | None) -> dict[str, Any]:
        """Start it, and wait until it serves."""
        ready_file, store = self._directory / "ready.json", self._directory / "store"
        options = ["--port", str(port), "--store", str(store), "--ready-file", str(ready_file), *self._options]
        reason, deadline = "", time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ready_file.unlink(missing_ok=True)  # the last one had no time to do so
            said_before = self._errors.stat().st_size
            print(shlex.join(options), file=self._process.stdin, flush=True)
            self._pid = int(self._line())
            while _runs(self._pid):
                if ready_file.exists():
                    places: dict[str, Any] = json.loads(ready_file.read_text(encoding="utf-8"))
                    return places
                time.sleep(0.002)
            # While nobody listens there, the machine may lend the port to somebody for a moment.
            reason = self.complaints
            os.truncate(self._errors, said_before)
        raise RuntimeError(f"The server does not start: {reason}")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        while _runs(self._pid):
            time.sleep(0.001)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
