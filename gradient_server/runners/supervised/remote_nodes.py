"""The nodes of a run on other machines: each has an agent there, which connects to the supervisor."""

from __future__ import annotations

import contextlib
import json
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

from attrs import asdict, define
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised.artifact_transfer import ArtifactCollection, folders_below
from gradient_server.runners.supervised.channel import Channel, Message, is_proof, proof
from gradient_server.runners.supervised.environment import Node, nodes_with_addresses
from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.local_nodes import Launch
from gradient_server.runners.supervised.log_file import LogWriter
from gradient_server.runners.supervised.node_group import Interrupted, Nodes, Outcome, outcome_of
from gradient_server.runners.supervised.remote_commands import NOT_STARTED

AGENT_MODULE = "gradient_server.runners.supervised.agent"
_CHECK_INTERVAL = 1.0
"""Seconds between two checks of whether the run may go on."""
_PROBLEM_INTERVAL = 0.2
"""Seconds between two questions to the launcher while agents start."""
_GREETING_TIMEOUT = 10.0
"""Seconds in which whoever connects has to prove that it is an agent."""
_STALL_TIMEOUT = 20
"""Seconds for which an agent may receive nothing that is sent to it."""
_REASON_TIMEOUT = 1.0
"""Seconds in which the launcher may find out why an agent is gone."""
_REST_TIMEOUT = 1.0
"""Seconds in which the last output of an agent comes that is gone."""
_END_TIMEOUT = 15.0
"""Seconds, beside the grace period, in which an agent ends its processes."""


class AgentLauncher(ABC):
    """Starts the agents of a run on machines that it has got for them. One implementation for each kind of cluster."""

    has_shared_files: bool
    """Whether all machines see the directory of the run, at the same path as the supervisor."""

    @abstractmethod
    def start(self, nodes: Sequence[Node], lines: Sequence[bytes]) -> None:
        """Start `python -m AGENT_MODULE` for each node, with its line as standard input. Do not wait for them.

        The lines are secret: nobody may see them as arguments or variables. Each is a JSON object. Where all agents
        read the same one, its `index` is null, and agents take `SLURM_PROCID` for it, plus `first` if that is there.

        :raises SetupError: that is impossible
        """

    @abstractmethod
    def problem(self) -> tuple[int, str] | None:
        """Return the index of a node whose agent cannot run or go on, and why, as the cluster knows it; None: no such.

        Called again and again; it must return at once.
        """

    @abstractmethod
    def close(self) -> None:
        """End what is left of the agents, and give the machines back. Called once, also without a `start`."""


