"""The environment variables that the command of a node finds. Pure.

They are those of the hosted service, so that programs and libraries written for it work unchanged.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from attrs import frozen

from gradient_server.runners.process.nodes import Node

# What programs need to find their way on this machine. Anything else of a server's environment could be a secret.
_PASSED_ON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
    | {"CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"}
)
_PASSED_ON_PREFIX = "LC_"
_STORAGE = PurePosixPath("/storage")
"""Where experiments had their storage on the service; paths below it are below the storage of the run here."""


@frozen(kw_only=True)
class Place:
    """Where a run has its files.

    :param Path storage: for data and models
    :param Path host_file: the list of nodes that `mpirun` reads; None: it has none
    """

    storage: Path
    host_file: Path | None = None

    def model_path(self, given: str | None) -> Path:
        """Say where a model is to be written; a path on the storage of the service is on the storage of the run."""
        path = PurePosixPath(given or _STORAGE / "models")
        if path.is_relative_to(_STORAGE):
            path = path.relative_to(_STORAGE)
        return self.storage / path


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Choose what of a server's own environment commands may see."""
    return {
        name: value for name, value in environment.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIX)
    }


def node_environment(
    node: Node,
    addresses: Mapping[Node, str],
    *,
    handle: str,
    body: Mapping[str, Any],
    place: Place,
    server: Mapping[str, str],
) -> dict[str, str]:
    """Put together the environment of a node.

    :param addresses: all nodes of the experiment, each with the `host:port` that it may listen at; empty: it is alone
    :param body: what the experiment was created with, by the names of the contract
    :param server: the environment of the server
    """
    own = {
        **passed_on(server),
        "PYTHONUNBUFFERED": "1",
        "EXPERIMENT_NAME": str(body.get("name") or ""),
        "PAPERSPACE_EXPERIMENT_ID": handle,
        "PAPERSPACE_METRIC_WORKLOAD_ID": handle,
        "PAPERSPACE_METRIC_WORKLOAD_TYPE": "experiment",
        "HOSTNAME": f"{node.name.replace(' ', '')}-{handle}-{node.index}",
        "PS_JOBSPACE": str(place.storage),
        "PS_MODEL_PATH": str(place.model_path(body.get("modelPath"))),
        "WORK_ENV": "local",
    }
    if addresses:
        own |= _cluster_environment(node, addresses)
    if place.host_file:
        own |= _mpi_environment(place.host_file)
    given: Mapping[str, Any] = body.get("experimentEnv") or {}
    for name, value in given.items():
        own.pop(name, None)
        if value is not None:
            own[name] = value if isinstance(value, str) else json.dumps(value)
    return own


def _cluster_environment(node: Node, addresses: Mapping[Node, str]) -> dict[str, str]:
    own = {
        "TYPE": node.type,
        "INDEX": str(node.index),
        "WORKER_HOSTS": _hosts(addresses, "worker"),
        "PS_HOSTS": _hosts(addresses, "ps"),
    }
    text = json.dumps(_tf_config(node, addresses), separators=(",", ":"))
    return {**own, "PS_CONFIG": urlsafe_b64encode(text.encode()).decode()}


def _hosts(addresses: Mapping[Node, str], kind: str) -> str:
    return ",".join(address for node, address in addresses.items() if node.type == kind)


def _tf_config(node: Node, addresses: Mapping[Node, str]) -> dict[str, Any]:
    """Describe the cluster as TensorFlow wants it: one is the master, the first worker where none was asked for."""
    tasks = _tasks(list(addresses))
    cluster: dict[str, list[str]] = {}
    for other, (kind, _) in tasks.items():
        cluster.setdefault(kind, []).append(addresses[other])
    kind, index = tasks[node]
    return {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}


def _tasks(nodes: Sequence[Node]) -> dict[Node, tuple[str, int]]:
    if any(node.type == "master" for node in nodes):
        return {node: (node.type, node.index) for node in nodes}
    tasks = {node: (node.type, node.index - (node.type == "worker")) for node in nodes}
    return {node: ("master", 0) if task == ("worker", -1) else task for node, task in tasks.items()}


def _mpi_environment(host_file: Path) -> dict[str, str]:
    """Let `mpirun` find its nodes, whichever it is: Open MPI 4, Open MPI 5, MPICH. The service had containers' root."""
    return {
        "OMPI_MCA_orte_default_hostfile": str(host_file),
        "PRTE_MCA_prte_default_hostfile": str(host_file),
        "HYDRA_HOST_FILE": str(host_file),
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
