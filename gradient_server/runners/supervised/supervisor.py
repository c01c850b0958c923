"""The process that runs one experiment: `python -m gradient_server.runners.supervised.supervisor DIRECTORY`.

It outlives the server that has started it, and writes what happens to the files of its run. The command exits with 0 as
soon as the run is claimed, by it or by an earlier supervisor; the run then goes on in the background. A scheduler of a
cluster starts it by `supervise_in_foreground` instead.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.local_nodes import Launch, LocalNodes
from gradient_server.runners.supervised.log_file import LogWriter
from gradient_server.runners.supervised.node_group import Interrupted, Nodes, Outcome, StopSignal
from gradient_server.runners.supervised.processes import ProcessId, become_subreaper, kill_descendants, not_ended
from gradient_server.runners.supervised.run_files import FILES_REMOVED, EventReader, EventWriter, RunDirectory

_LOCK_TIMEOUT = 2.0
"""Seconds for which another supervisor may hold the lock without having claimed the run."""
_CANCELLED = Outcome(State.CANCELLED)
_TERMINATED = Outcome(
    State.ERROR, "The run was ended from outside: its supervisor was sent SIGTERM, as when a machine shuts down"
)


class Supervisor:
    """Runs an experiment from its workspace to the end of its last process."""

    def __init__(self, launch: Launch, nodes: Nodes) -> None:
        self._launch = launch
        self._nodes = nodes

    def run(self) -> Outcome | None:
        """Run it, and return how it has ended; None: by SIGTERM.

        :raises SetupError: it cannot be set up
        :raises Interrupted: by SIGTERM, before it was set up
        """
        launch, events = self._launch, self._launch.events
        try:
            with launch.stop_signal.interruptible():
                if launch.directory.is_stop_requested:
                    raise Interrupted
                events.write(state=State.PROVISIONING, grace=launch.spec.grace)
                self._nodes.prepare()
                events.write(state=State.PROVISIONED)
            events.write(state=State.NETWORK_SETTING_UP)
            self._nodes.start()
            events.write(state=State.NETWORK_SETUP)
            events.write(state=State.RUNNING)
            self._nodes.release()
            outcome = self._nodes.wait(self._obstacle)
            if launch.stop_signal.received and outcome and outcome.state == State.FAILED:
                outcome = None  # a scheduler of a cluster sends SIGTERM to the commands at the same time
            self._try_to_enter(State.NETWORK_TEARING_DOWN)
        finally:
            self._nodes.tear_down(launch.spec.grace)
        self._try_to_enter(State.NETWORK_TEARDOWN)
        return outcome

    def _try_to_enter(self, state: int) -> None:
        # On a full disk there may be room only for the outcome.
        with contextlib.suppress(OSError):
            self._launch.events.write(state=state)

    def _obstacle(self) -> str | None:
        server = self._launch.spec.server
        if server and not server.is_alive():
            return "The server has ended, and the run was not to outlive it"
        if self._launch.directory.is_stop_requested:
            self._launch.stop_signal.received = True  # no signal came: the server could not send one to this machine
        # Without its files, nobody could follow or stop it.
        try:
            return None if self._launch.directory.events.exists() else FILES_REMOVED
        except PermissionError:
            self._launch.files.restore_access()
            return None


def main(path: Path) -> int:
    """Run an experiment in the background. Return 0 once the run is claimed, or 1 if it cannot be."""
    claimed, claimed_writer = os.pipe()
    if os.fork():
        os.close(claimed_writer)
        return 0 if os.read(claimed, 1) else 1
    os.close(claimed)
    # Paths are relative from here on, so that the directory can be renamed.
    os.chdir(path)
    directory = RunDirectory(Path())
    stop_signal = StopSignal()
    with directory.locked(_LOCK_TIMEOUT) as is_locked:
        events = _claim(directory) if is_locked else None
        os.write(claimed_writer, b"\n")
        os.close(claimed_writer)
        if events:
            _supervise(directory, path, events, stop_signal, LocalNodes)
    return 0


def supervise_in_foreground(
    path: Path, make_nodes: Callable[[Launch], Nodes], explain: Callable[[], str | None] = lambda: None
) -> bool:
    """Run an experiment in this process until its end, and return True, unless it was claimed before.

    :param Path path: the directory of the run. Supervisors on several machines may have it: exactly one claims the run
    :param make_nodes: returns the nodes of the run
    :param explain: returns why others end the run, in words, when it has not succeeded; None: they do not
    """
    os.chdir(path)
    directory = RunDirectory(Path())
    stop_signal = StopSignal()
    if not (directory.claim() and (events := _claim(directory))):
        return False
    _supervise(directory, path, events, stop_signal, make_nodes, explain)
    return True


def _claim(directory: RunDirectory) -> EventWriter | None:
    """Claim the run, which nobody else may do now. Return None if it was claimed before: it must not run again."""
    reader = EventReader(directory.events)
    reader.read()
    if reader.history.supervisor or reader.history.has_ended:
        directory.remove_spec()
        return None
    events = EventWriter(directory.events)
    events.write(claimed=ProcessId.of(os.getpid()))
    # After a power failure, a run that is not claimed would be executed.
    events.sync()
    return events


def _supervise(
    directory: RunDirectory,
    path: Path,
    events: EventWriter,
    stop_signal: StopSignal,
    make_nodes: Callable[[Launch], Nodes],
    explain: Callable[[], str | None] = lambda: None,
) -> None:
    """Run a claimed run, and write how it has ended, whatever happens."""
    outcome: Outcome | None = Outcome(State.ERROR, f"The run cannot go on; {path / directory.supervisor_log} says why")
    files = RunDirectory(path)
    spec = directory.take_spec()
    logs = [LogWriter(directory.log(index)) for index in range(len(spec.nodes))]
    launch = Launch(spec=spec, directory=directory, files=files, events=events, logs=logs, stop_signal=stop_signal)
    try:
        become_subreaper()
        outcome = Supervisor(launch, make_nodes(launch)).run()
    except Interrupted:
        outcome = None
    except SetupError as error:
        outcome = Outcome(State.ERROR, str(error), node=error.node)
    finally:
        # An interrupted setup may have left processes.
        left = kill_descendants(os.getpid())
        # Its commands may have taken away the rights to its directory.
        files.restore_access()
        # A server that did not know that the run was claimed may have written the spec again.
        with contextlib.suppress(OSError):
            directory.remove_spec()
        # What ends this process may have ended a command, or another machine, before.
        reason = explain() if outcome is None or outcome.state in (State.ERROR, State.FAILED) else None
        if outcome is None or reason:
            terminated = Outcome(State.ERROR, reason) if reason else _TERMINATED
            outcome = _CANCELLED if directory.is_stop_requested else terminated
        text = ". ".join(filter(None, (outcome.error, not_ended(left)))) or None
        failed = next((index for index, each in enumerate(spec.nodes) if each.name == outcome.node), 0)
        rows = [log.count for log in logs]
        events.write(state=outcome.state, error=text, failed=failed, rows=rows, exit_code=outcome.exit_code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
