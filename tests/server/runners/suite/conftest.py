"""One suite for every runner. A test runs with each runner that can do what the test asks for.

To add a runner, add a `Kind` to `KINDS`. The simplest runner only lets runs succeed. A kind that has one of the methods
in `ABILITIES` also gets the tests that use the fixture of that name.
"""

import atexit
import contextlib
import functools
import os
import shutil
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES

from gradient_server.clock import Clock
from gradient_server.runners.base import Job, LogRow, Run, Runner, RunSpec, next_state_at, state_at
from gradient_server.runners.process.runner import ProcessRunner
from gradient_server.runners.ray import RayRunner
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.runners.slurm import SlurmRunner
from tests.server.conftest import PATIENCE
from tests.server.runners.ray.local_cluster import LocalCluster
from tests.server.runners.skeleton import SkeletonRunner
from tests.server.runners.slurm.local_slurm import LocalSlurm

SINGLE_NODE = {"experimentTypeId": 1, "projectHandle": "p"}
MULTI_NODE = {"experimentTypeId": 2, "projectHandle": "p", "workerCount": 2, "parameterServerCount": 1}
ALL = 10**6
"""More rows than any run of the suite prints."""
ABILITIES = ("writes_artifacts", "prints", "prints_on_several_nodes", "waits", "cannot_be_set_up", "is_rejected")


