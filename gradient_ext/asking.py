"""Questions about one experiment: what is sent for them, for how long, and what the answers say. No I/O."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from attrs import frozen
from gradient_api import operations
from gradient_api.json_names import ExperimentAnswerNames

from gradient_ext._json import as_object, is_array, require
from gradient_ext.calls import Call, call_of
from gradient_ext.config import Options
from gradient_ext.experiments import BaseExperiment, experiment_from
from gradient_ext.logs import LogQuestion, LogRow, rows_from

_ACTION = "Failed to fetch data"
Value_co = TypeVar("Value_co", covariant=True)


@frozen(kw_only=True)
class Ask(ABC, Generic[Value_co]):
    """Ask the server something.

    :param float wait: for how many seconds it may hold the request open while it has nothing new to say
    :param float within: after how many seconds an answer is of no use any more; None: it always is
    """

    wait: float = 0.0
    within: float | None = None

    @abstractmethod
    def call(self, handle: str) -> Call[Any]:
        """Say what to send."""

    @abstractmethod
    def value(self, answer: Any) -> Value_co:
        """Say what the answer says.

        :raises ValueError: it lacks what it must say
        """

    @property
    def otherwise(self) -> Ask[Value_co] | None:
        """What to ask a server that knows no such address (404, 405)."""
        return None

    def options(self, chosen: Options) -> Options:
        """Give the options to send this with. What may be held is sent once: who asks asks in another way then."""
        if not self.wait and self.within is None:
            return chosen
        deadline = None if chosen.deadline is None else chosen.deadline + self.wait
        if self.within is not None:
            deadline = self.within if deadline is None else min(deadline, self.within)
        return chosen._replace(deadline=deadline, max_attempts=1 if self.wait else chosen.max_attempts)


@frozen(kw_only=True)
class AskExperiment(Ask[BaseExperiment]):
    """Ask for the whole experiment."""

    def call(self, handle: str) -> Call[Any]:
        """Say what to send."""
        return call_of(operations.GET_EXPERIMENT, _ACTION, handle, meaning=self.value)

    def value(self, answer: Any) -> BaseExperiment:
        """Make the experiment."""
        return experiment_from(as_object(answer[ExperimentAnswerNames.data]))


@frozen(kw_only=True)
class AskState(Ask[int]):
    """Ask for the state and nothing else.

    :param int known: the state that was read last: the server need not hold the request if it is another one now
    """

    known: int | None = None

    def call(self, handle: str) -> Call[Any]:
        """Say what to send."""
        known: dict[str, Any] = {} if self.known is None else {"known": self.known}
        state = operations.GET_EXPERIMENT_STATE
        return call_of(state, _ACTION, handle, meaning=self.value, wait=self.wait, **known)

    def value(self, answer: Any) -> int:
        """Take out the number."""
        state: int = require("integer", answer.data.state, "state")
        return state

    @property
    def otherwise(self) -> Ask[int]:
        """The historical service had no such address."""
        return _AskStateOfExperiment(within=self.within)


@frozen(kw_only=True)
class _AskStateOfExperiment(Ask[int]):
    def call(self, handle: str) -> Call[Any]:
        return call_of(operations.GET_EXPERIMENT, _ACTION, handle, meaning=self.value)

    def value(self, answer: Any) -> int:
        return AskExperiment().value(answer).state


@frozen(kw_only=True)
class AskLogs(Ask[list[LogRow]]):
    """Ask for rows of the logs."""

    question: LogQuestion

    def call(self, handle: str) -> Call[Any]:
        """Say what to send."""
        asked: dict[str, Any] = {"line": self.question.line, "limit": self.question.limit}
        return call_of(operations.GET_LOGS, _ACTION, meaning=self.value, wait=self.wait, experiment_id=handle, **asked)

    def value(self, answer: Any) -> list[LogRow]:
        """Make the rows; there are none in an answer without a body."""
        return rows_from(answer if is_array(answer) else None)
