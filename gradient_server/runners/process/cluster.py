"""What the nodes of an experiment need to find each other on this machine."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from gradient_server.private_files import write_new
from gradient_server.runners.process.nodes import Node
from gradient_server.runners.process.set_up import CannotSetUp

_HOST = "127.0.0.1"


def addresses_of(nodes: Sequence[Node]) -> dict[Node, str]:
    """Choose where each node may listen; where there is but one, it needs nothing."""
    if len(nodes) == 1 and not nodes[0].prefix:
        return {}
    with contextlib.ExitStack() as opened:
        # All are open at once, so that all are different.
        sockets = [opened.enter_context(socket.socket()) for _ in nodes]
        for found in sockets:
            found.bind((_HOST, 0))
        return {node: f"{_HOST}:{found.getsockname()[1]}" for node, found in zip(nodes, sockets, strict=True)}


def write_host_file(path: Path, nodes: Sequence[Node], search: str | None) -> None:
    """Write the list of nodes that `mpirun` reads.

    :param str search: the `PATH` of the nodes

    :raises CannotSetUp: there is no `mpirun`
    """
    if not shutil.which("mpirun", path=search):
        raise CannotSetUp(
            "An MPI experiment needs mpirun on the machine of the server, and there is none in its PATH; "
            "it comes with Open MPI (openmpi-bin in Debian and Ubuntu, open-mpi in Homebrew)"
        )
    write_new(path, f"{_HOST} slots={len(nodes)}\n")
