"""The nodes of a run: how the run ends, and what is left of it then: nothing."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from gradient_api.constants import ExperimentState as State
from gradient_api.constants import ExperimentType

from gradient_server.runners.supervised import node_group
from gradient_server.runners.supervised.environment import nodes_of
from gradient_server.runners.supervised.log_file import LogReader, LogWriter
from gradient_server.runners.supervised.node_group import NodeProcess, Outcome, outcome_of
from tests.server.runners.conftest import LEAVING, is_alive, only_linux, stop, wait_until

needs_mpirun = pytest.mark.skipif(not shutil.which("mpirun"), reason="there is no mpirun (Debian: openmpi-bin)")
MULTI_NODE = {
    "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
    "workerCommand": "true",
    "workerCount": 2,
    "parameterServerCommand": "exec sleep 60",
    "parameterServerCount": 1,
}
MPI = {
    "experimentTypeId": int(ExperimentType.MPI_MULTI_NODE),
    "workerCommand": "exec sleep 60",
    "workerCount": 2,
    "masterCommand": "true",
    "masterCount": 1,
}
NODES = nodes_of(["worker 0", "worker 1", "parameter server 0"], MULTI_NODE)
# A supervisor that is killed when it has started a node, and not released it yet.
KILLED_AT_THE_START_BARRIER = """
import os, signal, sys
from pathlib import Path
from gradient_server.runners.supervised.log_file import LogWriter
from gradient_server.runners.supervised.environment import nodes_of
from gradient_server.runners.supervised.node_group import NodeProcess
folder = Path(sys.argv[1])
(node,) = nodes_of(["worker 0"], {"experimentTypeId": 1, "command": "touch ran"})
process = NodeProcess(node, LogWriter(folder / "0.log"), folder, os.environ)
print(process.id.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
# A supervisor that tears down two nodes: one that runs, and one that has ended and whose number another process has.
TEARING_DOWN = """
import os, select, sys
from pathlib import Path
from gradient_server.runners.supervised.log_file import LogWriter
from gradient_server.runners.supervised.environment import nodes_of
from gradient_server.runners.supervised.node_group import NodeGroup, NodeProcess, StopSignal
from gradient_server.runners.supervised.processes import ProcessId
folder, stranger = Path(sys.argv[1]), int(sys.argv[2])
body = {"experimentTypeId": 2, "parameterServerCommand": "trap '' TERM; echo $$; while :; do sleep 1; done",
        "parameterServerCount": 1, "workerCommand": "true", "workerCount": 1}
nodes = [
    NodeProcess(node, LogWriter(folder / f"{node.name}.log"), folder, os.environ)
    for node in nodes_of(["parameter server 0", "worker 0"], body)
]
for node in nodes:
    node.release()
ended = nodes[1]
os.waitpid(ended.id.pid, 0)
select.select([nodes[0].output], [], [])
ended.id = ProcessId(stranger, ended.id.start_time)
NodeGroup(nodes, StopSignal()).tear_down(0.2)
"""


def failed(node, exit_code, how):
    return Outcome(State.FAILED, f"The command of {node} {how}", exit_code, node)


@pytest.mark.parametrize(
    ("exit_codes", "outcome"),
    [
        ({}, None),
        ({"worker 0": 0, "parameter server 0": 0}, None),
        ({"worker 0": 0, "worker 1": 0}, Outcome(State.STOPPED, exit_code=0)),
        ({"worker 1": 1}, failed("worker 1", 1, "ended with exit code 1")),
        ({"parameter server 0": -signal.SIGSEGV}, failed("parameter server 0", -11, "was ended by the signal SIGSEGV")),
        ({"worker 0": 3, "worker 1": 4}, failed("worker 0", 3, "ended with exit code 3")),
        ({"worker 0": 0, "worker 1": 255}, failed("worker 1", 255, "ended with exit code 255")),
    ],
)
def test_a_run_ends_with_its_workers_or_with_the_first_failure(exit_codes, outcome):
    """Parameter servers may run on when the last worker has ended; they must not fail."""
    assert outcome_of(NODES, exit_codes) == outcome


@pytest.mark.parametrize(
    ("exit_code", "error"),
    [
        (200, "The command ended with exit code 200"),
        (127, "The command ended with exit code 127 (command not found)"),
        (137, "The command ended with exit code 137 (SIGKILL)"),
        (-15, "The command was ended by the signal SIGTERM"),
        (-99, "The command was ended by the signal 99"),
    ],
)
def test_exit_codes_are_explained(exit_code, error):
    """A shell reports the signal that has killed its last command as 128 and more."""
    assert outcome_of(NODES[:1], {"worker 0": exit_code}) == Outcome(State.FAILED, error, exit_code, "worker 0")


def test_a_progress_bar_is_a_row_at_intervals_while_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(node_group, "_REDRAW_INTERVAL", 0.3)
    bar = "i=0; while :; do i=$((i+1)); printf '\\r%s|' $i; sleep 0.01; done"
    (node,) = nodes_of(["worker 0"], {"experimentTypeId": 1, "command": bar})
    log = LogWriter(tmp_path / "0.log")
    process = NodeProcess(node, log, tmp_path, os.environ)
    process.release()
    began = time.monotonic()
    try:
        while log.count < 2 and time.monotonic() < began + 20:
            process.read()
            process.flush_partial_line()
            time.sleep(0.001)
        assert time.monotonic() - began > 0.6
    finally:
        os.killpg(process.id.pid, signal.SIGKILL)
        process.set_exit_code(os.waitpid(process.id.pid, 0)[1])
        process.drain()
        log.close()
    states = [int(message.rstrip("|")) for _, _, message in LogReader(tmp_path / "0.log").after(0)]
    assert len(states) in (2, 3)  # the last one is what was drawn before the end
    assert states == sorted(set(states))
    assert states[0] > 1


def test_a_command_does_not_run_if_its_supervisor_is_killed_at_the_start_barrier(tmp_path):
    """Otherwise there could be a command that nobody finds again."""
    program = [sys.executable, "-c", KILLED_AT_THE_START_BARRIER, tmp_path]
    pid = int(subprocess.run(program, capture_output=True, text=True, check=False).stdout)
    wait_until(lambda: not is_alive(pid), "the end of the node")
    assert not (tmp_path / "ran").exists()


def test_tearing_down_spares_a_later_process_with_the_number_of_a_node(tmp_path, stranger):
    subprocess.run([sys.executable, "-c", TEARING_DOWN, tmp_path, str(stranger.pid)], check=True, timeout=30)
    assert stranger.poll() is None
    (row,) = (tmp_path / "parameter server 0.log").read_text().splitlines()
    wait_until(lambda: not is_alive(int(row.split('"')[1])), "the end of the other node")


def test_stopping_a_run_ends_its_processes_and_cancels_it(bench):
    run = bench.run("echo $$; sleep 60 & echo $!; wait")
    running = bench.pids(run, 2)
    stop(bench, run)
    assert bench.outcome(run) == ("canceled", None)
    assert not any(map(is_alive, running))


def test_background_processes_end_with_the_command(bench):
    run = bench.done("sleep 60 & echo $!")
    assert bench.outcome(run) == ("stopped", None)
    assert not is_alive(bench.pids(run)[0])


def test_the_last_output_of_a_command_that_handles_sigterm_is_in_the_log(bench):
    run = bench.run("trap 'echo saving; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    bench.wait_for_row(run, "ready")
    stop(bench, run)
    rows = bench.rows(run)  # the shell prints in between how its child has ended
    assert (rows[0], rows[-1]) == ("ready", "saving")
    assert bench.outcome(run) == ("canceled", None)


def test_processes_that_ignore_sigterm_are_killed_after_the_grace_period(make_bench):
    """In the whole group."""
    bench = make_bench(grace=0.3)
    run = bench.run("trap '' TERM; echo $$; (trap '' TERM; while :; do sleep 1; done) & echo $!; wait")
    running = bench.pids(run, 2)
    begin = bench.clock.now()
    stop(bench, run)
    assert 0.3 < bench.clock.now() - begin < 5
    assert not any(map(is_alive, running))


@only_linux
def test_processes_in_sessions_of_their_own_are_killed(make_bench):
    bench = make_bench(grace=0.3)
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    leave = f'{sys.executable} -c "{LEAVING}" sh -c "{stubborn}"'
    run = bench.run(f"{leave}; {leave}; wait; sleep 60")
    running = bench.pids(run, 2)
    stop(bench, run)
    assert not any(map(is_alive, running))


SAVING = shlex.quote("trap 'echo saved; exit' TERM; touch ready; while :; do sleep 0.05; done")
WHEN_READY = "until [ -e ready ]; do sleep 0.01; done"


@only_linux
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(f"setsid -w sh -c {SAVING} & trap '' TERM; {WHEN_READY}; echo go; wait", id="its parent goes on"),
        pytest.param(f"(setsid sh -c {SAVING} &); {WHEN_READY}; echo go; wait; sleep 60", id="it has lost its parent"),
        pytest.param(f"setsid sh -c {SAVING} & {WHEN_READY}; kill -STOP $!; echo go; wait", id="it is stopped"),
        pytest.param(f"sh -c {SAVING} & {WHEN_READY}; kill -STOP $!; echo go; wait", id="its group, it is stopped"),
    ],
)
def test_processes_outside_of_the_group_and_stopped_ones_can_handle_sigterm(make_bench, command):
    bench = make_bench(grace=10)
    run = bench.run(command)
    bench.wait_for_row(run, "go")
    begin = bench.clock.now()
    stop(bench, run)
    assert "saved" in bench.rows(run)
    assert bench.clock.now() - begin < 5


