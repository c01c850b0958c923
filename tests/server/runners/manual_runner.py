"""A runner whose runs go on when a test says so, one step at a time, and that reports each step."""

import math
from collections.abc import Callable, Mapping

from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Job, LogRow, Run, Runner, RunSpec, Transitions, jobs_of


class ManualRunner(Runner):
    """The request says what a run does: how many `rows` it prints, and its `code`, None if it waits.

    :param kept: what outlives the runner: all runs that were started, by handle
    """

    name = "manual"
    description = "runs go on when a test says so"

    def __init__(self, kept: dict[str, "ManualRun"]) -> None:
        self.kept = kept
        self.calls: list[tuple[str, str]] = []
        """The calls that change a run, each with its handle: `("start", "es1")`."""
        self.admitted: dict[str, ManualRun] = {}
        self.recovered = self.closed = 0

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        self.clock, self.on_change = clock, on_change

    def admit(self, spec: RunSpec) -> Run:
        run = self.kept.get(spec.handle) or self.new_run(spec)
        run.runner = self
        self.admitted[spec.handle] = run
        if spec.started is not None and not run.transitions:
            run.start(spec.started)
        if spec.stopped is not None:
            run.stop(spec.stopped)
        return run

    def new_run(self, spec: RunSpec) -> "ManualRun":
        return ManualRun(spec)

    def recover(self) -> None:
        self.recovered += 1
        for handle in self.kept.keys() - self.admitted.keys():
            del self.kept[handle]

    def close(self) -> None:
        self.closed += 1

    def step(self) -> None:
        """Advance every run by one step."""
        for run in list(self.kept.values()):
            if run.step(self.clock.now()):
                self.on_change(run.handle)


class ManualRun(Run):
    runner: ManualRunner

    def __init__(self, spec: RunSpec) -> None:
        self.handle = spec.handle
        self.jobs = jobs_of(spec.handle, spec.body)
        self._rows, self._code = spec.body.get("rows", 1), spec.body.get("code")
        self._transitions: list[tuple[float, int]] = []
        self._printed: dict[Job, list[LogRow]] = {job: [] for job in self.jobs}
        self._stopping = False

    @property
    def transitions(self) -> Transitions:
        return tuple(self._transitions)

    def error(self, now: float) -> str | None:
        return "There is nothing to run." if self._state == State.ERROR else None

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        after = [(job, row) for job, rows in self._printed.items() for row in rows[line:]]
        return sorted(after, key=lambda found: found[1].line)[:limit]

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        return self._printed[job][line:][:limit]

    def last_lines(self, now: float) -> Mapping[Job, int]:
        return {job: len(rows) for job, rows in self._printed.items()}

    def next_row_at(self, line: int, now: float) -> float | None:
        if self._state in TERMINAL_STATES:
            return None
        return now if max(map(len, self._printed.values())) > line else math.inf

    def start(self, timestamp: float) -> None:
        self.runner.calls.append(("start", self.handle))
        self.runner.kept[self.handle] = self
        self.enter(State.PENDING, timestamp)

    def stop(self, timestamp: float) -> None:
        self.runner.calls.append(("stop", self.handle))
        self._stopping = True
        if self._state in (None, State.PENDING):
            self.enter(State.CANCELLED, timestamp)

    def delete(self) -> None:
        self.runner.calls.append(("delete", self.handle))
        self.runner.admitted.pop(self.handle, None)
        self.runner.kept.pop(self.handle, None)

    def step(self, now: float) -> bool:
        """Advance by one step, and return whether there was one."""
        shortest = min(self._printed.values(), key=len)
        match self._state:
            case State.PENDING:
                self.enter(State.RUNNING, now)
            case State.RUNNING if not self._stopping and len(shortest) < self._rows:
                shortest.append(LogRow(len(shortest) + 1, now, "a row"))
            case State.RUNNING if self._stopping or self._code is not None:
                self.enter(State.NETWORK_TEARING_DOWN, now)
            case State.NETWORK_TEARING_DOWN:
                for rows in self._printed.values():
                    rows.append(LogRow(len(rows) + 1, now, END_OF_LOG))
                outcome = State.FAILED if self._code else State.STOPPED
                self.enter(State.CANCELLED if self._stopping else outcome, now)
            case _:
                return False
        return True

    def enter(self, state: int, timestamp: float) -> None:
        self._transitions.append((timestamp, state))

    @property
    def _state(self) -> int | None:
        return self._transitions[-1][1] if self._transitions else None
