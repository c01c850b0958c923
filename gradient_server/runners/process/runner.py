"""The runner whose runs are processes of this machine."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from attrs import evolve

from gradient_server.clock import Clock
from gradient_server.runners.base import ArgumentGroup
from gradient_server.runners.machine_types import Capacity, MachineType, MachineTypes, Request, parse_gpus
from gradient_server.runners.process.gpus import base_variables, check_gpu_variables, find_gpus
from gradient_server.runners.process.monitor import LocalMonitor
from gradient_server.runners.supervised.environment import Node
from gradient_server.runners.supervised.processes import ProcessId, available_memory, available_processors
from gradient_server.runners.supervised.run_files import LaunchSpec, RunDirectory
from gradient_server.runners.supervised.runner import GRACE, QueueingRunner

_log = logging.getLogger(__name__)


class ProcessRunner(QueueingRunner):
    """Runs commands as processes of this machine.

    :param Path directory: where the directories of all runs are; no other server and no other user may use it
    :param int slots: how many experiments run at once; others wait in the order in which they were started
    :param bool keep: whether runs outlive the server, so that a later one can take them over; otherwise they are
        stopped and removed when the server ends
    :param float grace: seconds that commands have to end after SIGTERM
    :param pass_env: names of further variables of the environment that commands see; `*` stands for any characters
    :param machine_types: what machine types mean, by name; None: they mean nothing, and slots alone are counted
    :param gpus: with machine types, the GPUs to share out, by the names that `CUDA_VISIBLE_DEVICES` takes
    """

    name = "process"
    description = "commands run on this machine"

    def __init__(
        self,
        directory: Path,
        *,
        slots: int,
        keep: bool = True,
        grace: float = GRACE,
        pass_env: Sequence[str] = (),
        machine_types: Mapping[str, MachineType] | None = None,
        gpus: Sequence[str] = (),
    ) -> None:
        capacity = Capacity(slots=slots)
        self._machine_types: MachineTypes | None = None
        if machine_types is not None:
            capacity = evolve(capacity, cpus=available_processors(), memory=available_memory(), gpus=tuple(gpus))
            self._machine_types = MachineTypes(types=machine_types, capacity=capacity)
        super().__init__(directory, capacity, keep=keep, grace=grace, pass_env=pass_env, machine_types=machine_types)

    @classmethod
    def add_arguments(cls, parser: ArgumentGroup) -> None:
        """Add `--gpus`."""
        text = (
            "with --machine-types, the GPUs to share out: 0,1 or none (default: those in CUDA_VISIBLE_DEVICES, or all "
            "that nvidia-smi lists)"
        )
        parser.add_argument("--gpus", metavar="LIST", type=_gpus, help=text)

    @classmethod
    def check_arguments(cls, options: argparse.Namespace) -> str | None:
        """Refuse `--gpus` without machine types, which nothing could ask for."""
        if options.gpus is not None and options.machine_types is None:
            return "--gpus: experiments get GPUs by their machine types; it needs --machine-types FILE"
        return None

    @classmethod
    def from_arguments(cls, options: argparse.Namespace) -> Self:
        """Return a runner that keeps its runs beside the store."""
        directory = options.store.with_name(options.store.name + ".runs")
        types, gpus = options.machine_types, options.gpus
        if types is not None and gpus is None:
            gpus = find_gpus(os.environ)
        return cls(
            directory,
            slots=options.slots or available_processors(),
            grace=GRACE if options.grace is None else options.grace,
            pass_env=options.pass_env or (),
            machine_types=types,
            gpus=gpus or (),
        )

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Connect it to a server.

        :raises ValueError: the clock does not show real time
        :raises OSError: another server or another user may use the directory, or it cannot be used
        """
        super().attach(clock, on_change)
        if self._machine_types:
            gpus = ", ".join(self._machine_types.capacity.gpus) or "none"
            _log.info("Machine types: %s; GPUs: %s", ", ".join(self._machine_types.types), gpus)

    def _monitor(self, directory: RunDirectory, jobs: int = 0, spec: LaunchSpec | None = None) -> LocalMonitor:
        if spec and not self._keep:
            spec = evolve(spec, server=ProcessId.of(os.getpid()))
        return LocalMonitor(directory, jobs, spec)

    def _machines(
        self, nodes: Sequence[Node], body: Mapping[str, Any], *, is_new: bool
    ) -> tuple[Request, tuple[Mapping[str, str], ...]]:
        """Return the request, and the variables about processors and the order of GPUs."""
        if self._machine_types is None:
            return Request(), ()
        fields = [node.machine_type_field for node in nodes]
        request = self._machine_types.request(fields, body)
        types = [self._machine_types.type_of(field, body) for field in fields]
        if is_new:
            check_gpu_variables(body)
        return request, tuple(base_variables(found.cpus, os.environ) for found in types)


def _gpus(text: str) -> tuple[str, ...]:
    try:
        return parse_gpus(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
