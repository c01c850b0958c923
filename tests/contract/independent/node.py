"""The tools that run on Node: whether they can run here, installing them, running them, and ending them for certain."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPORTS = HERE.parents[2] / "build" / "contract-independent"
_INSTALLED = HERE / "node_modules"
_ENVIRONMENT = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
_PATIENCE = 60.0


def missing() -> list[str]:
    """Name the programs that are needed and not there."""
    return [name for name in ("node", "npm") if shutil.which(name) is None]


def install() -> int:
    """Install what the lock file says, if that has not been done; give the exit code of npm."""
    wanted, done = HERE / "package-lock.json", _INSTALLED / ".package-lock.json"
    if done.exists() and done.stat().st_mtime >= wanted.stat().st_mtime:
        return 0
    print("Installing Prism and Redocly (once; this takes a few seconds) ...", flush=True)
    return subprocess.run(["npm", "ci", "--loglevel=error"], cwd=HERE, check=False).returncode


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end."""
    return subprocess.run(
        _command(tool, arguments), capture_output=True, text=True, timeout=_PATIENCE, check=False, env=_environment()
    )


@contextlib.contextmanager
def running(tool: str, *calls: Sequence[str | Path], ready: str, log_name: str) -> Iterator[list[str]]:
    """Keep several processes of a tool running, started side by side; give what each printed with `ready` in it.

    :param calls: the arguments of each process
    :param str ready: what a process prints once it can be used
    :param str log_name: the beginning of the names of their log files
    """
    processes: list[subprocess.Popen[bytes]] = []
    logs = [REPORTS / f"{log_name}-{number}.log" for number, _ in enumerate(calls, start=1)]
    try:
        for arguments, log in zip(calls, logs, strict=True):
            with log.open("wb") as output:
                # A session of its own, so that what it starts ends with it.
                processes.append(
                    subprocess.Popen(
                        _command(tool, arguments),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                        env=_environment(),
                    )
                )
        deadline = time.monotonic() + _PATIENCE
        yield [_line(log, ready, process, deadline) for process, log in zip(processes, logs, strict=True)]
    finally:
        for process in processes:
            _end(process)


def _command(tool: str, arguments: Sequence[str | Path]) -> list[str]:
    return [str(_INSTALLED / ".bin" / tool), *map(str, arguments)]


def _environment() -> dict[str, str]:
    return {**os.environ, **_ENVIRONMENT}


def _line(log: Path, ready: str, process: subprocess.Popen[bytes], deadline: float) -> str:
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if ready in line:
                return line
        if ended:
            break
        time.sleep(0.05)
    raise RuntimeError(f"{log.name}: the process did not say {ready!r}:\n{log.read_text(encoding='utf-8')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