@only_linux
def test_processes_in_sessions_of_their_own_can_handle_sigterm_when_the_command_has_ended(make_bench):
    bench = make_bench(grace=10)
    assert "saved" in bench.rows(bench.done(f"setsid sh -c {SAVING} & {WHEN_READY}"))


@only_linux
def test_what_a_command_starts_to_handle_sigterm_is_not_terminated(make_bench):
    """For example to copy its checkpoint somewhere. SIGKILL comes after the grace period, and not before."""
    bench = make_bench(grace=10)
    save = "setsid -w sh -c 'sleep 0.5; echo saved'; (sleep 0.1; echo too) & wait; exit"
    run = bench.run(f"trap {shlex.quote(save)} TERM; echo go; while :; do sleep 0.05; done")
    bench.wait_for_row(run, "go")
    stop(bench, run)
    assert bench.rows(run)[-2:] == ["saved", "too"]


def test_a_failed_worker_fails_the_run_and_stops_the_others(bench):
    run = bench.done(**{**MULTI_NODE, "workerCommand": 'echo $$; [ "$INDEX" = 0 ] || exit 4; exec sleep 60'})
    assert bench.outcome(run) == ("failed", "The command of worker 1 ended with exit code 4")
    assert not any(is_alive(int(row)) for row in bench.rows(run, "worker 0"))


