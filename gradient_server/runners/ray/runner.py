"""The runner whose runs are on a Ray cluster."""

from __future__ import annotations

import argparse
import asyncio
import errno
import ipaddress
import logging
import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from gradient_server.clock import Clock
from gradient_server.private_files import read_private
from gradient_server.runners.base import ArgumentGroup, RunRejectedError
from gradient_server.runners.machine_types import Capacity, MachineType, MachineTypes, Request
from gradient_server.runners.ray.dashboard import NEWEST, OLDEST, Dashboard, UnreachableError
from gradient_server.runners.ray.job import EventLoop
from gradient_server.runners.ray.monitor import RayMonitor
from gradient_server.runners.ray.package import Order, make_package
from gradient_server.runners.ray.placement import Bundle, Machine, bundle_of, check_options, unmet
from gradient_server.runners.supervised.environment import Node, command_variables
from gradient_server.runners.supervised.run_files import LaunchSpec, RunDirectory
from gradient_server.runners.supervised.runner import GRACE, QueueingRunner

_log = logging.getLogger(__name__)
SLOTS = 8
"""How many experiments are submitted at once, by default: each takes some 120 MiB of the head's memory."""
_ENTRYPOINT = "PYTHONPATH=code.zip exec python -P -X utf8 -m gradient_server.runners.ray.on_ray"
_STOP_MARGIN = 60
"""Seconds, beside the grace period, after which Ray kills a driver that was to stop."""
_CHECK_INTERVAL = 5.0
"""Seconds between two looks at the cluster."""


