"""The agents of the nodes of a job: one task of Slurm each, started by `srun` in the batch job."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from attrs import frozen

from gradient_server.runners.slurm.commands import error_of
from gradient_server.runners.supervised.environment import Node
from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.remote_nodes import AGENT_MODULE, AgentLauncher

_END_TIMEOUT = 15.0
"""Seconds in which `srun` ends when its tasks have."""
_TASKS = re.compile(r"\btasks? ([\d,-]+): (.*)")
_DISCARD_PORT = 9


@frozen(kw_only=True)
class Component:
    """Nodes of a run that have asked Slurm for the same.

    :param int first: the index of its first node
    :param int tasks: the number of its nodes
    :param int group: its number in a heterogeneous job; None: it is all of the job
    :param int cpus: processors of each node; 0: as Slurm gives them
    :param str machines: the machines that it has, as Slurm writes them
    """

    first: int = 0
    tasks: int = 1
    group: int | None = None
    cpus: int = 0
    machines: str = ""

    @property
    def arguments(self) -> list[str]:
        """The options of `srun` for its agents."""
        group = [] if self.group is None else [f"--het-group={self.group}"]
        cpus = [f"--cpus-per-task={self.cpus}"] if self.cpus else []
        return [*group, f"--ntasks={self.tasks}", *cpus, "--kill-on-bad-exit=0", "--wait=0", "--export=ALL"]


def components_of(environment: Mapping[str, str]) -> list[Component]:
    """Return the components of a job, as it finds them in its environment."""
    size = int(environment.get("SLURM_HET_SIZE", 0))
    groups = [f"_HET_GROUP_{index}" for index in range(size)] or [""]
    counts = [int(environment.get(f"SLURM_NTASKS{group}", 1)) for group in groups]
    return [
        Component(
            first=first,
            tasks=count,
            group=index if size else None,
            cpus=int(environment.get(f"SLURM_CPUS_PER_TASK{group}", 0)),
            machines=environment.get(f"SLURM_JOB_NODELIST{group}", ""),
        )
        for index, (group, count, first) in enumerate(zip(groups, counts, accumulate(counts, initial=0), strict=False))
    ]


class SrunLauncher(AgentLauncher):
    """Starts agents by one `srun` for each component of the job. All of them read the same line.

    :param components: of the job
    """

    has_shared_files = True

    def __init__(self, components: Sequence[Component]) -> None:
        self._components = components
        self._steps: list[subprocess.Popen[bytes]] = []
        self._outputs = [tempfile.TemporaryFile() for _ in components]  # noqa: SIM115 - closed in `close`

    def start(self, nodes: Sequence[Node], lines: Sequence[bytes]) -> None:
        """Start all agents."""
        for component, output in zip(self._components, self._outputs, strict=True):
            command = [sys.executable, "-P", "-X", "utf8", "-m", AGENT_MODULE]
            try:
                step = subprocess.Popen(
                    ["srun", *component.arguments, *command],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise SetupError(f"srun cannot be started on {socket.gethostname()}: {error.strerror}") from error
            self._steps.append(step)
            assert step.stdin
            line = json.dumps({**json.loads(lines[component.first]), "index": None, "first": component.first})
            with contextlib.suppress(BrokenPipeError), step.stdin:
                step.stdin.write(line.encode() + b"\n")

    def problem(self) -> tuple[int, str] | None:
        """Return which task `srun` says has ended, once it has ended itself."""
        for component, step, output in zip(self._components, self._steps, self._outputs, strict=False):
            if step.poll():
                size = output.seek(0, os.SEEK_END)
                text = os.pread(output.fileno(), size, 0).decode(errors="replace")
                return step_problem(component, text) or (component.first, f"srun ended with {step.returncode}")
        return None

    def close(self) -> None:
        """End the agents."""
        for step in self._steps:
            try:
                step.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                step.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    step.wait(_END_TIMEOUT)
                step.kill()
                step.wait()
        for output in self._outputs:
            output.close()


def step_problem(component: Component, text: str) -> tuple[int, str] | None:
    """Return the index of the node that `srun` has complained about first, and what it said; None: it did not."""
    for line in text.splitlines():
        if found := _TASKS.search(line):
            task = int(re.split("[,-]", found[1])[0])
            return component.first + task, f"its agent: {found[2]}"
    said = error_of(text)
    return (component.first, f"srun: {said}") if said else None


def own_address(components: Sequence[Component], environment: Mapping[str, str]) -> str:
    """Return the address of this machine at which the other machines of the job reach it.

    That from which packets go to another one. Without others, the loopback will do.
    """
    own = environment.get("SLURMD_NODENAME", "")
    names = ",".join(dict.fromkeys(component.machines for component in components))
    if names in ("", own):
        return "127.0.0.1"
    try:
        command = ["scontrol", "show", "node", names, "--oneliner"]
        text = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        text = ""
    for address in node_addresses(text, own):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _DISCARD_PORT))
            return str(probe.getsockname()[0])
    return socket.gethostname()


def node_addresses(text: str, own: str) -> Iterator[str]:
    """Yield the addresses of the machines that `scontrol show node` lists, but for one."""
    for name, address in re.findall(r"^NodeName=(\S+) .*?\bNodeAddr=(\S+)", text, re.MULTILINE):
        if name != own:
            yield address
