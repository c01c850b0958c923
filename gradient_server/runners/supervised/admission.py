"""Checks of an experiment before it is admitted: what processes of this machine cannot run is refused by field."""

from __future__ import annotations

import os
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.supervised.environment import VARIABLE_NAME, Network, Node, node_environment

MAX_NODES = 64
"""Nodes of one experiment."""
MAX_TEXT_BYTES = 128 * 1024 - 1
"""Bytes of a command, and of a variable with its name, that Linux passes to a process."""
_MAX_WORKSPACE_BYTES = 64 * 1024
"""Bytes of each field about the workspace: git gets them within longer texts."""
_MAX_PATH_BYTES = 4095
_MAX_FILE_NAME_BYTES = 255
_MAX_TOTAL_BYTES = 6 * 1024**2
"""Bytes that Linux passes to a process altogether, however large its stack may be."""
_POINTER_BYTES = 8
_SHELL_BYTES = 16 * 1024
"""Room for the addresses of all nodes, and for what a shell adds: `PWD`, `OLDPWD`, its own arguments."""
_MAX_SHOWN = 3
"""Invalid names of variables that an error lists."""
_NETWORK = Network(addresses={}, rendezvous="127.0.0.1:65535")
"""For a check before there are addresses."""
_SOURCES = {"EXPERIMENT_NAME": "name", "PS_MODEL_PATH": "modelPath"}
"""The fields that variables have their values from."""


def check_node_count(body: Mapping[str, Any]) -> None:
    """Check that an experiment has no more nodes than a supervisor can have.

    :raises RunRejectedError: there are too many
    """
    counts = {field: count for field, count in body.items() if field.endswith("Count")}
    total = sum(counts.values())
    if total > MAX_NODES:
        text = f"An experiment can have {MAX_NODES} nodes on this server, not {total}."
        raise RunRejectedError(text, max(counts, key=counts.__getitem__))


def check_request(
    nodes: Sequence[Node], *, handle: str, body: Mapping[str, Any], server: Mapping[str, str], storage: Path
) -> None:
    """Check that processes of this machine can run an experiment.

    :param nodes: its nodes
    :param str handle: its handle
    :param body: the request that created it
    :param server: the variables of the server that commands see
    :param Path storage: the folder for data and models

    :raises RunRejectedError: they cannot
    """
    _check_variables(body.get("experimentEnv") or {})
    # The system takes no NUL in arguments, environment variables or paths.
    for field, value in body.items():
        if isinstance(value, str) and "\0" in value:
            raise RunRejectedError("It must be text without NUL.", field)
        if isinstance(value, str) and field.startswith("workspace"):
            _check_size(value, field, "It", _MAX_WORKSPACE_BYTES)
    for field in ("workingDirectory", "artifactDirectory"):
        _check_path(body.get(field) or "", field)
    # The environments of nodes of one type have the same size.
    for node in {node.prefix: node for node in nodes}.values():
        environment = node_environment(node, _NETWORK, handle=handle, body=body, server=server, storage=storage)
        _check_process(node, environment, body.get("experimentEnv") or {})


def _check_variables(variables: Mapping[str, Any]) -> None:
    if invalid := [name for name in variables if not VARIABLE_NAME.fullmatch(name)]:
        more = f" and {len(invalid) - _MAX_SHOWN} more" if len(invalid) > _MAX_SHOWN else ""
        raise RunRejectedError(
            f"{', '.join(map(reprlib.repr, invalid[:_MAX_SHOWN]))}{more}: sh passes on no variables with such names; a "
            "name has ASCII letters, digits and _, and does not begin with a digit.",
            "experimentEnv",
        )
    for name, value in variables.items():
        if isinstance(value, str) and "\0" in value:
            raise RunRejectedError(f"The value of {reprlib.repr(name)} must be text without NUL.", "experimentEnv")


def _check_process(node: Node, environment: Mapping[str, str], variables: Mapping[str, Any]) -> None:
    """Check that the system passes a command and its variables to a process."""
    sizes = Counter({node.command_field: _check_size(node.command, node.command_field, "It")})
    for name, value in environment.items():
        field = "experimentEnv" if name in variables else _SOURCES.get(name, "")
        sizes[field] += _check_size(f"{name}={value}", field, f"{reprlib.repr(name)} with its value")
    allowed = min(os.sysconf("SC_ARG_MAX"), _MAX_TOTAL_BYTES) - _SHELL_BYTES
    if sizes.total() > allowed:
        text = (
            f"The command of {node.name} and all of its variables have {sizes.total()} bytes, and a process can get at "
            f"most {allowed}; put some of it into a file of the workspace."
        )
        raise RunRejectedError(text, max(sizes.keys() - {""}, key=sizes.__getitem__))


def _check_size(text: str, field: str, subject: str, limit: int = MAX_TEXT_BYTES) -> int:
    """Return the bytes that a text takes up in a new process.

    :raises RunRejectedError: it is too long
    """
    size = _size(text)
    if size > limit:
        text = f"{subject} has {size} bytes, and a process can get at most {limit}; shorten it, or use a file."
        raise RunRejectedError(text, field)
    return size + 1 + _POINTER_BYTES


def _check_path(path: str, field: str) -> None:
    if _size(path) > _MAX_PATH_BYTES or max(map(_size, path.split("/"))) > _MAX_FILE_NAME_BYTES:
        text = f"A path has at most {_MAX_PATH_BYTES} bytes, and each name in it {_MAX_FILE_NAME_BYTES}."
        raise RunRejectedError(text, field)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
