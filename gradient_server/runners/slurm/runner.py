"""The runner whose runs are jobs of Slurm."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gradient_server.clock import Clock
from gradient_server.runners.base import ArgumentGroup
from gradient_server.runners.machine_types import Capacity, MachineType, MachineTypes, Request
from gradient_server.runners.slurm.cluster import Cluster
from gradient_server.runners.slurm.commands import missing_command
from gradient_server.runners.slurm.inventory import check_inventory
from gradient_server.runners.slurm.monitor import SlurmMonitor
from gradient_server.runners.slurm.request import (
    OPTIONS,
    JobRequest,
    check_extra,
    check_option,
    check_table,
    job_requests,
)
from gradient_server.runners.supervised.environment import Node
from gradient_server.runners.supervised.run_files import LaunchSpec, RunDirectory
from gradient_server.runners.supervised.runner import GRACE, SupervisedRunner

_log = logging.getLogger(__name__)
_UNLIMITED = 10**6
"""Slots, and anything else that Slurm counts and not this server."""
_NOT_PASSED_ON = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "TMPDIR")
"""Variables of the server that say something about its own machine."""
_PATIENCE = 2.0
"""Seconds to wait for the list of machines when a server starts."""
_NOT_THERE = "is not in the PATH; it comes with the client of Slurm"
_THREADS = "OMP_NUM_THREADS"


class SlurmRunner(SupervisedRunner):
    """Runs commands as jobs of Slurm.

    :param Path directory: where the directories of all runs are, on a file system that the machines of the cluster have
    :param options: of `sbatch` for all runs, by the names of `OPTIONS`; machine types and experiments may choose others
    :param extra: further options of `sbatch` for all runs
    :param str python: the interpreter on the machines of the cluster, with this package
    :param float grace: seconds that commands have to end after SIGTERM
    :param pass_env: names of further variables of the environment that commands see; `*` stands for any characters
    :param machine_types: what machine types mean, by name; None: they mean nothing

    :raises ValueError: an option, or the table of a machine type, is wrong
    """

    name = "slurm"
    description = "commands run as jobs of a Slurm cluster"

    def __init__(
        self,
        directory: Path,
        *,
        options: Mapping[str, str] | None = None,
        extra: Sequence[str] = (),
        python: str = sys.executable,
        grace: float = GRACE,
        pass_env: Sequence[str] = (),
        machine_types: Mapping[str, MachineType] | None = None,
    ) -> None:
        self._options = {name: check_option(name, value) for name, value in (options or {}).items()}
        self._extra = [*map(check_extra, extra)]
        self._python = python
        self._cluster = Cluster()
        self._store_id = ""
        self._machine_types: MachineTypes | None = None
        if machine_types is not None:
            for name, each in machine_types.items():
                check_table(name, each)
            self._machine_types = MachineTypes(types=machine_types, capacity=Capacity(slots=_UNLIMITED))
        capacity = Capacity(slots=_UNLIMITED)
        super().__init__(directory, capacity, grace=grace, pass_env=pass_env, machine_types=machine_types)

    @classmethod
    def add_arguments(cls, parser: ArgumentGroup) -> None:
        """Add `--slurm-runs`, `--slurm-python`, `--slurm-option`, and one for each of `OPTIONS`."""
        text = (
            "folder for the runs, on a file system that the machines of the cluster share (default: beside the store)"
        )
        parser.add_argument("--slurm-runs", metavar="FOLDER", type=Path, help=text)
        text = "Python on these machines, with this package (default: the one that runs the server)"
        parser.add_argument("--slurm-python", metavar="PATH", help=text)
        for name, option in OPTIONS.items():
            text = f"--{name} of sbatch; an experiment chooses it by {option.variable}"
            parser.add_argument(f"--slurm-{name}", metavar=name.upper(), type=_option_type(name), help=text)
        text = "another option of sbatch for all runs, such as --slurm-option=--exclude=node7; can be given again"
        parser.add_argument("--slurm-option", metavar="OPTION", type=_extra_type, action="append", help=text)

    @classmethod
    def check_arguments(cls, options: argparse.Namespace) -> str | None:
        """Check that there is Slurm, and the tables of machine types."""
        if missing := missing_command():
            return f"--runner slurm: {missing} {_NOT_THERE}"
        types: Mapping[str, MachineType] = options.machine_types or {}
        try:
            for name, each in types.items():
                check_table(name, each)
        except ValueError as error:
            return f"--machine-types: {error}"
        return None

    @classmethod
    def from_arguments(cls, options: argparse.Namespace) -> Self:
        """Return a runner as the command line describes it."""
        given = {name: getattr(options, f"slurm_{name}") for name in OPTIONS}
        return cls(
            options.slurm_runs or options.store.with_name(options.store.name + ".runs"),
            options={name: value for name, value in given.items() if value is not None},
            extra=options.slurm_option or (),
            python=options.slurm_python or sys.executable,
            grace=GRACE if options.grace is None else options.grace,
            pass_env=options.pass_env or (),
            machine_types=options.machine_types,
        )

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Connect it to a server.

        :raises ValueError: the clock does not show real time
        :raises OSError: another server or another user may use the directory, it cannot be used, or there is no Slurm
        """
        if missing := missing_command():
            raise FileNotFoundError(errno.ENOENT, _NOT_THERE, missing)
        super().attach(clock, on_change)
        self._store_id = self._directory.store_id
        self._cluster.start(_PATIENCE)
        partitions = dict.fromkeys(group.partition for group in self._cluster.machines)
        _log.info("Slurm has the partitions %s", ", ".join(partitions) or "that it says later")

    def close(self) -> None:
        """End it. What is submitted waits or runs on in Slurm."""
        super().close()
        self._cluster.close()

    def _monitor(self, directory: RunDirectory, jobs: int = 0, spec: LaunchSpec | None = None) -> SlurmMonitor:
        return SlurmMonitor(directory, jobs, spec, self._cluster, self._sbatch_options, self._python, self._store_id)

    def _machines(
        self, nodes: Sequence[Node], body: Mapping[str, Any], *, is_new: bool
    ) -> tuple[Request, tuple[Mapping[str, str], ...]]:
        """Return the variables about processors. Slurm counts everything itself."""
        requests = self._requests(nodes, body)
        if is_new:
            check_inventory(self._cluster.machines, requests)
        cpus = [request.cpus for request in requests for _ in range(request.nodes)]
        return Request(), tuple({_THREADS: str(count)} if count else {} for count in cpus) if any(cpus) else ()

    def _place(self, nodes: Sequence[Node]) -> str:
        return "as a job of Slurm" if len(nodes) == 1 else "as tasks of Slurm"

    def _variables(self) -> dict[str, str]:
        """Return the variables of the server that commands see: none that is about its own machine."""
        variables = super()._variables()
        folder, own = os.path.dirname(self._python), os.path.dirname(sys.executable)
        if folder and folder != own:
            variables["PATH"] = os.pathsep.join((folder, variables["PATH"].removeprefix(f"{own}{os.pathsep}")))
        return {name: value for name, value in variables.items() if name not in _NOT_PASSED_ON}

    def _requests(self, nodes: Sequence[Node], body: Mapping[str, Any]) -> list[JobRequest]:
        return job_requests(nodes, body, defaults=self._options, machine_types=self._machine_types)

    def _sbatch_options(self, spec: LaunchSpec) -> list[list[str]]:
        return [[*request.arguments, *self._extra] for request in self._requests(spec.nodes, spec.body)]


def _option_type(name: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            return check_option(name, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return check


def _extra_type(text: str) -> str:
    try:
        return check_extra(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
