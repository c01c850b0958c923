"""Follow logs and wait for a state: what to request next, how long to pause, when to give up.

No I/O and no clock of its own. The client asks a poller for its next step again and again, until there is none: it
sleeps a :class:`Pause`, and sends a :class:`Query` and hands the response back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic, Self, TypeVar, cast

from attrs import define, evolve, field, frozen
from gradient_api.constants import ExperimentState

from gradient_ext.config import LONGEST_SECONDS, Options
from gradient_ext.errors import (
    ExperimentFailedError,
    GradientSdkError,
    LogsInterruptedError,
    LogsTimeoutError,
    ResourceFetchingError,
    StateNotReachedError,
    WaitTimeoutError,
)
from gradient_ext.experiments import BaseExperiment, job_count
from gradient_ext.logs import LogCursor, LogPosition, LogRange, LogRow, LogTail
from gradient_ext.metrics import START, MetricPoint
from gradient_ext.states import has_ended, has_failed, state_word

LONGEST_HOLD = 20.0
"""The most seconds that a server may hold a long poll open while it has nothing new."""
SHORTEST_INTERVAL = 0.2
LONGEST_INTERVAL = 10.0
_GROWTH = 1.5
# A long poll that is held open until a timeout should be answered before it.
_MARGIN = 1.0
# The logs come from another service than the state, and may lag behind it.
_RELIABLE_PASSES = 3
_UNRELIABLE_PASSES = 8
_SECONDS_PER_ROW = 0.01
"""The interval until the next query, for each row of the last page: the rows of a quiet command are read at once."""
_STATE_TRUST = 300.0
"""For how many seconds a long poll that was held to its end proves that the experiment goes on."""
_DISPLAYED_STATE_AGE = 5.0
"""After how many seconds a displayed state is read again."""
_CONTRADICTED_STATE_AGE = 0.5
"""The same if rows come although the state is not running."""
_LAST_STATE_SECONDS = 2.0
"""The deadline for reading the final state that is displayed."""
_TAIL_ROWS = 10
_AFTERMATH_SECONDS = 5.0
"""The deadline for requests that only describe an end which came in time."""
Event = TypeVar("Event")


@frozen
class Pause:
    """Sleep for some seconds."""

    seconds: float


@frozen(kw_only=True)
class Query:
    """Something to request about an experiment.

    :param float wait: for how many seconds the server may hold the request open while it has nothing new
    :param float within: the deadline of the request, in seconds; None: that of the client
    """

    wait: float = 0.0
    within: float | None = None

    def without_wait(self) -> Self:
        """Return the query without a long poll."""
        return evolve(self, wait=0.0)

    @property
    def parameters(self) -> dict[str, Any]:
        """The query parameters of the request."""
        return {"wait": self.wait} if self.wait else {}


@frozen(kw_only=True)
class ExperimentQuery(Query):
    """Request the whole experiment; the response is a `BaseExperiment`."""


@frozen(kw_only=True)
class StateQuery(Query):
    """Request the state; the response is its number.

    :param int known: the state that was read last: a long poll ends when it is another one
    """

    known: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """The query parameters of the request."""
        return super().parameters if self.known is None else {"known": self.known, **super().parameters}


@frozen(kw_only=True)
class LogsQuery(Query):
    """Request log rows; the response is a list of `LogRow`."""

    range: LogRange

    @property
    def parameters(self) -> dict[str, Any]:
        """The query parameters of the request."""
        return {"line": self.range.line, "limit": self.range.limit, **super().parameters}


@frozen(kw_only=True)
class MetricsQuery(Query):
    """Request the points after a cursor; the response is a `MetricsPage`."""

    names: Sequence[str] | None = None
    after: str = START

    @property
    def parameters(self) -> dict[str, Any]:
        """The query parameters of the request."""
        names = {} if self.names is None else {"name": list(self.names)}
        return {"after": self.after, **names, **super().parameters}


@frozen
class MetricsPage:
    """The points after a cursor.

    :param points: the points, ordered by time
    :param str cursor: where to go on
    :param bool is_complete: whether no more points will come
    """

    points: Sequence[MetricPoint]
    cursor: str
    is_complete: bool


@define(kw_only=True)
class Poller(ABC, Generic[Event]):
    """Poll an experiment until it has got somewhere, over a network that fails now and then.

    :param str handle: the experiment
    :param float timeout: seconds from the first step on, after which it gives up; None: never
    :param float patience: the retry budget: for how many seconds failures are tolerated while nothing else comes; None:
        for ever
    """

    handle: str
    timeout: float | None = None
    patience: float | None = Options().patience
    state: int | None = field(default=None, init=False)
    """The state of the experiment, as far as it is known."""
    row_count: int | None = field(default=None, init=False)
    """How many rows have come; None: this poller reads no rows."""
    began: str | None = field(default=None, init=False)
    """When the command began to run, in ISO 8601, as far as it is known."""
    remark: str | None = field(default=None, init=False)
    """The reason why a pending experiment waits, in words; None: it does not wait, or nobody knows."""
    _interval: float = field(default=SHORTEST_INTERVAL, init=False)
    _last_error: GradientSdkError | None = field(default=None, init=False)
    _started_at: float | None = field(default=None, init=False)
    _query: Query = field(factory=ExperimentQuery, init=False)
    _queried_at: float = field(default=0.0, init=False)
    _pause_until: float = field(default=0.0, init=False)
    _failing_since: dict[type[Query], float] = field(factory=dict[type[Query], float], init=False)
    _failed_long_polls: int = field(default=0, init=False)

    @abstractmethod
    def _next_query(self) -> Query | None:
        """Return what to request next; None: the poller is done."""

    @abstractmethod
    def _take(self, query: Query, response: object) -> list[Event]:
        """Take the response to a query, and return the events in it."""

    @abstractmethod
    def _timeout_error(self) -> GradientSdkError:
        """Return the error for a timeout that is over."""

    @abstractmethod
    def _patience_error(self, error: GradientSdkError, reason: str) -> GradientSdkError:
        """Return the error for a retry budget that is used up.

        :param GradientSdkError error: the error of the last query
        :param str reason: what the budget was used up by
        """

    def next_step(self, now: float) -> Pause | Query | None:
        """Return what to do now; None: the poller is done.

        :raises TimeoutError: the timeout is over; also a GradientSdkError
        """
        query = self._next_query()
        if query is None:
            return None
        if self._started_at is None:
            self._started_at = self._pause_until = now
        remaining = None if self.timeout is None else self._started_at + self.timeout - now
        if remaining is not None and remaining <= 0:
            raise self._timeout_error() from self._last_error
        if now < self._pause_until:
            pause = min(self._pause_until - now, LONGEST_SECONDS)
            return Pause(pause if remaining is None else min(pause, remaining))
        if remaining is not None:
            query = evolve(query, wait=max(0.0, min(query.wait, remaining - _MARGIN)), within=remaining)
        self._query, self._queried_at = query, now
        return query

    def on_response(self, response: object) -> list[Event]:
        """Take the response to the last query, and return the events in it."""
        self._failing_since.pop(type(self._query), None)
        self._last_error = None
        if self._query.wait:
            self._failed_long_polls = 0
        return self._take(self._query, response)

    def on_error(self, error: GradientSdkError, now: float) -> None:
        """Take the error of the last query.

        :raises GradientSdkError: the error is not transient, or the retry budget is used up
        """
        if not error.retryable:
            raise error
        self._last_error = error
        self._failed_long_polls += self._query.wait > 0
        since = self._failing_since.setdefault(type(self._query), self._queried_at)
        self._back_off()
        retry_after = error.retry_after if isinstance(error, ResourceFetchingError) else None
        self._pause_until = max(self._pause_until, now + (retry_after or 0.0))
        if self.patience is not None and max(now, self._pause_until) - since >= self.patience:
            reason = f"nothing else for {self.patience:g} seconds"
            if now - since < self.patience and retry_after:
                reason = f"the server asks to wait {retry_after:g} seconds, and the patience is {self.patience:g}"
            raise self._patience_error(error, reason)

    def _back_off(self) -> None:
        """Pause for the poll interval, and lengthen it. The time that a long poll was held counts."""
        self._pause_until = self._queried_at + self._interval
        self._interval = min(self._interval * _GROWTH, LONGEST_INTERVAL)

    def _reset_interval(self) -> None:
        self._interval = SHORTEST_INTERVAL

    def _describe(self, experiment: BaseExperiment) -> None:
        """Take what is displayed beside the state."""
        self.began = experiment.dt_started
        self.remark = experiment.remark if experiment.state == ExperimentState.PENDING else None

    def _hold(self, seconds: float) -> float:
        """Return how long the server may hold the next request: not at all while requests or long polls fail.

        Some proxies end what takes long, however healthy the server is.
        """
        return 0.0 if self._failing_since or self._failed_long_polls > 1 else seconds


@define(kw_only=True)
class LogFollower(Poller[LogRow]):
    """Follow the logs of an experiment until they end, and return every row once.

    They end when every job has ended its log, or when the experiment has ended and several passes over the logs have
    brought nothing: a job may never start, or never end its log properly.

    :param LogPosition start: where to begin
    :param int limit: how many rows to request at once
    :param bool displays_state: whether the state is displayed, so that it has to be fresh, and the final one read
    """

    start: LogPosition
    limit: int
    displays_state: bool = False
    row_count: int | None = field(default=0, init=False)
    _cursor: LogCursor | None = field(default=None, init=False)
    _state_is_due: bool = field(default=False, init=False)
    _state_read_at: float = field(default=0.0, init=False)
    _read_final_state: bool = field(default=False, init=False)
    _rows_of_pass: int = field(default=0, init=False)
    _empty_reliable_passes: int = field(default=0, init=False)
    _empty_unreliable_passes: int = field(default=0, init=False)

    @property
    def line(self) -> int:
        """The line from which another follower loses nothing."""
        if self._cursor is not None:
            return self._cursor.line_to_resume
        return min([self.start.line, *self.start.jobs.values()])

    @property
    def position(self) -> LogPosition:
        """Where another follower goes on, without losing a row and without seeing one again."""
        return self._cursor.position if self._cursor else self.start

    def next_step(self, now: float) -> Pause | Query | None:
        """Return what to do now; None: the logs have ended.

        :raises TimeoutError: the timeout is over; also a GradientSdkError
        """
        if self._state_is_due and self._was_held_to_the_end(now):
            self._state_is_due = False
        return super().next_step(now)

    def _was_held_to_the_end(self, now: float) -> bool:
        """Whether the server would have noticed that the experiment has ended, and has not: it still goes on."""
        is_long = self._query.wait >= LONGEST_HOLD and now - self._queried_at >= self._query.wait
        return is_long and self._queried_at - self._state_read_at < _STATE_TRUST

    def _next_query(self) -> Query | None:
        cursor = self._cursor
        if cursor is None:
            return ExperimentQuery()
        if self._is_over:
            return self._final_query()
        if self._state_is_due:
            # What it waits for is displayed, too.
            waits = self.displays_state and self.state == ExperimentState.PENDING
            return ExperimentQuery() if waits else StateQuery()
        wait = 0.0
        if cursor.is_at_front and not self._has_ended:
            # While jobs are not equally far, rows of the others do not end the long poll: it replaces a pause.
            longest = max(_DISPLAYED_STATE_AGE, self._interval) if self.displays_state else LONGEST_HOLD
            wait = self._hold(longest if cursor.is_even else self._interval)
        return LogsQuery(range=cursor.query, wait=wait)

    def _final_query(self) -> Query | None:
        if not self.displays_state or self._has_ended or self._read_final_state:
            return None
        self.timeout = None  # All rows came in time; the final state only describes the end.
        return StateQuery(within=_LAST_STATE_SECONDS)

    @property
    def _is_over(self) -> bool:
        if self._cursor is not None and self._cursor.finished:
            return True
        return self._empty_reliable_passes >= _RELIABLE_PASSES or self._empty_unreliable_passes >= _UNRELIABLE_PASSES

    @property
    def _has_ended(self) -> bool:
        return self.state is not None and has_ended(self.state)

    def _take(self, query: Query, response: object) -> list[LogRow]:
        match query:
            case ExperimentQuery():
                experiment = cast(BaseExperiment, response)
                self._cursor = self._cursor or LogCursor(self.start, self.limit, job_count(experiment))
                self._describe(experiment)
                self._take_state(experiment.state)
            case StateQuery():
                self._take_state(cast(int, response))
            case _:
                return self._take_rows(cast(LogCursor, self._cursor), cast(list[LogRow], response))
        return []

    def _take_state(self, state: int) -> None:
        self.state = state
        self._state_is_due = False
        self._state_read_at = self._queried_at
        self._read_final_state = self._is_over

    def _take_rows(self, cursor: LogCursor, page: list[LogRow]) -> list[LogRow]:
        rows = cursor.take(page)
        if rows:
            self._rows_of_pass += len(rows)
            if self.displays_state and not self._has_ended:
                # With its first row a job is running, whatever the state was before.
                is_running = self.state == ExperimentState.RUNNING
                age = self._queried_at - self._state_read_at
                longest = _DISPLAYED_STATE_AGE if is_running else _CONTRADICTED_STATE_AGE
                self._state_is_due = not self.row_count or age >= longest
            self.row_count = (self.row_count or 0) + len(rows)
            self._failing_since.clear()
            self._reset_interval()
        if cursor.pass_is_over:
            self._end_pass(cursor)
        return rows

    def _end_pass(self, cursor: LogCursor) -> None:
        count, self._rows_of_pass = self._rows_of_pass, 0
        if count:
            self._empty_reliable_passes = self._empty_unreliable_passes = 0
        elif self._has_ended:
            self._reset_interval()  # This cannot go on for long.
            self._empty_reliable_passes += cursor.is_reliable
            self._empty_unreliable_passes += not cursor.is_reliable
        else:
            self._state_is_due = True
        if count and self._query.wait:
            # The faster rows come, the more of them are in a page, and the later the next query may be.
            self._pause_until = self._queried_at + min(SHORTEST_INTERVAL, _SECONDS_PER_ROW * count)
        else:
            self._back_off()

    def on_error(self, error: GradientSdkError, now: float) -> None:
        """Take the error of the last query. If it was about the state, rows may still come.

        :raises GradientSdkError: the error is not transient, or the retry budget is used up
        """
        self._state_is_due = False
        if self._is_over:
            self._read_final_state = True  # The final state is tried once.
            return
        if self.row_count and not error.retryable:
            came = "1 row has come" if self.row_count == 1 else f"{self.row_count} rows have come"
            error.add_note(f"{came}; yield_logs({self.handle!r}, after={str(self.position)!r}) goes on from there.")
        super().on_error(error, now)

    def _timeout_error(self) -> GradientSdkError:
        reason, cursor = f"{self.timeout:g} seconds are over", str(self.position)
        return LogsTimeoutError(self.handle, self.line, reason, self._last_error, cursor=cursor)

    def _patience_error(self, error: GradientSdkError, reason: str) -> GradientSdkError:
        cursor = str(self.position)
        interrupted = LogsInterruptedError(self.handle, self.line, f"{reason}: {error}", error, cursor=cursor)
        interrupted.__cause__ = error
        return interrupted


@define(kw_only=True)
class MetricFollower(Poller[MetricPoint]):
    """Follow the metrics of an experiment until it has ended, and return every point once.

    :param names: the metrics; None: all
    """

    names: Sequence[str] | None = None
    _cursor: str = field(default=START, init=False)
    _is_complete: bool = field(default=False, init=False)

    def _next_query(self) -> Query | None:
        if self._is_complete:
            return None
        return MetricsQuery(names=self.names, after=self._cursor, wait=self._hold(LONGEST_HOLD))

    def _take(self, query: Query, response: object) -> list[MetricPoint]:
        page = cast(MetricsPage, response)
        has_moved = page.cursor != self._cursor
        self._cursor, self._is_complete = page.cursor, page.is_complete
        if has_moved:
            # Rows without points are read at once; the more points come, the later the next query may be.
            self._reset_interval()
            self._pause_until = self._queried_at + min(SHORTEST_INTERVAL, _SECONDS_PER_ROW * len(page.points))
        else:
            self._back_off()
        return list(page.points)

    def _timeout_error(self) -> GradientSdkError:
        return WaitTimeoutError(self.handle, self.state, cast(float, self.timeout), self._last_error)

    def _patience_error(self, error: GradientSdkError, reason: str) -> GradientSdkError:
        error.add_note(f"Following the metrics of {self.handle} ended: {reason}.")
        return error


@define(kw_only=True)
class Waiter(Poller[int]):
    """Wait until an experiment is in one of some states, or has ended. Its events are the states, each change once.

    :param until: the states to wait for; None: any in which it has ended
    :param bool raise_on_failure: whether a failed experiment is an error, unless that state is waited for
    :param bool displays_state: whether the progress is displayed, so that the start of the command has to be known
    """

    until: AbstractSet[int] | None = None
    raise_on_failure: bool = True
    displays_state: bool = False
    _experiment: BaseExperiment | None = field(default=None, init=False)
    _tail: LogTail = field(factory=lambda: LogTail(_TAIL_ROWS), init=False)
    _tail_started_at: float | None = field(default=None, init=False)
    _in_aftermath: bool = field(default=False, init=False)
    _is_described: bool = field(default=False, init=False)
    """Whether the last response about the state was the whole experiment."""

    def result(self) -> BaseExperiment:
        """Return the experiment, when there is no next step.

        :raises ExperimentFailedError: it has failed
        :raises StateNotReachedError: it has ended in another state
        """
        experiment, state = cast(BaseExperiment, self._experiment), cast(int, self.state)
        if self._is_failure:
            raise ExperimentFailedError(experiment, self.handle, state, self._tail.rows)
        if self.until is not None and state not in self.until:
            raise StateNotReachedError(self.handle, state, sorted(self.until))
        return experiment

    @property
    def _is_reached(self) -> bool:
        return self.state is not None and (has_ended(self.state) or self.state in (self.until or ()))

    @property
    def _is_failure(self) -> bool:
        is_failed = self.state is not None and has_failed(self.state)
        return self.raise_on_failure and is_failed and self.state not in (self.until or ())

    def _next_query(self) -> Query | None:
        if not self._is_reached:
            if self.displays_state and self.state in (None, ExperimentState.PENDING) and not self._is_described:
                return ExperimentQuery()
            longest = _DISPLAYED_STATE_AGE if self.remark else LONGEST_HOLD
            return StateQuery() if self.state is None else StateQuery(wait=self._hold(longest), known=self.state)
        if self._experiment is None:
            return ExperimentQuery(within=_AFTERMATH_SECONDS if self._in_aftermath else None)
        if self._is_failure and not self._tail.finished:
            return LogsQuery(range=self._tail.query, within=_AFTERMATH_SECONDS)
        return None

    def _take(self, query: Query, response: object) -> list[int]:
        match query:
            case ExperimentQuery():
                experiment = cast(BaseExperiment, response)
                self._describe(experiment)
                self._is_described = True
                if not self._is_reached:
                    changes = self._take_state(experiment.state)
                    self._experiment = experiment if self._is_reached else None
                    return changes
                self._experiment = experiment
            case StateQuery():
                self._is_described = False
                return self._take_state(cast(int, response))
            case _:
                self._take_rows(cast(list[LogRow], response))
        return []

    def _take_state(self, state: int) -> list[int]:
        changed, self.state = state != self.state, state
        if self._is_reached:
            self._shorten_aftermath()
        else:
            if changed:
                self._reset_interval()
            self._back_off()
        return [state] if changed else []

    def _shorten_aftermath(self) -> None:
        """Limit the requests that only describe the end: a caller with a timeout does not wait as long again."""
        if self.timeout is not None:
            self._in_aftermath = True
            self.timeout = None
            self.patience = _AFTERMATH_SECONDS if self.patience is None else min(self.patience, _AFTERMATH_SECONDS)

    def _take_rows(self, page: list[LogRow]) -> None:
        """Take rows of the tail, and settle for those that came if it takes long."""
        if self._tail_started_at is None:
            self._tail_started_at = self._queried_at
        self._tail.take(page)
        if self._queried_at - self._tail_started_at >= _AFTERMATH_SECONDS:
            self._tail.finished = True

    def on_error(self, error: GradientSdkError, now: float) -> None:
        """Take the error of the last query. The tail of the logs is tried once.

        :raises GradientSdkError: the error is not transient, or the retry budget is used up
        """
        if isinstance(self._query, LogsQuery):
            self._tail.finished = True
        else:
            super().on_error(error, now)

    def _timeout_error(self) -> GradientSdkError:
        return WaitTimeoutError(self.handle, self.state, cast(float, self.timeout), self._last_error)

    def _patience_error(self, error: GradientSdkError, reason: str) -> GradientSdkError:
        seen = "" if self.state is None else f"; it was {state_word(self.state)} before"
        error.add_note(f"Waiting for {self.handle} ended: {reason}{seen}.")
        return error
