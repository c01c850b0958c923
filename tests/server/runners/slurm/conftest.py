"""A Slurm that runs jobs on this machine, and runners that use it."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gradient_server.runners.base import Run
from gradient_server.runners.slurm import SlurmRunner
from gradient_server.runners.slurm import monitor as monitor_module
from tests.server.runners.conftest import Bench
from tests.server.runners.slurm.local_slurm import LocalSlurm


class SlurmBench(Bench):
    """A runner of Slurm, and the runs that a test starts."""

    def __init__(self, directory: Path, **options: object) -> None:
        self.runs: list[Run] = []
        self.is_closed = False
        super().__init__(directory, **options)

    def make_runner(self, directory: Path, **options: object) -> SlurmRunner:
        return SlurmRunner(directory, **{"grace": 1.0, **options})

    def run(self, command: str = "true", **given: object) -> Run:
        run = super().run(command, **given)
        self.runs.append(run)
        return run

    def close(self) -> None:
        """End the runner as a server does that ends; what runs goes on."""
        if not self.is_closed:
            self.is_closed = True
            self.runner.close()

    def end(self) -> None:
        """End all runs, too."""
        if not self.is_closed:
            for run in self.runs:
                run.delete()
            self.close()


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> LocalSlurm:
    if sys.platform != "linux":
        pytest.skip("only Linux finds all processes of a job")
    found = LocalSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", str(found.bin), prepend=os.pathsep)
    # The files of this machine are up to date at once.
    monkeypatch.setattr(monitor_module, "_FILES_AFTER", 0.1)
    return found


@pytest.fixture
def make_bench(tmp_path, slurm) -> Iterator[Callable[..., SlurmBench]]:
    with contextlib.ExitStack() as opened:

        def make(directory: Path = tmp_path / "runs", *, recover: bool = True, **options: object) -> SlurmBench:
            bench = SlurmBench(directory, **options)
            opened.callback(bench.end)
            if recover:
                bench.runner.recover()
            return bench

        yield make


@pytest.fixture
def bench(make_bench) -> SlurmBench:
    return make_bench()
