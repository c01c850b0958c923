"""A process runner with a directory of its own, and ways to wait for things."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Run, Runner, RunSpec, state_at
from gradient_server.runners.process.runner import ProcessRunner

PATIENCE = 20
"""Seconds after which a test fails if something has not happened."""
# Starts a program in a session of its own, and prints its pid.
LEAVING = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], start_new_session=True).pid, flush=True)"
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux finds what has left its process group")
only_root = pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="needs two users, so root on Linux")


@contextlib.contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Fail to write more than so many bytes to a file, anywhere in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wait_until(true: Callable[[], object], what: str = "it", patience: float = PATIENCE) -> None:
    """Wait until a function returns something true."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.002)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return said.strip()[:1] not in ("", "Z")


def left_over(directory):
    """Return the other processes that name a directory in their arguments or environment. Only on Linux."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in text and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


class Bench:
    """A runner, and the runs that a test starts."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.directory = directory
        self.clock = Clock()
        self.changes: list[str] = []
        self.on_change: Callable[[str], object] = self.changes.append
        self.runner = self.make_runner(directory, **options)
        self.runner.attach(self.clock, lambda handle: self.on_change(handle))
        self._count = 0

    def make_runner(self, directory: Path, **options: object) -> Runner:
        return ProcessRunner(directory, **{"slots": 2, "grace": 1.0, **options})

    def admit(self, command: str = "true", *, handle: str | None = None, **given: object) -> Run:
        self._count += 1
        requests = {name: given.pop(name) for name in ("started", "stopped", "recorded", "upload") if name in given}
        body = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": command, **given}
        if "workerCommand" in given:
            del body["command"]
        name = handle or f"es{self._count}"
        return self.runner.admit(RunSpec(handle=name, body=body, created=0, **requests))

    def run(self, command: str = "true", **given: object) -> Run:
        """Start a run."""
        run = self.admit(command, **given)
        run.start(self.clock.now())
        return run

    def done(self, command: str = "true", **given: object) -> Run:
        """Start a run, and wait until it has ended."""
        run = self.run(command, **given)
        self.wait_for_end(run)
        return run

    def state(self, run: Run) -> int:
        return state_at(run.transitions, self.clock.now())

    def outcome(self, run: Run) -> tuple[str, str | None]:
        now = self.clock.now()
        return State.get_state_str(state_at(run.transitions, now)), run.error(now)

    def rows(self, run: Run, job: str = "worker 0") -> list[str]:
        """Return what a job has printed so far, without the end marker and the row with the reason of a failure."""
        found, line = [], 0
        while page := run.rows(line, 10**9, self.clock.now()):
            line = page[-1][1].line
            found += [row.message for owner, row in page if owner.name == job]
        return [message for message in found if message not in (END_OF_LOG, run.error(self.clock.now()))]

    def pids(self, run: Run, count: int = 1, job: str = "worker 0") -> list[int]:
        """Wait until a job has printed some pids, and return them."""
        wait_until(lambda: len(self.rows(run, job)) >= count, "the rows with the pids")
        return [int(row) for row in self.rows(run, job)[:count]]

    def wait_for_end(self, *runs: Run) -> None:
        wait_until(lambda: all(self.state(run) in TERMINAL_STATES for run in runs), "the end")

    def wait_for_row(self, run: Run, wanted: str, job: str = "worker 0") -> None:
        wait_until(lambda: wanted in self.rows(run, job), f"the row {wanted!r}")


def stop(bench: Bench, run: Run) -> None:
    """Stop a run, and wait until it has ended."""
    run.stop(bench.clock.now())
    bench.wait_for_end(run)


def workspace_of(bench: Bench, run: Run) -> Path:
    return bench.directory / run.handle / "workspace"


@pytest.fixture
def make_bench(tmp_path) -> Iterator[Callable[..., Bench]]:
    with contextlib.ExitStack() as opened:

        def make(directory: Path = tmp_path / "runs", *, recover: bool = True, **options: object) -> Bench:
            bench = Bench(directory, **{"keep": False, **options})
            opened.callback(bench.runner.close)
            if recover:
                bench.runner.recover()
            return bench

        yield make


@pytest.fixture
def bench(make_bench) -> Bench:
    return make_bench()


@pytest.fixture
def broken_supervisor(monkeypatch, tmp_path) -> None:
    """Make supervisors fail when they start."""
    package = tmp_path / "broken" / "gradient_server"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('broken on purpose')")
    monkeypatch.syspath_prepend(package.parent)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen]:
    """A process that belongs to no run, in a group of its own."""
    with subprocess.Popen(["sleep", "60"], process_group=0) as process:
        yield process
        process.kill()
