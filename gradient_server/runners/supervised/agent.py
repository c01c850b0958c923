"""The agent of one node on its machine: `python -m gradient_server.runners.supervised.agent`.

It reads a line of JSON from its standard input: where the supervisor of the run listens, the token of the run, and the
number of its node, or null for `SLURM_PROCID`. It starts the node when the supervisor says so, and sends it the rows,
the pushed metrics and the exit code. When the connection ends, or with SIGTERM, it ends all processes of the node.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from gradient_server.runners.supervised.artifact_transfer import send_artifacts
from gradient_server.runners.supervised.channel import Channel, is_proof, proof
from gradient_server.runners.supervised.deletion import remove_tree
from gradient_server.runners.supervised.environment import (
    Network,
    command_variables,
    is_mpi,
    node_environment,
    write_host_file,
)
from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.local_nodes import make_model_folder
from gradient_server.runners.supervised.log_file import encode_rows
from gradient_server.runners.supervised.node_group import Interrupted, NodeGroup, NodeProcess, StopSignal
from gradient_server.runners.supervised.processes import (
    RUN_VARIABLE,
    ProcessId,
    become_subreaper,
    kill_descendants,
    not_ended,
    run_guarded,
)
from gradient_server.runners.supervised.push_gateway import PushGateway
from gradient_server.runners.supervised.remote_commands import RemoteCommands, mpi_variables
from gradient_server.runners.supervised.run_files import LaunchSpec
from gradient_server.runners.supervised.workspace import prepare_workspace

_CONNECT_TIMEOUT = 30.0
_STALL_TIMEOUT = 300
"""Seconds for which the supervisor may receive nothing, for example because its disk is full of work."""
_ASSIGNED = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK")
"""Variables by which schedulers of clusters give a process GPUs of NVIDIA, AMD and Intel."""


@frozen
class _Assignment:
    """The assignment that an agent is started with."""

    host: str
    port: int
    token: str
    index: int

    @classmethod
    def parse(cls, line: bytes, environment: Mapping[str, str]) -> _Assignment:
        """Return what is in the line on its standard input.

        :raises ValueError: it has no such line
        """
        try:
            given = json.loads(line)
            host, _, port = given["address"].rpartition(":")
            index = given["index"]
            if index is None:
                index = given.get("first", 0) + int(environment["SLURM_PROCID"])
            return cls(host, int(port), given["token"], int(index))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            text = "An agent is started by the supervisor of a run, which writes a line to its standard input"
            raise ValueError(text) from error


class _RowSender:
    """Sends rows to the supervisor as messages of a kind, with times by its clock.

    :param float ahead: seconds by which that is ahead of the clock of this machine
    """

    def __init__(self, channel: Channel, kind: str, ahead: float) -> None:
        self._channel = channel
        self._kind = kind
        self._ahead = ahead

    def write(self, time: float, messages: Sequence[str]) -> None:
        """Send rows that were read at a time. Wait while the supervisor takes none."""
        self._channel.send(self._kind, encode_rows(time + self._ahead, messages))


class Agent:
    """Runs a node as the supervisor says.

    :param Channel channel: leads to the supervisor, which has said what to run
    :param StopSignal stop_signal: whether it is to end
    :param Path private: a folder of its own, which is there if it makes it, and is removed when it ends
    :param welcome: what the supervisor has said
    :param ports: reserved for its command until right before that starts
    """

    def __init__(
        self,
        channel: Channel,
        stop_signal: StopSignal,
        private: Path,
        welcome: Mapping[str, Any],
        ports: Sequence[socket.socket],
    ) -> None:
        self._channel = channel
        self._stop_signal = stop_signal
        self._private = private
        self._ports = ports
        self._spec = LaunchSpec.from_json(welcome["spec"])
        self._index: int = welcome["index"]
        self._node = self._spec.nodes[self._index]
        # Those for commands and for data, if machines share them; None: this machine has its own.
        self._folders: Sequence[str] | None = welcome["folders"]
        self._rows = _RowSender(channel, "rows", welcome["ahead"])
        self._gateway = PushGateway([_RowSender(channel, "pushed", welcome["ahead"])])
        self._grace = self._spec.grace
        self._is_stopped = False
        """Whether the supervisor has said that the node is to end."""

    def run(self) -> None:
        """Run the node until the supervisor has it end.

        :raises OSError: the connection is broken
        :raises Interrupted: it was to end before the node has started
        """
        with self._stop_signal.interruptible():
            try:
                workspace, storage = self._prepare()
                self._channel.send("prepared")
                environment = self._environment(self._channel.expect("start").content, storage)
                process = NodeProcess(self._node, self._rows, workspace, environment)
            except SetupError as error:
                self._channel.send("failed", error=str(error))
                return
            except OSError as error:
                if error.filename is None:  # it is about the connection
                    raise
                self._channel.send("failed", error=f"{error.filename} cannot be written: {error.strerror}")
                return
        group = NodeGroup([process], self._stop_signal)
        commands = RemoteCommands(
            self._channel, group, self._node, folder=self._private, directory=workspace, environment=environment
        )
        try:
            if self._is_mpi_master:
                commands.listen()
            self._channel.send("started")
            with self._stop_signal.interruptible():
                self._channel.expect("release")
            for reserved in self._ports:
                reserved.close()
            process.release()
            self._wait(group, commands)
        finally:
            group.tear_down(self._grace)
            self._gateway.close()
            commands.close()
        if not self._folders:
            send_artifacts(self._channel, self._private, self._spec.body)
        self._channel.send("ended", left=not_ended(kill_descendants(os.getpid())))

    @property
    def _is_mpi_master(self) -> bool:
        return is_mpi(self._spec.body) and self._node.leads

    def _prepare(self) -> tuple[Path, Path]:
        """Return the folders for commands and for data."""
        if self._folders:
            workspace, storage = map(Path, self._folders)
            return workspace, storage
        storage = self._private_folder() / "storage"
        storage.mkdir(mode=0o700)
        workspace = prepare_workspace(
            self._spec.body,
            self._private / "workspace",
            upload=self._spec.upload,
            leave_out=self._private,
            remark=self._remark,
        )
        make_model_folder(storage, self._spec.body, self._remark)
        return workspace, storage

    def _remark(self, text: str) -> None:
        self._rows.write(time.time(), [text])

    def _environment(self, start: Mapping[str, Any], storage: Path) -> dict[str, str]:
        """Return the variables of the node.

        :param start: where the nodes find each other
        """
        spec, by_name = self._spec, {node.name: node for node in self._spec.nodes}
        addresses = {by_name[name]: address for name, address in start["addresses"].items()}
        network = Network(addresses=addresses, rendezvous=start["rendezvous"])
        variables = {**command_variables(os.environ), **spec.variables}
        host_file = None
        if self._is_mpi_master:
            host_file = self._private_folder() / "hostfile"
            write_host_file(host_file, network, variables.get("PATH"))
            variables |= mpi_variables(self._private)
        # The node's alone, as with machine types.
        assigned = {name: os.environ[name] for name in _ASSIGNED if name in os.environ}
        environment = node_environment(
            self._node,
            network,
            handle=spec.handle,
            body=spec.body,
            server=variables,
            storage=storage,
            host_file=host_file,
            machine={**(spec.machines[self._index] if spec.machines else {}), **assigned},
            push_gateway=self._gateway.url(0),
        )
        return {**environment, RUN_VARIABLE: str(ProcessId.of(os.getpid()))}

    def _wait(self, group: NodeGroup, commands: RemoteCommands) -> None:
        """Wait until the node is to end. That its command has ended is not enough: other nodes may go on."""
        is_told = False

        def tell(exit_codes: Mapping[str, int]) -> None:
            nonlocal is_told
            if self._node.name in exit_codes and not is_told:
                is_told = True
                self._channel.send("exited", code=exit_codes[self._node.name])
            commands.tell_exit_codes(exit_codes)

        def receive() -> int:
            try:
                size = self._channel.receive()
            except OSError:
                group.ignore(self._channel)
                self._stop_signal.received = True
                return 0
            self._obey(commands)
            return size

        group.listen(self._channel, receive)
        self._obey(commands)  # a message may have come with the one before
        group.wait(lambda: None, tell)
        if not self._is_stopped:
            self._channel.send("terminated")

    def _obey(self, commands: RemoteCommands) -> None:
        while self._channel.received:
            message = self._channel.received.popleft()
            if message.kind == "stop":
                self._is_stopped = self._stop_signal.received = True
                self._grace = message.content["grace"]
            else:
                commands.receive(message)

    def _private_folder(self) -> Path:
        self._private.mkdir(mode=0o700, exist_ok=True)
        return self._private


def main() -> int:
    """Run a node in a child process: whatever ends that, nothing of the node is left."""
    try:
        assignment = _Assignment.parse(sys.stdin.buffer.readline(), os.environ)
    except ValueError as error:
        return _complain(str(error))
    private = Path(tempfile.gettempdir(), f"gradient-{secrets.token_hex(8)}")
    try:
        return run_guarded(partial(_run, assignment, private))
    finally:
        # After all processes that may write to it.
        if private.exists():
            remove_tree(private)


def _run(assignment: _Assignment, private: Path) -> int:
    stop_signal = StopSignal()
    become_subreaper()
    try:
        with stop_signal.interruptible():
            connection = socket.create_connection((assignment.host, assignment.port), timeout=_CONNECT_TIMEOUT)
            connection.settimeout(None)
            threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
            channel = Channel(connection, _STALL_TIMEOUT)
            host = connection.getsockname()[0]
            ports = [_reserve_port(host) for _ in range(2)]
            welcome = _greet(channel, assignment, host, [reserved.getsockname()[1] for reserved in ports])
        Agent(channel, stop_signal, private, welcome, ports).run()
    except Interrupted:
        return 1
    except OSError as error:
        place = f"{assignment.host}:{assignment.port}"
        return _complain(f"The supervisor at {place} cannot be reached any more: {error.strerror or error}")
    return 0


def _greet(channel: Channel, assignment: _Assignment, host: str, ports: Sequence[int]) -> dict[str, Any]:
    """Introduce this machine to the supervisor, and return what that says about the node.

    :raises OSError: the connection is broken, or leads to somebody else
    """
    challenge = channel.expect("challenge").content["challenge"]
    channel.is_trusted = True  # only the size of what it says, which is that of the spec
    sent = time.time()
    channel.send(
        "hello",
        proof=proof(assignment.token, "agent", challenge),
        challenge=channel.challenge,
        index=assignment.index,
        machine=socket.gethostname(),
        host=host,
        ports=ports,
    )
    welcome = channel.expect("welcome").content
    if not is_proof(welcome["proof"], assignment.token, "supervisor", channel.challenge):
        raise ConnectionAbortedError("it is not the supervisor of the run")
    return {**welcome, "ahead": clock_difference(sent, welcome["time"], time.time())}


def clock_difference(sent: float, answered: float, received: float) -> float:
    """Return by how many seconds another clock is ahead of this one; 0 if both may show the same.

    :param float sent: when a question was sent, by this clock
    :param float answered: when the answer was written, by the other one
    :param float received: when it came, by this clock
    """
    return min(max(0.0, answered - received), answered - sent)


def _end_with(connection: socket.socket) -> None:
    """Have this process end when the other end of a connection is gone, whatever it is doing."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP if sys.platform == "linux" else select.POLLHUP)
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)


def _reserve_port(host: str) -> socket.socket:
    reserved = socket.socket()
    reserved.bind((host, 0))
    return reserved


def _complain(text: str) -> int:
    print(text, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
