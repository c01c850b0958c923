"""The monitor of a run on this machine: starts its supervisor, and ends the run if the supervisor dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from attrs import asdict, evolve
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.machine_types import Claim
from gradient_server.runners.process.gpus import with_gpus
from gradient_server.runners.supervised.environment import is_mpi, supervisor_environment
from gradient_server.runners.supervised.log_file import open_file
from gradient_server.runners.supervised.monitor import RunMonitor
from gradient_server.runners.supervised.processes import (
    kill,
    kill_descendants,
    kill_run,
    not_ended,
    reap,
    terminate_descendants,
)
from gradient_server.runners.supervised.run_files import (
    FILES_REMOVED,
    EventWriter,
    LaunchSpec,
    RunDirectory,
)

_SUPERVISOR_MODULE = "gradient_server.runners.supervised.supervisor"
_CHECK_INTERVAL = 0.1
"""Seconds between two checks of whether the supervisor is alive."""
_LAUNCH_TIMEOUT = 10.0
"""Seconds within which a supervisor claims its run when the server waits for that."""
_TERMINATE_AFTER = 5.0
"""Seconds after which the server itself terminates the processes of a run that is to stop and does not."""
_KILL_AFTER = 10.0
"""Seconds, beside the grace period, after which the server kills such a run and its supervisor."""
_LOST_AFTER = 10.0
"""Seconds for which files may be unreadable that no supervisor writes any more."""
_LAST_ERROR_SIZE = 64 * 1024
"""Bytes at the end of the log of a supervisor among which its last error is."""
_SUPERVISOR_KILLED = (
    "The process that supervised the run was killed: how its commands went on is unknown. The server has killed those "
    "that it found; one of another user, or one that has left its process group and cleared its environment, may go on"
)


class LocalMonitor(RunMonitor):
    """Starts the supervisor of a run as a process of this machine, and ends the run if the supervisor dies."""

    def __init__(self, directory: RunDirectory, jobs: int, spec: LaunchSpec | None = None) -> None:
        super().__init__(directory, jobs, spec)
        self._launcher: subprocess.Popen[bytes] | None = None
        """The process that exits as soon as the run is claimed."""
        self._was_launched = False
        self._terminated_at: float | None = None
        self._is_terminated = False
        self._is_escalated = False
        self._is_overdue = False
        """Whether the server kills it, because it was to stop and did not."""
        self._checked = 0.0
        self._was_killed = False

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, or is going to."""
        if self._was_killed or self.is_lost:
            return True
        return self._launcher is None and (self.history.has_ended or self.history.supervisor is None)

    @property
    def is_lost(self) -> bool:
        """Whether its files cannot be read, and no supervisor is left that would write them."""
        if self._failing_since is None or time.monotonic() < self._failing_since + _LOST_AFTER:
            return False
        is_launching = self._launcher is not None and self._launcher.poll() is None
        supervisor = self.history.supervisor
        return not is_launching and not (supervisor and supervisor.is_alive())

    def launch(self, record: Callable[[], bool] = lambda: True, claim: Claim | None = None) -> None:
        """Create its directory and start its supervisor."""
        assert self._spec is not None
        self._claim, spec = claim, self._spec
        if claim and claim.gpus:
            spec = evolve(spec, machines=with_gpus(spec.machines, claim.gpus, shared=is_mpi(spec.body)))
        self.directory.create(spec)
        if claim and claim.gpus and claim != self.history.claim:
            with contextlib.closing(EventWriter(self.directory.events)) as events:
                events.write(claim=asdict(claim))
        if not record():
            return
        try:
            self._launcher = self._start_supervisor()
            self._was_launched = True
        except OSError:
            self.directory.remove_spec()
            raise

    def stop(self) -> None:
        """Ask its supervisor to stop it, and end both if it does not."""
        # Needs no room on the disk: SIGTERM does as well. The request is written when there is room again.
        with contextlib.suppress(OSError):
            self.directory.request_stop()
        self._terminate()

    def wait_for_launch(self) -> None:
        """Wait until a supervisor that was just started has claimed the run, or kill it."""
        if self._launcher:
            try:
                self._launcher.wait(_LAUNCH_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._launcher.kill()
                self._launcher.wait()
            self._launcher = None

    def reap(self) -> bool:
        """Reap its supervisor when it has ended. Return whether there is nothing to reap.

        Supervisors are children of the server if it is the first process of a container.
        """
        supervisor = self.history.supervisor
        return not self._was_launched or supervisor is None or reap(supervisor.pid)

    def fail(self, error: str) -> None:
        """Kill the processes of a run without a supervisor, and write the error."""
        supervisor = self.history.supervisor
        if self.is_lost:
            kill_run(supervisor, self.history.groups)
            return
        if supervisor and not self.directory.events.exists():
            # The lock was removed too, so that only the process itself shows whether the supervisor is alive.
            self._terminate()
            if supervisor.is_alive():
                return
            error, self._is_overdue = FILES_REMOVED, False
            self._events.offset = 0  # there will be another file
        self.directory.create_empty()
        with self.directory.locked() as is_locked:
            self._events.read()  # it may have ended in the meantime
            supervisor = self.history.supervisor
            if not is_locked or self.history.has_ended or (supervisor and supervisor.is_alive()):
                return
            left = not_ended(kill_run(supervisor, self.history.groups))
            self._was_killed = True
            self.directory.remove_spec()
            if self._is_overdue:
                self._write_end(State.CANCELLED, left)
            else:
                self._write_end(State.ERROR, ". ".join(filter(None, (error, left))))

    def _terminate(self) -> None:
        """Have its supervisor end the run, or end both if it does not."""
        supervisor = self.history.supervisor
        if supervisor and not self._is_terminated:
            self._is_terminated = True
            if supervisor.is_alive():
                kill(supervisor.pid, signal.SIGTERM)
                kill(supervisor.pid, signal.SIGCONT)
        self._terminated_at = self._terminated_at or time.monotonic()
        self._escalate(time.monotonic() - self._terminated_at)

    def _escalate(self, seconds: float) -> None:
        """End the run if its supervisor does not within some seconds, because it is stopped itself or hangs."""
        supervisor = self.history.supervisor
        if seconds < _TERMINATE_AFTER or self.history.has_ended:
            return
        if supervisor and seconds > _KILL_AFTER + self.history.grace and supervisor.is_alive():
            self._is_overdue = True
            kill(supervisor.pid, signal.SIGSTOP)  # so that it starts nothing
            kill_descendants(supervisor.pid)
            kill(supervisor.pid)
        elif supervisor and not self._is_escalated and supervisor.is_alive():
            self._is_escalated = True
            if State.NETWORK_TEARING_DOWN not in [state for _, state in self.history.states]:
                terminate_descendants(supervisor.pid)
        elif not supervisor and self._launcher and seconds > _KILL_AFTER:
            self._is_overdue = True
            self._launcher.kill()

    def _start_supervisor(self) -> subprocess.Popen[bytes]:
        errors = self.directory.open_supervisor_log()
        try:
            return subprocess.Popen(
                # UTF-8: what is sent is, and other encodings cannot hold all of it.
                [sys.executable, "-P", "-X", "utf8", "-m", _SUPERVISOR_MODULE, self.directory.path.absolute()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd="/",
                env={**supervisor_environment(os.environ), "PYTHONPATH": _python_path()},
                start_new_session=True,
            )
        finally:
            os.close(errors)

    def _check_supervisor(self) -> None:
        now = time.monotonic()
        if now < self._checked + _CHECK_INTERVAL:
            return
        self._checked = now
        exit_code = self._launcher.poll() if self._launcher else None
        if exit_code:
            self.fail(f"The process that supervises the run could not be started: {self._last_error()}")
        elif self.history.supervisor:
            self.fail(_SUPERVISOR_KILLED)
        elif exit_code == 0 and not self._events.read():
            # It was claimed, and its events were removed since.
            self.fail(FILES_REMOVED)
        if exit_code is not None and (self.history.supervisor or self.history.has_ended):
            self._launcher = None

    def _last_error(self) -> str:
        try:
            with os.fdopen(open_file(self.directory.supervisor_log), errors="replace") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_ERROR_SIZE))
                lines = file.read(_LAST_ERROR_SIZE).strip().splitlines()
        except FileNotFoundError:
            return FILES_REMOVED
        return lines[-1] if lines else "it has ended at once"


def _python_path() -> str:
    """Return where this process finds modules, by absolute paths: a supervisor has another working directory."""
    with contextlib.suppress(FileNotFoundError):  # the working directory has been deleted
        return os.pathsep.join(map(os.path.abspath, sys.path))
    return os.pathsep.join(filter(None, sys.path))
