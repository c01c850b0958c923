"""A server in a process of its own that goes away in the middle of the work, and comes back at the same address."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil

from gradient_server.faults.control import PATH

TIMEOUT = 30.0
"""Seconds within which a server serves, and its processes end."""


class Server:
    """`python -m gradient_server` with a store.

    :param Path directory: an empty directory for its files
    :param options: further options of its command line
    :param bool kill: whether it goes away by SIGKILL, instead of SIGTERM
    """

    def __init__(self, directory: Path, *options: str, kill: bool = False) -> None:
        self.times_away = 0
        """How often it went away."""
        self._directory, self._options = directory, options
        self._signal = signal.SIGKILL if kill else signal.SIGTERM
        self._ready_file, self._stderr = directory / "ready.json", directory / "stderr.txt"
        self._injected: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._launch(0)
        ready = json.loads(self._ready_file.read_text(encoding="utf-8"))
        self.experiments_url, self.logs_url = ready["experiments_url"], ready["logs_url"]
        self.api_key = ready["api_key"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def go_away(self) -> None:
        """Go away and come back with everything that was acknowledged, but without faults."""
        self._injected = self.injected()
        self._process.send_signal(self._signal)
        self._process.wait(TIMEOUT)
        self._launch(httpx.URL(self.logs_url).port)
        self.times_away += 1

    def inject(self, faults: dict[str, Any] | None) -> None:
        """Inject faults from now on; None: no faults.

        :param faults: settings of `LocalServer.faults()`
        """
        self._control("PUT" if faults else "DELETE", faults)

    def injected(self) -> Counter[str]:
        """Count the injected faults; those of the last moments before it went away are missing."""
        return self._injected + Counter(self._control("GET")["injected"])

    @property
    def complaints(self) -> str:
        """What it has written to standard error: nothing, if all is well."""
        return self._stderr.read_text(encoding="utf-8", errors="replace")

    def processes_left(self) -> list[str]:
        """List the processes of its directory that do not end, apart from the server itself."""
        deadline = time.monotonic() + TIMEOUT
        while (found := list(self._processes())) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _processes(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = str(self._directory) in f"{process.cmdline()} {process.environ()}"
            except psutil.Error:
                continue
            if is_ours and process.pid not in (psutil.Process().pid, self._process.pid):
                found.append(f"{process.pid} {process.name()}")
        return found

    def _control(self, method: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        # On a connection of its own: one that is kept would be broken by the next restart.
        url, headers = self.logs_url + PATH, {"X-API-Key": self.api_key}
        response = httpx.request(method, url, json=settings, headers=headers, timeout=TIMEOUT, trust_env=False)
        status: dict[str, Any] = response.raise_for_status().json()
        return status

    def _launch(self, port: int | None) -> None:
        command = [sys.executable, "-m", "gradient_server", "--port", str(port)]
        command += ["--store", str(self._directory / "store"), "--ready-file", str(self._ready_file), *self._options]
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            self._ready_file.unlink(missing_ok=True)  # one that was killed leaves it
            with self._stderr.open("a+", encoding="utf-8") as stderr:
                before = stderr.tell()
                self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
                while self._process.poll() is None:
                    if self._ready_file.exists():
                        return
                    time.sleep(0.002)
                reason = self.complaints
                # While nothing listens on the port, the kernel may lend it to an outgoing connection.
                stderr.truncate(before)
        raise RuntimeError(f"The server does not start: {reason}")