class PlainLauncher(AgentLauncher):
    """Starts agents as processes of this machine.

    :param bool has_shared_files: whether they use the directory of the run
    """

    def __init__(self, *, has_shared_files: bool = True) -> None:
        self.has_shared_files = has_shared_files
        self._agents: list[subprocess.Popen[bytes]] = []

    def start(self, nodes: Sequence[Node], lines: Sequence[bytes]) -> None:
        """Start a process for each node."""
        for index, line in enumerate(lines):
            try:
                agent = subprocess.Popen(
                    self._command(index),
                    stdin=subprocess.PIPE,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise SetupError(f"An agent cannot be started: {error}") from error
            self._agents.append(agent)
            assert agent.stdin
            with agent.stdin, contextlib.suppress(BrokenPipeError):
                agent.stdin.write(line)

    def _command(self, index: int) -> list[str]:
        """Return the command that starts the agent of a node."""
        return [sys.executable, "-P", "-X", "utf8", "-m", AGENT_MODULE]

    def problem(self) -> tuple[int, str] | None:
        """Return which agent has ended with an error."""
        for index, agent in enumerate(self._agents):
            if code := agent.poll():
                how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with exit code {code}"
                return index, f"its agent {how}"
        return None

    def close(self) -> None:
        """Wait until the agents have ended, or kill them."""
        deadline = time.monotonic() + _END_TIMEOUT
        for agent in self._agents:
            agent.terminate()
        for agent in self._agents:
            try:
                agent.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()


@define(eq=False)
class _RemoteNode:
    """A node whose agent has connected.

    :param int index: its number among the nodes of the run
    :param Channel channel: leads to its agent
    :param str machine: the name of its machine
    :param str host: the address of its machine
    :param ports: free ports there
    """

    index: int
    channel: Channel
    machine: str
    host: str
    ports: Sequence[int]
    heard: float
    """When its agent has sent something, of `time.monotonic()`."""
    state: str = "connected"
    """Then `prepared`, `started`, `ended`, or `lost`."""
    left: str | None = None
    """A sentence about processes that its agent could not end."""
    artifact_error: str | None = None
    """Why its artifacts are not all here."""


class RemoteNodes(Nodes):
    """Nodes of which each has an agent on some machine.

    :param Launch launch: the run
    :param AgentLauncher launcher: starts the agents
    :param str host: the IP address of this machine at which agents reach it
    """

    def __init__(self, launch: Launch, launcher: AgentLauncher, host: str) -> None:
        self._launch = launch
        self._launcher = launcher
        self._host = host
        self._token = secrets.token_urlsafe(32)
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._strangers: dict[Channel, float] = {}
        """Connections of which nobody knows what they are, and when they are closed."""
        self._nodes: dict[int, _RemoteNode] = {}
        self._pushed: list[LogWriter] = []
        self._folders: list[str] | None = None
        """Those for commands and for data, if machines share them."""
        self._exit_codes: dict[str, int] = {}
        self._commands: dict[str, _RemoteNode] = {}
        """The nodes that have commands run on other machines, by the names of these."""
        folders = folders_below(launch.files.path, launch.spec.body)
        self._artifacts = ArtifactCollection(launch.spec.nodes, folders)
        self._failure: Outcome | None = None
        """The first failure; None: there was none."""
        self._gone_at: dict[int, float] = {}
        """When the launcher has said that an agent is gone, by node."""
        self._is_released = False
        self._is_closing = False

    def prepare(self) -> None:
        """Have agents started and workspaces fetched, and wait for all of that."""
        spec, directory = self._launch.spec, self._launch.directory
        self._pushed = [LogWriter(directory.pushed(index)) for index in range(len(spec.nodes))]
        self._listener = self._listen()
        host, port = self._listener.getsockname()[:2]
        lines = [
            json.dumps({"address": f"{host}:{port}", "token": self._token, "index": index}).encode() + b"\n"
            for index in range(len(spec.nodes))
        ]
        self._launcher.start(spec.nodes, lines)
        if self._launcher.has_shared_files:
            self._folders = [str(self._launch.prepare_folders()), str(self._launch.files.storage)]
        self._selector.register(self._launch.stop_signal.wakeup, selectors.EVENT_READ, self._on_wakeup)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._wait_for("connected", "prepared")
        self._launch.events.write(machines=[self._nodes[index].machine for index in range(len(spec.nodes))])
        self._wait_for("prepared")

    def start(self) -> None:
        """Have the agents start their nodes, which learn where the others are."""
        nodes = self._launch.spec.nodes
        leader = next(index for index, node in enumerate(nodes) if node.leads)
        addresses = {
            node.name: f"{self._nodes[index].host}:{self._nodes[index].ports[0]}"
            for index, node in enumerate(nodes)
            if node in nodes_with_addresses(nodes)
        }
        rendezvous = f"{self._nodes[leader].host}:{self._nodes[leader].ports[1]}"
        self._send_all("start", addresses=addresses, rendezvous=rendezvous)
        self._wait_for("started")

    def release(self) -> None:
        """Have the agents start the commands."""
        self._is_released = True
        self._send_all("release")

    def wait(self, obstacle: Callable[[], str | None]) -> Outcome | None:
        """Copy what agents send until the run has an outcome, or return None if it is to stop."""
        stop_signal, checked = self._launch.stop_signal, time.monotonic()
        while not stop_signal.received:
            self._step(_CHECK_INTERVAL)
            outcome = self._failure or outcome_of(self._launch.spec.nodes, self._exit_codes)
            if not outcome and time.monotonic() >= checked + _CHECK_INTERVAL:
                checked = time.monotonic()
                self._ask_launcher()
                error = obstacle()
                outcome = Outcome(State.ERROR, error) if error else self._failure
            if outcome:
                # A cluster that stops a run may signal the machines of the nodes before this one.
                is_stopped = outcome.state != State.STOPPED and self._launch.directory.is_stop_requested
                return None if is_stopped else outcome
        return None

    def tear_down(self, grace: float) -> None:
        """Have the agents end their processes and send the last output, and give the machines back."""
        self._is_closing = True
        try:
            if self._is_released:
                self._send_all("stop", grace=grace)
                self._wait_for_ends(time.monotonic() + grace + _END_TIMEOUT)
        finally:
            # The agents end without a connection.
            for channel in (*self._strangers, *(node.channel for node in self._connected())):
                channel.close()
            if self._listener:
                self._listener.close()
            self._selector.close()
            self._launcher.close()
        for node in self._nodes.values():
            for text in filter(None, (node.left, node.artifact_error)):
                with contextlib.suppress(OSError):
                    self._launch.remark(f"On the machine {node.machine}: {text}", node.index)

    def _listen(self) -> socket.socket:
        try:
            listener = socket.create_server((self._host, 0), backlog=2 * len(self._launch.spec.nodes) + 16)
        except OSError as error:
            text = f"The supervisor cannot be reached by other machines at {self._host}: {error.strerror or error}"
            raise SetupError(text) from error
        listener.setblocking(False)
        return listener

    def _wait_for(self, *states: str) -> None:
        """Wait until all agents are in one of these states.

        :raises SetupError: that is not going to be
        :raises Interrupted: by SIGTERM
        """
        count = len(self._launch.spec.nodes)
        asked = time.monotonic()
        while sum(node.state in states for node in self._nodes.values()) < count:
            self._step(_PROBLEM_INTERVAL)
            if not self._failure and time.monotonic() >= asked + _PROBLEM_INTERVAL:
                asked = time.monotonic()
                self._ask_launcher()
            if self._failure:
                raise SetupError(self._failure.error or "", self._failure.node)
            if self._launch.stop_signal.received:
                raise Interrupted

    def _wait_for_ends(self, deadline: float) -> None:
        """Receive what agents send until they have ended. After the deadline, give up those that send nothing."""
        while running := [node for node in self._connected() if node.state != "ended"]:
            self._step(_PROBLEM_INTERVAL)
            for node in running:
                gone_at = self._gone_at.get(node.index)
                latest = max(deadline, node.heard + _END_TIMEOUT) if gone_at is None else gone_at + _REST_TIMEOUT
                if time.monotonic() > latest:
                    self._lose(node, "its agent does not end")

    def _step(self, timeout: float) -> None:
        """Wait for messages, connections or signals, and process what has come. Each agent gets its turn."""
        for key, _ in self._selector.select(timeout):
            key.data()
        now = time.monotonic()
        for channel in [channel for channel, deadline in self._strangers.items() if now > deadline]:
            self._drop(channel)

    def _on_wakeup(self) -> None:
        self._launch.stop_signal.clear_wakeup()

    def _accept(self) -> None:
        assert self._listener
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it has gone again
            return
        connection.settimeout(_STALL_TIMEOUT)
        channel = Channel(connection, _STALL_TIMEOUT)
        self._strangers[channel] = time.monotonic() + _GREETING_TIMEOUT
        self._selector.register(channel, selectors.EVENT_READ, partial(self._greet, channel))
        with self._or_drop(channel):
            channel.send("challenge", challenge=channel.challenge)

    def _greet(self, channel: Channel) -> None:
        """Receive what a stranger sends, and let it in if it is an agent."""
        with self._or_drop(channel):
            channel.receive()
            if not channel.received:
                return
            hello = channel.received.popleft().content
            if not is_proof(hello.pop("proof"), self._token, "agent", channel.challenge):
                raise ConnectionAbortedError("it is no agent of this run")
            channel.is_trusted = True
            challenge = hello.pop("challenge")
            node = _RemoteNode(channel=channel, heard=time.monotonic(), **hello)
            if node.index in self._nodes:
                raise ConnectionAbortedError("the node has an agent already")
            channel.send(
                "welcome",
                proof=proof(self._token, "supervisor", challenge),
                spec=asdict(self._launch.spec),
                index=node.index,
                folders=self._folders,
                time=time.time(),
            )
            self._nodes[node.index] = node
            del self._strangers[channel]
            self._selector.modify(channel, selectors.EVENT_READ, partial(self._receive, node))

    @contextlib.contextmanager
    def _or_drop(self, channel: Channel) -> Generator[None]:
        try:
            yield
        except (OSError, KeyError, TypeError):
            self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        del self._strangers[channel]
        self._selector.unregister(channel)
        channel.close()

    def _receive(self, node: _RemoteNode) -> None:
        try:
            node.channel.receive()
        except OSError as error:
            self._lose(node, str(error.strerror or error))
            return
        node.heard = time.monotonic()
        while node.channel.received:
            self._process(node, node.channel.received.popleft())

    def _process(self, node: _RemoteNode, message: Message) -> None:
        content, name = message.content, self._launch.spec.nodes[node.index].name
        match message.kind:
            case "rows":
                self._append(node, self._launch.logs[node.index], message.data)
            case "pushed":
                self._append(node, self._pushed[node.index], message.data)
            case "prepared" | "started":
                node.state = message.kind
            case "run" | "output" | "finished":
                self._relay(node, message)
            case "artifact":
                self._keep_artifact(node, message)
            case "exited":
                self._exit_codes[name] = content["code"]
            case "failed":
                self._fail(f"On the {self._place(node.index)}: {content['error']}", node.index)
            case "terminated":
                self._fail(self._lost_text(node.index, "its agent was sent SIGTERM"), node.index)
            case "ended":
                node.state, node.left = "ended", content["left"]
            case _:
                self._lose(node, "its agent has sent what nobody understands")

    def _relay(self, node: _RemoteNode, message: Message) -> None:
        """Pass on a command to the machine that it is for, and its output and its end to the node that has sent it."""
        content = message.content
        target: _RemoteNode | None = self._commands.setdefault(content["name"], node)
        if message.kind == "run":
            target = next((other for other in self._connected() if other.host == content["host"]), None)
        if target:
            self._send(target, message.kind, message.data, **content)
        else:
            self._send(node, "output", f"No node of this run is on {content['host']}".encode(), name=content["name"])
            self._send(node, "finished", name=content["name"], code=NOT_STARTED)

    def _append(self, node: _RemoteNode, log: LogWriter, data: bytes) -> None:
        # After an error, rows are still received, so that the node does not block.
        if self._failure and self._failure.node == self._launch.spec.nodes[node.index].name:
            return
        try:
            log.append(data)
        except OSError as error:
            name = self._launch.spec.nodes[node.index].name
            self._fail(f"The log of {name} cannot be kept: {error.strerror}", node.index)

    def _keep_artifact(self, node: _RemoteNode, message: Message) -> None:
        try:
            if not node.artifact_error:
                self._artifacts.write(node.index, data=message.data, **message.content)
        except OSError as error:
            node.artifact_error = f"Artifacts cannot be kept: {message.content['name']}: {error.strerror}"

    def _send_all(self, kind: str, **content: Any) -> None:
        for node in self._connected():
            self._send(node, kind, **content)

    def _send(self, node: _RemoteNode, kind: str, data: bytes = b"", **content: Any) -> None:
        if node.state != "lost":
            try:
                node.channel.send(kind, data, **content)
            except OSError as error:
                self._lose(node, str(error.strerror or error))

    def _connected(self) -> list[_RemoteNode]:
        return [node for _, node in sorted(self._nodes.items()) if node.state != "lost"]

    def _lose(self, node: _RemoteNode, reason: str) -> None:
        """Go on without an agent."""
        if node.state == "lost":
            return
        has_ended, node.state = node.state == "ended", "lost"
        self._selector.unregister(node.channel)
        node.channel.close()
        if has_ended or self._is_closing or self._failure:
            return
        deadline = time.monotonic() + _REASON_TIMEOUT
        while not (problem := self._launcher.problem()) and time.monotonic() < deadline:
            time.sleep(0.02)
        known = problem[1] if problem and problem[0] == node.index else reason
        self._fail(self._lost_text(node.index, known), node.index)

    def _ask_launcher(self) -> None:
        """Fail if the launcher knows that an agent cannot run."""
        if problem := self._launcher.problem():
            index, reason = problem
            self._gone_at.setdefault(index, time.monotonic())
            self._fail(self._lost_text(index, reason), index)

    def _lost_text(self, index: int, reason: str) -> str:
        if index not in self._nodes:
            return f"The machine for {self._launch.spec.nodes[index].name} cannot be used: {reason}"
        when = "while it ran" if self._is_released else "before it ran"
        return f"The {self._place(index)} was lost {when}: {reason}"

    def _place(self, index: int) -> str:
        """Return the machine of a node, in words."""
        nodes, machine = self._launch.spec.nodes, f"machine {self._nodes[index].machine}"
        return f"{machine} of {nodes[index].name}" if len(nodes) > 1 else machine

    def _fail(self, error: str, index: int) -> None:
        self._failure = self._failure or Outcome(State.ERROR, error, node=self._launch.spec.nodes[index].name)