def test_parameter_servers_are_stopped_when_the_last_worker_has_ended(bench):
    """Whatever their exit codes are then, the run has not failed."""
    serve = "trap 'exit 9' TERM; echo $$; while :; do sleep 0.05; done"
    run = bench.done(**{**MULTI_NODE, "parameterServerCommand": serve})
    assert bench.outcome(run) == ("stopped", None)
    assert not any(is_alive(int(row)) for row in bench.rows(run, "parameter server 0") if row.isdigit())


@needs_mpirun
def test_mpirun_starts_processes_on_all_nodes(bench):
    """By itself and with the host file. The workers are stopped when the master has ended."""
    rank = 'echo "$OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE"'
    command = f"mpirun sh -c '{rank}'; mpirun --hostfile $OMPI_MCA_orte_default_hostfile -np 2 echo again"
    run = bench.done(**{**MPI, "masterCommand": command})
    assert bench.outcome(run) == ("stopped", None), bench.rows(run, "master 0")
    assert sorted(bench.rows(run, "master 0")) == ["0 of 3", "1 of 3", "2 of 3", "again", "again"]
    assert (bench.directory / run.handle / "hostfile").stat().st_mode & 0o777 == 0o600


@needs_mpirun
def test_stopping_an_mpi_run_ends_the_processes_of_mpirun(bench):
    """They are in process groups of their own."""
    run = bench.run(**{**MPI, "masterCommand": "mpirun sh -c 'echo $$; exec sleep 60'"})
    ranks = bench.pids(run, 3, "master 0")
    stop(bench, run)
    assert not any(map(is_alive, ranks))


def test_the_error_of_an_mpi_run_without_mpirun_says_how_to_install_it(bench, monkeypatch, tmp_path):
    for name in ("sh", "ps"):
        tmp_path.joinpath(name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    state, error = bench.outcome(bench.done(**MPI))
    assert state == "error"
    assert "needs mpirun" in error
    assert "openmpi-bin" in error
