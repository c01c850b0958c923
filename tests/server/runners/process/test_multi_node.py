"""Runs of several nodes."""

import json
import shutil
import subprocess
import sys

import pytest
from gradient_api.constants import END_OF_LOG, ExperimentType

from tests.server.runners.process.conftest import is_alive


def multi_node(workers="true", servers="exec sleep 60", worker_count=2, server_count=1):
    return {
        "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
        "workerCommand": workers,
        "workerCount": worker_count,
        "parameterServerCommand": servers,
        "parameterServerCount": server_count,
    }


def mpi(master, workers="exec sleep 60", worker_count=2):
    return {
        "experimentTypeId": int(ExperimentType.MPI_MULTI_NODE),
        "workerCommand": workers,
        "workerCount": worker_count,
        "masterCommand": master,
        "masterCount": 1,
    }


def test_every_node_is_a_job_with_its_own_log(bench):
    """Rows are ordered by line, then by job."""
    workers = "echo $TYPE $INDEX; while [ ! -e up ]; do sleep 0.01; done"
    run = bench.done(**multi_node(workers, "echo $TYPE $INDEX; touch up; exec sleep 60"))
    assert bench.outcome(run) == ("stopped", None)
    assert [job.name for job in run.jobs] == ["worker 1", "worker 2", "parameter server 1"]
    rows = [(row.line, job.name, row.message) for job, row in run.rows(0, 100, bench.clock.now())]
    assert rows == [
        (1, "worker 1", "worker 0"),
        (1, "worker 2", "worker 1"),
        (1, "parameter server 1", "ps 0"),
        (2, "worker 1", END_OF_LOG),
        (2, "worker 2", END_OF_LOG),
        (2, "parameter server 1", END_OF_LOG),
    ]


def test_parameter_servers_are_stopped_when_the_last_worker_has_ended(bench):
    """Whatever their exit codes are then, the run has not failed."""
    run = bench.done(**multi_node("exit 0", "trap 'exit 9' TERM; echo $$; while :; do sleep 0.05; done"))
    assert bench.outcome(run) == ("stopped", None)
    assert not any(is_alive(int(row)) for row in bench.rows(run, "parameter server 1") if row.isdigit())


def test_a_failed_worker_fails_the_run_and_stops_the_others(bench):
    """The error names it."""
    run = bench.done(**multi_node('echo $$; [ "$INDEX" = 0 ] || exit 4; exec sleep 60'))
    assert bench.outcome(run) == ("failed", "The command of worker 2 ended with exit code 4")
    assert not any(is_alive(int(row)) for row in bench.rows(run, "worker 1"))


def test_workers_can_connect_to_parameter_servers(bench):
    """At the addresses in their environment."""
    listen = (
        "import os, socket; host, port = os.environ['PS_HOSTS'].split(':'); "
        "s = socket.create_server((host, int(port))); [s.accept()[0].sendall(b'weights') for _ in range(2)]"
    )
    connect = """
import os, socket, time
host, port = os.environ["PS_HOSTS"].split(":")
while True:
    try:
        print(socket.create_connection((host, int(port))).recv(100).decode())
        break
    except ConnectionRefusedError:
        time.sleep(0.01)
"""
    run = bench.done(**multi_node(f"{sys.executable} -c '{connect}'", f'{sys.executable} -c "{listen}"'))
    assert bench.outcome(run) == ("stopped", None)
    assert [bench.rows(run, f"worker {number}") for number in (1, 2)] == [["weights"]] * 2


def test_the_first_row_of_each_job_names_its_own_ignored_parameters(bench):
    """And those of the whole experiment."""
    run = bench.done(**multi_node("true", "true"), workerContainer="a", parameterServerContainer="b", clusterId="c")
    found = {job.name: row.message for job, row in run.rows(0, 3, bench.clock.now())}
    text = "This runs as a process of the server's machine: {} and clusterId are not used."
    assert found["worker 1"] == found["worker 2"] == text.format("workerContainer a")
    assert found["parameter server 1"] == text.format("parameterServerContainer b")


@pytest.fixture(scope="module")
def gradient_utils(tmp_path_factory):
    """The published library that programs use inside of experiments, in a folder of its own."""
    folder = tmp_path_factory.mktemp("gradient-utils")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), "gradient-utils==0.5.0"]
    try:
        said = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("gradient-utils 0.5.0 could not be installed within two minutes")
    if said.returncode:
        pytest.skip(f"gradient-utils 0.5.0 cannot be installed here: {said.stderr.strip()[-200:]}")
    return folder


