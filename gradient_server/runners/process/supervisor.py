"""The process that runs one experiment: `python -m gradient_server.runners.process.supervisor DIRECTORY`.

It outlives the server that has started it, and writes what happens to the files of its run. The command exits with 0 as
soon as the run is claimed, by it or by an earlier supervisor; the run then goes on in the background.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.environment import (
    free_network,
    is_mpi,
    model_path,
    node_environment,
    write_host_file,
)
from gradient_server.runners.process.limits import SetupError
from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.node_group import Interrupted, NodeGroup, NodeProcess, Outcome, StopSignal
from gradient_server.runners.process.processes import (
    RUN_VARIABLE,
    ProcessId,
    become_subreaper,
    kill_descendants,
    not_ended,
)
from gradient_server.runners.process.push_gateway import PushGateway
from gradient_server.runners.process.run_files import FILES_REMOVED, EventReader, EventWriter, RunDirectory
from gradient_server.runners.process.workspace import prepare_workspace

_LOCK_TIMEOUT = 2.0
"""Seconds for which another supervisor may hold the lock without having claimed the run."""
_CANCELLED = Outcome(State.CANCELLED)
_TERMINATED = Outcome(
    State.ERROR, "The run was ended from outside: its supervisor was sent SIGTERM, as when a machine shuts down"
)


class Supervisor:
    """Runs an experiment from its workspace to the end of its last process."""

    def __init__(self, directory: RunDirectory, path: Path, events: EventWriter, stop_signal: StopSignal) -> None:
        self._directory = directory
        # Commands get absolute paths.
        self._files = RunDirectory(path)
        self._events = events
        self._stop_signal = stop_signal
        self._spec = directory.take_spec()
        self.logs = [LogWriter(directory.log(index)) for index in range(len(self._spec.nodes))]

    def run(self) -> Outcome | None:
        """Run it, and return how it has ended; None: by SIGTERM.

        :raises SetupError: it cannot be set up
        :raises Interrupted: by SIGTERM, before it was set up
        """
        with self._stop_signal.interruptible():
            if self._directory.is_stop_requested:
                raise Interrupted
            self._events.write(state=State.PROVISIONING, grace=self._spec.grace)
            workspace = prepare_workspace(
                self._spec.body,
                self._files.workspace,
                upload=self._spec.upload,
                leave_out=self._files.path.parent,
                remark=self._remark,
            )
            self._make_model_folder()
            self._events.write(state=State.PROVISIONED)
        self._events.write(state=State.NETWORK_SETTING_UP)
        nodes: list[NodeProcess] = []
        group = None
        gateway = PushGateway([LogWriter(self._directory.pushed(index)) for index in range(len(self._spec.nodes))])
        try:
            self._start(nodes, workspace, gateway)
            self._events.write(state=State.NETWORK_SETUP)
            self._events.write(state=State.RUNNING)
            group = NodeGroup(nodes, self._stop_signal)
            for node in nodes:
                node.release()
            outcome = group.wait(self._obstacle)
            self._try_to_enter(State.NETWORK_TEARING_DOWN)
        finally:
            (group or NodeGroup(nodes, self._stop_signal)).tear_down(self._spec.grace)
            gateway.close()
        self._try_to_enter(State.NETWORK_TEARDOWN)
        return outcome

    def _remark(self, text: str) -> None:
        self.logs[0].write(time.time(), [text])

    def _make_model_folder(self) -> None:
        path = model_path(self._files.storage, self._spec.body)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            # Only what uses it fails: on the hosted service, `/artifacts` and the like were there.
            self._remark(f"The folder of modelPath, {path}, cannot be made: {error.strerror}")

    def index_of(self, node: str | None) -> int:
        """Return the index of a node; 0: it is no single one."""
        return next((index for index, each in enumerate(self._spec.nodes) if each.name == node), 0)

    def _try_to_enter(self, state: int) -> None:
        # On a full disk there may be room only for the outcome.
        with contextlib.suppress(OSError):
            self._events.write(state=state)

    def _obstacle(self) -> str | None:
        if self._spec.server and not self._spec.server.is_alive():
            return "The server has ended, and the run was not to outlive it"
        # Without its files, nobody could follow or stop it.
        try:
            return None if self._directory.events.exists() else FILES_REMOVED
        except PermissionError:
            self._files.restore_access()
            return None

    def _start(self, nodes: list[NodeProcess], workspace: Path, gateway: PushGateway) -> None:
        spec, own_id = self._spec, str(ProcessId.of(os.getpid()))
        host_file = None
        if is_mpi(spec.body):
            host_file = self._files.host_file
            write_host_file(host_file, spec.nodes, spec.variables.get("PATH"))
        network = free_network(spec.nodes)
        machines = spec.machines or [None] * len(spec.nodes)
        for index, (node, log, machine) in enumerate(zip(spec.nodes, self.logs, machines, strict=True)):
            environment = node_environment(
                node,
                network,
                handle=spec.handle,
                body=spec.body,
                server=spec.variables,
                storage=self._files.storage,
                host_file=host_file,
                machine=machine,
                push_gateway=gateway.url(index),
            )
            nodes.append(NodeProcess(node, log, workspace, {**environment, RUN_VARIABLE: own_id}))
            self._events.write(group=nodes[-1].id)


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
            _supervise(directory, path, events, stop_signal)
    return 0


def _claim(directory: RunDirectory) -> EventWriter | None:
    """Claim the run, whose lock is held. Return None if it was claimed before: it must not run again."""
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


def _supervise(directory: RunDirectory, path: Path, events: EventWriter, stop_signal: StopSignal) -> None:
    """Run a claimed run, and write how it has ended, whatever happens."""
    outcome: Outcome | None = Outcome(State.ERROR, f"The run cannot go on; {path / directory.supervisor_log} says why")
    supervisor = Supervisor(directory, path, events, stop_signal)
    try:
        become_subreaper()
        outcome = supervisor.run()
    except Interrupted:
        outcome = None
    except SetupError as error:
        outcome = Outcome(State.ERROR, str(error))
    finally:
        # An interrupted setup may have left processes.
        left = kill_descendants(os.getpid())
        # Its commands may have taken away the rights to its directory.
        RunDirectory(path).restore_access()
        # A server that did not know that the run was claimed may have written the spec again.
        with contextlib.suppress(OSError):
            directory.remove_spec()
        outcome = outcome or (_CANCELLED if directory.is_stop_requested else _TERMINATED)
        text = ". ".join(filter(None, (outcome.error, not_ended(left)))) or None
        rows, failed = [log.count for log in supervisor.logs], supervisor.index_of(outcome.node)
        events.write(state=outcome.state, error=text, failed=failed, rows=rows, exit_code=outcome.exit_code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
