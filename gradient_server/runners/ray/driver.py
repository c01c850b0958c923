"""The driver of a run: its supervisor, which asks a cluster for machines and has an agent started on each.

Nothing in here knows Ray, so that tests can have machines from elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tarfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from gradient_server.runners.ray.package import ARTIFACTS, FOLDER, ORDER, SIZES, Order
from gradient_server.runners.ray.placement import Bundle
from gradient_server.runners.supervised.artifact_files import artifact_folders
from gradient_server.runners.supervised.deletion import remove_tree
from gradient_server.runners.supervised.local_nodes import Launch
from gradient_server.runners.supervised.node_group import Interrupted, Nodes
from gradient_server.runners.supervised.remote_nodes import AgentLauncher, RemoteNodes
from gradient_server.runners.supervised.run_files import RunDirectory
from gradient_server.runners.supervised.supervisor import supervise_in_foreground

_ARTIFACTS_KEPT = 24 * 60 * 60.0
"""Seconds for which the artifacts of runs stay on the machine of the driver."""
_SIZES_INTERVAL = 0.02
"""Seconds between two looks at the sizes of the files of a run."""


class Cluster(ABC):
    """A cluster as the driver of a run sees it.

    :param Path logs: a folder whose files the server can read while they grow
    :param str host: the address of this machine, as the others reach it
    """

    logs: Path
    host: str

    @abstractmethod
    def claim(self, id: str) -> bool:
        """Whether this call is the first one to claim a run, of all drivers that the cluster has ever had."""

    @abstractmethod
    def place(self, bundles: Sequence[Bundle], on_wait: Callable[[str], None]) -> AgentLauncher:
        """Return what starts agents on machines that have these bundles, once there are such machines.

        :param on_wait: receives why there are none yet, in words, several times a second; it may raise
        """


def drive(cluster: Cluster) -> int:
    """Run the package in the working directory, unless that was done before, and return an exit code."""
    package = Path.cwd()
    spec = RunDirectory(package).take_spec()
    order = Order.parse((package / ORDER).read_text())
    if not cluster.claim(order.id):
        print("The run was claimed before: it does not run again", file=sys.stderr)
        return 1
    directory = RunDirectory(cluster.logs / FOLDER / order.id)
    directory.path.parent.mkdir(mode=0o700, exist_ok=True)
    _remove_old_artifacts(directory.path.parent)
    directory.create(spec)
    sizes = _Sizes(directory.path)
    threading.Thread(target=sizes.keep_up_to_date, daemon=True).start()
    supervise_in_foreground(directory.path, lambda launch: _nodes(launch, cluster, order))
    sizes.write()
    return 0


class _Sizes:
    """A file with the sizes of the others, so that a server that follows many runs has one request for each.

    :param Path folder: the directory of the run
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, int] = {}

    def keep_up_to_date(self) -> None:
        """Write it whenever something has changed, until this process ends."""
        while True:
            with contextlib.suppress(OSError):  # the disk is full
                self.write()
            time.sleep(_SIZES_INTERVAL)

    def write(self) -> None:
        """Write it if something has changed."""
        # Events last: those that rows follow are counted if the rows are.
        files = [*sorted((self._folder / "jobs").iterdir()), self._folder / "events.jsonl"]
        sizes = {str(path.relative_to(self._folder)): path.stat().st_size for path in files if path.exists()}
        if sizes != self._written:
            draft = self._folder / f"{SIZES}.new"
            draft.write_text(json.dumps(sizes))
            draft.replace(self._folder / SIZES)
            self._written = sizes


def _nodes(launch: Launch, cluster: Cluster, order: Order) -> Nodes:
    """Return the nodes of a run once there are machines for them; until then the run is pending.

    :raises Interrupted: it was stopped meanwhile
    """
    shown = ""

    def on_wait(reason: str) -> None:
        nonlocal shown
        if launch.stop_signal.received:
            launch.directory.request_stop()
            raise Interrupted
        if reason != shown:
            shown = reason
            launch.events.write(waits_for=reason)

    return _DriverNodes(launch, cluster.place(order.bundles, on_wait), cluster.host)


class _DriverNodes(RemoteNodes):
    """Nodes of a run whose files the server reads over the network."""

    def __init__(self, launch: Launch, launcher: AgentLauncher, host: str) -> None:
        super().__init__(launch, launcher, host)
        self._run = launch

    def tear_down(self, grace: float) -> None:
        """End all processes, and pack the artifacts for the server."""
        try:
            super().tear_down(grace)
        finally:
            # Ray stops a job by SIGTERM: that is how the server, or a user of Ray, stops a run.
            if self._run.stop_signal.received:
                self._run.directory.request_stop()
            _pack_artifacts(self._run)


def _remove_old_artifacts(folder: Path) -> None:
    """Remove the artifacts of runs that have ended a day ago: their servers have them."""
    for path in folder.glob(f"*/{ARTIFACTS}"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _ARTIFACTS_KEPT:
                path.unlink()


def _pack_artifacts(launch: Launch) -> None:
    """Write the artifacts to a file, by their paths in the directory of the run, which is the working directory."""
    directory = launch.directory
    found = artifact_folders(directory.storage, directory.workspace, launch.spec.body)
    paths = [folder.base / folder.inside for folder in found if not folder.base.is_absolute()]
    try:
        if paths := [path for path in paths if path.is_dir() and any(path.iterdir())]:
            with tarfile.open(ARTIFACTS, "w") as archive:
                for path in paths:
                    archive.add(path)
            for path in paths:
                remove_tree(path)
    except OSError as error:
        launch.remark(f"The artifacts of the run cannot be kept: {error.strerror}")
