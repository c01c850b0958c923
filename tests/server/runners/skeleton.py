"""The smallest runner: a started run is running at once and stops at once. Copy it to begin a new one."""

import math
from collections.abc import Callable, Mapping

from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Job, LogRow, Run, Runner, RunSpec, Transitions, jobs_of


class SkeletonRunner(Runner):
    name = "skeleton"
    description = "every run stops as soon as it is started"
    executes_commands = False

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Nothing changes but by a call, so there is nothing to report."""

    def admit(self, spec: RunSpec) -> "SkeletonRun":
        return SkeletonRun(spec)

    def recover(self) -> None:
        """All runs follow from what the server knows."""

    def close(self) -> None:
        """Nothing is open."""


class SkeletonRun(Run):
    def __init__(self, spec: RunSpec) -> None:
        self.jobs = jobs_of(spec.handle, spec.body)
        self._transitions: Transitions = ()
        if spec.started is not None:
            self.start(spec.started)
        elif spec.stopped is not None:
            self.stop(spec.stopped)

    @property
    def transitions(self) -> Transitions:
        return self._transitions

    def error(self, now: float) -> str | None:
        return None

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        return [(job, row) for job in self.jobs for row in self.job_rows(job, line, 1, now)][:limit]

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        return [LogRow(1, self._transitions[0][0], END_OF_LOG)][line:][:limit] if self._has_run else []

    def last_lines(self, now: float) -> Mapping[Job, int]:
        return dict.fromkeys(self.jobs, int(self._has_run))

    def next_row_at(self, line: int, now: float) -> float | None:
        return None if self._transitions else math.inf

    def start(self, timestamp: float) -> None:
        self._transitions = tuple((timestamp, state) for state in (State.PENDING, State.RUNNING, State.STOPPED))

    def stop(self, timestamp: float) -> None:
        self._transitions = self._transitions or ((timestamp, State.CANCELLED),)

    def delete(self) -> None:
        """Nothing is kept."""

    @property
    def _has_run(self) -> bool:
        return len(self._transitions) > 1
