"""A Ray cluster of three machines: the head on one, workers on two."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import httpx

from tests.cluster.machines import SERVER, Machine, Machines, missing_packages, popen_here, wait_for, why_impossible

ROOT = Path(__file__).resolve().parents[2]
_BIN = ROOT / ".venv-ray" / "bin"
_REDIS_PORT = 6399
_HEAD = "m1"
_LABELS = {"m1": "kind=head", "m2": "kind=worker,machine=P100", "m3": "kind=worker,machine=P100,host=third"}


class RayCluster:
    """Ray on machines `m1`, the head, `m2` and `m3`, with two CPUs each, until the end of the `with` block.

    `m2` and `m3` have the label machine=P100, `m3` also host=third.

    :param bool redis: whether the state of the head is in Redis, so that it survives the head
    :param str token: that requests need; empty: they need none
    """

    address = "http://10.77.0.1:8265"
    """Of the dashboard, which is the address of the cluster for its jobs."""

    def __init__(self, *, redis: bool = False, token: str = "") -> None:
        self.token = token
        self.has_redis = redis

    def __enter__(self) -> RayCluster:
        """Start it.

        :raises RuntimeError: it cannot be here; the text says what is missing
        """
        if reason := why_no_ray(redis=self.has_redis):
            raise RuntimeError(reason)
        with contextlib.ExitStack() as stack:
            # Short: the paths of sockets have at most 107 characters.
            self.folder = Path(tempfile.mkdtemp(prefix="gradient-ray-", dir="/tmp"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.machines = stack.enter_context(Machines(3, self.folder))
            if self.has_redis:
                self._start_redis(stack)
            for machine in self.machines.all:
                self._start_node(machine)
            self.wait_until_complete()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it, and all that runs on it."""
        self._stack.close()

    def get(self, path: str) -> httpx.Response | None:
        """Return the response of the dashboard to a request, or None if there is none."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            return httpx.get(self.address + path, headers=headers, timeout=10, trust_env=False)
        except httpx.TransportError:
            return None

    def metadata(self) -> str:
        """Return all that everybody can read about jobs."""
        paths = (
            "jobs/",
            *(f"v0/{kind}?detail=true" for kind in ("jobs", "actors", "tasks", "workers", "runtime_envs")),
        )
        return "".join(response.text for path in paths if (response := self.get(f"/api/{path}")) is not None)

    def kill_machine(self, name: str) -> None:
        """Switch a machine off; `m1` is the head."""
        self.machines[name].kill()

    def restart_machine(self, name: str) -> None:
        """Switch a machine on again, and wait until it is part of the cluster.

        A head that has lost its state begins a new cluster, which only restarted workers join.
        """
        self.machines[name].start()
        self._start_node(self.machines[name])
        self.wait_until_complete(1 if name == _HEAD and not self.has_redis else 3)

    def save_redis(self) -> None:
        """Have Redis write all that it knows to a file in the folder."""
        subprocess.run(["redis-cli", "-h", SERVER, "-p", str(_REDIS_PORT), "SAVE"], check=True, capture_output=True)

    def wait_until_complete(self, nodes: int = 3) -> None:
        """Wait until the job server answers and knows as many nodes as that to be alive."""

        def is_complete() -> bool:
            response = self.get("/nodes?view=summary")
            if response is None or response.status_code != 200:
                return False
            found = response.json()["data"]["summary"]
            return sum(node["raylet"].get("state") == "ALIVE" for node in found) >= nodes

        wait_for(is_complete, "all nodes of Ray")

    def _start_node(self, machine: Machine) -> None:
        command = [f"{_BIN}/ray", "start", "--block", "--node-ip-address", machine.address, "--num-cpus", "2"]
        command += ["--object-store-memory", "80000000", "--labels", _LABELS[machine.name], "--disable-usage-stats"]
        command += ["--temp-dir", str(self.folder / "local")]
        if machine.name == _HEAD:
            command += ["--head", "--port", "6379", "--dashboard-host", machine.address]
        else:
            command += ["--address", "10.77.0.1:6379"]
        with (self.folder / f"{machine.name}.log").open("a") as log:
            machine.popen(command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _environment(self) -> dict[str, str]:
        environment = {
            **os.environ,
            # `python` of an entrypoint is the first one of the path.
            "PATH": f"{_BIN}:{os.environ['PATH']}",
            # A machine without power is found to be dead after seconds.
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_timeout_ms": "2000",
            "RAY_health_check_failure_threshold": "3",
        }
        if self.token:
            environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        if self.has_redis:
            environment["RAY_REDIS_ADDRESS"] = f"{SERVER}:{_REDIS_PORT}"
        return environment

    def _start_redis(self, stack: contextlib.ExitStack) -> None:
        options = ["--port", str(_REDIS_PORT), "--bind", SERVER, "--dir", str(self.folder), "--protected-mode", "no"]
        options += ["--rdbcompression", "no"]
        process = popen_here(["redis-server", *options], stdout=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)


def why_no_ray(*, redis: bool = False) -> str | None:
    """Return why there can be no Ray cluster here, in words, or None if there can."""
    if reason := why_impossible():
        return reason
    if not (_BIN / "ray").exists():
        return "There is no Ray in .venv-ray; make setup-ray installs it"
    return missing_packages({"redis-server": "redis-server", "redis-cli": "redis-tools"}) if redis else None