class RayRunner(QueueingRunner):
    """Runs commands on a Ray cluster.

    :param Path directory: where the directories of all runs are; no other server and no other user may use it
    :param str address: the URL of the cluster's dashboard
    :param str token: for a cluster that wants one; None: there is none
    :param int slots: how many experiments are submitted at once; others wait in the order in which they were started
    :param driver_on: labels that the machine of drivers must have; empty: drivers run on the head
    """

    name = "ray"
    description = "commands run on a Ray cluster"
    has_shared_files = False

    def __init__(
        self,
        directory: Path,
        *,
        address: str,
        token: str | None = None,
        slots: int = SLOTS,
        driver_on: Mapping[str, str] | None = None,
        keep: bool = True,
        grace: float = GRACE,
        pass_env: Sequence[str] = (),
        machine_types: Mapping[str, MachineType] | None = None,
        nodes_url: str | None = None,
    ) -> None:
        capacity = Capacity(slots=slots)
        self._address = check_address(address)
        self._token = token
        self._driver_on = driver_on or {}
        self._machine_types = MachineTypes(types=machine_types or {}, capacity=capacity)
        self._machines_there: Sequence[Machine] | None = None
        """All machines that the cluster has or will have; None: nobody knows."""
        self._problem: str | None = None
        """Why nothing can run on the cluster, in words."""
        super().__init__(
            directory,
            capacity,
            keep=keep,
            grace=grace,
            pass_env=pass_env,
            machine_types=machine_types,
            nodes_url=nodes_url,
        )

    @classmethod
    def add_arguments(cls, parser: ArgumentGroup) -> None:
        """Add `--ray-address`, `--ray-token-file` and `--ray-driver-on`."""
        text = "URL of the dashboard of the cluster, as in http://head:8265"
        parser.add_argument("--ray-address", metavar="URL", type=_address, help=text)
        text = "file, readable by you alone, with the token of the cluster (default: RAY_AUTH_TOKEN)"
        parser.add_argument("--ray-token-file", metavar="FILE", type=Path, help=text)
        text = "URL of this server for the machines of the cluster, which fetch uploaded workspaces from it"
        parser.add_argument("--nodes-url", metavar="URL", type=_address, help=text)
        text = "label of the machines that drivers run on, which should not be the head if its state is kept in Redis"
        parser.add_argument("--ray-driver-on", metavar="LABEL=VALUE", type=_label, help=text)

    @classmethod
    def check_arguments(cls, options: argparse.Namespace) -> str | None:
        """Refuse a missing address, and machine types that Ray cannot have."""
        if options.ray_address is None:
            return "--ray-address: it is missing; give the URL of the cluster's dashboard, as in http://head:8265"
        types: dict[str, MachineType] = options.machine_types or {}
        try:
            for name, machine_type in types.items():
                check_options(name, machine_type)
        except ValueError as error:
            return f"--machine-types: {error}"
        return None

    @classmethod
    def from_arguments(cls, options: argparse.Namespace) -> Self:
        """Return a runner that keeps its runs beside the store.

        :raises OSError: the file with the token cannot be read; the error has its `filename`
        """
        token = os.environ.get("RAY_AUTH_TOKEN")
        if options.ray_token_file and (token := read_private(options.ray_token_file)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(options.ray_token_file))
        return cls(
            options.store.with_name(options.store.name + ".runs"),
            address=options.ray_address,
            token=(token or "").strip() or None,
            slots=options.slots or SLOTS,
            driver_on=dict([options.ray_driver_on] if options.ray_driver_on else ()),
            grace=GRACE if options.grace is None else options.grace,
            pass_env=options.pass_env or (),
            machine_types=options.machine_types,
            nodes_url=options.nodes_url,
        )

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Connect it to a server.

        :raises ValueError: the clock does not show real time
        :raises OSError: another server or another user may use the directory, or it cannot be used
        """
        super().attach(clock, on_change)
        if warning := unprotected(self._address, self._token):
            _log.warning(warning)
        self._dashboard = Dashboard(self._address, self._token)
        self._loop = EventLoop()
        self._stack.callback(self._loop.close, self._dashboard)
        self._loop.start(self._watch_cluster())

    def _monitor(self, directory: RunDirectory, jobs: int = 0, spec: LaunchSpec | None = None) -> RayMonitor:
        def make_request(id: str) -> tuple[bytes, dict[str, Any]]:
            assert spec is not None
            order = Order(id, self._bundles(spec.nodes, spec.body))
            return make_package(order, spec), self._request(spec)

        return RayMonitor(
            directory,
            jobs,
            spec,
            loop=self._loop,
            dashboard=self._dashboard,
            prefix=f"gradient-{self._directory.store_id}-{directory.path.name}",
            make_request=make_request if spec else None,
        )

    def _request(self, spec: LaunchSpec) -> dict[str, Any]:
        """Return the request for a job, without its package. It shows in the dashboard: no secret may be in it."""
        # Ray asks for no resources itself: a job that waits for them could not be stopped (ray-project/ray#58353).
        wait = round(spec.grace) + _STOP_MARGIN
        selector = {"entrypoint_label_selector": dict(self._driver_on)} if self._driver_on else {}
        return {
            "entrypoint": _ENTRYPOINT,
            "metadata": {"gradient_experiment": spec.handle},
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(wait)}},
            **selector,
        }

    def _machines(
        self, nodes: Sequence[Node], body: Mapping[str, Any], *, is_new: bool
    ) -> tuple[Request, tuple[Mapping[str, str], ...]]:
        """Return the request for slots. Ray assigns everything else, GPUs too.

        :raises RunRejectedError: the cluster cannot have what it needs, as far as that is known
        """
        bundles = self._bundles(nodes, body)
        if is_new:
            if self._problem:
                raise RunRejectedError(f"{self._problem}.", nodes[0].machine_type_field)
            if self._machines_there and (found := unmet(bundles, self._machines_there)):
                index, reason = found
                raise RunRejectedError(f"{reason}.", nodes[index].machine_type_field)
        types = [self._type_of(node, body) for node in nodes]
        request = Request(slots=max(found.slots for found in types), gpus=(0,) * len(nodes))
        if request.slots > (there := self._machine_types.capacity.slots):
            text = f"The experiment needs {request.slots} slots; the server has {there}."
            raise RunRejectedError(text, nodes[0].machine_type_field)
        return request, ()

    def _bundles(self, nodes: Sequence[Node], body: Mapping[str, Any]) -> list[Bundle]:
        return [bundle_of(self._type_of(node, body)) for node in nodes]

    def _asks_for(self, nodes: Sequence[Node], body: Mapping[str, Any]) -> str:
        # Ray serves its placement groups in no order.
        return "; ".join(sorted({str(bundle) for bundle in self._bundles(nodes, body)}))

    def _type_of(self, node: Node, body: Mapping[str, Any]) -> MachineType:
        """Return the machine type of a node; without a file of machine types, they mean nothing."""
        return MachineType() if self._types is None else self._machine_types.type_of(node.machine_type_field, body)

    def _place(self, nodes: Sequence[Node]) -> str:
        return "on a Ray cluster"

    def _variables(self) -> dict[str, str]:
        """Return the variables that commands get from the server; the others are those of their machines."""
        own = command_variables(os.environ)
        passed = command_variables(os.environ, self._pass_env)
        return {name: passed[name] for name in passed if name not in own or name in self._pass_env}

    async def _watch_cluster(self) -> None:
        """Keep what is known of the cluster up to date, and log what is wrong with it."""
        shown: str | None = None
        while True:
            try:
                version = await self._dashboard.version()
                self._problem = None
                if version.is_too_old:
                    self._problem = f"The cluster has Ray {version.ray}; runs need Ray {_text(OLDEST)} or newer"
                found = self._problem
                if version.is_untested:
                    found = f"The cluster has Ray {version.ray}, which is newer than what was tested, {_text(NEWEST)}"
                self._machines_there = await self._dashboard.machines()
            except UnreachableError as error:
                found, self._machines_there = f"The Ray cluster cannot be reached: {error}", None
            if found and found != shown:
                _log.warning("%s", found)
            elif shown and not found:
                _log.warning("The Ray cluster can be reached again")
            shown = found
            await asyncio.sleep(_CHECK_INTERVAL)


def check_address(text: str) -> str:
    """Return the URL of a dashboard.

    :raises ValueError: it is no URL of http or https, or has more than a host, a port and a path
    """
    try:
        parts = urlsplit(text)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_valid = False
    else:
        is_valid = is_valid and not (parts.username or parts.password or parts.query or parts.fragment)
    if not is_valid:
        # It may contain a password, so that it is not shown.
        raise ValueError("it is no URL of a dashboard; give one such as http://head:8265, and a token by a file")
    return text.rstrip("/")


def unprotected(address: str, token: str | None) -> str | None:
    """Return a warning if others can use a cluster: it wants no token, and is not only for this machine."""
    host = urlsplit(address).hostname or ""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if is_local:
        return None
    if token is None:
        return (
            f"Without a token, anyone who reaches {address} can run any command on the Ray cluster, read the output of "
            "all runs and stop them; see RAY_AUTH_MODE=token in Ray's documentation, and --ray-token-file"
        )
    if address.startswith("http:"):
        return f"The token of the Ray cluster crosses the network to {address} in plain http"
    return None


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _address(text: str) -> str:
    try:
        return check_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals or not value:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no label; give one such as kind=worker")
    return name, value
