"""Machine types: what their names mean here, what an experiment takes of a machine, and whether that is free.

Nothing in here looks at a machine, so that every runner can use it.
"""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import attrs
from attrs import frozen

from gradient_server.runners.base import RunRejectedError, runners

NOTHING = ("none", "local")
"""Machine types that ask for nothing, unless the file has them."""
_MAX_NUMBER = 10**6
_MAX_LISTED = 10
"""Machine types, or GPUs, that an error lists."""
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(rf"(\d{{1,6}}(?:\.\d{{1,3}})?) ?({'|'.join(_UNITS)})")
_GPU = re.compile("[A-Za-z0-9][A-Za-z0-9/:._-]*")


@frozen(kw_only=True)
class MachineType:
    """A machine type: the resources that its name stands for.

    :param int gpus: GPUs of each node
    :param int cpus: processors of each node; 0: they are not counted
    :param int memory: bytes of each node; 0: they are not counted
    :param int slots: slots of an experiment on such machines, however many nodes it has
    :param options: what a scheduler of a cluster is asked for besides, by the name of the runner: its own table
    """

    gpus: int = 0
    cpus: int = 0
    memory: int = 0
    slots: int = 1
    options: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict[str, Mapping[str, Any]])


def parse_machine_types(text: str) -> dict[str, MachineType]:
    """Return the machine types of a file, by name: TOML, with a table for each.

    :raises ValueError: it is none; the text says where and what would be right
    """
    found = {name: _machine_type(name, table) for name, table in tomllib.loads(text).items()}
    if not found:
        raise ValueError("it has no machine type; one is a table such as [K80] with gpus = 1")
    return found


def parse_gpus(text: str) -> tuple[str, ...]:
    """Return the names of GPUs in a list with commas: numbers or UUIDs, as `CUDA_VISIBLE_DEVICES` takes them.

    :raises ValueError: it is no such list
    """
    names = () if text == "none" else tuple(name.strip() for name in text.split(","))
    if not all(map(_GPU.fullmatch, names)) or len({*names}) < len(names):
        raise ValueError(f"{reprlib.repr(text)} is no list of different GPUs; give one such as 0,1 or 'none'")
    return names


@frozen(kw_only=True)
class Request:
    """The resources that an experiment needs while it runs. Without machine types: a slot.

    :param gpus: the number for each node; empty without machine types
    """

    slots: int = 1
    cpus: int = 0
    memory: int = 0
    gpus: tuple[int, ...] = ()

    @property
    def amounts(self) -> dict[str, int]:
        """How much of each resource it needs, the scarcest first."""
        return {"gpus": sum(self.gpus), "cpus": self.cpus, "memory": self.memory, "slots": self.slots}


def _tuples(nodes: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(gpus) for gpus in nodes)


@frozen(kw_only=True)
class Claim:
    """The resources that an experiment has while it runs.

    :param gpus: the names of those of each node; empty without machine types
    """

    slots: int = 1
    cpus: int = 0
    memory: int = 0
    gpus: tuple[tuple[str, ...], ...] = attrs.field(default=(), converter=_tuples)

    def describe_gpus(self, nodes: Sequence[str]) -> str | None:
        """Return which GPUs the nodes of these names have, in words; None: no node has any."""
        owned = {name: ", ".join(gpus) for name, gpus in zip(nodes, self.gpus, strict=False) if gpus}
        shown = "; ".join(f"{name}: {gpus}" if len(nodes) > 1 else gpus for name, gpus in owned.items())
        return f"GPUs: {shown}." if owned else None


@frozen(kw_only=True)
class Capacity:
    """The resources for all experiments together, or those that are left.

    :param gpus: their names, as `CUDA_VISIBLE_DEVICES` takes them
    """

    slots: int
    cpus: int = 0
    memory: int = 0
    gpus: tuple[str, ...] = ()

    @property
    def amounts(self) -> dict[str, int]:
        """How much there is of each resource."""
        return {"gpus": len(self.gpus), "cpus": self.cpus, "memory": self.memory, "slots": self.slots}

    def without(self, claims: Iterable[Claim]) -> Capacity:
        """Return what is left: nothing of a resource that an earlier server had more of to share out."""
        slots, cpus, memory, taken = self.slots, self.cpus, self.memory, set[str]()
        for claim in claims:
            slots, cpus, memory = slots - claim.slots, cpus - claim.cpus, memory - claim.memory
            taken.update(*claim.gpus)
        free = tuple(name for name in self.gpus if name not in taken)
        return Capacity(slots=max(0, slots), cpus=max(0, cpus), memory=max(0, memory), gpus=free)

    def claim(self, request: Request) -> Claim:
        """Return a claim for a request that this is enough for."""
        free = iter(self.gpus)
        gpus = [[next(free) for _ in range(count)] for count in request.gpus]
        return Claim(slots=request.slots, cpus=request.cpus, memory=request.memory, gpus=gpus)

    def lacks(self, request: Request) -> str | None:
        """Return the resource that a request needs more of than there is; None: this is enough for it."""
        there = self.amounts
        return next((name for name, needed in request.amounts.items() if needed > there[name]), None)