class Kind(ABC):
    """A runner under test, and the requests with which it does things."""

    name: str
    prints: Callable[..., dict] | None = None
    """Optional: `prints(rows, code=0)` prints some rows and ends with an exit code."""
    writes_artifacts: Callable[[], dict] | None = None
    """Optional: writes a file to its artifact directory and one to its model path, and succeeds."""
    prints_on_several_nodes: Callable[[int], dict] | None = None
    """Optional: several nodes print some rows each, and succeed."""
    waits: Callable[[], dict] | None = None
    """Optional: runs until it is stopped; if the runner prints, it prints one row first."""
    cannot_be_set_up: Callable[[], dict] | None = None
    """Optional: fails after it was started and before it runs."""
    is_rejected: Callable[[], tuple[str, dict]] | None = None
    """Optional: a field of the request, and a request that is rejected because of it."""

    def prepare(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: B027 - most need nothing
        """Bring up what the runner needs besides."""

    @abstractmethod
    def runner(self, folder: Path) -> Runner:
        """Return a runner. One that is made later with the same folder takes over what is left of the runs."""

    def clock(self) -> Clock:
        """Return the clock of a server with this runner."""
        return Clock(0)

    @abstractmethod
    def succeeds(self, *, nodes: dict = SINGLE_NODE) -> dict:
        """Return the request of a run that is stopped in the end."""

    def pass_time(self, clock: Clock, timestamp: float, changed: threading.Event) -> None:
        """Pass time until a timestamp, which may be infinity, or until a change is reported; or for a while."""
        clock.advance(max(0.0, min(timestamp, 1e12) - clock.now()))


class Skeleton(Kind):
    name = SkeletonRunner.name

    def runner(self, folder: Path) -> Runner:
        return SkeletonRunner()

    def succeeds(self, *, nodes: dict = SINGLE_NODE) -> dict:
        return nodes


class Simulated(Kind):
    """All timestamps are known in advance, and the clock is advanced by hand."""

    name = SimulatedRunner.name

    def runner(self, folder: Path) -> Runner:
        return SimulatedRunner()

    def succeeds(self, *, nodes: dict = SINGLE_NODE) -> dict:
        return self._request(nodes, LOG_LINES=2)

    def prints(self, rows: int, code: int = 0) -> dict:
        # The reason of a failure is the last of its rows.
        return self._request(SINGLE_NODE, OUTCOME="failed" if code else "stopped", LOG_LINES=rows + bool(code))

    def writes_artifacts(self) -> dict:
        return self.succeeds()

    def prints_on_several_nodes(self, rows: int) -> dict:
        return self._request(MULTI_NODE, LOG_LINES=rows)

    def waits(self) -> dict:
        return self._request(SINGLE_NODE, SECONDS=10**9, LOG_LINES=1)

    def cannot_be_set_up(self) -> dict:
        return self._request(SINGLE_NODE, OUTCOME="error")

    def is_rejected(self) -> tuple[str, dict]:
        return "experimentEnv", self._request(SINGLE_NODE, OUTCOME="splendid")

    def _request(self, nodes: dict, **options: object) -> dict:
        return {**nodes, "experimentEnv": {f"GRADIENT_MOCK_{name}": value for name, value in options.items()}}


class Process(Kind):
    """Processes of this machine, in real time."""

    name = ProcessRunner.name

    def runner(self, folder: Path) -> Runner:
        return ProcessRunner(folder / "runs", slots=4, grace=2.0)

    def clock(self) -> Clock:
        return Clock()

    def succeeds(self, *, nodes: dict = SINGLE_NODE) -> dict:
        return self.prints(2) if nodes is SINGLE_NODE else self.prints_on_several_nodes(2)

    def prints(self, rows: int, code: int = 0) -> dict:
        return {**SINGLE_NODE, "command": f"{_print_rows(rows)}; exit {code}"}

    def writes_artifacts(self) -> dict:
        command = "echo settings > out/settings.json; echo weights > $PS_MODEL_PATH/weights.pt"
        return {**SINGLE_NODE, "command": command, "artifactDirectory": "out"}

    def prints_on_several_nodes(self, rows: int) -> dict:
        # The parameter server is stopped after the workers, and must have printed its rows by then.
        serves = f"{_print_rows(rows)}; touch served; exec sleep 60"
        works = f"{_print_rows(rows)}; while [ ! -e served ]; do sleep 0.01; done"
        return {**MULTI_NODE, "workerCommand": works, "parameterServerCommand": serves}

    def waits(self) -> dict:
        return {**SINGLE_NODE, "command": "echo one; exec sleep 60"}

    def cannot_be_set_up(self) -> dict:
        return {**SINGLE_NODE, "command": "true", "workspaceUrl": "/no/such/folder"}

    def is_rejected(self) -> tuple[str, dict]:
        return "experimentEnv", {**SINGLE_NODE, "command": "true", "experimentEnv": {"A=B": "c"}}

    def pass_time(self, clock: Clock, timestamp: float, changed: threading.Event) -> None:
        changed.wait(max(0.0, min(timestamp - clock.now(), 1.0)))


def _print_rows(rows: int) -> str:
    return f"for i in $(seq {rows}); do echo row $i; done"


class Slurm(Process):
    """Jobs of a Slurm that runs them on this machine."""

    name = SlurmRunner.name

    def prepare(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        slurm = LocalSlurm(folder / "slurm")
        monkeypatch.setenv("PATH", str(slurm.bin), prepend=os.pathsep)

    def runner(self, folder: Path) -> Runner:
        return SlurmRunner(folder / "runs", grace=2.0)


class Ray(Process):
    """A Ray cluster whose machines are processes of this one."""

    name = RayRunner.name

    def runner(self, folder: Path) -> Runner:
        return RayRunner(folder / "runs", address=_cluster().url, slots=4, grace=2.0)

    def prints_on_several_nodes(self, rows: int) -> dict:
        # They have no folder in common: each is stopped when the workers have had time to hear of it.
        serves = f"{_print_rows(rows)}; exec sleep 60"
        works = f"{_print_rows(rows)}; sleep 1"
        return {**MULTI_NODE, "workerCommand": works, "parameterServerCommand": serves}


@functools.cache
def _cluster() -> LocalCluster:
    """Return one cluster for all tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="gradient-cluster-"))
    cluster = LocalCluster(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(cluster.close)
    return cluster


KINDS: list[type[Kind]] = [Skeleton, Simulated, Process, *([Slurm] if sys.platform == "linux" else []), Ray]


class Bench:
    """A runner as a server uses it, without the server. `replace_runner` is what a restart of the server does."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self.clock = kind.clock()
        self.changed = threading.Event()
        """Set when the runner reports a change."""
        self.changed_handles: set[str] = set()
        self._folder = folder
        self._runs: dict[str, Run] = {}
        self._number = 0
        self._make_runner()

    def admit(
        self,
        body: dict,
        *,
        handle: str | None = None,
        started: float | None = None,
        stopped: float | None = None,
        recover: bool = True,
    ) -> Run:
        """Admit an experiment, of which the server may already know something."""
        if handle is None:
            self._number += 1
            handle = f"es{self._number:012}"
        spec = RunSpec(handle=handle, body=body, created=0.0, started=started, stopped=stopped)
        self._runs[handle] = run = self.runner.admit(spec)
        if recover and not self._has_recovered:
            self.recover()
        return run

    def recover(self) -> None:
        self._has_recovered = True
        self.runner.recover()

    def start(self, body: dict) -> Run:
        """Admit an experiment and start it."""
        run = self.admit(body)
        run.start(self.clock.now())
        return run

    def finish(self, body: dict) -> Run:
        """Start an experiment and wait until it has ended."""
        run = self.start(body)
        self.until_ended(run)
        return run

    def handle_of(self, run: Run) -> str:
        return next(handle for handle, found in self._runs.items() if found is run)

    def delete(self, run: Run) -> str:
        """Delete a run and return its handle."""
        handle = self.handle_of(run)
        self._runs.pop(handle).delete()
        return handle

    def replace_runner(self) -> None:
        self.runner.close()
        self._runs.clear()
        self._make_runner()

    def close(self) -> None:
        for run in self._runs.values():
            run.delete()
        self.runner.close()

    def state(self, run: Run) -> int:
        return state_at(run.transitions, self.clock.now())

    def rows(self, run: Run) -> list[tuple[Job, LogRow]]:
        return run.rows(0, ALL, self.clock.now())

    def until(self, run: Run, condition: Callable[[], bool]) -> None:
        """Pass time until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while True:
            # Before the condition is checked: it may miss what is reported from now on.
            self.changed.clear()
            if condition():
                return
            assert time.monotonic() < deadline, f"did not happen; transitions: {run.transitions}"
            now, rows = self.clock.now(), self.rows(run)
            times = [next_state_at(run.transitions, now), run.next_row_at(rows[-1][1].line if rows else 0, now)]
            self.pass_time(min([timestamp for timestamp in times if timestamp is not None], default=now))

    def until_state(self, run: Run, state: int) -> None:
        self.until(run, lambda: self.state(run) == state)

    def until_ended(self, run: Run) -> int:
        """Pass time until a run has ended, and return its last state."""
        self.until(run, lambda: self.state(run) in TERMINAL_STATES)
        return self.state(run)

    def until_printed(self, run: Run) -> list[tuple[Job, LogRow]]:
        """Pass time until the command has printed a row, and return all rows."""
        self.until(run, lambda: len(self.rows(run)) > 0)
        return self.rows(run)

    def printed(self, run: Run) -> int:
        """Return how many rows there are without the end markers and the reason of a failure."""
        other = (END_OF_LOG, run.error(self.clock.now()))
        return sum(row.message not in other for _, row in self.rows(run))

    def pass_time(self, timestamp: float) -> None:
        self.kind.pass_time(self.clock, timestamp, self.changed)

    def poll(self, look: Callable[[], float | None]) -> None:
        """Call `look` until it returns None, as a long poll does: when it has said, or when a change is reported."""
        deadline = time.monotonic() + PATIENCE
        while True:
            # Before the look: it may miss what is reported from now on.
            self.changed.clear()
            timestamp = look()
            if timestamp is None:
                return
            while not self.changed.is_set() and self.clock.now() < timestamp:
                assert time.monotonic() < deadline, "a change was not reported"
                self.pass_time(timestamp)
            assert time.monotonic() < deadline, "it does not end"

    def _make_runner(self) -> None:
        self._has_recovered = False
        self.runner = self.kind.runner(self._folder)
        self.runner.attach(self.clock, self._on_change)

    def _on_change(self, handle: str) -> None:
        self.changed_handles.add(handle)
        self.changed.set()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        needed = [name for name in ABILITIES if name in metafunc.fixturenames]
        able = [kind for kind in KINDS if all(getattr(kind, name) for name in needed)]
        metafunc.parametrize("kind", able, ids=[kind.name for kind in able], indirect=True)


@pytest.fixture
def kind(request, tmp_path, monkeypatch) -> Kind:
    found = request.param()
    found.prepare(tmp_path, monkeypatch)
    return found


@pytest.fixture
def bench(kind, tmp_path) -> Iterator[Bench]:
    """A runner that is gone after the test, with all of its runs."""
    with contextlib.closing(Bench(kind, tmp_path)) as made:
        yield made


def _ability(name: str):
    return pytest.fixture(name=name)(lambda kind: getattr(kind, name))


writes_artifacts, prints, prints_on_several_nodes, waits, cannot_be_set_up, is_rejected = map(_ability, ABILITIES)
