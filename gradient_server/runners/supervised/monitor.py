"""The monitor of a run: has its supervisor started and ended, and follows the files of the run."""

from __future__ import annotations

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from gradient_server.runners.machine_types import Claim
from gradient_server.runners.supervised.log_file import LogReader
from gradient_server.runners.supervised.run_files import EventReader, EventWriter, History, LaunchSpec, RunDirectory


class RunMonitor(ABC):
    """Follows the files of a run. Subclasses start its supervisor, look after it, and end the run without it.

    Only one thread may use it, but for `history`, `logs` and `pushed`.

    :param RunDirectory directory: where its files are
    :param int jobs: the number of its nodes
    :param LaunchSpec spec: what to run; None: it is never launched, as a run without an experiment
    """

    def __init__(self, directory: RunDirectory, jobs: int, spec: LaunchSpec | None = None) -> None:
        self.directory = directory
        self.logs = [LogReader(directory.log(index)) for index in range(jobs)]
        self.pushed = [LogReader(directory.pushed(index)) for index in range(jobs)]
        self._spec = spec
        self._events = EventReader(directory.events)
        self._failing_since: float | None = None
        """When its files could no longer be read; None: they can."""
        self._claim: Claim | None = None
        self._sizes: list[int] = []
        self._has_changed = False

    @property
    def history(self) -> History:
        """The events of the run that were read."""
        return self._events.history

    @property
    def was_claimed(self) -> bool:
        """Whether a supervisor has claimed the run, so that its commands may have been executed."""
        return self.history.supervisor is not None or self.history.has_ended

    @property
    def claim(self) -> Claim:
        """The resources of the machine that it has until it has ended."""
        return self.history.claim or self._claim or Claim()

    @property
    def waits_for(self) -> str | None:
        """Why it is launched and does not run yet, or why it is unknown how it goes on, in words; None: neither."""
        return None

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether nothing of it runs, or is going to."""

    @property
    @abstractmethod
    def is_lost(self) -> bool:
        """Whether its files cannot be read, and no supervisor is left that would write them."""

    @abstractmethod
    def launch(self, record: Callable[[], bool] = lambda: True, claim: Claim | None = None) -> None:
        """Create its directory and have its supervisor started, which does nothing if the run was claimed before.

        It may return before the supervisor runs; an error after that is among the events.

        :param Claim claim: what of the machine it has; a later server finds that among the events
        :param record: writes down that the run is launched. It is called between the two, so that a directory that is
            missing later has been removed; nothing is started if it returns False

        :raises OSError: the files cannot be written, or the process cannot be started
        """

    @abstractmethod
    def stop(self) -> None:
        """Have the run stopped. It is called again until the run has ended.

        A supervisor that is about to start finds the request, and runs nothing.
        """

    @abstractmethod
    def fail(self, error: str) -> None:
        """End a run without a supervisor, and write the error unless its files cannot be read.

        Do nothing if it has a supervisor.

        :raises OSError: the error cannot be written
        """

    @abstractmethod
    def _check_supervisor(self) -> None:
        """End the run if its supervisor has ended without writing that. Called at each poll until the run has ended."""

    def wait_for_launch(self) -> None:  # noqa: B027 - most launches are not waited for
        """Wait until a supervisor that was just started has claimed the run, if that takes no longer than seconds."""

    def reap(self) -> bool:
        """Reap its supervisor when it has ended. Return whether there is nothing to reap."""
        return True

    def poll(self) -> bool:
        """Read what is new. Return whether there was anything.

        :raises OSError: that failed; the next call reads it
        """
        try:
            has_changed = self._read_files()
        except OSError as error:
            if isinstance(error, PermissionError):
                self.directory.restore_access()
            self._failing_since = self._failing_since or time.monotonic()
            raise
        self._failing_since = None
        return has_changed

    def show_rows(self) -> None:
        """Show readers the rows that were there at the last poll, so that no row is ahead of the known state."""
        for log, size in zip(self.logs, self._sizes[1:], strict=False):
            log.visible_size = None if self.history.has_ended else size

    def move(self, directory: RunDirectory) -> None:
        """Rename its directory. A supervisor goes on in it."""
        with contextlib.suppress(FileNotFoundError):
            self.directory.path.rename(directory.path)
        self.directory = directory
        self._events.path = directory.events
        self._events.read()
        self.logs = self.pushed = []

    def _read_files(self) -> bool:
        sizes = [_size(self.directory.events), *(_size(log.path) for log in (*self.logs, *self.pushed))]
        if sizes != self._sizes:
            self._events.read()
            self._sizes, self._has_changed = sizes, True
        if not self.history.has_ended:
            self._check_supervisor()
        if self.history.has_ended:
            self.wait_for_launch()
        has_changed, self._has_changed = self._has_changed, False
        return has_changed

    def _write_end(self, state: int, error: str | None) -> None:
        """Write how the run has ended in place of its supervisor, which does not write any more."""
        with contextlib.closing(EventWriter(self.directory.events)) as events:
            rows = [max(log.count(), LogReader(log.path).count()) for log in self.logs]
            events.write(state=state, error=error, rows=rows)
        self._events.read()


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
