"""The runner that executes nothing: what a run does is a function of its request and of the time.

Nothing is stored and no thread runs. All timestamps are known in advance, so nothing is ever reported as changed.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Self

from attrs import frozen
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import (
    Artifact,
    ArtifactReader,
    Job,
    LogRow,
    Run,
    Runner,
    RunRejectedError,
    RunSpec,
    Transitions,
    entries_until,
    jobs_of,
    state_at,
)

SIMULATED_TEXT = "  (simulated: no command is executed)"
"""The end of the first row of each job."""
ERROR_TEXT = "The machine could not be set up (simulated: GRADIENT_MOCK_OUTCOME=error)"
OUTCOMES = {State.get_state_str(state): state for state in (State.STOPPED, State.FAILED, State.ERROR)}
_EXIT_CODES = {State.STOPPED: 0, State.FAILED: 1}
MAX_ROWS = 10**9
MAX_SECONDS = 10.0**9
_FIELD = "experimentEnv"
# When each state begins, as a share of the time from start to end. At 1 the run has ended.
_SHARES = {
    State.PENDING: 0.0,
    State.PROVISIONING: 0.02,
    State.PROVISIONED: 0.07,
    State.NETWORK_SETTING_UP: 0.08,
    State.NETWORK_SETUP: 0.09,
    State.RUNNING: 0.10,
    State.NETWORK_TEARING_DOWN: 0.95,
    State.NETWORK_TEARDOWN: 0.98,
}
_TEARDOWN = (State.NETWORK_TEARING_DOWN, State.NETWORK_TEARDOWN)


@frozen(kw_only=True)
class SimulationOptions:
    """The simulation that an experiment requests in its GRADIENT_MOCK environment variables.

    :param float seconds: simulated seconds from start to end
    :param int outcome: the state in which it ends; with `State.ERROR` it ends before it runs
    :param int rows: how many rows each job prints, without the end marker
    """

    seconds: float
    outcome: int
    rows: int

    @classmethod
    def from_request(cls, body: Mapping[str, Any]) -> Self:
        """Read them from a request.

        :raises RunRejectedError: one of them is wrong; the text says which and what would be right
        """
        variables: Mapping[str, Any] = body.get(_FIELD) or {}
        outcome = str(variables.get("GRADIENT_MOCK_OUTCOME", State.get_state_str(State.STOPPED)))
        if outcome not in OUTCOMES:
            raise RunRejectedError(f"GRADIENT_MOCK_OUTCOME must be one of {', '.join(OUTCOMES)}.", _FIELD)
        seconds = _number(variables, "GRADIENT_MOCK_SECONDS", default=20.0, maximum=MAX_SECONDS)
        rows = _number(variables, "GRADIENT_MOCK_LOG_LINES", default=20, maximum=MAX_ROWS)
        if rows != int(rows):
            raise RunRejectedError("GRADIENT_MOCK_LOG_LINES must be a whole number.", _FIELD)
        return cls(seconds=seconds, outcome=OUTCOMES[outcome], rows=int(rows))


class Simulation:
    """The states of a run, and the rows that each job prints, evenly spread over the time that its command runs.

    A row is a function of its job and its line, so that a log of any length takes no memory.

    :param SimulationOptions options: how it goes if nobody stops it
    :param float started: when it was started; None: not yet
    :param float stopped: when it was stopped; None: not yet
    """

    def __init__(self, options: SimulationOptions, started: float | None, stopped: float | None) -> None:
        self.options, self.started, self.stopped = options, started, stopped
        planned = [] if started is None else _planned_transitions(options, started)
        self.transitions = tuple(planned if stopped is None else _stopped(planned, options, stopped))
        timestamps = {state: timestamp for timestamp, state in self.transitions}
        # When its command begins and ends to run, and when the run has ended; infinity: never.
        self._begin = timestamps.get(State.RUNNING, math.inf)
        self._end = timestamps.get(State.NETWORK_TEARING_DOWN, math.inf)
        self.ended = self.transitions[-1][0] if self.transitions else math.inf
        if self.transitions and self.transitions[-1][1] == State.ERROR:
            # It prints nothing but the reason.
            self._begin = self._end = self.ended
            self._pause, self._printed = 0.0, 1
        elif self._begin < math.inf:
            planned_end = next(timestamp for timestamp, state in planned if state == State.NETWORK_TEARING_DOWN)
            self._pause = (planned_end - self._begin) / (options.rows + 1)
            self._printed = options.rows if self._end >= planned_end else self._printed_until(self._end)

    def line_count(self, now: float) -> int:
        """Return how many rows each job has printed, including the end marker."""
        if now < self._begin:
            return 0
        return self._printed + 1 if now >= self.ended else min(self._printed, self._printed_until(now))

    def appears_at(self, line: int) -> float:
        """Return when a line appears; infinity if it never does."""
        if self._begin == math.inf or line > self._printed + 1:
            return math.inf
        timestamp = self._timestamp(line)
        while self.line_count(timestamp) < line:  # because of rounding, and then once or twice
            timestamp = math.nextafter(timestamp, math.inf)
        return timestamp

    def row(self, job: Job, line: int) -> LogRow:
        """Return a row that has appeared."""
        message = END_OF_LOG if line > self._printed else self._message(job, line)
        return LogRow(line, self._timestamp(line), message)

    def _timestamp(self, line: int) -> float:
        # Rounding must not move a row behind the end.
        return self.ended if line > self._printed else min(self._begin + self._pause * line, self._end)

    def _printed_until(self, timestamp: float) -> int:
        rows = self.options.rows
        return min(rows, int((timestamp - self._begin) / self._pause)) if self._pause else rows

    def _message(self, job: Job, line: int) -> str:
        rows = self.options.rows
        if self.options.outcome == State.ERROR:
            return ERROR_TEXT
        if line == rows and self.options.outcome == State.FAILED:
            return _failed_text(job)
        share = line / rows
        # Looks random, is the same for each call, and fast: there may be millions of rows.
        noise = zlib.crc32(f"{job.id} {line}".encode()) / 2**32
        loss = 2.3 * math.exp(-3 * share) + 0.03 + 0.04 * noise
        remark = SIMULATED_TEXT if line == 1 else ""
        return f"{job.name}: step {line}/{rows}  loss {loss:.4f}  accuracy {1 - loss / 2.6:.3f}{remark}"


@frozen
class SimulatedArtifact(ArtifactReader):
    """A small file that never changes."""

    name: str
    content: bytes
    modified: float

    def artifact(self) -> Artifact:
        """Return what it is."""
        return Artifact(self.name, len(self.content), self.modified, f"{self.modified}")

    def read(self, offset: int, size: int) -> bytes:
        """Return bytes of it."""
        return self.content[offset : offset + size]


class SimulatedRun(Run):
    """A run that only its simulation knows; a start or a stop replaces that as a whole, so that threads may read it."""

    is_simulated = True

    def __init__(self, jobs: tuple[Job, ...], simulation: Simulation) -> None:
        self.jobs = jobs
        self._simulation = simulation

    @property
    def transitions(self) -> Transitions:
        """All states, because all are known in advance."""
        return self._simulation.transitions

    def error(self, now: float) -> str | None:
        """Return the simulated problem, once it has happened, as the last row has it."""
        state = state_at(self.transitions, now)
        if state == State.FAILED:
            return _failed_text(self.jobs[0])
        return ERROR_TEXT if state == State.ERROR else None

    def exit_code(self, now: float) -> int | None:
        """Return 0 or 1 if its simulated command has decided how it ended."""
        return _EXIT_CODES.get(state_at(self.transitions, now))

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, LogRow]]:
        """Return rows. All jobs have printed the same number of them."""
        simulation = self._simulation
        lines = range(line + 1, simulation.line_count(now) + 1)
        return list(islice(((job, simulation.row(job, number)) for number in lines for job in self.jobs), limit))

    def job_rows(self, job: Job, line: int, limit: int, now: float) -> list[LogRow]:
        """Return rows of a job."""
        simulation = self._simulation
        return [simulation.row(job, number) for number in range(line + 1, simulation.line_count(now) + 1)[:limit]]

    def last_lines(self, now: float) -> Mapping[Job, int]:
        """Return the same number for each job."""
        return dict.fromkeys(self.jobs, self._simulation.line_count(now))

    def next_row_at(self, line: int, now: float) -> float | None:
        """Return when the next row appears, or the run ends without one."""
        simulation = self._simulation
        if state_at(simulation.transitions, now) in TERMINAL_STATES:
            return None
        return min(simulation.appears_at(line + 1), simulation.ended)

    def artifacts(self, after: str, limit: int, now: float) -> list[Artifact]:
        """Return a file that is there while the command runs, and one that is there when it has succeeded."""
        return [reader.artifact() for reader in self._artifacts(now) if reader.artifact().name > after][:limit]

    def open_artifact(self, name: str, now: float) -> ArtifactReader | None:
        """Open one of them."""
        return next((reader for reader in self._artifacts(now) if reader.artifact().name == name), None)

    def _artifacts(self, now: float) -> list[SimulatedArtifact]:
        entered, options = entries_until(self.transitions, now), self._simulation.options
        found: list[SimulatedArtifact] = []
        if (began := entered.get(State.RUNNING)) is not None:
            settings = f'{{"simulated": true, "rows": {options.rows}}}\n'
            found.append(SimulatedArtifact("artifacts/settings.json", settings.encode(), began))
        if (ended := entered.get(State.STOPPED)) is not None:
            found.append(SimulatedArtifact("model/model.txt", b"simulated: no command was executed\n", ended))
        return found

    def start(self, timestamp: float) -> None:
        """Set when it started."""
        self._simulation = Simulation(self._simulation.options, timestamp, self._simulation.stopped)

    def stop(self, timestamp: float) -> None:
        """Set when it was stopped, once."""
        if self._simulation.stopped is None:
            self._simulation = Simulation(self._simulation.options, self._simulation.started, timestamp)

    def delete(self) -> None:
        """Do nothing: nothing is kept."""


def _failed_text(job: Job) -> str:
    """Return the last row of a job whose command fails."""
    return f"{job.name}: the command ended with exit code 1 (simulated)"


def _planned_transitions(options: SimulationOptions, started: float) -> list[tuple[float, int]]:
    """Return the states of a run that nobody stops."""
    path = [(started + options.seconds * share, state) for state, share in _SHARES.items()]
    if options.outcome == State.ERROR:
        failing = list(_SHARES).index(State.NETWORK_SETTING_UP)
        return [*path[:failing], (path[failing][0], State.ERROR)]
    return [*path, (started + options.seconds, options.outcome)]


def _stopped(planned: list[tuple[float, int]], options: SimulationOptions, stopped: float) -> list[tuple[float, int]]:
    """Return the states of a run with planned states, or none if it is not started, that is stopped at a time."""
    timestamps = {state: timestamp for timestamp, state in planned}
    if planned and stopped >= timestamps.get(State.NETWORK_TEARING_DOWN, planned[-1][0]):
        return planned
    past = [(timestamp, state) for timestamp, state in planned if timestamp <= stopped]
    if not planned or stopped < timestamps.get(State.RUNNING, planned[-1][0]):
        return [*past, (stopped, State.CANCELLED)]
    # It is torn down as it would have been at the end.
    first = _SHARES[State.NETWORK_TEARING_DOWN]
    teardown = [(stopped + options.seconds * (_SHARES[state] - first), state) for state in _TEARDOWN]
    return [*past, *teardown, (stopped + options.seconds * (1 - first), State.CANCELLED)]


class SimulatedRunner(Runner):
    """Simulates runs as the GRADIENT_MOCK environment variables of their experiments describe them."""

    name = "simulated"
    description = "simulated runs, nothing is executed"
    executes_commands = False

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Do nothing: there is nothing to report."""

    def admit(self, spec: RunSpec) -> SimulatedRun:
        """Plan a run.

        :raises RunRejectedError: a GRADIENT_MOCK variable is wrong
        """
        options = SimulationOptions.from_request(spec.body)
        return SimulatedRun(jobs_of(spec.handle, spec.body), Simulation(options, spec.started, spec.stopped))

    def recover(self) -> None:
        """Do nothing: a run depends on nothing but its request and when it is started and stopped."""

    def close(self) -> None:
        """Do nothing."""


def _number(variables: Mapping[str, Any], name: str, *, default: float, maximum: float) -> float:
    given = variables.get(name, default)
    try:
        value = math.nan if isinstance(given, bool) or given is None else float(given)
    except (ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= maximum:
        raise RunRejectedError(f"{name} must be a number from 0 to {maximum:.0f}.", _FIELD)
    return value
