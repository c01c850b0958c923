"""Clusters, and servers whose runs are on them; `make test-cluster` runs these tests."""

import contextlib
import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gradient_api.constants import TERMINAL_STATES

from gradient import ExperimentsClient
from tests.cluster.machines import SERVER, why_impossible
from tests.cluster.ray_cluster import RayCluster, why_no_ray
from tests.cluster.slurm_cluster import SlurmCluster, why_no_slurm
from tests.e2e.chaos.server_process import ServerProcess

MACHINE_TYPES = """
[half]
cpus = 1

[whole]
cpus = 2

[P100]
cpus = 2
[P100.slurm]
constraint = "P100"
[P100.ray.labels]
machine = "P100"

[m3]
cpus = 2
[m3.slurm]
constraint = "third"
[m3.ray.labels]
host = "third"

[gpu]
gpus = 1

[many]
gpus = 8
"""
_ports = itertools.count(8421)


@pytest.fixture
def can_have_machines() -> None:
    skip_if(why_impossible())


class Lab:
    """A cluster, and how servers use it.

    :param str engine: slurm or ray
    :param cluster: the cluster
    """

    def __init__(self, engine: str, cluster: SlurmCluster | RayCluster) -> None:
        self.engine, self.cluster = engine, cluster

    @contextlib.contextmanager
    def server(self, folder: Path) -> Iterator[ServerProcess]:
        """Serve with the store in a folder, for the time of a block. Runs must not be left over."""
        types = folder / "machines.toml"
        types.write_text(MACHINE_TYPES)
        options = ["--runner", self.engine, "--machine-types", str(types), "--grace", "2"]
        options += ["--api-key", "ohGhe7caiw0shooPeeyeiG7a"]
        if isinstance(self.cluster, RayCluster):
            # The machines fetch uploads from it, in a network that it shares with them alone.
            port = str(next(_ports))
            options += ["--host", SERVER, "--expose", "--port", port, "--nodes-url", f"http://{SERVER}:{port}"]
            options += ["--ray-address", self.cluster.address]
            if token := self.cluster.token:
                (folder / "token").touch(0o600)
                (folder / "token").write_text(token)
                options += ["--ray-token-file", str(folder / "token")]
            if self.cluster.has_redis:
                options += ["--ray-driver-on", "kind=worker"]
        with contextlib.closing(ServerProcess(folder, *options)) as server:
            yield server

    def processes(self, text: str) -> list[psutil.Process]:
        """Return the processes on all machines whose arguments or environment have a text."""
        found = []
        for machine in self.cluster.machines.all:
            for process in machine.processes():
                with contextlib.suppress(psutil.Error):
                    if text in f"{process.cmdline()} {process.environ()}":
                        found.append(process)
        return found

    def files_with(self, text: str) -> list[str]:
        """Return the files of the engine that have a text: those of its state, of its jobs and its logs."""
        command = ["grep", "--recursive", "--files-with-matches", "--fixed-strings", "--devices=skip"]
        return subprocess.run(
            [*command, text, str(self.cluster.folder)], stdout=subprocess.PIPE, text=True
        ).stdout.split()


@contextlib.contextmanager
def lab_of(engine: str, *, redis: bool = False, token: str = "") -> Iterator[Lab]:
    """Have a cluster for the time of a block. The test is skipped if there can be none."""
    if engine == "slurm":
        skip_if(why_no_slurm())
        cluster = SlurmCluster()
    else:
        skip_if(why_no_ray(redis=redis))
        cluster = RayCluster(redis=redis, token=token)
    with cluster:
        yield Lab(engine, cluster)


@pytest.fixture(scope="module", params=["slurm", "ray"])
def lab(request) -> Iterator[Lab]:
    """A cluster that tests share; each leaves it as it was."""
    with lab_of(request.param) as lab:
        yield lab


@pytest.fixture(scope="module")
def shared_server(lab, tmp_path_factory) -> Iterator[ServerProcess]:
    """A server that tests share which let it live."""
    with lab.server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def client(shared_server) -> Iterator[ExperimentsClient]:
    with shared_server.client() as client:
        yield client
        # A test that has failed is no reason for the next one to wait.
        for experiment in client.list():
            if experiment.state not in TERMINAL_STATES:
                client.stop(experiment.id)


def skip_if(reason: str | None) -> None:
    if reason:
        pytest.skip(reason)
