"""Nodes with agents on other machines: what they write, how a run ends, and what is left of it then: nothing."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised.log_file import LogReader
from tests.server.runners.conftest import LEAVING, is_alive, left_over, only_linux, wait_until
from tests.server.runners.supervised.remote_runs import RemoteRun

pytestmark = only_linux
needs_mpirun = pytest.mark.skipif(not shutil.which("mpirun"), reason="there is no mpirun (Debian: openmpi-bin)")
HOST = socket.gethostname()
APART = "PlainLauncher(has_shared_files=False)"
# Starts something else than an agent for the last node.
WITHOUT_THE_LAST = """
import subprocess
class WithoutTheLast(PlainLauncher):
    def start(self, nodes, lines):
        super().start(nodes[:-1], lines[:-1])
        self._agents.append(subprocess.Popen(["/bin/sh", "-c", "{last}"]))
"""
# Writes down what the first agent reads.
SHOWN = """
class Shown(WithoutTheLast):
    def start(self, nodes, lines):
        Path(sys.argv[1]).with_name("line").write_bytes(lines[0])
        super().start(nodes, lines)
"""
# Knows as little about its agents as the scheduler of a cluster at first.
UNAWARE = """
class Unaware(PlainLauncher):
    def problem(self):
        return None
"""
PUSHES = """
import os
from urllib.request import urlopen
urlopen(os.environ["PAPERSPACE_METRIC_PUSHGATEWAY"] + "/metrics/job/x", data=b"loss 0.5\\n")
"""
SERVES = """
import os, socket
host, _, port = os.environ["PS_HOSTS"].rpartition(":")
with socket.create_server((host, int(port))) as listener:
    connection, _ = listener.accept()
    print(connection.recv(9).decode())
"""
CONNECTS = """
import os, socket, time
host, _, port = os.environ["PS_HOSTS"].rpartition(":")
while True:
    try:
        connection = socket.create_connection((host, int(port)))
        break
    except OSError:
        time.sleep(0.01)
