"""The request of a run to Ray: a bundle of resources for each node, and whether the cluster can ever have them all."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from attrs import frozen

from gradient_server.runners.machine_types import MachineType

CPU, GPU, MEMORY = "CPU", "GPU", "memory"
_KEYS = ("resources", "labels")
_MAX_LISTED = 10
"""Machines that an error lists."""
_OPERATORS = ("in(", "!")
"""How values of labels begin that Ray evaluates: those are not compared here."""


@frozen
class Bundle:
    """The resources of one node.

    :param resources: how much of each, by Ray's names: `CPU`, `GPU`, `memory` in bytes, and the cluster's own
    :param labels: those that its machine must have
    """

    resources: Mapping[str, float]
    labels: Mapping[str, str]

    def __str__(self) -> str:
        """Return it in words."""
        return ", ".join((*map(_amount, self.resources.items()), *_texts(self.labels)))


@frozen
class Machine:
    """A machine of a cluster.

    :param str name: its name, or its address
    :param resources: how much there is of each, whether it is used or not
    :param labels: its labels
    """

    name: str
    resources: Mapping[str, float]
    labels: Mapping[str, str]

    def room_for(self, bundle: Bundle) -> float:
        """Return how many bundles like this one it can have at once."""
        if any(self.labels.get(name) != value for name, value in bundle.labels.items() if not _is_evaluated(value)):
            return 0
        needed = {name: amount for name, amount in bundle.resources.items() if amount}
        # A little more, because fractions are inexact.
        return min((self.resources.get(name, 0) / amount + 1e-9) // 1 for name, amount in needed.items())

    def __str__(self) -> str:
        """Return it in words, with the resources that machine types name."""
        shown = {CPU: 0.0, GPU: 0.0, **self.resources}
        own = {name: shown[name] for name in shown if ":" not in name and name != "object_store_memory"}
        return f"{self.name} ({', '.join((*map(_amount, own.items()), *_texts(_own(self.labels))))})"


def bundle_of(machine_type: MachineType) -> Bundle:
    """Return the bundle of a node on a machine type: at least one processor, and what its table for Ray adds."""
    options = machine_type.options.get("ray", {})
    amounts = {CPU: machine_type.cpus or 1, GPU: machine_type.gpus, MEMORY: machine_type.memory}
    resources = {**{name: amount for name, amount in amounts.items() if amount}, **options.get("resources", {})}
    return Bundle(resources, dict(options.get("labels", {})))


def check_options(name: str, machine_type: MachineType) -> None:
    """Check the table for Ray of a machine type.

    :raises ValueError: it is invalid; the text says what would be right
    """
    options = machine_type.options.get("ray", {})
    place = f"the table for ray of the machine type {reprlib.repr(name)}"
    if unknown := options.keys() - {*_KEYS}:
        raise ValueError(f"{place} has {', '.join(sorted(unknown))}; there are {' and '.join(_KEYS)}")
    for key in _KEYS:
        if not isinstance(options.get(key, {}), Mapping):
            raise ValueError(f'{key} in {place} must be a table, as in {key} = {{ "name" = ... }}')
    amounts = cast(Mapping[str, Any], options.get("resources", {}))
    for resource, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount < 10**15:
            raise ValueError(f"{resource} in {place} must be a number above 0, not {reprlib.repr(amount)}")
        if resource in (CPU, GPU, MEMORY):
            raise ValueError(f"{resource} in {place} is one of its own keys: cpus, gpus and memory")
    for label, value in cast(Mapping[str, Any], options.get("labels", {})).items():
        if not isinstance(value, str):
            raise ValueError(f"{label} in {place} must be a text, not {reprlib.repr(value)}")


def unmet(bundles: Sequence[Bundle], machines: Sequence[Machine]) -> tuple[int, str] | None:
    """Return the first bundle that the machines can never have all together with those like it, and why, in words.

    None: they may have all of them.
    """
    for index, bundle in enumerate(bundles):
        count, room = bundles.count(bundle), sum(machine.room_for(bundle) for machine in machines)
        if count > room:
            times = f"{count} times " if count > 1 else ""
            most = f", which has room for {room:.0f}," if room else ""
            return index, f"It needs {times}{bundle}; the Ray cluster{most} has {_listed(machines)}"
    return None


def _listed(machines: Sequence[Machine]) -> str:
    more = f" and {len(machines) - _MAX_LISTED} more" if len(machines) > _MAX_LISTED else ""
    return ", ".join(map(str, machines[:_MAX_LISTED])) + more or "no machine"


def _amount(item: tuple[str, float]) -> str:
    name, amount = item
    return f"{amount / 10**9:.3g} GB of memory" if name == MEMORY else f"{amount:g} {name}"


def _texts(labels: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in labels.items()]


def _own(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels without those that Ray gives to each machine, other than its accelerators."""
    return {name: value for name, value in labels.items() if not name.startswith("ray.io/") or "accelerator" in name}


def _is_evaluated(value: str) -> bool:
    return value.startswith(_OPERATORS)
