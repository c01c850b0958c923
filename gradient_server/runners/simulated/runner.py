"""The runner of simulated runs. It keeps nothing: all that a run does follows from what the server knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from attrs import evolve
from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import Job, LogRow, Run, Runner, RunSpec, Transitions, jobs_of, state_at
from gradient_server.runners.simulated.lifecycle import Life
from gradient_server.runners.simulated.log import Log
from gradient_server.runners.simulated.wish import Wish, wish_of

ERROR_TEXT = "The machine could not be set up (simulated: GRADIENT_MOCK_OUTCOME=error)"


class SimulatedRunner(Runner):
    """Runs that are simulated, as the GRADIENT_MOCK variables of an experiment say."""

    name = "simulated"
    description = "simulated runs, nothing is executed"
    executes_commands = False

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Tell nobody: whatever happens, it has been announced with its timestamp."""

    def admit(self, spec: RunSpec) -> SimulatedRun:
        """Plan a run.

        :raises RunRejectedError: one of the variables is wrong
        """
        wish = wish_of(spec.body)
        life = Life(plan=wish.plan, started=spec.started, stopped=spec.stopped)
        return SimulatedRun(jobs_of(spec.handle, spec.body), wish, life)

    def recover(self) -> None:
        """Do nothing: runs go on by themselves, with time."""

    def close(self) -> None:
        """Do nothing: nothing runs."""


class SimulatedRun(Run):
    """A simulated run.

    :param jobs: its jobs
    :param Wish wish: what it is to be like
    :param Life life: what has happened to it
    """

    def __init__(self, jobs: tuple[Job, ...], wish: Wish, life: Life) -> None:
        self.jobs = jobs
        self._wish = wish
        self._life = life

    @property
    def transitions(self) -> Transitions:
        """Every state that it enters: all is known beforehand."""
        return self._life.transitions

    def error(self, now: float) -> str | None:
        """Say what went wrong, if it has."""
        return ERROR_TEXT if state_at(self._life.transitions, now) == State.ERROR else None

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        """Give rows. All jobs have printed equally much: the rows form a table, with one of each job in a line."""
        log, jobs = Log(self._wish, self._life), self.jobs
        lines = _lines_after(line, log, now)
        return list(islice(((job, log.row(job, number)) for number in lines for job in jobs), limit))

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        """Give rows of a job."""
        log = Log(self._wish, self._life)
        return [log.row(job, number) for number in islice(_lines_after(line, log, now), limit)]

    def last_lines(self, now: float) -> Mapping[Job, int]:
        """Say how much all jobs have printed: equally much."""
        return dict.fromkeys(self.jobs, Log(self._wish, self._life).visible(now))

    def next_row_at(self, line: int, now: float) -> float | None:
        """Say when there is a row after a line, or the run ends without one."""
        entered = self._life.transitions
        if state_at(entered, now) in TERMINAL_STATES:
            return None
        appears = Log(self._wish, self._life).appears(line + 1)
        return min(appears, entered[-1][0]) if entered else appears

    def start(self, timestamp: float) -> None:
        """Let its life begin."""
        self._life = evolve(self._life, started=timestamp)

    def stop(self, timestamp: float) -> None:
        """Let its life end earlier than planned."""
        if self._life.stopped is None:
            self._life = evolve(self._life, stopped=timestamp)

    def delete(self) -> None:
        """There is nothing to end, and nothing is kept."""


def _lines_after(line: int, log: Log, now: float) -> range:
    return range(line + 1, log.visible(now) + 1)
