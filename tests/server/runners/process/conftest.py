"""What the tests of the process runner share: a runner with a directory of its own, and a way to wait for things."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Run, RunSpec, state_at
from gradient_server.runners.process.runner import ProcessRunner

PATIENCE = 20
"""Seconds after which something that should have happened will not happen any more."""


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let files be no larger than so many bytes: all files of this process, so for as short a time as can be."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def wait_until(true: Callable[[], object], what: str = "it", patience: float = PATIENCE) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.002)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not waited for does not."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return said.strip()[:1] not in ("", "Z")


class Bench:
    """A runner, and the experiments that a test gives it."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.directory = directory
        self.clock = Clock()
        self.told: list[str] = []
        self.when_changed: Callable[[str], object] = self.told.append
        self.runner = ProcessRunner(directory, **{"slots": 2, "grace": 1.0, **options})
        self.runner.attach(self.clock, lambda handle: self.when_changed(handle))
        self._count = 0

    def prepare(self, command: str = "true", *, handle: str | None = None, **given: object) -> Run:
        self._count += 1
        prepared = {name: given.pop(name) for name in ("started", "stopped") if name in given}
        body = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": command, **given}
        if "workerCommand" in given:
            del body["command"]
        name = handle or f"es{self._count}"
        return self.runner.admit(RunSpec(handle=name, body=body, created=0, **prepared))

    def run(self, command: str = "true", **given: object) -> Run:
        """Start an experiment."""
        run = self.prepare(command, **given)
        run.start(self.clock.now())
        return run

    def done(self, command: str = "true", **given: object) -> Run:
        """Start an experiment, and wait for its end."""
        run = self.run(command, **given)
        wait_until(lambda: self.state(run) in TERMINAL_STATES, "the end")
        return run

    def state(self, run: Run) -> int:
        return state_at(run.transitions, self.clock.now())

    def outcome(self, run: Run) -> tuple[str, str | None]:
        now = self.clock.now()
        return State.get_state_str(state_at(run.transitions, now)), run.error(now)

    def rows(self, run: Run, job: str = "worker") -> list[str]:
        """All that a job has printed so far, without the marker of the end, and without what is not used."""
        found, line = [], 0
        while page := run.rows(line, 10**9, self.clock.now()):
            line = page[-1][1].line
            found += [row.message for owner, row in page if owner.name == job]
        return [message for message in found if message != END_OF_LOG and "server's machine" not in message]

    def wait_for_row(self, run: Run, wanted: str, job: str = "worker") -> None:
        wait_until(lambda: wanted in self.rows(run, job), f"the row {wanted!r}")


def workspace_of(bench: Bench, run: Run) -> Path:
    return bench.directory / run.handle / "workspace"


@pytest.fixture
def make_bench(tmp_path) -> Iterator[Callable[..., Bench]]:
    with contextlib.ExitStack() as opened:

        def make(directory: Path = tmp_path / "runs", *, begin: bool = True, **options: object) -> Bench:
            bench = Bench(directory, **{"keep": False, **options})
            opened.callback(bench.runner.close)
            if begin:
                bench.runner.recover()
            return bench

        yield make


@pytest.fixture
def bench(make_bench) -> Bench:
    return make_bench()


@pytest.fixture
def broken_supervisor(monkeypatch, tmp_path) -> None:
    """Supervisors do not start."""
    package = tmp_path / "broken" / "gradient_server"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('broken on purpose')")
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=os.pathsep)
