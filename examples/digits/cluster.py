"""The role of this node among the nodes of an experiment, from environment variables.

PS_CONFIG is TF_CONFIG of TensorFlow in URL-safe base64: the addresses of all nodes, and which of them this one is. A
master there is the first worker here. Without PS_CONFIG, TYPE, INDEX, WORKER_HOSTS and PS_HOSTS say the same.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass

WORKER, PARAMETER_SERVER = "worker", "ps"
MASTER = "master"
"""The first worker in TensorFlow, which counts it separately."""


@dataclass(frozen=True)
class Address:
    """The address at which a node listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address in a text: `host:port`."""
        host, _, port = text.strip().rpartition(":")
        if not host or not port.isdecimal():
            raise SystemExit(f"The address of a node has to be host:port, not {text!r}.")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Node:
    """This node: its type, its number among the nodes of this type, and the addresses of all nodes."""

    type: str
    index: int
    workers: tuple[Address, ...]
    parameter_servers: tuple[Address, ...]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Node:
        """Return the node that PS_CONFIG describes, or else the plain variables."""
        if "PS_CONFIG" in environment:
            kind, index, workers, servers = from_config(environment["PS_CONFIG"])
        else:
            kind, index, workers, servers = from_plain_variables(environment)
        if kind not in (WORKER, PARAMETER_SERVER):
            raise SystemExit(
                f"This node is of the type {kind!r}; only {WORKER!r} and {PARAMETER_SERVER!r} have a part."
            )
        if not workers or not servers:
            raise SystemExit(
                f"At least one worker and one parameter server are needed, not {len(workers)} and {len(servers)}."
            )
        if not 0 <= index < len(workers if kind == WORKER else servers):
            raise SystemExit(f"This node is {kind} {index}, which is not among the addresses.")
        return cls(kind, index, tuple(map(Address.parse, workers)), tuple(map(Address.parse, servers)))


def from_config(text: str) -> tuple[str, int, list[str], list[str]]:
    """Return type, index, workers and parameter servers from PS_CONFIG."""
    try:
        config = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        cluster, task = config["cluster"], config["task"]
        masters, workers = list(cluster.get(MASTER, [])), list(cluster.get(WORKER, []))
        kind, index = str(task["type"]), int(task["index"])
        servers = list(cluster[PARAMETER_SERVER])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SystemExit(
            'PS_CONFIG has to be URL-safe base64 of {"cluster": {"worker": [...], "ps": [...]}, '
            f'"task": {{"type": ..., "index": ...}}}} ({type(error).__name__}: {error}).'
        ) from None
    if kind == WORKER:
        index += len(masters)
    elif kind == MASTER and index < len(masters):
        kind = WORKER
    return kind, index, masters + workers, servers


def from_plain_variables(environment: Mapping[str, str]) -> tuple[str, int, list[str], list[str]]:
    """Return the same from TYPE, INDEX, WORKER_HOSTS and PS_HOSTS."""
    names = ("TYPE", "INDEX", "WORKER_HOSTS", "PS_HOSTS")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise SystemExit(
            f"PS_CONFIG is missing, and so is {', '.join(missing)}: this script is for the nodes of a multi node "
            "experiment. train.py is for a single one."
        )
    kind, index, workers, servers = (environment[name] for name in names)
    if not index.isdecimal():
        raise SystemExit(f"INDEX has to be a whole number, not {index!r}.")
    return kind, int(index), workers.split(","), servers.split(",")
