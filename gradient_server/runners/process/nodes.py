"""The nodes of an experiment: which commands run, in what part. Pure functions of what it was created with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from gradient_api.constants import ExperimentType

MOST_NODES = 64
"""The most nodes of an experiment: all are processes of one machine."""
# What commands call their part, as TensorFlow does.
_TYPES = {"parameterServer": "ps"}


@frozen(kw_only=True)
class Node:
    """One process of an experiment.

    :param str name: what it is called in words, `worker 1`
    :param str prefix: how the names of its parameters begin, `worker`; of a single node nothing
    :param str type: its part, as its command is told: `worker`, `ps`, `master`
    :param int index: which of its part it is, from 0
    :param str command: what it runs
    :param bool leads: whether the experiment goes on as long as it does; the others are stopped when those have ended
    """

    name: str
    prefix: str
    type: str
    index: int
    command: str
    leads: bool


def nodes_of(names: Sequence[str], body: Mapping[str, Any]) -> tuple[Node, ...]:
    """Give the nodes in the order of their names.

    :param names: of its jobs: `worker 1`, or `worker` where it has but one
    :param body: what the experiment was created with, by the names of the contract
    """
    leading = _leading(body)
    return tuple(_node(name, body, leading) for name in names)


def is_mpi(body: Mapping[str, Any]) -> bool:
    """Say whether the nodes of an experiment talk by MPI."""
    return bool(body["experimentTypeId"] == ExperimentType.MPI_MULTI_NODE)


def _leading(body: Mapping[str, Any]) -> str:
    if not is_mpi(body):
        return "worker"
    # Its command starts what runs in all nodes. Earlier clients have no name for it, and send it as a parameter server.
    return "master" if "masterCommand" in body else "parameterServer"


def _node(name: str, body: Mapping[str, Any], leading: str) -> Node:
    words, _, number = name.rpartition(" ")
    if not words:
        return Node(name=name, prefix="", type=name, index=0, command=body["command"], leads=True)
    prefix = re.sub(r" (\w)", lambda found: found[1].upper(), words)
    kind = "master" if is_mpi(body) and prefix == leading else _TYPES.get(prefix, prefix)
    return Node(
        name=name,
        prefix=prefix,
        type=kind,
        index=int(number) - 1,
        command=body[f"{prefix}Command"],
        leads=prefix == leading,
    )
