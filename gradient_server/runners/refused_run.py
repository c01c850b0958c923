"""An experiment of an earlier server which its runner does not take any more."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import Entered, Job, Prepared, Refused, Row, Run
from gradient_server.runners.states import state_at


class RefusedRun(Run):
    """A run that does not come to pass: where it is started, it ends with an error that says why.

    :param Prepared experiment: what is known of the experiment
    :param Refused reason: why it cannot be run
    """

    jobs: tuple[Job, ...] = ()

    def __init__(self, experiment: Prepared, reason: Refused) -> None:
        self._reason = reason
        self._entered: Entered = ()
        if experiment.started is not None:
            self.start(experiment.started)
        elif experiment.stopped is not None:
            self.stop(experiment.stopped)

    @property
    def entered(self) -> Entered:
        """Pending and the error, at once; or nothing but that it was canceled."""
        return self._entered

    def error(self, now: float) -> str | None:
        """Say why it cannot be run, once it was started."""
        return f"It cannot be run any more: {self._reason}" if state_at(self._entered, now) == State.ERROR else None

    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, Row]]:
        """Give none: it never runs."""
        return []

    def rows_of(self, job: Job, line: int, limit: int, now: float) -> list[Row]:
        """Give none."""
        return []

    def ends(self, now: float) -> Mapping[Job, int]:
        """Say nothing: it has no jobs."""
        return {}

    def next_row(self, line: int, now: float) -> float | None:
        """Say that there is none to wait for."""
        return None if self._entered else math.inf

    def start(self, moment: float) -> None:
        """End it."""
        self._entered = ((moment, State.PENDING), (moment, State.ERROR))

    def stop(self, moment: float) -> None:
        """Cancel it where it was not started."""
        self._entered = self._entered or ((moment, State.CANCELLED),)

    def forget(self) -> None:
        """There is nothing to end."""
