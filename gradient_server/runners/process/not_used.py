"""What an experiment asks for and processes of this machine cannot give. It is said, not silently dropped. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradient_server.runners.process.nodes import Node

# What is used of all nodes, or says what an experiment is and not how it is to run. Whatever else the contract knows or
# will know is not used.
_USED = frozenset(
    {"name", "projectHandle", "experimentTypeId", "modelType", "modelPath", "experimentEnv"}
    | {"workspaceUrl", "workspaceRef", "workspaceUsername", "workspacePassword"}
    | {"workingDirectory", "artifactDirectory"}
)
_USED_OF_NODES = frozenset({"command", "count"})
# A place of its own in containers; a folder of the workspace otherwise, which there is here, too.
_ARTIFACTS = "artifactDirectory"
# Their values may be told.
_TOLD = ("container", "machineType", _ARTIFACTS)


def first_row(node: Node, body: Mapping[str, Any], prefixes: frozenset[str]) -> str | None:
    """Say in one sentence what is not used for a node; None: all is.

    :param prefixes: how the names of the parameters of any node begin
    """
    names = [name for name, value in body.items() if value and _is_about(name, node, prefixes)]
    names = [name for name in names if name not in _USED or (name == _ARTIFACTS and body[name].startswith("/"))]
    names = [name for name in names if _of_node(name, node) not in _USED_OF_NODES]
    if not names:
        return None
    told = [f"{name} {body[name]}" if _of_node(name, node) in _TOLD else name for name in names]
    listed = ", ".join(told[:-1]) + " and " * (len(told) > 1) + told[-1]
    verb = "are" if len(told) > 1 else "is"
    return f"This runs as a process of the server's machine: {listed} {verb} not used."


def _is_about(name: str, node: Node, prefixes: frozenset[str]) -> bool:
    return name.startswith(node.prefix) or not name.startswith(tuple(prefixes))


def _of_node(name: str, node: Node) -> str:
    """Give the name of a parameter without the prefix of the node."""
    rest = name.removeprefix(node.prefix)
    return rest[:1].lower() + rest[1:]
