"""A runner as its server has it, without the server: prepared runs, a clock, and time that passes."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from gradient_api.constants import TERMINAL_STATES

from gradient_server.runners.base import Job, LogRow, Run, RunSpec, next_state_at, state_at
from tests.server.conftest import PATIENCE
from tests.server.runners.suite.kinds import Kind

ALL = 10**6
"""More rows than any run of the suite prints."""


class Bench:
    """One runner after the other, each in place of the one before.

    :param Kind kind: what they are
    :param Path folder: what they leave to the next one
    """

    def __init__(self, kind: Kind, folder: Path) -> None:
        self.kind = kind
        self.clock = kind.clock()
        self.told = threading.Event()
        """Whether the runner has said, since this was cleared, that something has changed."""
        self.told_of: set[str] = set()
        self._folder = folder
        self._runs: dict[str, Run] = {}
        self._number = 0
        self._place_runner()

    def prepare(
        self,
        body: dict,
        *,
        handle: str | None = None,
        started: float | None = None,
        stopped: float | None = None,
        begin: bool = True,
    ) -> Run:
        """Prepare an experiment, of which a server may know something already, and let the runner begin."""
        if handle is None:
            self._number += 1
            handle = f"es{self._number:012}"
        run = self.runner.admit(RunSpec(handle=handle, body=body, created=0.0, started=started, stopped=stopped))
        self._runs[handle] = run
        if begin and not self._begun:
            self.begin()
        return run

    def begin(self) -> None:
        self._begun = True
        self.runner.recover()

    def started(self, body: dict) -> Run:
        """Prepare an experiment, and start it."""
        run = self.prepare(body)
        run.start(self.clock.now())
        return run

    def handle_of(self, run: Run) -> str:
        return next(handle for handle, found in self._runs.items() if found is run)

    def delete(self, run: Run) -> str:
        """Forget a run; its handle."""
        handle = self.handle_of(run)
        self._runs.pop(handle).delete()
        return handle

    def replace_runner(self) -> None:
        """End the runner, as its server ends, and have another one, which has not begun."""
        self.runner.close()
        self._runs.clear()
        self._place_runner()

    def close(self) -> None:
        """End everything."""
        for run in self._runs.values():
            run.delete()
        self.runner.close()

    def state(self, run: Run) -> int:
        return state_at(run.transitions, self.clock.now())

    def rows(self, run: Run) -> list[tuple[Job, LogRow]]:
        return run.rows(0, ALL, self.clock.now())

    def until(self, run: Run, holds: Callable[[], bool]) -> None:
        """Let time pass until something holds."""
        deadline = time.monotonic() + PATIENCE
        while True:
            # Before the look: what is told from now on may not be in it.
            self.told.clear()
            if holds():
                return
            assert time.monotonic() < deadline, f"It did not come to pass; entered: {run.transitions}"
            now, rows = self.clock.now(), self.rows(run)
            moments = [next_state_at(run.transitions, now), run.next_row_at(rows[-1][1].line if rows else 0, now)]
            self.pass_time(min([moment for moment in moments if moment is not None], default=now))

    def until_ended(self, run: Run) -> int:
        """Let time pass until it has ended; its last state."""
        self.until(run, lambda: self.state(run) in TERMINAL_STATES)
        return self.state(run)

    def until_printed(self, run: Run) -> list[tuple[Job, LogRow]]:
        """Let time pass until there is a row of its command; all rows."""
        self.until(run, lambda: len(self.rows(run)) > self.kind.notes)
        return self.rows(run)

    def pass_time(self, moment: float) -> None:
        self.kind.let_time_pass(self.clock, moment, self.told)

    def _place_runner(self) -> None:
        self._begun = False
        self.runner = self.kind.runner(self._folder)
        self.runner.attach(self.clock, self._changed)

    def _changed(self, handle: str) -> None:
        self.told_of.add(handle)
        self.told.set()