connection.sendall(b"hello")
connection.recv(1)
"""
# Also what is no artifact: a link that leads out, and what is in other folders.
WRITES = """
mkdir -p $PS_MODEL_PATH/deep; echo $INDEX > $PS_MODEL_PATH/same; echo own > "$PS_MODEL_PATH/deep/$TYPE $INDEX"
: > results/empty; head -c 3000000 /dev/zero > results/large; touch -d @1000000000 results/large
ln -s /etc/hostname $PS_MODEL_PATH/leads-out; echo elsewhere > data.txt
"""
SLEEPS_APART = f"{sys.executable} -c {shlex.quote(LEAVING)} sleep 60"
"""Prints the pid of a process in a session of its own."""


def python(program):
    """Return a command that runs a program."""
    return f"{sys.executable} -c {shlex.quote(program)}"


@pytest.fixture
def start(tmp_path):
    """Start a run. Nothing is left of it in the end: no process, no folder."""
    runs = []
    folders = tmp_path / "folders"
    folders.mkdir()

    def start(*, environment=(), **options):
        runs.append(RemoteRun(tmp_path, environment={"TMPDIR": str(folders), **dict(environment)}, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.close()
    wait_until(lambda: not left_over(tmp_path), "the end of all processes")
    assert list(folders.iterdir()) == []


def test_all_states_are_entered_and_rows_come_once_and_in_order(start):
    run = start(
        workerCommand="for i in $(seq 2000); do echo $TYPE $INDEX $i; done",
        workerCount=2,
        parameterServerCommand="echo $TYPE $INDEX; exec sleep 60",
        parameterServerCount=1,
    )
    assert run.end() == ("stopped", None, 0)
    for index in range(2):
        assert run.rows(index) == [f"worker {index} {i}" for i in range(1, 2001)]
    assert run.rows(2) == ["ps 0"]
    assert run.history.rows == (2000, 2000, 1)
    assert run.history.machines == (HOST, HOST, HOST)
    assert run.states == [
        *(State.PROVISIONING, State.PROVISIONED, State.NETWORK_SETTING_UP, State.NETWORK_SETUP, State.RUNNING),
        *(State.NETWORK_TEARING_DOWN, State.NETWORK_TEARDOWN, State.STOPPED),
    ]


def test_no_row_is_older_than_the_state_running(start):
    run = start(workerCommand="echo first", workerCount=3)
    run.end()
    running = next(at for at, state in run.history.states if state == State.RUNNING)
    for index in range(3):
        [(_, written, _)] = LogReader(run.directory.log(index)).after(0)
        assert written >= running - 0.001  # the clocks are compared once


def test_the_first_node_that_fails_ends_the_run(start):
    run = start(workerCommand='test "$INDEX" = 0 || exit 3; exec sleep 60', workerCount=2)
    assert run.end() == ("failed", "The command of worker 1 ended with exit code 3", 3)
    assert run.history.failed == 1


def test_a_node_that_alone_leads_ends_the_run_and_the_loss_of_another_fails_it(start):
    run = start(
        workerCommand="exec sleep 60", workerCount=1, parameterServerCommand="kill -SEGV $$", parameterServerCount=1
    )
    assert run.end() == ("failed", "The command of parameter server 0 was ended by the signal SIGSEGV", -11)


def test_a_single_node_has_an_agent_too(start):
    run = start(command="echo $WORKER_HOSTS; exit 4")
    assert run.end() == ("failed", "The command ended with exit code 4", 4)
    assert run.rows() == [""]


def test_output_of_what_a_node_leaves_behind_counts_until_the_run_ends(start):
    run = start(
        workerCommand='if [ "$INDEX" = 0 ]; then (sleep 0.3; echo late) & else sleep 0.6; fi; echo end', workerCount=2
    )
    assert run.end() == ("stopped", None, 0)
    assert run.rows(0) == ["end", "late"]


def test_rows_of_a_noisy_node_do_not_hold_up_those_of_others(start):
    run = start(
        workerCommand='test "$INDEX" = 1 || exec yes; echo ready; sleep 1; date +%s.%N; exec sleep 60', workerCount=2
    )
    wait_until(lambda: len(run.rows(1)) == 2, "the second row of the quiet node")
    assert time.time() - float(run.rows(1)[1]) < 5
    run.stop()
    assert run.end()[0] == "canceled"


def test_a_run_that_is_stopped_leaves_nothing(start):
    """Also not what ignores SIGTERM, and what has left its session."""
    run = start(workerCommand=f"trap '' TERM; {SLEEPS_APART}; echo ready; sleep 60; sleep 60", workerCount=2, grace=0.3)
    wait_until(lambda: all(run.rows(index)[1:] for index in range(2)), "the rows")
    pids = [int(run.rows(index)[0]) for index in range(2)]
    asked = time.monotonic()
    run.stop()
    assert run.end() == ("canceled", None, None)
    assert 0.3 < time.monotonic() - asked < 10
    assert not any(map(is_alive, pids))


def test_commands_have_the_grace_period_to_end(start):
    run = start(
        workerCommand="trap 'sleep 0.2; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.01; done",
        workerCount=2,
        grace=10.0,
    )
    for index in range(2):
        run.first_row(index)
    run.stop()
    assert run.end() == ("canceled", None, None)
    assert [run.rows(index)[-1] for index in range(2)] == ["saved", "saved"]


def test_a_run_can_be_stopped_while_its_agents_start(start):
    setup = WITHOUT_THE_LAST.format(last="exec sleep 60")
    run = start(workerCommand="echo never", workerCount=2, setup=setup, launcher="WithoutTheLast()")
    run.wait_for_state(State.PROVISIONING)
    time.sleep(0.3)  # an agent is there by now, on most machines
    asked = time.monotonic()
    run.stop()
    assert run.end() == ("canceled", None, None)
    assert time.monotonic() - asked < 10
    assert run.rows() == []


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_run_can_be_stopped_or_killed_while_its_machines_fetch_the_workspace(start, tmp_path, is_killed):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/project.zip"
        run = start(workerCommand="echo never", workerCount=2, launcher=APART, workspaceUrl=url)
        connections = [silent.accept()[0] for _ in range(2)]  # which get no response
        asked = time.monotonic()
        if is_killed:
            run.supervisor.kill()
            wait_until(lambda: not left_over(tmp_path), "the end of the agents")
        else:
            run.stop()
            assert run.end() == ("canceled", None, None)
    assert time.monotonic() - asked < 10
    assert run.rows() == []
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("victim", ["the agent", "its child"])
def test_an_agent_that_is_killed_ends_the_run_by_name_of_node_and_machine(start, victim):
    """What it has started is ended, even if the supervisor can do nothing."""
    run = start(
        workerCommand=f"echo $PPID; {SLEEPS_APART}; exec sleep 60",
        workerCount=2,
        setup=UNAWARE,
        launcher="Unaware(has_shared_files=False)",
    )
    wait_until(lambda: all(run.rows(index)[1:] for index in range(2)), "the rows")
    agent, left = map(int, run.rows(1))
    if victim == "the agent":
        agent = int(Path(f"/proc/{agent}/stat").read_text().rpartition(")")[2].split()[1])
    run.supervisor.send_signal(signal.SIGSTOP)
    os.kill(agent, signal.SIGKILL)
    wait_until(lambda: not is_alive(left), "the end of what its node has started")
    run.supervisor.send_signal(signal.SIGCONT)
    state, error, _ = run.end()
    assert state == "error"
    assert error.startswith(f"The machine {HOST} of worker 1 was lost while it ran: ")
    assert run.history.failed == 1


def test_an_agent_that_hangs_does_not_keep_the_run_from_ending(start):
    setup = "from gradient_server.runners.supervised import remote_nodes\nremote_nodes._END_TIMEOUT = 0.3\n"
    run = start(workerCommand="echo $PPID; exec sleep 60", workerCount=2, setup=setup, grace=0.1)
    run.first_row(1)
    os.kill(int(run.first_row(0)), signal.SIGSTOP)
    run.stop()
    assert run.end() == ("canceled", None, None)


def test_a_log_that_cannot_be_written_ends_the_run(start):
    setup = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
    run = start(workerCommand='test "$INDEX" = 0 || exec yes; exec sleep 60', workerCount=2, setup=setup)
    assert run.end() == ("error", "The log of worker 1 cannot be kept: File too large", None)
    assert set(run.rows(1)) == {"y"}


def test_an_agent_that_is_terminated_from_outside_ends_the_run(start):
    run = start(workerCommand="echo $PPID; exec sleep 60", workerCount=2)
    run.first_row(1)
    os.kill(int(run.first_row(0)), signal.SIGTERM)
    error = f"The machine {HOST} of worker 0 was lost while it ran: its agent was sent SIGTERM"
    assert run.end() == ("error", error, None)


def test_nothing_is_left_of_a_run_whose_supervisor_is_killed(start):
    run = start(workerCommand=f"{SLEEPS_APART}; echo $PPID; echo $$; exec sleep 60", workerCount=2, launcher=APART)
    wait_until(lambda: all(len(run.rows(index)) == 3 for index in range(2)), "the rows")
    os.kill(run.supervisor.pid, signal.SIGKILL)
    for pid in [int(row) for index in range(2) for row in run.rows(index)]:
        wait_until(lambda pid=pid: not is_alive(pid), "the end of a process")


def frame(text):
    """Return a message as it is sent."""
    return len(text).to_bytes(4, "big") + bytes(4) + text


def answer_to(address, sent):
    """Return what somebody receives who sends something."""
    received = b""
    with socket.create_connection(address, timeout=10) as stranger:
        stranger.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            while chunk := stranger.recv(4096):
                received += chunk
    return received


def test_strangers_are_turned_away(start, tmp_path):
    """Whoever sends garbage, a wrong proof, half of a message or nothing learns nothing and disturbs nobody."""
    setup = WITHOUT_THE_LAST.format(last=f"until test -e {tmp_path}/go; do sleep 0.1; done; exit 7") + SHOWN
    run = start(setup=setup, launcher="Shown()", workerCommand="true", workerCount=2)
    line = tmp_path / "line"
    wait_until(lambda: line.exists() and line.read_bytes(), "the address")
    host, _, port = json.loads(line.read_text())["address"].rpartition(":")
    address = host, int(port)
    hello = {"kind": "hello", "proof": "0" * 64, "challenge": "", "index": 1, "machine": "m", "host": "h", "ports": [1]}
    forged = frame(json.dumps(hello).encode())
    with socket.create_connection(address) as silent, socket.create_connection(address) as slow:
        slow.sendall(forged[:20])
        for sent in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            forged,
            bytes(8),
            b"\xff" * 4096,
            frame(b"[]"),
            frame(b"{}"),
        ):
            assert b"spec" not in answer_to(address, sent)
        assert silent.recv(4096)
        (tmp_path / "go").touch()
        error = "The machine for worker 1 cannot be used: its agent has ended with exit code 7"
        assert run.end() == ("error", error, None)


@pytest.mark.parametrize("launcher", ["PlainLauncher()", APART])
def test_a_workspace_is_shared_or_each_machine_has_its_own(start, tmp_path, launcher):
    project = tmp_path / "project"
    project.mkdir()
    (project / "data.txt").write_text("content")
    run = start(
        launcher=launcher,
        workspaceUrl=str(project),
        workerCommand="cat data.txt; echo; pwd; echo $PS_MODEL_PATH; test -d $PS_MODEL_PATH && echo there",
        workerCount=2,
    )
    assert run.end() == ("stopped", None, 0)
    (first, folder, model, there), second = run.rows(0), run.rows(1)
    assert (first, second[0], there, second[3]) == ("content", "content", "there", "there")
    is_shared = launcher == "PlainLauncher()"
    assert ([folder, model] == second[1:3]) == is_shared
    assert (folder == str(run.directory.workspace)) == is_shared
    assert Path(folder).exists() == is_shared  # what a machine has of its own is removed


def test_an_error_of_one_node_names_the_node_and_its_machine(start, tmp_path):
    """That of one is shown, although the others have the same."""
    run = start(workerCommand="true", workerCount=2, launcher=APART, workspaceUrl=str(tmp_path / "missing"))
    state, error, _ = run.end()
    assert state == "error"
    assert error.startswith(f"On the machine {HOST} of worker ")
    assert error.count("does not exist") == 1
    assert f"worker {run.history.failed}:" in error


def test_metrics_that_are_pushed_arrive(start):
    run = start(workerCommand=f'test "$INDEX" = 0 || exec {python(PUSHES)}', workerCount=2)
    assert run.end() == ("stopped", None, 0)
    pushed = [list(LogReader(run.directory.pushed(index)).after(0)) for index in range(2)]
    assert [len(samples) for samples in pushed] == [0, 1]
    assert "loss" in pushed[1][0][2]


def test_addresses_are_free_and_lead_to_the_nodes(start):
    run = start(
        workerCommand=python(CONNECTS), workerCount=1, parameterServerCommand=python(SERVES), parameterServerCount=1
    )
    assert run.end() == ("stopped", None, 0)
    assert run.rows(1) == ["hello"]


def test_commands_see_the_variables_of_their_machine(start):
    """The GPUs that a cluster has assigned are the node's alone, so that each is the first one of its machine."""
    run = start(
        workerCommand="echo $CUDA_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES $RANK $LOCAL_RANK $WORLD_SIZE ${SECRET-unset}",
        workerCount=2,
        environment={"CUDA_VISIBLE_DEVICES": "2", "ROCR_VISIBLE_DEVICES": "3", "SECRET": "x"},
    )
    assert run.end() == ("stopped", None, 0)
    assert [run.rows(index) for index in range(2)] == [["2 3 0 0 2 unset"], ["2 3 1 0 2 unset"]]


