"""The nodes of an experiment, and the environment variables that the command of each finds.

The variables are those of the hosted service, so that programs and libraries written for it work unchanged.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import sys
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from attrs import frozen
from gradient_api.constants import ExperimentType

from gradient_server.private_files import write_new
from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.processes import RUN_VARIABLE

VARIABLE_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
"""The names of variables that sh passes on."""
_HOST = "127.0.0.1"
# What programs need to work on this machine. Any other variable of the server could be a secret.
_PASSED_ON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR"}
    # By name: ssh passes on all variables that begin with LC_, and people put secrets into them for that.
    | {"LANG", "LANGUAGE", "LC_ALL", "LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT"}
    | {"LC_MESSAGES", "LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"}
    | {"CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"}
)
# What fetching a workspace needs besides: the proxies and the ssh agent of the user. Commands do not get them.
_FOR_FETCHING = frozenset(
    {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    | {"SSH_AUTH_SOCK"}
)
# The shell of a command sets these itself.
_OF_THE_SHELL = frozenset({"_", "OLDPWD", "PWD", "SHLVL"})
# Wildcards leave these out: the server may have been started with them for itself.
_OF_THE_LOADER = ("LD_", "DYLD_")
_STORAGE = PurePosixPath("/storage")
"""The path of the storage on the hosted service. Here, paths below it are below the storage of the run."""
# Types of nodes as TensorFlow names them.
_TYPES = {"parameterServer": "ps"}
# Parameters that are used, or that only describe the experiment. Any other one, also a future one, is reported.
_USED = frozenset(
    {"name", "tags", "note", "projectHandle", "experimentTypeId", "modelType", "modelPath", "experimentEnv"}
    | {"workspaceUrl", "workspaceRef", "workspaceUsername", "workspacePassword"}
    | {"workingDirectory", "artifactDirectory"}
)
_USED_BY_NODES = frozenset({"command", "count"})
# A relative path is a folder of the workspace. An absolute one was a mount point of a container.
_ARTIFACTS = "artifactDirectory"
# Parameters whose values are no secrets.
_SHOWN = ("container", "machineType", _ARTIFACTS)
# Values for parameters that the API requires.
_NOTHING = ("none", "local")


@frozen(kw_only=True)
class Node:
    """One process of an experiment.

    :param str name: its name, the same as that of its job: `worker 0`
    :param str prefix: how the names of its parameters begin: `worker`; empty for a single node
    :param str type: its type as its command sees it: `worker`, `ps`, `master`
    :param int index: its number among the nodes of its type, from 0
    :param str command: what it runs
    :param bool leads: whether the experiment lasts as long as this node; other nodes are stopped after these
    """

    name: str
    prefix: str
    type: str
    index: int
    command: str
    leads: bool

    @property
    def command_field(self) -> str:
        """The field of the request that has its command."""
        return _command_field(self.prefix)

    @property
    def machine_type_field(self) -> str:
        """The field of the request that has its machine type."""
        return f"{self.prefix}MachineType" if self.prefix else "machineType"


@frozen(kw_only=True)
class Network:
    """Where the nodes of an experiment find each other.

    :param addresses: a free `host:port` for each node; empty for a single node
    :param str rendezvous: another one, for the `env://` of torch
    """

    addresses: Mapping[Node, str]
    rendezvous: str

    def host(self, node: Node) -> str:
        """Return the machine of a node."""
        return self.addresses[node].rpartition(":")[0]


def nodes_of(names: Sequence[str], body: Mapping[str, Any]) -> tuple[Node, ...]:
    """Return the nodes of an experiment, in the order of their names.

    :param names: the names of its jobs: `worker 0`
    :param body: the request that created it
    """
    leading = _leading_prefix(body)
    return tuple(_node(name, body, leading) for name in names)


def is_mpi(body: Mapping[str, Any]) -> bool:
    """Whether the nodes of an experiment communicate by MPI."""
    return bool(body["experimentTypeId"] == ExperimentType.MPI_MULTI_NODE)


def nodes_with_addresses(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes that others may look for: none for a single node."""
    return [node for node in nodes if len(nodes) > 1 or node.prefix]


def free_network(nodes: Sequence[Node]) -> Network:
    """Return addresses of this machine at which nothing listens."""
    in_cluster = nodes_with_addresses(nodes)
    with contextlib.ExitStack() as opened:
        # All are open at once, so that all ports differ.
        sockets = [opened.enter_context(socket.socket()) for _ in range(len(in_cluster) + 1)]
        for found in sockets:
            found.bind((_HOST, 0))
        rendezvous, *addresses = [f"{_HOST}:{found.getsockname()[1]}" for found in sockets]
    return Network(addresses=dict(zip(in_cluster, addresses, strict=True)), rendezvous=rendezvous)


