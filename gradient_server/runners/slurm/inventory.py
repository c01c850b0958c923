"""The machines of a cluster, as `sinfo` lists them, and whether a request can ever be met by them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import attrs
from attrs import frozen

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.slurm.request import JobRequest

MACHINE_FORMAT = "%P|%D|%c|%m|%l|%G|%f"
"""The columns of `sinfo`: partition, machines, processors, memory, time limit, generic resources, features."""
_GRES = re.compile(r"([^:(,]+)(?::([A-Za-z][^:(,]*))?(?::(\d+)[KMGT]?)?(?:\([^)]*\))?")
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+(?:[&,][A-Za-z0-9_.+-]+)*")
"""A constraint that is a list of features, each of which a machine needs."""
_MEMORY = re.compile(r"(\d+)([KMGT]?)")
_MIB = 2**20
_UNITS = {"K": 2**10, "": _MIB, "M": _MIB, "G": 2**30, "T": 2**40}
_MAX_SHOWN = 8
"""Groups of machines, or partitions, that an error lists."""


@frozen(kw_only=True)
class MachineGroup:
    """Machines of a partition that are alike.

    :param int memory: bytes of each
    :param int time_limit: seconds of a job in the partition; None: any
    :param gres: how many of each generic resource each has, by name and by `name:type`
    """

    partition: str
    is_default: bool = False
    machines: int = 1
    cpus: int = 1
    memory: int = 0
    time_limit: int | None = None
    gres: Mapping[str, int] = attrs.field(factory=dict[str, int])
    features: frozenset[str] = frozenset()

    @property
    def description(self) -> str:
        """The resources of the machines, in words."""
        gres = [f"{name}:{count}" for name, count in self.gres.items() if ":" in name or not self._has_types(name)]
        shown = [f"{self.cpus} CPUs", _size(self.memory), *gres, *sorted(self.features)]
        return f"{self.machines} with {', '.join(shown)}"

    def _has_types(self, name: str) -> bool:
        return any(other.startswith(f"{name}:") for other in self.gres)


def parse_inventory(text: str) -> list[MachineGroup]:
    """Return the groups of machines that `sinfo -h --exact -o MACHINE_FORMAT` has printed."""
    found: list[MachineGroup] = []
    for line in text.splitlines():
        columns = line.split("|")
        if len(columns) != MACHINE_FORMAT.count("|") + 1:
            continue
        partition, machines, cpus, memory, time, gres, features = columns
        numbers = [int(re.sub(r"\D.*", "", number) or 0) for number in (machines, cpus, memory)]
        found.append(
            MachineGroup(
                partition=partition.rstrip("*"),
                is_default=partition.endswith("*"),
                machines=numbers[0],
                cpus=numbers[1],
                memory=numbers[2] * _MIB,
                time_limit=seconds_of(time),
                gres=parse_gres(gres),
                features=frozenset() if features == "(null)" else frozenset(features.split(",")),
            )
        )
    return found


def parse_gres(text: str) -> dict[str, int]:
    """Return how many there are of each generic resource, by name and by `name:type`."""
    found: dict[str, int] = {}
    for name, kind, count in _GRES.findall("" if text == "(null)" else text):
        for key in (name, f"{name}:{kind}") if kind else (name,):
            found[key] = found.get(key, 0) + int(count or 1)
    return found


def seconds_of(text: str) -> int | None:
    """Return a time limit as Slurm writes it, in seconds; None: there is no limit."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    days, *rest = found.groups()
    numbers = [int(number) for number in rest if number is not None]
    if days is not None:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, minutes, seconds = 0, *[*numbers, 0][:2]
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def check_inventory(groups: Sequence[MachineGroup], requests: Iterable[JobRequest]) -> None:
    """Check that a cluster can ever run what an experiment asks for, as far as its machines are known.

    :param groups: all machines, also those that are down now; none: nothing is known

    :raises RunRejectedError: it cannot; the text has what there is
    """
    if groups:
        for request in requests:
            _check_request(groups, request)