@needs_mpirun
def test_mpirun_starts_what_is_to_run_on_the_machine_of_its_node(start):
    """Nodes that share a machine are its slots."""
    run = start(
        masterCommand="mpirun -n 3 sh -c 'echo rank $OMPI_COMM_WORLD_RANK'",
        masterCount=1,
        workerCommand="exec sleep 60",
        workerCount=2,
    )
    assert run.end() == ("stopped", None, 0)
    assert sorted(run.rows(2)) == ["rank 0", "rank 1", "rank 2"]


def test_without_mpirun_the_error_names_the_machine_of_the_master(start):
    run = start(
        masterCommand="true",
        masterCount=1,
        workerCommand="exec sleep 60",
        workerCount=1,
        environment={"PATH": "/nowhere"},
    )
    state, error, _ = run.end()
    assert state == "error"
    assert error.startswith(f"On the machine {HOST} of master 0: An MPI experiment needs mpirun on ")
    assert run.history.failed == 1


@needs_mpirun
def test_what_mpirun_starts_on_another_machine_is_started_by_the_agent_there(start):
    """With the environment of the node there. Its output and its exit code come back."""
    run = start(
        masterCommand="""
            $OMPI_MCA_plm_rsh_agent 127.0.0.1 'echo "$TYPE" there;' exit 3; echo $?
            $OMPI_MCA_plm_rsh_agent 10.1.2.3 true; echo $?
        """,
        masterCount=1,
        workerCommand="exec sleep 60",
        workerCount=1,
    )
    assert run.end() == ("stopped", None, 0)
    assert run.rows(1) == ["worker there", "3", "No node of this run is on 10.1.2.3", "255"]