def write_host_file(path: Path, network: Network, search: str | None) -> None:
    """Write the list of machines that `mpirun` reads; each has as many slots as nodes.

    :param str search: the `PATH` of the nodes

    :raises SetupError: there is no `mpirun`
    """
    if not shutil.which("mpirun", path=search):
        raise SetupError(
            "An MPI experiment needs mpirun on the machine of its master, and there is none in its PATH; "
            "it comes with Open MPI (openmpi-bin in Debian and Ubuntu, open-mpi in Homebrew)"
        )
    slots = Counter(map(network.host, network.addresses))
    write_new(path, "".join(f"{host} slots={count}\n" for host, count in slots.items()))


def check_passed_name(text: str) -> str:
    """Return the name of a variable that commands are to see; a `*` in it stands for any characters.

    :raises ValueError: there is no such variable, or commands may not see it
    """
    if not VARIABLE_NAME.fullmatch(text.replace("*", "_")):
        raise ValueError(f"{text!r:.60} is no name of a variable; give one such as WANDB_API_KEY or 'AWS_*'")
    if text == RUN_VARIABLE:
        raise ValueError(f"{RUN_VARIABLE} is how the processes of a run are found, and each run has its own")
    return text


def command_variables(environment: Mapping[str, str], names: Sequence[str] = ()) -> dict[str, str]:
    """Return the variables of a server's environment that commands see; `python` is the interpreter of the server.

    :param names: further ones that they are to see, as `check_passed_name` returns them
    """
    variables = {name: value for name, value in environment.items() if _is_passed(name, names)}
    search = variables.get("PATH", os.defpath)
    folder = os.path.dirname(sys.executable)
    if folder and search.split(os.pathsep)[0] != folder:
        search = os.pathsep.join((folder, search))
    return {**variables, "PATH": search}


def withheld_variables(environment: Mapping[str, str], names: Sequence[str] = ()) -> list[str]:
    """Return the names of the variables of a server's environment that commands do not see, and could."""
    ours = {name for name in environment if VARIABLE_NAME.fullmatch(name)} - _OF_THE_SHELL - {RUN_VARIABLE}
    return sorted(name for name in ours if not _is_passed(name, names))


