"""Following the logs of an experiment: what to ask next, and when it is over. No I/O, no clock of its own."""

from __future__ import annotations

from typing import Any, cast

from attrs import define, field
from gradient_api.constants import ExperimentState

from gradient_ext.asking import Ask, AskExperiment, AskLogs, AskState
from gradient_ext.errors import GradientSdkError, LogsInterruptedError, LogsTimeoutError
from gradient_ext.experiments import BaseExperiment, job_count
from gradient_ext.logs import LogCursor, LogQuestion, LogRow
from gradient_ext.pacing import SHORTEST_PAUSE
from gradient_ext.states import has_ended
from gradient_ext.tasks import LONGEST_HOLD, Pause, Task

# The logs come from another service than the state, and may be behind it.
_SURE_SWEEPS = 3
_ODD_SWEEPS = 8
_SECONDS_PER_ROW = 0.01
"""From one question to the next, for each row that the first one has brought: who prints little is heard at once."""
_TRUST = 300.0
"""For how many seconds it is believed that a server which holds questions would have said that all is over."""
_FRESH = 5.0
"""For how many seconds a state that is shown is fresh."""
_FRESH_BEFORE = 0.5
"""The same, where rows come and the state says that it does not run yet, or not any more."""
_LAST_LOOK = 2.0
"""For how many seconds to try to see how it has ended."""


@define(kw_only=True)
class Follower(Task[LogRow]):
    """Reads the logs of an experiment until they end, and gives every row once.

    They end when every job has ended its log, or when the experiment has ended and several looks at the logs have
    brought nothing: a job may never start, or never end its log properly.

    :param LogQuestion start: after which line to begin, and how many rows to ask for at once
    :param bool shows_state: whether somebody looks at the state all along, so that it should be fresh, and the last one
        that of the end
    """

    start: LogQuestion
    shows_state: bool = False
    row_count: int | None = field(default=0, init=False)
    _cursor: LogCursor | None = field(default=None, init=False)
    _state_is_due: bool = field(default=False, init=False)
    _state_heard_at: float = field(default=0.0, init=False)
    _has_looked_last: bool = field(default=False, init=False)
    _sweep_rows: int = field(default=0, init=False)
    _sure_sweeps: int = field(default=0, init=False)
    _odd_sweeps: int = field(default=0, init=False)

    @property
    def line(self) -> int:
        """The line from which another follower loses nothing."""
        return self._cursor.line_to_resume if self._cursor else self.start.line

    def next_step(self, now: float) -> Pause | Ask[Any] | None:
        """Say what to do now; None: nothing any more.

        :raises TimeoutError: the time is over; an error of this package too
        """
        if self._state_is_due and self._was_held_to_the_end(now):
            self._state_is_due = False
        return super().next_step(now)

    def _was_held_to_the_end(self, now: float) -> bool:
        """Say whether the server had the time to hear that the experiment has ended, and has not: it still goes on."""
        is_long = self._asked.wait >= LONGEST_HOLD and now - self._asked_at >= self._asked.wait
        return is_long and self._asked_at - self._state_heard_at < _TRUST

    def _next_ask(self) -> Ask[Any] | None:
        cursor = self._cursor
        if cursor is None:
            return AskExperiment()
        if self._is_over:
            return self._last_look()
        if self._state_is_due:
            return AskState()
        wait = 0.0
        if cursor.is_at_front and not self._has_ended:
            # While jobs are not equally far, rows of the others do not end the wait: it takes the place of a pause.
            longest = max(_FRESH, self._pacing.pause) if self.shows_state else LONGEST_HOLD
            wait = self._hold(longest if cursor.is_even else self._pacing.pause)
        return AskLogs(question=cursor.question, wait=wait)

    def _last_look(self) -> Ask[Any] | None:
        if not self.shows_state or self._has_ended or self._has_looked_last:
            return None
        self.timeout = None  # All rows came in time; what follows only tells about them.
        return AskState(within=_LAST_LOOK)

    @property
    def _is_over(self) -> bool:
        cursor = self._cursor
        is_finished = cursor is not None and cursor.finished
        return is_finished or self._sure_sweeps >= _SURE_SWEEPS or self._odd_sweeps >= _ODD_SWEEPS

    @property
    def _has_ended(self) -> bool:
        return self.state is not None and has_ended(self.state)

    def _hear(self, ask: Ask[Any], answer: object) -> list[LogRow]:
        match ask:
            case AskExperiment():
                experiment = cast(BaseExperiment, answer)
                self._cursor = LogCursor(self.start.line, self.start.limit, job_count(experiment))
                self._hear_state(experiment.state)
            case AskState():
                self._hear_state(cast(int, answer))
            case AskLogs():
                return self._hear_rows(cast(LogCursor, self._cursor), cast(list[LogRow], answer))
            case _:  # It asks nothing else.
                pass
        return []

    def _hear_state(self, state: int) -> None:
        self.state = state
        self._state_is_due = False
        self._state_heard_at = self._asked_at
        self._has_looked_last = self._is_over

    def _hear_rows(self, cursor: LogCursor, page: list[LogRow]) -> list[LogRow]:
        rows = cursor.take(page)
        if rows:
            self._sweep_rows += len(rows)
            if self.shows_state and not self._has_ended:
                # With the first row a job has begun, whatever the state was before.
                is_as_expected = self.state == ExperimentState.RUNNING
                age = self._asked_at - self._state_heard_at
                self._state_is_due = not self.row_count or age >= (_FRESH if is_as_expected else _FRESH_BEFORE)
            self.row_count = (self.row_count or 0) + len(rows)
            self._failing_since.clear()
            self._pacing.reset()
        if cursor.sweep_is_over:
            count, self._sweep_rows = self._sweep_rows, 0
            if count:
                self._sure_sweeps = self._odd_sweeps = 0
            elif self._has_ended:
                self._pacing.reset()  # This cannot go on for long.
                self._sure_sweeps += cursor.is_sure
                self._odd_sweeps += not cursor.is_sure
            else:
                self._state_is_due = True
            if count and self._asked.wait:
                # Where rows come faster, there are more of them in an answer, and the next one may come later.
                self._pause_ends = self._asked_at + min(SHORTEST_PAUSE, _SECONDS_PER_ROW * count)
            else:
                self._rest()
        return rows

    def fail(self, error: GradientSdkError, now: float) -> None:
        """Hear that there was an error instead of an answer. Where it was about the state, rows may still come.

        :raises GradientSdkError: it is not one that passes, or it does not pass for too long
        """
        self._state_is_due = False
        if self._is_over:
            self._has_looked_last = True  # It is not worth more than one try.
            return
        if self.row_count and not error.retryable:
            came = "1 row has come" if self.row_count == 1 else f"{self.row_count} rows have come"
            error.add_note(f"{came}; yield_logs({self.handle!r}, line={self.line}) goes on from there.")
        super().fail(error, now)

    def _out_of_time(self) -> GradientSdkError:
        return LogsTimeoutError(self.handle, self.line, f"{self.timeout:g} seconds are over", self._last_error)

    def _out_of_patience(self, error: GradientSdkError) -> GradientSdkError:
        reason = f"nothing else for {self.patience:g} seconds: {error}"
        interrupted = LogsInterruptedError(self.handle, self.line, reason, error)
        interrupted.__cause__ = error
        return interrupted
