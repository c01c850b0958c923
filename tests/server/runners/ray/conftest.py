"""A runner on a cluster of this machine, and ways to break the two apart."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gradient_server.runners.base import Run
from gradient_server.runners.ray import RayRunner
from tests.server.runners.conftest import Bench
from tests.server.runners.ray.local_cluster import LocalCluster


class RayBench(Bench):
    """A runner, and the runs that a test starts."""

    def __init__(self, cluster: LocalCluster, directory: Path, **options: object) -> None:
        self._cluster = cluster
        self._is_closed = False
        super().__init__(directory, **options)

    def make_runner(self, directory: Path, **options: object) -> RayRunner:
        return RayRunner(directory, **{"address": self._cluster.url, "grace": 1.0, **options})

    def close(self) -> None:
        """End the runner, as at the end of a server. Done once."""
        if not self._is_closed:
            self._is_closed = True
            self.runner.close()

    def take_over(self, run: Run, command: str, **given: object) -> Run:
        """Return a run of an earlier server, of which this one knows that it was started."""
        started = run.transitions[0][0]
        return self.admit(command, handle=run.handle, started=started, recorded=run.recorded, **given)


@pytest.fixture
def cluster(tmp_path) -> Iterator[LocalCluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with contextlib.closing(LocalCluster(folder)) as made:
        yield made


@pytest.fixture
def make_bench(cluster, tmp_path) -> Iterator[Callable[..., RayBench]]:
    with contextlib.ExitStack() as opened:

        def make(*, recover: bool = True, **options: object) -> RayBench:
            bench = RayBench(cluster, tmp_path / "runs", **options)
            opened.callback(bench.close)
            if recover:
                bench.runner.recover()
            return bench

        yield make


@pytest.fixture
def bench(make_bench) -> RayBench:
    return make_bench()
