"""One experiment, from its workspace to the end of its last process."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, frozen
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.cluster import addresses_of, write_host_file
from gradient_server.runners.process.environment import Place, node_environment
from gradient_server.runners.process.events import EventWriter
from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.node_process import NodeProcess
from gradient_server.runners.process.nodes import Node, is_mpi
from gradient_server.runners.process.not_used import first_row
from gradient_server.runners.process.outcome import Outcome
from gradient_server.runners.process.process_groups import ProcessId
from gradient_server.runners.process.run_directory import REMOVED, RunDirectory
from gradient_server.runners.process.stopping import Interrupted, Told
from gradient_server.runners.process.supervision import Supervision
from gradient_server.runners.process.workspace import prepare_workspace

MARK = "GRADIENT_RUN"
"""The environment variable by which what a run has started is found if its supervisor is killed."""


@frozen(kw_only=True)
class Spec:
    """What a supervisor needs to know.

    :param str handle: of the experiment
    :param body: what it was created with, by the names of the contract
    :param nodes: what to run
    :param float grace: seconds from SIGTERM to SIGKILL
    :param ProcessId server: without whom it is not to go on; None: it outlives its server
    """

    handle: str
    body: Mapping[str, Any]
    nodes: tuple[Node, ...]
    grace: float
    server: ProcessId | None = None

    def as_json(self) -> dict[str, Any]:
        """Give it as it is written."""
        return asdict(self)

    @classmethod
    def of_json(cls, given: dict[str, Any]) -> Spec:
        """Take it as it was written."""
        nodes = tuple(Node(**node) for node in given["nodes"])
        server = ProcessId(*given["server"]) if given["server"] else None
        return cls(handle=given["handle"], body=given["body"], nodes=nodes, grace=given["grace"], server=server)


class SupervisedRun:
    """A run, as its supervisor has it.

    :param RunDirectory directory: its files
    :param Path path: where that is, for those who look from elsewhere
    :param EventWriter events: is told what happens
    :param Told told: whether to end
    """

    def __init__(self, directory: RunDirectory, path: Path, events: EventWriter, told: Told) -> None:
        self._directory = directory
        self._path = path.absolute()
        self._events = events
        self._told = told
        self._spec = Spec.of_json(directory.take_spec())
        self.logs = [LogWriter(directory.log(index)) for index in range(len(self._spec.nodes))]

    def run(self) -> Outcome | None:
        """Do it all, and say how it went; None: it was ended from outside.

        :raises CannotSetUp: it cannot be set up
        :raises Interrupted: it was ended from outside before it was set up
        """
        self._say_what_is_not_used()
        with self._told.interrupting():
            if self._directory.stop.exists():
                raise Interrupted
            self._events.entered(State.PROVISIONING)
            working = prepare_workspace(
                self._spec.body, self._path / self._directory.workspace, leave_out=self._path.parent
            )
            self._events.entered(State.PROVISIONED)
        self._events.entered(State.NETWORK_SETTING_UP)
        processes: list[NodeProcess] = []
        supervision = None
        try:
            self._start(processes, working)
            self._events.entered(State.NETWORK_SETUP)
            self._events.entered(State.RUNNING)
            supervision = Supervision(processes, self._told)
            for process in processes:
                process.open_gate()
            outcome = supervision.watch(self._obstacle)
            self._entered_if_possible(State.NETWORK_TEARING_DOWN)
        finally:
            (supervision or Supervision(processes, self._told)).tear_down(self._spec.grace)
        self._entered_if_possible(State.NETWORK_TEARDOWN)
        return outcome

    def _entered_if_possible(self, state: int) -> None:
        # On a disk that is full there may be room for the outcome alone, and that is what matters.
        with contextlib.suppress(OSError):
            self._events.entered(state)

    def _obstacle(self) -> str | None:
        if self._spec.server and not self._spec.server.is_alive():
            return "The server has gone, which was not to leave any run behind"
        # Nobody could follow it any more, or stop it.
        return None if self._directory.events.exists() else REMOVED

    def _say_what_is_not_used(self) -> None:
        prefixes = frozenset(node.prefix for node in self._spec.nodes)
        for node, log in zip(self._spec.nodes, self.logs, strict=True):
            row = first_row(node, self._spec.body, prefixes)
            if row:
                log.write(time.time(), [row])

    def _start(self, processes: list[NodeProcess], working: Path) -> None:
        spec, own = self._spec, str(ProcessId.of(os.getpid()))
        host_file = None
        if is_mpi(spec.body):
            host_file = self._path / self._directory.host_file
            write_host_file(host_file, spec.nodes, os.environ.get("PATH"))
        place = Place(storage=self._path / self._directory.storage, host_file=host_file)
        addresses = addresses_of(spec.nodes)
        for node, log in zip(spec.nodes, self.logs, strict=True):
            environment = node_environment(
                node, addresses, handle=spec.handle, body=spec.body, place=place, server=os.environ
            )
            processes.append(NodeProcess(node, log, working, {**environment, MARK: own}))
            self._events.group(processes[-1].id)
