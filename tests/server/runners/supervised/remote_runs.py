"""Runs whose nodes have agents, with processes of this machine as machines."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from gradient_api.constants import ExperimentState as State
from gradient_api.constants import ExperimentType

from gradient_server.runners.supervised.artifact_files import artifact_folders, list_artifacts
from gradient_server.runners.supervised.environment import nodes_of
from gradient_server.runners.supervised.log_file import LogReader
from gradient_server.runners.supervised.run_files import EventReader, LaunchSpec, RunDirectory
from tests.server.runners.conftest import wait_until

# What a batch job of a cluster does on the first of its machines.
SUPERVISOR = """
import sys
from pathlib import Path
from gradient_server.runners.supervised.remote_nodes import PlainLauncher, RemoteNodes
from gradient_server.runners.supervised.supervisor import supervise_in_foreground
{setup}
def make_nodes(launch):
    return RemoteNodes(launch, {launcher}, "{host}")
supervise_in_foreground(Path(sys.argv[1]), make_nodes)
"""
KINDS = {"masterCommand": ExperimentType.MPI_MULTI_NODE, "workerCommand": ExperimentType.GRPC_MULTI_NODE}


def names_of(body):
    """Return the names of the nodes of a request."""
    counts = {"worker": body.get("workerCount", 0), "parameter server": body.get("parameterServerCount", 0)}
    counts["master"] = body.get("masterCount", 0)
    return [f"{kind} {index}" for kind, count in counts.items() for index in range(count)] or ["worker 0"]


class RemoteRun:
    """A run with an agent for each node, and its files.

    :param launcher: a Python expression for the launcher of the agents
    :param setup: Python statements for the supervisor
    :param host: the address of its machine
    :param environment: variables of the supervisor, and so of the agents
    :param body: members of the request
    """

    def __init__(
        self, folder, *, launcher="PlainLauncher()", setup="", host="127.0.0.1", grace=1.0, environment=(), **body
    ):
        body = {"name": "test", "projectHandle": "p", **body}
        kind = next((KINDS[field] for field in KINDS if field in body), ExperimentType.SINGLE_NODE)
        body = {"experimentTypeId": int(kind), **body}
        self.body = body
        self.nodes = nodes_of(names_of(body), body)
        self.directory = RunDirectory(Path(folder, "es1"))
        spec = LaunchSpec(handle="es1", body=body, nodes=self.nodes, grace=grace, variables={})
        self.directory.create(spec)
        self.errors = Path(folder, "supervisor-errors")
        program = SUPERVISOR.format(launcher=launcher, setup=setup, host=host)
        with self.errors.open("wb") as errors:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-P", "-c", program, str(self.directory.path)],
                stdin=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **dict(environment)},
                start_new_session=True,
            )
        self._events = EventReader(self.directory.events)

    @property
    def history(self):
        self._events.read()
        return self._events.history

    @property
    def states(self):
        return [state for _, state in self.history.states]

    def wait_for_state(self, state=State.RUNNING):
        wait_until(lambda: state in self.states, f"the state {State.get_state_str(state)}")

    def end(self):
        """Wait for the end, and return the state, the error and the exit code."""
        assert self.supervisor.wait(30) == 0, self.errors.read_text()
        history = self.history
        assert history.has_ended, self.errors.read_text()
        return State.get_state_str(history.states[-1][1]), history.error, history.exit_code

    def stop(self):
        self.directory.request_stop()
        self.supervisor.send_signal(signal.SIGTERM)

    def rows(self, index=0):
        return [message for _, _, message in LogReader(self.directory.log(index)).after(0)]

    def first_row(self, index=0):
        """Wait for a row of a node, and return it."""
        wait_until(lambda: self.rows(index), f"a row of node {index}")
        return self.rows(index)[0]

    def artifacts(self):
        """Return the sizes and times of the artifacts where the server looks for them, by name."""
        folders = artifact_folders(self.directory.storage, self.directory.workspace, self.body)
        return {each.name: (each.size, each.modified) for each in list_artifacts(folders, "", 100)}

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.supervisor.pid, signal.SIGKILL)
        self.supervisor.wait()
