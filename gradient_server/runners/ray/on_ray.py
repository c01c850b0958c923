"""The entry point of the job of a run: `python -m gradient_server.runners.ray.on_ray`, in the directory of its package.

The only module that imports Ray. The Python is that of the cluster's machines, 3.11.4 or newer.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray  # before the server: it brings psutil along
from ray.experimental import internal_kv
from ray.util import placement_group, remove_placement_group
from ray.util.placement_group import PlacementGroup, placement_group_table
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from gradient_server.runners.ray.driver import Cluster, drive
from gradient_server.runners.ray.package import CODE
from gradient_server.runners.ray.placement import CPU, GPU, MEMORY, Bundle, Machine, unmet
from gradient_server.runners.supervised.environment import Node
from gradient_server.runners.supervised.remote_nodes import AGENT_MODULE, AgentLauncher

_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_NAMESPACE = b"gradient"
_WAIT_STEP = 0.1
"""Seconds after which a driver that waits for machines notices that it is to stop."""
_EXPLAIN_INTERVAL = 5.0
"""Seconds between two looks at why a run waits."""
_END_TIMEOUT = 5.0
"""Seconds in which agents end whose run has ended."""


class RayCluster(Cluster):
    """The Ray cluster that this process is on."""

    def __init__(self) -> None:
        # Otherwise agents would wait for workers with the environment of the job, and find its package.
        config = json.loads(os.environ.get(_JOB_CONFIG, "{}"))
        package = config.pop("runtime_env", {}).get("working_dir")
        os.environ[_JOB_CONFIG] = json.dumps(config)
        ray.init(address="auto", namespace=_NAMESPACE.decode(), log_to_driver=False, logging_level="error")
        if package:  # which may hold secrets, and is on this machine
            internal_kv._internal_kv_del(package)
        self.logs = Path(ray._private.worker._global_node.get_logs_dir_path())
        self.host = ray.util.get_node_ip_address()

    def claim(self, id: str) -> bool:
        """Whether the internal key-value store of the cluster has no claim of the run yet."""
        key = f"claim {id}".encode()
        return not internal_kv._internal_kv_put(key, b"", overwrite=False, namespace=_NAMESPACE)

    def place(self, bundles: Sequence[Bundle], on_wait: Callable[[str], None]) -> AgentLauncher:
        """Return a launcher for the machines of a placement group."""
        labels = [dict(bundle.labels) for bundle in bundles]
        group = placement_group(
            [dict(bundle.resources) for bundle in bundles],
            strategy="SPREAD",  # and not STRICT_SPREAD: there may be fewer machines than nodes
            **({"bundle_label_selector": labels} if any(labels) else {}),
        )
        reason, explained = "It waits for Ray to reserve its machines.", time.monotonic()
        while not group.wait(_WAIT_STEP):
            on_wait(reason)
            if time.monotonic() > explained:
                reason, explained = _waiting_reason(bundles), time.monotonic() + _EXPLAIN_INTERVAL
        return RayLauncher(group, bundles)


def _waiting_reason(bundles: Sequence[Bundle]) -> str:
    """Return why there are no machines yet, in words."""
    machines = [
        Machine(node["NodeManagerHostname"], node["Resources"], node.get("Labels") or {})
        for node in ray.nodes()
        if node["Alive"]
    ]
    if found := unmet(bundles, machines):
        return f"{found[1]}. It waits until such machines join."
    wanted = "; ".join(dict.fromkeys(map(str, bundles)))
    return f"It waits for the machines of the Ray cluster, which are busy: {len(bundles)} times {wanted}."


class RayLauncher(AgentLauncher):
    """Starts an agent on the machine of each bundle of a placement group, as a task of Ray.

    :param PlacementGroup group: it is there
    :param bundles: those of the group
    """

    has_shared_files = False

    def __init__(self, group: PlacementGroup, bundles: Sequence[Bundle]) -> None:
        self._group = group
        self._bundles = bundles
        placed = placement_group_table(group)["bundles_to_node_id"]
        names = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes()}
        self._machines = [(placed[index], names.get(placed[index], "")) for index in range(len(bundles))]
        """The id in Ray, and the name, of the machine of each node."""
        self._tasks: dict[Any, int] = {}
        """The nodes of tasks."""

    def start(self, nodes: Sequence[Node], lines: Sequence[bytes]) -> None:
        """Start a task for each node."""
        code = ray.put(Path(_PACKAGE, CODE).read_bytes())
        for index, (line, bundle) in enumerate(zip(lines, self._bundles, strict=True)):
            resources = dict(bundle.resources)
            strategy = PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index)
            task = ray.remote(max_retries=0, max_calls=1)(_run_agent).options(
                name="gradient agent",
                num_cpus=resources.pop(CPU, 0),
                num_gpus=resources.pop(GPU, 0),
                memory=resources.pop(MEMORY, None),
                resources=resources,
                scheduling_strategy=strategy,
            )
            self._tasks[task.remote(code, line, AGENT_MODULE)] = index

    def problem(self) -> tuple[int, str] | None:
        """Return which agent has ended with an error, or has lost its machine."""
        ended, _ = ray.wait(list(self._tasks), num_returns=len(self._tasks), timeout=0)
        lost = self._lost_machines()
        for index, (id, name) in enumerate(self._machines):
            if id in lost:
                return index, f"{name} is not in the Ray cluster any more"
        for task in ended:
            index = self._tasks[task]
            name = self._machines[index][1]
            try:
                error = ray.get(task)
            except ray.exceptions.RayError as failure:
                return index, f"Ray has ended its worker process on {name}: {type(failure).__name__}"
            if error:
                return index, f"its agent on {name} has ended: {error}"
        return None

    def close(self) -> None:
        """Wait until the agents have ended, and give the machines back."""
        lost = self._lost_machines()
        if tasks := [task for task, index in self._tasks.items() if self._machines[index][0] not in lost]:
            ray.wait(tasks, num_returns=len(tasks), timeout=_END_TIMEOUT)
        remove_placement_group(self._group)

    def _lost_machines(self) -> set[str]:
        """Return the ids of the machines that the cluster has lost."""
        return {node["NodeID"] for node in ray.nodes() if not node["Alive"]}


def _run_agent(code: bytes, line: bytes, module: str) -> str | None:
    """Run an agent until its end, in a process of Ray on the machine of a node, and leave nothing. Return its error.

    Ray brings this function there by its source: it cannot use what else is in this module.
    """
    import io
    import os
    import subprocess
    import sys
    import tempfile
    import zipfile

    import psutil

    with tempfile.TemporaryDirectory(prefix="gradient-code-") as folder:
        # Not as a zip file: mpirun starts one of the modules by its path.
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            archive.extractall(folder)
        sys.path.insert(0, folder)
        from gradient_server.runners.supervised.processes import become_subreaper, kill_descendants

        become_subreaper()
        search = os.pathsep.join((folder, os.path.dirname(os.path.dirname(psutil.__file__))))
        agent = subprocess.Popen(
            [sys.executable, "-P", "-X", "utf8", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env={**os.environ, "PYTHONPATH": search},
            start_new_session=True,
        )
        _, errors = agent.communicate(line)
        kill_descendants(os.getpid())  # if the agent was killed
    if not agent.returncode:
        return None
    lines = errors.decode(errors="replace").strip().splitlines() or [f"exit code {agent.returncode}"]
    return lines[-1]


_PACKAGE = os.getcwd()

if __name__ == "__main__":
    sys.exit(drive(RayCluster()))
