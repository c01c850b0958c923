"""Commands that `mpirun` of one node starts on the machines of others, where it would use ssh.

`mpi_agent` asks the agent of its node, that asks the supervisor, and that asks the agent on the other machine, which
starts the command beside its node. Output and exit code go back on the same way.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import evolve

from gradient_server.runners.supervised import mpi_agent
from gradient_server.runners.supervised.channel import Channel, Message
from gradient_server.runners.supervised.environment import Node
from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.node_group import READ_SIZE, NodeGroup, NodeProcess

NOT_STARTED = 255
"""The exit code of ssh when it cannot start a command."""


def mpi_variables(folder: Path) -> dict[str, str]:
    """Return the variables by which `mpirun` starts its daemons on other machines: for Open MPI 4 and 5.

    :param Path folder: the private folder of the agent
    """
    command = f"{sys.executable} -I {mpi_agent.__file__} {folder}"
    return {
        "OMPI_MCA_plm_rsh_agent": command,
        "PRTE_MCA_plm_ssh_agent": command,
        # Otherwise the daemons start each other.
        "OMPI_MCA_plm_rsh_no_tree_spawn": "1",
        "PRTE_MCA_plm_ssh_no_tree_spawn": "1",
    }


class RemoteCommands:
    """The commands that this node starts on other machines, and those that other nodes start on this one.

    :param Channel channel: leads to the supervisor
    :param NodeGroup group: receives the processes of commands
    :param Node node: the one of this agent
    :param Path folder: the private folder of the agent
    :param Path directory: where commands run
    :param environment: the variables of commands
    """

    def __init__(
        self,
        channel: Channel,
        group: NodeGroup,
        node: Node,
        *,
        folder: Path,
        directory: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._channel = channel
        self._group = group
        self._node = node
        self._folder = folder
        self._directory = directory
        self._environment = environment
        self._requests: dict[str, socket.socket] = {}
        """The connections that wait for commands on other machines, by the names of these."""
        self._processes: dict[str, NodeProcess] = {}
        """The commands on this machine, by their names."""
        self._links: list[Path] = []

    def close(self) -> None:
        """Remove what they needed."""
        for link in self._links:
            link.unlink(missing_ok=True)

    def listen(self) -> None:
        """Take requests of this node."""
        listener = socket.socket(socket.AF_UNIX)
        with contextlib.chdir(self._folder):  # the path of a socket has 107 bytes at most
            listener.bind(mpi_agent.SOCKET)
        listener.listen()
        listener.setblocking(False)
        self._group.listen(listener, partial(self._accept, listener))

    def receive(self, message: Message) -> None:
        """Process what the supervisor sends about a command."""
        content = message.content
        match message.kind:
            case "run":
                self._run(content["name"], content["command"], Path(content["folder"]))
            case "output":
                self._answer(content["name"], output=message.data.decode())
            case "finished":
                self._answer(content["name"], code=content["code"])
            case _:
                pass

    def tell_exit_codes(self, exit_codes: Mapping[str, int]) -> None:
        """Send the exit codes of commands on this machine that have ended."""
        for name in self._processes.keys() & exit_codes:
            process = self._processes.pop(name)
            while process.is_open and process.read():
                pass
            self._channel.send("finished", name=name, code=exit_codes[name])

    def _run(self, name: str, command: str, folder: Path) -> None:
        """Start a command.

        :param Path folder: the private folder of the agent of `mpirun`, which expects its directory on each machine
        """
        if self._folder.exists():
            with contextlib.suppress(OSError):  # it is the same machine, or another command was there before
                folder.symlink_to(self._folder)
                self._links.append(folder)
        node = evolve(self._node, name=name, command=command)
        log = _Output(self._channel, name)
        try:
            process = NodeProcess(node, log, self._directory, self._environment)
        except SetupError as error:
            log.write(0, [str(error)])
            self._channel.send("finished", name=name, code=NOT_STARTED)
            return
        self._processes[name] = process
        self._group.add(process)
        process.release()

    def _accept(self, listener: socket.socket) -> int:
        with contextlib.suppress(BlockingIOError):
            connection, _ = listener.accept()
            self._group.listen(connection, partial(self._read_request, connection, bytearray()))
        return 0

    def _read_request(self, connection: socket.socket, received: bytearray) -> int:
        chunk = connection.recv(READ_SIZE)
        received += chunk
        if chunk and not chunk.endswith(b"\n"):
            return len(chunk)
        self._group.ignore(connection)
        name = f"command {secrets.token_hex(8)}"
        try:
            request = json.loads(received)
            host, command = request["host"], request["command"]
        except (ValueError, TypeError, KeyError):  # it is not mpirun
            connection.close()
            return 0
        self._requests[name] = connection
        self._channel.send("run", name=name, folder=str(self._folder), host=host, command=command)
        return len(chunk)

    def _answer(self, name: str, **answer: object) -> None:
        with contextlib.suppress(OSError):  # mpirun has gone
            self._requests[name].sendall(json.dumps(answer).encode() + b"\n")
        if "code" in answer:
            self._requests.pop(name).close()


class _Output:
    """Sends what a command prints to the node that has started it."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name

    def write(self, time: float, messages: Sequence[str]) -> None:
        """Send rows."""
        self._channel.send("output", "\n".join(messages).encode(), name=self._name)
