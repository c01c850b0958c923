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
    kill,
    kill_descendants,
    not_ended,
    terminate_with_parent,
)
from gradient_server.runners.supervised.push_gateway import PushGateway
from gradient_server.runners.supervised.run_files import LaunchSpec
from gradient_server.runners.supervised.workspace import prepare_workspace

_CONNECT_TIMEOUT = 30.0
_STALL_TIMEOUT = 300
"""Seconds for which the supervisor may receive nothing, for example because its disk is full of work."""
_GPUS = "CUDA_VISIBLE_DEVICES"
_ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@frozen
class _Assignment:
    """What an agent is started with."""

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
            return cls(host, int(port), given["token"], int(environment["SLURM_PROCID"] if index is None else index))
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

    :param Channel channel: leads to the supervisor
    :param StopSignal stop_signal: whether it is to end
    :param Path private: a folder of its own, which is there if it makes it, and is removed when it ends
    """

    def __init__(self, channel: Channel, stop_signal: StopSignal, private: Path) -> None:
        self._channel = channel
        self._stop_signal = stop_signal
        self._private = private
        self._is_stopped = False
        """Whether the supervisor has said that the node is to end."""
        self._grace = 0.0
        self._ports: list[socket.socket] = []
        """Reserve ports for the node until right before it starts."""

    def run(self, token: str, index: int) -> None:
        """Run the node until the supervisor has it end.

        :raises OSError: the connection is broken
        :raises Interrupted: it was to end before the node has started
        """
        with self._stop_signal.interruptible():
            welcome = self._greet(token, index)
            spec = LaunchSpec.from_json(welcome["spec"])
            rows = _RowSender(self._channel, "rows", welcome["time"] - time.time())
            pushed = _RowSender(self._channel, "pushed", welcome["time"] - time.time())
            try:
                workspace, storage = self._prepare(spec, welcome["folders"], rows)
                self._channel.send("prepared")
                start = self._channel.expect("start").content
                gateway = PushGateway([pushed])
                environment = self._environment(spec, index, start, storage, gateway.url(0))
                process = NodeProcess(spec.nodes[index], rows, workspace, environment)
            except SetupError as error:
                self._channel.send("failed", error=str(error))
                return
            except OSError as error:
                if error.filename is None:  # it is about the connection
                    raise
                self._channel.send("failed", error=f"{error.filename} cannot be written: {error.strerror}")
                return
        group = NodeGroup([process], self._stop_signal)
        self._grace = spec.grace
        try:
            self._channel.send("started")
            with self._stop_signal.interruptible():
                self._channel.expect("release")
            self._wait(group, process)
        finally:
            group.tear_down(self._grace)
            gateway.close()
        self._channel.send("ended", left=not_ended(kill_descendants(os.getpid())))

    def _greet(self, token: str, index: int) -> dict[str, Any]:
        """Introduce this machine, and return what the supervisor answers."""
        challenge = self._channel.expect("challenge").content["challenge"]
        host = self._channel.own_host
        self._ports = [_reserve_port(host) for _ in range(2)]
        self._channel.send(
            "hello",
            proof=proof(token, "agent", challenge),
            challenge=self._channel.challenge,
            index=index,
            machine=socket.gethostname(),
            host=host,
            ports=[reserved.getsockname()[1] for reserved in self._ports],
        )
        self._channel.is_trusted = True  # only its size, which is that of the spec
        welcome = self._channel.expect("welcome").content
        if not is_proof(welcome["proof"], token, "supervisor", self._channel.challenge):
            raise ConnectionAbortedError("it is not the supervisor of the run that listens there")
        return welcome

    def _prepare(self, spec: LaunchSpec, folders: list[str] | None, rows: _RowSender) -> tuple[Path, Path]:
        """Return the folders for commands and for data.

        :param folders: the same, if machines share them; None: this machine has its own
        """
        if folders:
            workspace, storage = map(Path, folders)
            return workspace, storage

        def remark(text: str) -> None:
            rows.write(time.time(), [text])

        storage = self._private_folder() / "storage"
        storage.mkdir(mode=0o700)
        workspace = prepare_workspace(
            spec.body, self._private / "workspace", upload=spec.upload, leave_out=self._private, remark=remark
        )
        make_model_folder(storage, spec.body, remark)
        return workspace, storage

    def _environment(
        self, spec: LaunchSpec, index: int, start: Mapping[str, Any], storage: Path, push_gateway: str
    ) -> dict[str, str]:
        node, by_name = spec.nodes[index], {node.name: node for node in spec.nodes}
        addresses = {by_name[name]: address for name, address in start["addresses"].items()}
        network = Network(addresses=addresses, rendezvous=start["rendezvous"])
        variables = {**command_variables(os.environ), **spec.variables}
        # What the scheduler of the cluster has assigned is the node's alone, as with machine types.
        assigned = {name: os.environ[name] for name in (_GPUS,) if name in os.environ}
        host_file = None
        if is_mpi(spec.body) and node.leads:
            host_file = self._private_folder() / "hostfile"
            write_host_file(host_file, network, variables.get("PATH"))
        environment = node_environment(
            node,
            network,
            handle=spec.handle,
            body=spec.body,
            server=variables,
            storage=storage,
            host_file=host_file,
            machine={**(spec.machines[index] if spec.machines else {}), **assigned},
            push_gateway=push_gateway,
        )
        for reserved in self._ports:
            reserved.close()
        return {**environment, RUN_VARIABLE: str(ProcessId.of(os.getpid()))}

    def _wait(self, group: NodeGroup, process: NodeProcess) -> None:
        """Run the command until the node is to end. That it has ended itself is not enough: others may go on."""
        is_told = False

        def tell_exit_code(exit_codes: Mapping[str, int]) -> None:
            nonlocal is_told
            if exit_codes and not is_told:
                is_told = True
                self._channel.send("exited", code=exit_codes[process.node.name])

        group.listen(self._channel, partial(self._receive, group))
        process.release()
        self._obey()  # the message may have come with the one before
        group.wait(lambda: None, tell_exit_code)
        if not self._is_stopped:
            self._channel.send("terminated")

    def _receive(self, group: NodeGroup) -> int:
        try:
            size = self._channel.receive()
        except OSError:
            group.ignore(self._channel)
            self._stop_signal.received = True
            return 0
        self._obey()
        return size

    def _obey(self) -> None:
        while self._channel.received:
            message = self._channel.received.popleft()
            if message.kind == "stop":
                self._is_stopped = self._stop_signal.received = True
                self._grace = message.content["grace"]

    def _private_folder(self) -> Path:
        self._private.mkdir(mode=0o700, exist_ok=True)
        return self._private


def main() -> int:
    """Run a node, in a child process: whatever ends that, nothing of the node is left."""
    try:
        assignment = _Assignment.parse(sys.stdin.buffer.readline(), os.environ)
    except ValueError as error:
        return _complain(str(error))
    private = Path(tempfile.gettempdir(), f"gradient-{secrets.token_hex(8)}")
    become_subreaper()
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDING, signal.SIGCHLD})
    child = os.fork()
    if not child:
        terminate_with_parent()
        return _run(assignment, private)
    try:
        return _guard(child)
    finally:
        kill_descendants(os.getpid())
        if private.exists():
            remove_tree(private)


def _guard(child: int) -> int:
    """Pass signals on to the child. Return its exit code when it has ended."""
    while True:
        number = signal.sigwait({*_ENDING, signal.SIGCHLD})
        if number in _ENDING:
            kill(child, signal.SIGTERM)
            continue
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return abs(os.waitstatus_to_exitcode(status))


def _run(assignment: _Assignment, private: Path) -> int:
    stop_signal = StopSignal()
    become_subreaper()
    place = f"{assignment.host}:{assignment.port}"
    try:
        with stop_signal.interruptible():
            connection = socket.create_connection((assignment.host, assignment.port), timeout=_CONNECT_TIMEOUT)
            connection.settimeout(None)
        threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
        channel = Channel(connection, _STALL_TIMEOUT)
        Agent(channel, stop_signal, private).run(assignment.token, assignment.index)
    except Interrupted:
        return 1
    except OSError as error:
        return _complain(f"The agent has lost the supervisor at {place}: {error.strerror or error}")
    return 0


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
