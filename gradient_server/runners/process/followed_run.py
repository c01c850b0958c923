"""A run as the server sees it: the files that its supervisor writes, and the little that can be done from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.environment import passed_on
from gradient_server.runners.process.events import EventReader, EventWriter, History
from gradient_server.runners.process.log_file import LogReader
from gradient_server.runners.process.process_groups import kill
from gradient_server.runners.process.run_directory import REMOVED, RunDirectory
from gradient_server.runners.process.supervised_run import Spec
from gradient_server.runners.process.taking_over import end_all_of

_CHECK = 0.1
"""Seconds between looks at whether the supervisor is still alive."""
_KILLED = (
    "The process that supervised the run was killed, so that nobody knows how its commands went on; "
    "what was left of them has been ended"
)


class FollowedRun:
    """The files of a run. One thread follows it.

    :param RunDirectory directory: where they are
    :param int jobs: how many nodes it has
    :param Spec spec: what to run, if it is not running yet
    """

    def __init__(self, directory: RunDirectory, jobs: int, spec: Spec | None = None) -> None:
        self.directory = directory
        self._spec = spec
        self._events = EventReader(directory.events)
        self._launch: subprocess.Popen[bytes] | None = None
        self._stop_sent = False
        self._checked = 0.0
        self._sizes: list[int] = []
        self._has_news = False
        self._has_left = False
        self.logs = [LogReader(directory.log(index)) for index in range(jobs)]

    @property
    def history(self) -> History:
        """What is known of it."""
        return self._events.history

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, and nothing will."""
        if self._has_left:
            return True
        return self._launch is None and (self.history.has_ended or self.history.supervisor is None)

    def launch(self) -> None:
        """Start its supervisor. Where there is one already, or was one, nothing runs twice.

        :raises OSError: that is not possible
        """
        assert self._spec is not None
        self.directory.make(self._spec.as_json())
        try:
            self._launch = self._supervisor()
        except OSError:
            self.directory.drop_spec()
            raise

    def look(self) -> bool:
        """Look what is new, and tell whether there is anything.

        :raises OSError: that is not possible now; what was new then is new the next time
        """
        sizes = [_size(self.directory.events), *(_size(log.path) for log in self.logs)]
        if sizes != self._sizes:
            self._events.read_on()
            self._sizes, self._has_news = sizes, True
        if not self.history.has_ended:
            self._look_after_supervisor()
        # Which may have found out that it has ended just now.
        if self.history.has_ended:
            self.wait_for_launch()
        has_news, self._has_news = self._has_news, False
        return has_news

    def show_rows(self) -> None:
        """Show the rows that were there when it was looked at: what printed them had begun, as is known now."""
        for index, log in enumerate(self.logs):
            log.shown = None if self.history.has_ended else self._sizes[index + 1]

    def stop(self) -> None:
        """Tell its supervisor to stop, if that has not been done. One that comes later finds that it is not to run."""
        # Without room for that the supervisor is told all the same, and who asks again may find some before the end.
        with contextlib.suppress(OSError):
            os.close(os.open(self.directory.stop, os.O_WRONLY | os.O_CREAT, 0o600))
        self._terminate()

    def wait_for_launch(self) -> None:
        """Wait until its supervisor, if one was just started, has taken it on."""
        if self._launch:
            self._launch.wait()
            self._launch = None

    def move(self, directory: RunDirectory) -> None:
        """Give it another name, which its supervisor does not mind."""
        with contextlib.suppress(FileNotFoundError):
            self.directory.path.rename(directory.path)
        self.directory = directory
        self._events.path = directory.events
        self._events.read_on()
        self.logs = []

    def end(self, error: str) -> None:
        """Write down that what nobody supervises has ended, and end what is left of it; nothing, if somebody does.

        :raises OSError: that is not possible
        """
        supervisor = self.history.supervisor
        if supervisor and not self.directory.events.exists():
            # Whoever has removed them has removed the lock that would tell whether it is supervised.
            self._terminate()
            if supervisor.is_alive():
                return
            error = REMOVED
            self._events = EventReader(self.directory.events, self.history)
        self.directory.make_folder()
        with self.directory.locked() as is_alone:
            # It may have ended in good order since.
            self._events.read_on()
            supervisor = self.history.supervisor
            if not is_alone or self.history.has_ended or (supervisor and supervisor.is_alive()):
                return
            end_all_of(self.history)
            self._has_left = True
            self.directory.drop_spec()
            with contextlib.closing(EventWriter(self.directory.events)) as events:
                events.ended(State.ERROR, error, [max(log.count(), LogReader(log.path).count()) for log in self.logs])
            self._events.read_on()

    def _terminate(self) -> None:
        supervisor = self.history.supervisor
        if supervisor and not self._stop_sent:
            self._stop_sent = True
            if supervisor.is_alive():
                kill(supervisor.pid, signal.SIGTERM)

    def _supervisor(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
        complaints = os.open(self.directory.complaints, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(
                # By its absolute path: from here on it depends on nothing of the server.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "gradient_server.runners.process.supervisor",
                    self.directory.path.absolute(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=complaints,
                stderr=complaints,
                cwd="/",
                env={**passed_on(os.environ), **environment},
                start_new_session=True,
            )
        finally:
            os.close(complaints)

    def _look_after_supervisor(self) -> None:
        now = time.monotonic()
        if now < self._checked + _CHECK:
            return
        self._checked = now
        status = self._launch.poll() if self._launch else None
        if status:
            self.end(f"The process that supervises the run could not be started: {self._complaint()}")
        elif self.history.supervisor:
            self.end(_KILLED)
        elif status == 0 and not self._events.read_on():
            # Claimed it is, but where that was written there is nothing.
            self.end(REMOVED)
        if status is not None and (self.history.supervisor or self.history.has_ended):
            self._launch = None

    def _complaint(self) -> str:
        try:
            lines = self.directory.complaints.read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return REMOVED
        return lines[-1] if lines else "it has ended at once"


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