def supervisor_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the environment of a server that supervisors see, which fetch workspaces."""
    return {name: value for name, value in environment.items() if name in _PASSED_ON | _FOR_FETCHING}


def model_path(storage: Path, body: Mapping[str, Any]) -> Path:
    """Return the folder for the model of an experiment."""
    path = PurePosixPath(body.get("modelPath") or _STORAGE / "models")
    return storage / (path.relative_to(_STORAGE) if path.is_relative_to(_STORAGE) else path)


def node_environment(
    node: Node,
    network: Network,
    *,
    handle: str,
    body: Mapping[str, Any],
    server: Mapping[str, str],
    storage: Path,
    host_file: Path | None = None,
    machine: Mapping[str, str] | None = None,
    push_gateway: str | None = None,
) -> dict[str, str]:
    """Return the environment of a node.

    :param Network network: where it finds the other nodes
    :param str handle: the handle of the experiment
    :param body: the request that created it
    :param server: the variables of the server that commands see
    :param Path storage: the folder for data and models
    :param Path host_file: the list of nodes for `mpirun`
    :param machine: variables about its machine type; None: there are no machine types
    :param str push_gateway: where it can push metrics
    """
    variables = {
        **server,
        "PYTHONUNBUFFERED": "1",
        # A workspace without a repository is in no repository: not in one that the files of the server are in.
        "GIT_CEILING_DIRECTORIES": str(storage.parent),
        "EXPERIMENT_NAME": str(body.get("name") or ""),
        "PAPERSPACE_EXPERIMENT_ID": handle,
        "PAPERSPACE_METRIC_WORKLOAD_ID": handle,
        "PAPERSPACE_METRIC_WORKLOAD_TYPE": "experiment",
        "HOSTNAME": f"{node.name.rpartition(' ')[0].replace(' ', '')}-{handle}-{node.index}",
        "PS_JOBSPACE": str(storage),
        "PS_MODEL_PATH": str(model_path(storage, body)),
        "WORK_ENV": "local",
        **_torch_variables(node, network, body),
    }
    if push_gateway:
        variables["PAPERSPACE_METRIC_PUSHGATEWAY"] = push_gateway
    if machine:
        variables |= machine
        if "LOCAL_RANK" in variables:
            variables["LOCAL_RANK"] = "0"  # it sees its own GPUs alone, as if each node were a machine
    if network.addresses:
        variables |= _cluster_variables(node, network.addresses)
    if host_file:
        variables |= _mpi_variables(host_file)
    given: Mapping[str, Any] = body.get("experimentEnv") or {}
    for name, value in given.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value if isinstance(value, str) else json.dumps(value)
    return variables


def ignored_parameters(
    nodes: Sequence[Node], body: Mapping[str, Any], place: str, *, used: Collection[str] = ()
) -> str | None:
    """Return a sentence that names the parameters of an experiment that are not used here, or None if all are.

    The values `none` and `local` ask for nothing.

    :param str place: how it runs: `as a process of the server's machine`
    :param used: parameters of nodes that are used besides the command, without prefixes: `machineType`
    """
    used_by_nodes = _USED_BY_NODES | {*used}
    prefixes = {node.prefix for node in nodes}

    def own_name(name: str) -> str:
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), "")
        rest = name.removeprefix(prefix)
        return rest[:1].lower() + rest[1:]

    def is_ignored(name: str) -> bool:
        is_mount = name == _ARTIFACTS and body[name].startswith("/")
        return (name not in _USED or is_mount) and own_name(name) not in used_by_nodes

    names = [name for name, value in body.items() if value and value not in _NOTHING and is_ignored(name)]
    if not names:
        return None
    shown = [f"{name} {body[name]}" if own_name(name) in _SHOWN else name for name in names]
    listed = ", ".join(shown[:-1]) + " and " * (len(shown) > 1) + shown[-1]
    verb = "are" if len(shown) > 1 else "is"
    return f"This runs {place}: {listed} {verb} not used."


def _leading_prefix(body: Mapping[str, Any]) -> str:
    if not is_mpi(body):
        return "worker"
    # Its command starts what runs on all nodes. Old clients send the master as a parameter server.
    return "master" if "masterCommand" in body else "parameterServer"


def _node(name: str, body: Mapping[str, Any], leading: str) -> Node:
    words, _, index = name.rpartition(" ")
    prefix = kind = re.sub(r" (\w)", lambda found: found[1].upper(), words)
    if _command_field(prefix) not in body:
        prefix = leading = ""  # a single node, whose command has no prefix
    return Node(
        name=name,
        prefix=prefix,
        type="master" if is_mpi(body) and prefix == leading else _TYPES.get(kind, kind),
        index=int(index),
        command=body[_command_field(prefix)],
        leads=prefix == leading,
    )


def _command_field(prefix: str) -> str:
    return f"{prefix}Command" if prefix else "command"


def _is_passed(name: str, names: Sequence[str]) -> bool:
    if name in _PASSED_ON or not names:
        return name in _PASSED_ON
    if name == RUN_VARIABLE or not VARIABLE_NAME.fullmatch(name):
        return False
    return name in names or (
        not name.startswith(_OF_THE_LOADER) and any(fnmatchcase(name, pattern) for pattern in names)
    )


def _torch_variables(node: Node, network: Network, body: Mapping[str, Any]) -> dict[str, str]:
    """Return what `init_method="env://"` of torch reads."""
    host, _, port = network.rendezvous.rpartition(":")
    place = {"MASTER_ADDR": host, "MASTER_PORT": port}
    # mpirun ranks its processes itself, and parameter servers are no members of the group.
    if is_mpi(body) or not node.leads:
        return place
    members = [other for other in network.addresses if other.leads] or [node]
    earlier = [other for other in members if other.index < node.index]
    local = sum(network.host(other) == network.host(node) for other in earlier)
    return {**place, "RANK": str(node.index), "LOCAL_RANK": str(local), "WORLD_SIZE": str(len(members))}


def _cluster_variables(node: Node, addresses: Mapping[Node, str]) -> dict[str, str]:
    def hosts(kind: str) -> str:
        return ",".join(address for other, address in addresses.items() if other.type == kind)

    config = json.dumps(_tensorflow_config(node, addresses), separators=(",", ":"))
    return {
        "TYPE": node.type,
        "INDEX": str(node.index),
        "WORKER_HOSTS": hosts("worker"),
        "PS_HOSTS": hosts("ps"),
        "PS_CONFIG": urlsafe_b64encode(config.encode()).decode(),
    }


def _tensorflow_config(node: Node, addresses: Mapping[Node, str]) -> dict[str, Any]:
    tasks = {other: (other.type, other.index) for other in addresses}
    if not any(kind == "master" for kind, _ in tasks.values()):
        # TensorFlow needs a master: the first worker is it, and the other workers move up.
        tasks = {other: (kind, index - (kind == "worker")) for other, (kind, index) in tasks.items()}
        tasks = {other: ("master", 0) if task == ("worker", -1) else task for other, task in tasks.items()}
    cluster: dict[str, list[str]] = {}
    for other, (kind, _) in tasks.items():
        cluster.setdefault(kind, []).append(addresses[other])
    kind, index = tasks[node]
    return {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}


def _mpi_variables(host_file: Path) -> dict[str, str]:
    """Return what `mpirun` of Open MPI 4, Open MPI 5 and MPICH need. On the service, commands ran as root."""
    return {
        "OMPI_MCA_orte_default_hostfile": str(host_file),
        "PRTE_MCA_prte_default_hostfile": str(host_file),
        "HYDRA_HOST_FILE": str(host_file),
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }
