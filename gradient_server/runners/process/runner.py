"""The runner whose runs are processes of this machine."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from attrs import evolve

from gradient_server.clock import Clock
from gradient_server.runners.base import (
    ArgumentGroup,
    Runner,
    RunRecord,
    RunRejectedError,
    RunSpec,
    StoredFiles,
    jobs_of,
)
from gradient_server.runners.machine_types import (
    Capacity,
    MachineType,
    MachineTypes,
    Request,
    parse_gpus,
    parse_machine_types,
)
from gradient_server.runners.process.admission import check_gpu_variables, check_node_count, check_request
from gradient_server.runners.process.artifact_files import artifact_folders
from gradient_server.runners.process.environment import (
    Node,
    check_passed_name,
    command_variables,
    ignored_parameters,
    nodes_of,
    withheld_variables,
)
from gradient_server.runners.process.gpus import base_variables, find_gpus
from gradient_server.runners.process.monitor import RunMonitor
from gradient_server.runners.process.processes import ProcessId, available_memory, available_processors
from gradient_server.runners.process.run import ProcessRun
from gradient_server.runners.process.run_files import LaunchSpec, RunsDirectory
from gradient_server.runners.process.scheduler import Scheduler

_log = logging.getLogger(__name__)
_MAX_LISTED = 10
"""Names of variables in a line of the log."""
GRACE = 5.0
"""The default of the grace period, in seconds."""


class ProcessRunner(Runner):
    """Runs commands as processes of this machine, each experiment in a directory of its own.

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
        self._directory = RunsDirectory(directory)
        self._pass_env = tuple(map(check_passed_name, pass_env))
        self._has_told_variables = False
        self._grace = grace
        self._keep = keep
        capacity = Capacity(slots=slots)
        self._machine_types: MachineTypes | None = None
        if machine_types is not None:
            capacity = evolve(capacity, cpus=available_processors(), memory=available_memory(), gpus=tuple(gpus))
            self._machine_types = MachineTypes(types=machine_types, capacity=capacity)
        self._scheduler = Scheduler(self._directory, capacity)
        self._stack = contextlib.ExitStack()
        self._clock: Clock | None = None
        self._record: Callable[[str, RunRecord], object] = lambda handle, record: None

    @classmethod
    def add_arguments(cls, parser: ArgumentGroup) -> None:
        """Add `--slots`, `--grace`, `--pass-env`, `--machine-types` and `--gpus`."""
        default = f"one for each processor, {available_processors()}"
        text = f"how many experiments run at once, the others wait (default: {default})"
        parser.add_argument("--slots", metavar="NUMBER", type=_slots, help=text)
        text = f"seconds that a command has to end when it is stopped, before it is killed (default: {GRACE})"
        parser.add_argument("--grace", metavar="SECONDS", type=_seconds, help=text)
        text = "variable that commands are to get from the server, such as WANDB_API_KEY or 'AWS_*'; can be given again"
        parser.add_argument("--pass-env", metavar="NAME", type=_passed_name, action="append", help=text)
        text = "TOML file of what machine types mean: a table for each, with gpus, cpus, memory and slots"
        parser.add_argument("--machine-types", metavar="FILE", type=_machine_types, help=text)
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
        slots, grace = options.slots or available_processors(), options.grace
        grace = GRACE if grace is None else grace
        types, gpus = options.machine_types, options.gpus
        if types is not None and gpus is None:
            gpus = find_gpus(os.environ)
        return cls(
            directory,
            slots=slots,
            grace=grace,
            pass_env=options.pass_env or (),
            machine_types=types,
            gpus=gpus or (),
        )

    def record_to(self, record: Callable[[str, RunRecord], object]) -> None:
        """Connect it to a store."""
        self._record = record

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Connect it to a server.

        :raises ValueError: the clock does not show real time
        :raises OSError: another server or another user may use the directory, or it cannot be used
        """
        if clock.scale != 1:
            raise ValueError("Commands run in real time: the time scale must be 1 for them")
        clock.fix()
        self._clock = clock
        self._scheduler.on_change = on_change
        self._stack.enter_context(self._directory.in_use())
        if self._machine_types:
            gpus = ", ".join(self._machine_types.capacity.gpus) or "none"
            _log.info("Machine types: %s; GPUs: %s", ", ".join(self._machine_types.types), gpus)

    def admit(self, spec: RunSpec) -> ProcessRun:
        """Accept an experiment. What is left of its run is taken over.

        :raises RunRejectedError: it cannot be run as requested
        """
        assert self._clock is not None
        recorded = spec.recorded
        if not (recorded and recorded.has_ended):
            check_node_count(spec.body)
        jobs = jobs_of(spec.handle, spec.body)
        nodes = nodes_of([job.name for job in jobs], spec.body)
        directory = self._directory.run(spec.handle)
        variables = command_variables(os.environ, self._pass_env)
        # What ran on an earlier server, with other limits perhaps, stays as it is.
        if spec.started is None and spec.stopped is None:
            self._tell_withheld_variables()
            check_request(nodes, handle=spec.handle, body=spec.body, server=variables, storage=directory.storage)
        request, machines, problem = self._machines(spec, nodes)
        launch_spec = LaunchSpec(
            handle=spec.handle,
            body=spec.body,
            nodes=nodes,
            grace=self._grace,
            variables=variables,
            upload=spec.upload,
            server=None if self._keep else ProcessId.of(os.getpid()),
            machines=machines,
        )
        monitor = RunMonitor(directory, len(jobs), launch_spec)
        scheduler = self._scheduler
        run = ProcessRun(
            spec.handle,
            jobs,
            monitor,
            self._clock,
            scheduler.lock,
            scheduler.schedule,
            recorded=recorded,
            record=self._record,
        )
        run.request, run.problem = request, problem
        run.ignored = ignored_parameters(nodes, spec.body, uses_machine_types=self._machine_types is not None)
        run.artifact_folders = artifact_folders(directory.storage, directory.workspace, spec.body)
        if spec.started is not None:
            scheduler.recover(run, spec.started, spec.stopped)
        elif spec.stopped is not None:
            run.stop(spec.stopped)
        return run

    def _machines(
        self, spec: RunSpec, nodes: Sequence[Node]
    ) -> tuple[Request, tuple[Mapping[str, str], ...], str | None]:
        """Return what an experiment needs, the variables of its nodes, and why it cannot be run any more.

        :raises RunRejectedError: it can never have what it needs, and was not started yet
        """
        if self._machine_types is None:
            return Request(), (), None
        fields = [node.machine_type_field for node in nodes]
        try:
            request = self._machine_types.request(fields, spec.body)
            types = [self._machine_types.type_of(field, spec.body) for field in fields]
            if spec.started is None and spec.stopped is None:
                check_gpu_variables(spec.body)
        except RunRejectedError as error:
            if spec.started is None and spec.stopped is None:
                raise
            # An earlier server has started it, with other machine types; it may run.
            return Request(), (), f"It cannot be run any more: {error}"
        return request, tuple(base_variables(found.cpus, os.environ) for found in types), None

    def other_files(self) -> Sequence[StoredFiles]:
        """Return the directories of runs that are being removed, could not be removed, or have no experiment."""
        return self._directory.other_files()

    def recover(self) -> None:
        """Start what is in the queue. Runs without an experiment are stopped, and their files are kept."""
        self._scheduler.start()

    def close(self) -> None:
        """End it. Where runs are kept, those that have a supervisor go on; otherwise nothing is left."""
        self._scheduler.close(keep=self._keep)
        self._stack.close()

    def _tell_withheld_variables(self) -> None:
        """Log, once, what commands do not see and may miss."""
        if self._has_told_variables:
            return
        self._has_told_variables = True
        if names := withheld_variables(os.environ, self._pass_env):
            more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
            shown = ", ".join(names[:_MAX_LISTED])
            _log.info(
                "Commands do not get these variables of the server; --pass-env NAME passes one: %s%s", shown, more
            )


def _slots(text: str) -> int:
    """Return how many experiments may run at once."""
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:6]) <= 1000:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no number of experiments; give one from 1 to 1000")
    return int(text)


def _machine_types(path: str) -> dict[str, MachineType]:
    try:
        return parse_machine_types(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from None


def _gpus(text: str) -> tuple[str, ...]:
    try:
        return parse_gpus(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _passed_name(text: str) -> str:
    try:
        return check_passed_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    """Return some seconds, from 0 to an hour."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no number of seconds; give one from 0 to 3600")
    return seconds