USING = """
import json, os
from gradient_utils import data_dir, export_dir, get_tf_config, job_name, model_dir, ps_hosts, task_index, worker_hosts
from gradient_utils.metrics.env import get_workload_id, get_workload_type

get_tf_config()
print(json.dumps({
    "tf_config": json.loads(os.environ["TF_CONFIG"]), "job_name": job_name(), "task_index": task_index(),
    "worker_hosts": worker_hosts(), "ps_hosts": ps_hosts(), "data_dir": data_dir(), "model_dir": model_dir("m"),
    "export_dir": export_dir(), "workload": [get_workload_type(), get_workload_id()],
}))
"""


def test_gradient_utils_works_unchanged(bench, gradient_utils):
    """It finds in every node what it found on the hosted service."""
    bench.directory.joinpath("using.py").write_text(USING)
    command = f"{sys.executable} {bench.directory}/using.py"
    env = {"PYTHONPATH": str(gradient_utils)}
    run = bench.done(**multi_node(command, command, 3, 2), experimentEnv=env, modelPath="/storage/models/mine")
    assert bench.outcome(run) == ("stopped", None), bench.rows(run, "worker 1")
    nodes = {job.name: json.loads(bench.rows(run, job.name)[0]) for job in run.jobs}
    workers = nodes["worker 1"]["worker_hosts"].split(",")
    servers = nodes["worker 1"]["ps_hosts"].split(",")
    assert (len(set(workers)), len(set(servers))) == (3, 2)
    storage = bench.directory / "es1" / "storage"
    tasks = {}
    for title, found in nodes.items():
        assert found["worker_hosts"] == ",".join(workers)
        assert found["ps_hosts"] == ",".join(servers)
        assert found["tf_config"]["cluster"] == {"master": workers[:1], "worker": workers[1:], "ps": servers}
        assert found["tf_config"]["environment"] == "cloud"
        assert found["data_dir"] == str(storage)
        assert found["model_dir"] == str(storage / "models/mine/m")
        assert found["export_dir"] == str(storage / "models/mine")
        assert found["workload"] == ["experiment", "es1"]
        tasks[title] = (found["job_name"], found["task_index"], *found["tf_config"]["task"].values())
    assert tasks == {
        "worker 1": ("worker", "0", "master", 0),
        "worker 2": ("worker", "1", "worker", 0),
        "worker 3": ("worker", "2", "worker", 1),
        "parameter server 1": ("ps", "0", "ps", 0),
        "parameter server 2": ("ps", "1", "ps", 1),
    }


@pytest.mark.skipif(not shutil.which("mpirun"), reason="there is no mpirun (Debian: openmpi-bin)")
def test_mpirun_starts_processes_on_all_nodes(bench):
    """By itself and with the host file. The workers are stopped when the master has ended."""
    rank = 'echo "$OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE"'
    run = bench.done(
        **mpi(f"mpirun sh -c '{rank}'; mpirun --hostfile $OMPI_MCA_orte_default_hostfile -np 2 echo again")
    )
    assert bench.outcome(run) == ("stopped", None), bench.rows(run, "master 1")
    assert sorted(bench.rows(run, "master 1")) == ["0 of 3", "1 of 3", "2 of 3", "again", "again"]
    assert (bench.directory / run.handle / "hostfile").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not shutil.which("mpirun"), reason="there is no mpirun (Debian: openmpi-bin)")
def test_stopping_an_mpi_run_ends_the_processes_of_mpirun(bench):
    """Which are in process groups of their own."""
    run = bench.run(**mpi("mpirun sh -c 'echo $$; exec sleep 60'"))
    ranks = bench.pids(run, 3, "master 1")
    run.stop(bench.clock.now())
    bench.wait_for_end(run)
    assert not any(map(is_alive, ranks))


def test_an_mpi_run_without_mpirun_ends_with_an_error(bench, monkeypatch, tmp_path):
    """The error says how to install it."""
    for name in ("sh", "ps"):
        tmp_path.joinpath(name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    run = bench.done(**mpi("true"))
    state, error = bench.outcome(run)
    assert state == "error"
    assert "needs mpirun" in error
    assert "openmpi-bin" in error
