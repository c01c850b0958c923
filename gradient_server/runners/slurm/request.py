"""The request of a run to Slurm: by options of the server, by its machine types, and by its own environment.

Every value is checked, and is a part of one argument of `sbatch`: none can add an option, or is seen by a shell.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from attrs import frozen

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.machine_types import MachineType, MachineTypes
from gradient_server.runners.supervised.environment import Node

_MAX_LENGTH = 200
"""Characters of a value."""
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*"
_GRES = rf"{_NAME}(?::{_NAME})?(?::[0-9]{{1,6}})?"
_TIME = r"[0-9]{1,6}(?::[0-9]{1,2}){0,2}|[0-9]{1,4}-[0-9]{1,2}(?::[0-9]{1,2}){0,2}|UNLIMITED"
_EXTRA = re.compile(r"--([a-z][a-z0-9-]*)(?:=[^\0\r\n]*)?")
_OURS = (
    *("array", "batch", "begin", "chdir", "clusters", "dependency", "error", "export", "export-file", "get-user-env"),
    *("hold", "input", "job-name", "nodes", "no-requeue", "ntasks", "open-mode", "output", "parsable", "quiet"),
    *("requeue", "test-only", "uid", "gid", "wait", "wrap", "cpus-per-task", "gres", "gpus-per-task", "mem"),
    *("mem-per-cpu", "help", "usage", "version", "signal", "kill-on-invalid-dep", "ignore-pbs", "bb", "bbf"),
)
"""Options of `sbatch` that the server sets itself, or without which no run would work."""
_VARIABLE_PREFIX = "SBATCH_"
_GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ZE_AFFINITY_MASK")
_MIB = 2**20
_GPU = "gpu"
_ASKS_FOR_GPUS = re.compile("(?:^|,)gpu(?:[:,]|$)")


@frozen(kw_only=True)
class Option:
    """An option of `sbatch` that a server, a machine type or an experiment can choose.

    :param str variable: its name in `experiment_env`: the one by which `sbatch` reads it from the environment
    :param pattern: what its values look like
    :param str right: what would be right, in words
    """

    variable: str
    pattern: re.Pattern[str]
    right: str


OPTIONS = {
    "partition": Option(
        variable="SBATCH_PARTITION", pattern=re.compile(rf"{_NAME}(?:,{_NAME})*"), right="a partition such as gpu"
    ),
    "account": Option(variable="SBATCH_ACCOUNT", pattern=re.compile(_NAME), right="an account such as physics"),
    "qos": Option(variable="SBATCH_QOS", pattern=re.compile(_NAME), right="a quality of service such as normal"),
    "reservation": Option(variable="SBATCH_RESERVATION", pattern=re.compile(_NAME), right="a reservation"),
    "constraint": Option(
        variable="SBATCH_CONSTRAINT",
        pattern=re.compile(r"[A-Za-z0-9_(\[][A-Za-z0-9_.:+&|*,()\[\]-]*"),
        right="features such as a100 or a100|h100",
    ),
    "time": Option(
        variable="SBATCH_TIMELIMIT", pattern=re.compile(_TIME), right="a time such as 90 (minutes), 12:00:00 or 2-12"
    ),
    "gres": Option(
        variable="SBATCH_GRES", pattern=re.compile(rf"{_GRES}(?:,{_GRES})*"), right="resources such as gpu:a100:2"
    ),
    "mem": Option(variable="SBATCH_MEM_PER_NODE", pattern=re.compile(r"[0-9]{1,9}[KMGT]?"), right="memory such as 16G"),
}
"""The options, by their names at `sbatch`."""
_OF_TYPES = {name: option for name, option in OPTIONS.items() if name != "mem"}


def check_option(name: str, value: object) -> str:
    """Return the value of one of `OPTIONS`.

    :raises ValueError: it is none
    """
    option = OPTIONS[name]
    if not isinstance(value, str) or len(value) > _MAX_LENGTH or not option.pattern.fullmatch(value):
        raise ValueError(f"{reprlib.repr(value)} is no {name} for Slurm; give {option.right}")
    return value


def check_extra(text: str) -> str:
    """Return an option that every job gets, such as `--exclude=m1`.

    :raises ValueError: it is none, or one that the server sets itself
    """
    found = _EXTRA.fullmatch(text)
    if not found:
        raise ValueError(f"{reprlib.repr(text)} is no option of sbatch; give one such as --exclude=node7")
    name = found[1]
    if name in OPTIONS and name not in _OURS:
        raise ValueError(f"--{name} has an option of its own: --slurm-{name}")
    # sbatch accepts the beginning of a name as well.
    if any(own.startswith(name) for own in _OURS):
        raise ValueError(f"--{name} is set by the server, or by machine types; it cannot be given")
    return text


def check_table(name: str, machine_type: MachineType) -> None:
    """Check what a machine type asks of Slurm, in its table `slurm`.

    :raises ValueError: a key or a value is wrong
    """
    for key, value in machine_type.options.get("slurm", {}).items():
        place = f"slurm.{key} of the machine type {reprlib.repr(name)}"
        if key == _GPU:
            if not isinstance(value, str) or not re.fullmatch(_NAME, value):
                raise ValueError(f"{place} must be a type of GPU such as a100, not {reprlib.repr(value)}")
        elif key not in _OF_TYPES:
            raise ValueError(f"{place} is unknown; there are {', '.join([*_OF_TYPES, _GPU])}")
        else:
            try:
                check_option(key, value)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None


@frozen(kw_only=True)
class JobRequest:
    """The request of some nodes of a run to Slurm: a job, or a component of a heterogeneous one.

    :param options: of `OPTIONS`, by name
    :param int nodes: how many nodes of the experiment these are: tasks of Slurm
    :param int cpus: processors of each; 0: as Slurm gives them
    :param int memory: bytes of each; 0: as Slurm gives it
    :param int gpus: GPUs of each
    :param str gpu: their type; None: any
    :param str field: the field of the request that has the machine type
    :param chosen: the names of options that the experiment has chosen itself
    """

    options: Mapping[str, str] = attrs.field(factory=dict[str, str])
    nodes: int = 1
    cpus: int = 0
    memory: int = 0
    gpus: int = 0
    gpu: str | None = None
    field: str = "machineType"
    chosen: frozenset[str] = frozenset()

    @property
    def arguments(self) -> list[str]:
        """The options of `sbatch` for these nodes."""
        options = dict(self.options)
        gpus = f"{f'{self.gpu}:' if self.gpu else ''}{self.gpus}"
        found = [f"--ntasks={self.nodes}"]
        if self.cpus:
            found.append(f"--cpus-per-task={self.cpus}")
        if self.nodes == 1:
            if self.gpus:
                options["gres"] = ",".join(filter(None, (f"gpu:{gpus}", options.get("gres"))))
            if self.memory:
                options["mem"] = f"{_mebibytes(self.memory)}M"
        else:
            if self.gpus:
                found.append(f"--gpus-per-task={gpus}")
            if self.memory:
                # Slurm counts memory by machines or by processors, and several nodes may be on one machine.
                found.append(f"--mem-per-cpu={_mebibytes(-(-self.memory // max(1, self.cpus)))}M")
            found.append("--spread-job")
        return [*found, *(f"--{name}={value}" for name, value in options.items())]

    def field_of(self, *names: str) -> str:
        """Return the field of the request that one of some options comes from."""
        return "experimentEnv" if self.chosen.intersection(names) else self.field


def job_requests(
    nodes: Sequence[Node],
    body: Mapping[str, Any],
    *,
    defaults: Mapping[str, str],
    machine_types: MachineTypes | None = None,
) -> list[JobRequest]:
    """Return what the nodes of an experiment ask for, those of one machine type together, in their order.

    Of an option that is given several times, that of the experiment counts, then that of the machine type.

    :param defaults: options of the server, by name
    :param machine_types: what machine types mean; None: nothing

    :raises RunRejectedError: a value is wrong, or there is no such machine type
    """
    given = _given_options(body.get("experimentEnv") or {})
    found: list[JobRequest] = []
    for node in nodes:
        field = node.machine_type_field
        machine = machine_types.type_of(field, body) if machine_types else MachineType()
        table = dict(machine.options.get("slurm", {}))
        gpu = table.pop(_GPU, None)
        options = {**defaults, **table, **given}
        memory = 0 if "mem" in given else machine.memory
        if memory:
            options.pop("mem", None)
        request = JobRequest(
            options=options,
            cpus=machine.cpus,
            memory=memory,
            gpus=0 if _ASKS_FOR_GPUS.search(given.get("gres", "")) else machine.gpus,
            gpu=gpu,
            field=field,
            chosen=frozenset(given),
        )
        if found and attrs.evolve(found[-1], nodes=1, field=field) == request:
            found[-1] = attrs.evolve(found[-1], nodes=found[-1].nodes + 1)
        else:
            found.append(request)
    return found


def _given_options(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that an experiment chooses itself.

    :raises RunRejectedError: a value is wrong, it is no such option, or it chooses GPUs itself
    """
    if names := [name for name in _GPU_VARIABLES if name in variables]:
        text = f"Slurm assigns GPUs to each run by {names[0]}: leave it out, and ask for GPUs by a machine type."
        raise RunRejectedError(text, "experimentEnv")
    names_of = {option.variable: name for name, option in OPTIONS.items()}
    found: dict[str, str] = {}
    for variable, value in variables.items():
        if not variable.startswith(_VARIABLE_PREFIX):
            continue
        if variable not in names_of:
            raise RunRejectedError(f"{variable} is not used here; there are {', '.join(names_of)}.", "experimentEnv")
        try:
            name = names_of[variable]
            found[name] = check_option(name, str(value) if isinstance(value, int) else value)
        except ValueError as error:
            raise RunRejectedError(f"{variable}: {error}.", "experimentEnv") from None
    return found


def _mebibytes(size: int) -> int:
    return -(-size // _MIB)
