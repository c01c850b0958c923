"""Why following logs, or waiting for an experiment, has ended without what it was for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradient_api.constants import ExperimentState

from gradient_ext.naming import public
from gradient_ext.root_error import GradientSdkError

if TYPE_CHECKING:
    from gradient_ext.experiments import BaseExperiment
    from gradient_ext.logs import LogRow


def state_word(state: int) -> str:
    """Give the word for a state; servers may know states that have none here.

    >>> state_word(4), state_word(77)
    ('running', 'in state 77')
    """
    word = ExperimentState.get_state_str(state)
    return f"in state {state}" if word == ExperimentState.get_state_str(None) else word


@public
class LogsInterruptedError(GradientSdkError):
    """The logs of an experiment could not be followed to their end. Every row up to `line` has come.

    >>> try:
    ...     for row in client.yield_logs(experiment_id):
    ...         print(row.message)
    ... except LogsInterruptedError as error:
    ...     print("Go on later after line", error.line)
    Go on later after line 0

    :param str experiment_id: the experiment
    :param int line: what to give to `yield_logs` as `line` to go on without losing a row; of several jobs, rows of
        those that are further on come again
    :param str reason: why it ended
    :param GradientSdkError error: what went wrong last, if something did
    """

    retryable = True

    def __init__(self, experiment_id: str, line: int, reason: str, error: GradientSdkError | None = None) -> None:
        super().__init__(reason)
        self.experiment_id = experiment_id
        self.line = line
        self.reason = reason
        self.error = error

    def __str__(self) -> str:
        again = f"yield_logs({self.experiment_id!r}, line={self.line}) goes on from there"
        return f"Stopped following the logs of {self.experiment_id} after line {self.line}: {self.reason}\n({again})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.experiment_id, self.line, self.reason, self.error), self.__dict__


@public
class LogsTimeoutError(LogsInterruptedError, TimeoutError):
    """The time that was given for following the logs of an experiment is over.

    >>> try:
    ...     list(client.yield_logs(experiment_id, timeout=0.1))
    ... except LogsTimeoutError as error:
    ...     error.line, error.reason
    (0, '0.1 seconds are over')
    """


@public
class WaitTimeoutError(GradientSdkError, TimeoutError):
    """The time that was given for waiting is over; the experiment goes on.

    >>> try:
    ...     client.wait(experiment_id, timeout=0.1)
    ... except WaitTimeoutError as error:
    ...     constants.ExperimentState.get_state_str(error.state)
    'created'

    :param str experiment_id: the experiment
    :param int state: the state in which it was last seen; None: it has not been seen
    :param float timeout: how many seconds were given
    :param GradientSdkError error: what went wrong last, if something did
    """

    retryable = True

    def __init__(
        self, experiment_id: str, state: int | None, timeout: float, error: GradientSdkError | None = None
    ) -> None:
        super().__init__(experiment_id)
        self.experiment_id = experiment_id
        self.state = state
        self.timeout = timeout
        self.error = error

    def __str__(self) -> str:
        seen = "could not be read" if self.state is None else f"is still {state_word(self.state)}"
        reason = f": {self.error}" if self.error else ""
        return f"Experiment {self.experiment_id} {seen} after {self.timeout:g} seconds{reason}"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.experiment_id, self.state, self.timeout, self.error), self.__dict__


@public
class StateNotReachedError(GradientSdkError):
    """The experiment has ended, and the state that was waited for will not come any more.

    >>> client.stop(experiment_id)
    >>> try:
    ...     client.wait(experiment_id, until="running")
    ... except StateNotReachedError as error:
    ...     constants.ExperimentState.get_state_str(error.state)
    'canceled'

    :param str experiment_id: the experiment
    :param int state: the state in which it has ended
    :param until: the states that were waited for
    """

    def __init__(self, experiment_id: str, state: int, until: Iterable[int]) -> None:
        super().__init__(experiment_id, state, tuple(until))
        self.experiment_id = experiment_id
        self.state = state
        self.until: tuple[int, ...] = self.args[2]

    def __str__(self) -> str:
        awaited = " or ".join(state_word(state) for state in self.until)
        ended = state_word(self.state)
        return f"Experiment {self.experiment_id} has ended as {ended}; it will not be {awaited} any more"


@public
class ExperimentFailedError(GradientSdkError):
    """The experiment that was waited for has failed: its command did (`failed`), or it could not be run (`error`).

    >>> client.start(experiment_id)
    >>> try:
    ...     client.wait(experiment_id)
    ... except ExperimentFailedError as error:
    ...     error.rows[-1].message
    'worker: the command ended with exit code 1 (simulated)'

    :param BaseExperiment experiment: the experiment, as it is now
    :param str experiment_id: its id
    :param int state: the state in which it has ended
    :param rows: the last rows of its logs, as far as they could be read
    """

    def __init__(self, experiment: BaseExperiment, experiment_id: str, state: int, rows: Sequence[LogRow] = ()) -> None:
        super().__init__(experiment_id, state)
        self.experiment = experiment
        self.experiment_id = experiment_id
        self.state = state
        self.rows: tuple[LogRow, ...] = tuple(rows)

    @property
    def experiment_error(self) -> str | None:
        """What the server says about it (`experimentError`), if it says something."""
        return self.experiment.experiment_error

    def __str__(self) -> str:
        from gradient_ext.masking import masked
        from gradient_ext.printable import printable

        said = f": {printable(masked(self.experiment_error), lines=True)}" if self.experiment_error else ""
        width = max((len(str(row.line)) for row in self.rows), default=0)
        shown = [f"  {row.line:{width}}  {printable(masked(row.message.rstrip())):.200}" for row in self.rows]
        heading = ["The last rows of its logs:"] if shown else []
        state = ExperimentState.get_state_str(self.state)
        return "\n".join([f"Experiment {self.experiment_id} has ended as {state}{said}", *heading, *shown])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.experiment, self.experiment_id, self.state, self.rows), self.__dict__