def waiting_reason(request: Request, free: Capacity, whole: Capacity) -> str | None:
    """Return why a request cannot be met yet, in words, or None if it can."""
    name = free.lacks(request)
    if name is None:
        return None
    left, total = free.amounts[name], whole.amounts[name]
    shown = f"{_bytes(left)} of {_bytes(total)}" if name == "memory" else f"{left} of {total}"
    return f"It waits for {_amount(name, request.amounts[name])}: {shown} {'is' if left == 1 else 'are'} free."


@frozen(kw_only=True)
class MachineTypes:
    """The machine types of a server, and what there is for experiments that ask for them.

    :param types: by name
    :param Capacity capacity: of the machine, or of all machines together
    """

    types: Mapping[str, MachineType]
    capacity: Capacity

    def request(self, fields: Sequence[str], body: Mapping[str, Any]) -> Request:
        """Return what an experiment needs.

        :param fields: the field with the machine type of each node
        :param body: the request that created it

        :raises RunRejectedError: there is no such machine type, or it can never have what it needs
        """
        types = {field: self.type_of(field, body) for field in fields}
        request = Request(
            slots=max(found.slots for found in types.values()),
            cpus=sum(types[field].cpus for field in fields),
            memory=sum(types[field].memory for field in fields),
            gpus=tuple(types[field].gpus for field in fields),
        )
        if name := self.capacity.lacks(request):
            most = max(types, key=lambda field: fields.count(field) * int(getattr(types[field], name)))
            needed, there = (_amount(name, amounts[name]) for amounts in (request.amounts, self.capacity.amounts))
            names = f" ({_listed(self.capacity.gpus)})" if name == "gpus" and self.capacity.gpus else ""
            raise RunRejectedError(f"The experiment needs {needed}; the server has {there}{names}.", most)
        return request

    def type_of(self, field: str, body: Mapping[str, Any]) -> MachineType:
        """Return the machine type that a field of a request names.

        :raises RunRejectedError: there is none of that name
        """
        name = body.get(field) or NOTHING[0]
        found = self.types.get(name) or (MachineType() if name in NOTHING else None)
        if found is None:
            known = _listed([*self.types, *(name for name in NOTHING if name not in self.types)])
            raise RunRejectedError(f"There is no machine type {reprlib.repr(name)} here; there are {known}.", field)
        return found


def _machine_type(name: str, table: object) -> MachineType:
    if not isinstance(table, Mapping):
        raise ValueError(f"{reprlib.repr(name)} is no machine type; one is a table such as [K80] with gpus = 1")
    known = [field.name for field in attrs.fields(MachineType) if field.name != "options"]
    keys = cast(Mapping[str, Any], table)
    options: dict[str, Any] = {key: keys[key] for key in runners() if isinstance(keys.get(key), Mapping)}
    amounts = {key: _number(name, key, value, known) for key, value in keys.items() if key not in options}
    return MachineType(**amounts, options=options)


def _number(name: str, key: str, value: object, known: Sequence[str]) -> int:
    place = f"{key} of the machine type {reprlib.repr(name)}"
    if key not in known:
        raise ValueError(f"{place} is unknown; there are {', '.join(known)}, and a name with dots needs quotes")
    least, most = int(key == "slots"), 10**15 if key == "memory" else _MAX_NUMBER
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    size = _SIZE.fullmatch(value) if key == "memory" and isinstance(value, str) else None
    if size:
        return int(float(size[1]) * _UNITS[size[2]])
    right = 'a number of bytes or a text such as "8GB"' if key == "memory" else f"a whole number from {least} to {most}"
    raise ValueError(f"{place} must be {right}, not {reprlib.repr(value)}")


def _amount(name: str, amount: int) -> str:
    if name == "memory":
        return f"{_bytes(amount)} of memory"
    noun = {"gpus": "GPU", "cpus": "CPU", "slots": "slot"}[name]
    return f"{amount or 'no'} {noun}{'' if amount == 1 else 's'}"


def _bytes(amount: int) -> str:
    unit = next((unit for unit in ("TB", "GB", "MB") if amount >= _UNITS[unit]), "KB")
    return f"{amount / _UNITS[unit]:.3g} {unit}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(names[:_MAX_LISTED]) + more
