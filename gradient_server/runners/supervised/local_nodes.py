"""The nodes of a run as child processes of its supervisor, on one machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from gradient_server.runners.supervised.environment import (
    free_network,
    is_mpi,
    model_path,
    node_environment,
    write_host_file,
)
from gradient_server.runners.supervised.log_file import LogWriter
from gradient_server.runners.supervised.node_group import NodeGroup, NodeProcess, Nodes, Outcome, StopSignal
from gradient_server.runners.supervised.processes import RUN_VARIABLE, ProcessId
from gradient_server.runners.supervised.push_gateway import PushGateway
from gradient_server.runners.supervised.run_files import EventWriter, LaunchSpec, RunDirectory
from gradient_server.runners.supervised.workspace import prepare_workspace


@frozen(kw_only=True)
class Launch:
    """A claimed run that its supervisor is about to execute.

    :param LaunchSpec spec: what to run
    :param RunDirectory directory: its files, relative to the working directory, so that they can be renamed
    :param RunDirectory files: the same files by absolute paths, as commands get them
    :param EventWriter events: receives what happens
    :param logs: the log of each node
    :param StopSignal stop_signal: whether the run is to stop
    """

    spec: LaunchSpec
    directory: RunDirectory
    files: RunDirectory
    events: EventWriter
    logs: list[LogWriter]
    stop_signal: StopSignal

    def remark(self, text: str, index: int = 0) -> None:
        """Write a row to the log of a node."""
        self.logs[index].write(time.time(), [text])

    def prepare_folders(self) -> Path:
        """Fetch the workspace, create the folder for the model, and return where commands run.

        :raises SetupError: that is impossible
        """
        spec, files = self.spec, self.files
        workspace = prepare_workspace(
            spec.body, files.workspace, upload=spec.upload, leave_out=files.path.parent, remark=self.remark
        )
        make_model_folder(files.storage, spec.body, self.remark)
        return workspace


class LocalNodes(Nodes):
    """Nodes that share a workspace, a network and the machine of their supervisor."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._nodes: list[NodeProcess] = []
        self._group: NodeGroup | None = None
        self._gateway: PushGateway | None = None
        self._workspace = Path()

    def prepare(self) -> None:
        """Fetch the workspace, and create the folder for the model."""
        self._workspace = self._launch.prepare_folders()

    def start(self) -> None:
        """Start a process for each node."""
        spec, files, events = self._launch.spec, self._launch.files, self._launch.events
        own_id = str(ProcessId.of(os.getpid()))
        pushed = [LogWriter(self._launch.directory.pushed(index)) for index in range(len(spec.nodes))]
        self._gateway = gateway = PushGateway(pushed)
        network = free_network(spec.nodes)
        host_file = None
        if is_mpi(spec.body):
            host_file = files.host_file
            write_host_file(host_file, network, spec.variables.get("PATH"))
        machines = spec.machines or [None] * len(spec.nodes)
        for index, (node, log, machine) in enumerate(zip(spec.nodes, self._launch.logs, machines, strict=True)):
            environment = node_environment(
                node,
                network,
                handle=spec.handle,
                body=spec.body,
                server=spec.variables,
                storage=files.storage,
                host_file=host_file,
                machine=machine,
                push_gateway=gateway.url(index),
            )
            self._nodes.append(NodeProcess(node, log, self._workspace, {**environment, RUN_VARIABLE: own_id}))
            events.write(group=self._nodes[-1].id)

    def release(self) -> None:
        """Start the commands."""
        self._group = NodeGroup(self._nodes, self._launch.stop_signal)
        for node in self._nodes:
            node.release()

    def wait(self, obstacle: Callable[[], str | None]) -> Outcome | None:
        """Return how the run ends, or None if it is to stop."""
        assert self._group
        return self._group.wait(obstacle)

    def tear_down(self, grace: float) -> None:
        """End all processes below the supervisor."""
        if self._gateway:
            (self._group or NodeGroup(self._nodes, self._launch.stop_signal)).tear_down(grace)
            self._gateway.close()


def make_model_folder(storage: Path, body: Mapping[str, Any], remark: Callable[[str], object]) -> None:
    """Create the folder for the model of an experiment, or write a row about why that is impossible."""
    path = model_path(storage, body)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        # Only what uses it fails: on the hosted service, `/artifacts` and the like were there.
        remark(f"The folder of modelPath, {path}, cannot be made: {error.strerror}")
