"""Nodes whose agents are on other machines, without an engine: what only a network can show."""

import time

import pytest

from tests.cluster.machines import SERVER, Machines, missing_packages
from tests.server.runners.conftest import wait_until
from tests.server.runners.supervised.remote_runs import RemoteRun

pytestmark = pytest.mark.usefixtures("can_have_machines")
needs_mpirun = pytest.mark.skipif(
    missing_packages({"mpirun": "openmpi-bin"}) is not None, reason="there is no mpirun (Debian: openmpi-bin)"
)
# Starts the agent of each node on a machine of its own. What these know does not reach the supervisor by itself.
ON_MACHINES = """
class OnMachines(PlainLauncher):
    def _command(self, index):
        space = ["nsenter", "--target", {pids}[index], "--net", "--pid", "--mount", "--uts", "--"]
        return [*space, *super()._command(index)]
    def problem(self):
        return None
"""


@pytest.fixture
def machines(tmp_path):
    folder = tmp_path / "machines"
    folder.mkdir()
    with Machines(3, folder) as machines:
        yield machines


@pytest.fixture
def start(tmp_path, machines):
    """Start a run with a node on each machine, and the supervisor here."""
    runs = []

    def start(*, is_shared=True, **options):
        setup = ON_MACHINES.format(pids=[str(machine._pid()) for machine in machines.all])
        launcher = f"OnMachines(has_shared_files={is_shared})"
        runs.append(RemoteRun(tmp_path, setup=setup, launcher=launcher, host=SERVER, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


def test_nodes_learn_the_addresses_of_the_machines_of_others(start):
    run = start(
        workerCommand="echo $WORKER_HOSTS $MASTER_ADDR $LOCAL_RANK | sed 's/:[0-9]*//g'",
        workerCount=2,
        parameterServerCommand="exec sleep 60",
        parameterServerCount=1,
    )
    assert run.end() == ("stopped", None, 0)
    assert run.history.machines == ("m1", "m2", "m3")
    assert [run.rows(index) for index in range(2)] == [["10.77.0.1,10.77.0.2 10.77.0.1 0"]] * 2


@needs_mpirun
@pytest.mark.parametrize("is_shared", [True, False])
def test_mpirun_starts_ranks_on_the_machines_of_all_nodes(start, is_shared):
    """Without ssh; where the machines share no files, each rank is in the workspace of its machine."""
    run = start(
        masterCommand="mpirun -n 3 sh -c 'touch here; echo $(hostname) $TYPE $(ls)'",
        masterCount=1,
        workerCommand="exec sleep 60",
        workerCount=2,
        is_shared=is_shared,
    )
    assert run.end() == ("stopped", None, 0)
    assert sorted(run.rows(2)) == ["m1 worker here", "m2 worker here", "m3 master here"]


@needs_mpirun
def test_mpirun_fails_if_a_machine_cannot_start_its_daemon(start):
    run = start(
        masterCommand="mpirun -n 3 true || exit 9",
        masterCount=1,
        workerCommand="exec sleep 60",
        workerCount=2,
        experimentEnv={"OMPI_MCA_orte_launch_agent": "missing-daemon"},
    )
    assert run.end() == ("failed", "The command of master 0 ended with exit code 9", 9)
    assert any("missing-daemon" in row and "not found" in row for row in run.rows(2))


def test_a_machine_that_loses_its_power_ends_the_run_by_its_name(start, machines):
    """No connection is closed; the kernel finds out that nobody answers any more."""
    run = start(workerCommand="echo ready; exec sleep 60", workerCount=3)
    for index in range(3):
        run.first_row(index)
    machines["m2"].kill()
    cut = time.monotonic()
    wait_until(lambda: run.history.has_ended, "the end", patience=40)
    assert time.monotonic() - cut < 30
    state, error, _ = run.end()
    assert state == "error"
    assert error.startswith("The machine m2 of worker 1 was lost while it ran: ")
    assert all(machine.processes() == [] for machine in (machines["m1"], machines["m3"]))