def _check_request(groups: Sequence[MachineGroup], request: JobRequest) -> None:
    names = request.options.get("partition", "").split(",")
    known = {group.partition: None for group in groups}
    if missing := [name for name in names if name and name not in known]:
        text = f"The cluster has no partition {missing[0]}; there are {_listed(list(known), ', ')}."
        raise RunRejectedError(text, request.field_of("partition"))
    found = [group for group in groups if (group.partition in names if any(names) else group.is_default)]
    if not found:
        return
    where = f"partition {', '.join(dict.fromkeys(group.partition for group in found))}"
    wanted = seconds_of(request.options.get("time", ""))
    limits = [group.time_limit for group in found]
    if wanted and all(limit is not None and wanted > limit for limit in limits):
        most = max(limit for limit in limits if limit is not None)
        text = f"A job of the {where} may run for {most // 60} minutes at most, not {wanted // 60}."
        raise RunRejectedError(text, request.field_of("time"))
    fitting = [(group, count) for group in found if (count := _room(group, request))]
    if not fitting:
        there = _listed([group.description for group in found], "; ")
        text = f"No machine of the {where} has {_needs(request)}; there are {there}."
        raise RunRejectedError(text, request.field_of(*_scarce(found, request)))
    room = sum(group.machines * count for group, count in fitting)
    if room < request.nodes:
        text = f"The {where} has room for {room} nodes with {_needs(request)}, not for {request.nodes}."
        raise RunRejectedError(text, request.field)


def _room(group: MachineGroup, request: JobRequest) -> int:
    """Return how many nodes of a request a machine has room for."""
    needed = _resources(request)
    if not _features(request) <= group.features:
        return 0
    there = {"cpus": group.cpus, "memory": group.memory, **group.gres}
    counts = [there.get(name, 0) // amount for name, amount in needed.items() if amount]
    return min(counts, default=group.cpus)


def _resources(request: JobRequest) -> dict[str, int]:
    gres = parse_gres(request.options.get("gres", ""))
    kind = f"gpu:{request.gpu}" if request.gpu else "gpu"
    if request.gpus:
        gres[kind] = gres.get(kind, 0) + request.gpus
    memory = request.memory
    if found := _MEMORY.fullmatch(request.options.get("mem", "")):
        memory = int(found[1]) * _UNITS[found[2]]
    return {"cpus": max(1, request.cpus), "memory": memory, **gres}


def _features(request: JobRequest) -> frozenset[str]:
    constraint = request.options.get("constraint", "")
    return frozenset(re.split("[&,]", constraint)) if _PLAIN.fullmatch(constraint) else frozenset()


def _scarce(groups: Sequence[MachineGroup], request: JobRequest) -> tuple[str, ...]:
    """Return the options that no machine has enough for."""
    if not any(_features(request) <= group.features for group in groups):
        return ("constraint",)
    names = {"memory": "mem", "cpus": "cpus"}
    there = [{"cpus": group.cpus, "memory": group.memory, **group.gres} for group in groups]
    return tuple(
        names.get(name, "gres")
        for name, amount in _resources(request).items()
        if not any(amounts.get(name, 0) >= amount for amounts in there)
    )


def _needs(request: JobRequest) -> str:
    needed = {name: amount for name, amount in _resources(request).items() if amount}
    shown = [
        f"{amount} CPU{'s' if amount > 1 else ''}"
        if name == "cpus"
        else f"{_size(amount)} of memory"
        if name == "memory"
        else f"{name}:{amount}"
        for name, amount in needed.items()
    ]
    shown += [f"the feature {name}" for name in sorted(_features(request))]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _size(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**30 else f"{size // _MIB} MiB"


def _listed(names: Sequence[str], separator: str) -> str:
    more = f"{separator}and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return separator.join(names[:_MAX_SHOWN]) + more
