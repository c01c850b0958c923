"""When an experiment has ended, and waiting for it to come into a state. No I/O, no clock of its own."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, cast

from attrs import define, field

from gradient_ext.asking import Ask, AskExperiment, AskLogs, AskState
from gradient_ext.errors import ExperimentFailedError, GradientSdkError, StateNotReachedError, WaitTimeoutError
from gradient_ext.experiments import BaseExperiment
from gradient_ext.log_tail import LogTail
from gradient_ext.logs import LogRow
from gradient_ext.states import FAILED_STATES, has_ended, state_word
from gradient_ext.tasks import LONGEST_HOLD, Task

_SHOWN_ROWS = 10
_LAST_WORDS = 5.0
"""For how many seconds to ask for what only tells about an end that has come in time."""


@define(kw_only=True)
class Waiter(Task[int]):
    """Waits until an experiment is in one of some states, or has ended. Its news are the states, each change once.

    :param until: the states that are waited for; None: any in which it has ended
    :param bool raise_on_failure: whether the experiment may not fail, unless that is what is waited for
    """

    until: AbstractSet[int] | None = None
    raise_on_failure: bool = True
    _experiment: BaseExperiment | None = field(default=None, init=False)
    _tail: LogTail = field(factory=lambda: LogTail(_SHOWN_ROWS), init=False)
    _tail_began: float | None = field(default=None, init=False)
    _is_brief: bool = field(default=False, init=False)

    def result(self) -> BaseExperiment:
        """Give the experiment, when there is no next step any more.

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
    def _is_there(self) -> bool:
        return self.state is not None and (has_ended(self.state) or self.state in (self.until or ()))

    @property
    def _is_failure(self) -> bool:
        return self.raise_on_failure and self.state in FAILED_STATES and self.state not in (self.until or ())

    def _next_ask(self) -> Ask[Any] | None:
        if not self._is_there:
            return AskState() if self.state is None else AskState(wait=self._hold(LONGEST_HOLD), known=self.state)
        if self._experiment is None:
            return AskExperiment(within=_LAST_WORDS if self._is_brief else None)
        if self._is_failure and not self._tail.finished:
            return AskLogs(question=self._tail.question, within=_LAST_WORDS)
        return None

    def _hear(self, ask: Ask[Any], answer: object) -> list[int]:
        match ask:
            case AskExperiment():
                self._experiment = cast(BaseExperiment, answer)
            case AskLogs():
                self._hear_rows(cast(list[LogRow], answer))
            case AskState():
                return self._hear_state(cast(int, answer))
            case _:  # It asks nothing else.
                pass
        return []

    def _hear_state(self, state: int) -> list[int]:
        changed, self.state = state != self.state, state
        if self._is_there:
            self._is_there_in_time()
        else:
            if changed:
                self._pacing.reset()
            self._rest()
        return [state] if changed else []

    def _is_there_in_time(self) -> None:
        """What follows only tells about it: who has said how long to wait is not kept for as long again."""
        if self.timeout is not None:
            self._is_brief = True
            self.timeout = None
            self.patience = _LAST_WORDS if self.patience is None else min(self.patience, _LAST_WORDS)

    def _hear_rows(self, page: list[LogRow]) -> None:
        """Take rows, and look for no better ones where that takes long."""
        if self._tail_began is None:
            self._tail_began = self._asked_at
        self._tail.take(page)
        if self._asked_at - self._tail_began >= _LAST_WORDS:
            self._tail.finished = True

    def fail(self, error: GradientSdkError, now: float) -> None:
        """Hear that there was an error instead of an answer. The logs are not worth more than one try."""
        if isinstance(self._asked, AskLogs):
            self._tail.finished = True
        else:
            super().fail(error, now)

    def _out_of_time(self) -> GradientSdkError:
        return WaitTimeoutError(self.handle, self.state, cast(float, self.timeout), self._last_error)

    def _out_of_patience(self, error: GradientSdkError) -> GradientSdkError:
        seen = "" if self.state is None else f"; it was {state_word(self.state)} before"
        error.add_note(f"Waiting for {self.handle} ended: nothing else for {self.patience:g} seconds{seen}.")
        return error