def test_artifacts_of_machines_with_folders_of_their_own_come_back(start):
    """Of two with the same name, that of the first leading node is kept."""
    run = start(
        launcher=APART,
        workerCommand=f'{WRITES}\ntest "$INDEX" = 1 || exec {python(CONNECTS)}',
        workerCount=2,
        parameterServerCommand=f"{WRITES}\nexec {python(SERVES)}",
        parameterServerCount=1,
        artifactDirectory="results",
    )
    assert run.end() == ("stopped", None, 0)
    artifacts = run.artifacts()
    assert {name: size for name, (size, _) in artifacts.items()} == {
        "artifacts/empty": 0,
        "artifacts/large": 3_000_000,
        **{f"model/deep/{node}": 4 for node in ("ps 0", "worker 0", "worker 1")},
        "model/same": 2,
    }
    assert artifacts["artifacts/large"][1] == 1_000_000_000
    assert run.directory.storage.joinpath("models", "same").read_text() == "0\n"


def test_artifacts_come_back_from_a_run_that_is_stopped(start):
    command = "trap 'echo last > $PS_MODEL_PATH/checkpoint; exit' TERM; echo ready; while :; do sleep 0.01; done"
    run = start(launcher=APART, workerCommand=command, workerCount=1)
    run.first_row()
    run.stop()
    assert run.end() == ("canceled", None, None)
    assert list(run.artifacts()) == ["model/checkpoint"]
