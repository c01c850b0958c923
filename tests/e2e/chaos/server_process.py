"""A server in a process of its own that is killed in the middle of the work, and comes back at the same address."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from gradient import ExperimentsClient
from gradient_server.faults.control import PATH

TIMEOUT = 30.0
"""Seconds within which a server serves, and its processes end."""
_ABOUT_RUNS = re.compile(r'[0-9:]{8} (es\w+ ".*" (started|ended as )|Took over |Commands do not get )')


class ServerProcess:
    """`python -m gradient_server` with a store.

    :param Path directory: an empty directory for its files
    :param options: further options of its command line
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self._directory, self._options = directory, options
        self._ready_file, self._stderr = directory / "ready.json", directory / "stderr.txt"
        self._launch(0)
        ready = json.loads(self._ready_file.read_text())
        self._api_key, self._urls = ready["api_key"], {name: ready[name] for name in ("experiments_url", "logs_url")}

    def client(self, **options: Any) -> ExperimentsClient:
        """Return a client for it that retries for as long as a busy machine may need to start the server again."""
        urls = {"base_url": self._urls["experiments_url"], "logs_url": self._urls["logs_url"]}
        return ExperimentsClient(self._api_key, **urls, **{"max_attempts": 50, "deadline": 4 * TIMEOUT, **options})

    def kill(self) -> None:
        """Kill it, and start it again with everything that it has acknowledged, but without faults."""
        self.close()
        self._launch(httpx.URL(self._urls["logs_url"]).port)

    def close(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait(TIMEOUT)

    def inject(self, faults: dict[str, Any] | None) -> set[str]:
        """Inject faults from now on, with the settings of `LocalServer.faults()`. Return those that have happened."""
        # On a connection of its own: one that is kept would be broken by the next kill.
        with httpx.Client(headers={"X-API-Key": self._api_key}, timeout=TIMEOUT, trust_env=False) as client:
            url = self._urls["logs_url"] + PATH
            injected = client.get(url).json()["injected"]
            client.request("PUT" if faults else "DELETE", url, json=faults).raise_for_status()
        return set(injected)

    @property
    def errors(self) -> str:
        """Its standard error, but for the lines about runs: nothing, if all is well."""
        lines = self._stderr.read_text(errors="replace").splitlines(keepends=True)
        return "".join(line for line in lines if not _ABOUT_RUNS.match(line))

    def other_processes(self) -> list[str]:
        """Return the processes of its directory that do not end, apart from the server itself."""
        deadline = time.monotonic() + TIMEOUT
        while (found := self._other_processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _other_processes(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                is_of_server = str(self._directory) in f"{process.cmdline()} {process.environ()}"
            except psutil.Error:
                continue
            if is_of_server and process.pid not in (psutil.Process().pid, self._process.pid):
                found.append(f"{process.pid} {process.name()}")
        return found

    def _launch(self, port: int | None) -> None:
        command = [sys.executable, "-m", "gradient_server", "--port", str(port)]
        command += ["--store", str(self._directory / "store"), "--ready-file", str(self._ready_file), *self._options]
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            self._ready_file.unlink(missing_ok=True)  # one that was killed leaves it
            with self._stderr.open("a+") as stderr:
                before = stderr.tell()
                self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
                while self._process.poll() is None:
                    if self._ready_file.exists():
                        return
                    time.sleep(0.002)
                reason = self.errors
                # While nothing listens on the port, the kernel may lend it to an outgoing connection.
                stderr.truncate(before)
        raise RuntimeError(f"The server does not start: {reason}")
