"""The process that runs one experiment, without a server."""

import os
import signal
import subprocess
import sys

import pytest
from attrs import evolve
from gradient_api.constants import ExperimentState as State
from gradient_api.constants import ExperimentType

from gradient_server.runners.process.environment import nodes_of
from gradient_server.runners.process.log_file import LogReader
from gradient_server.runners.process.processes import kill_run
from gradient_server.runners.process.run_files import EventReader, LaunchSpec, RunDirectory
from gradient_server.runners.process.supervisor import Outcome, outcome_of
from tests.server.runners.process.conftest import is_alive, wait_until

SUPERVISOR = [sys.executable, "-m", "gradient_server.runners.process.supervisor"]
MULTI_NODE = {
    "experimentTypeId": int(ExperimentType.GRPC_MULTI_NODE),
    "workerCommand": "work",
    "workerCount": 2,
    "parameterServerCommand": "serve",
    "parameterServerCount": 1,
}
NODES = nodes_of(["worker 1", "worker 2", "parameter server 1"], MULTI_NODE)
# A supervisor that is killed when it has started a node, and not released it yet.
KILLED_AT_THE_START_BARRIER = """
import os, signal, sys
from pathlib import Path
from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.environment import nodes_of
from gradient_server.runners.process.supervisor import NodeProcess
folder = Path(sys.argv[1])
(node,) = nodes_of(["worker"], {"experimentTypeId": 1, "command": "touch ran"})
process = NodeProcess(node, LogWriter(folder / "0.log"), folder, os.environ)
print(process.id.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
# A supervisor that tears down two nodes: one that runs, and one that has ended and whose number another process has.
TEARING_DOWN = """
import os, select, sys
from pathlib import Path
from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.environment import nodes_of
from gradient_server.runners.process.processes import ProcessId
from gradient_server.runners.process.supervisor import NodeGroup, NodeProcess, StopSignal
folder, stranger = Path(sys.argv[1]), int(sys.argv[2])
body = {"experimentTypeId": 2, "parameterServerCommand": "trap '' TERM; echo $$; while :; do sleep 1; done",
        "parameterServerCount": 1, "workerCommand": "true", "workerCount": 1}
nodes = [
    NodeProcess(node, LogWriter(folder / f"{node.name}.log"), folder, os.environ)
    for node in nodes_of(["parameter server 1", "worker 1"], body)
]
for node in nodes:
    node.release()
ended = nodes[1]
os.waitpid(ended.id.pid, 0)
select.select([nodes[0].output], [], [])
ended.id = ProcessId(stranger, ended.id.start_time)
NodeGroup(nodes, StopSignal()).tear_down(0.2)
"""


@pytest.mark.parametrize(
    ("exit_codes", "outcome"),
    [
        ({}, None),
        ({"worker 1": 0, "parameter server 1": 0}, None),
        ({"worker 1": 0, "worker 2": 0}, Outcome(State.STOPPED)),
        ({"worker 2": 1}, Outcome(State.FAILED, "The command of worker 2 ended with exit code 1")),
        (
            {"parameter server 1": -signal.SIGSEGV},
            Outcome(State.FAILED, "The command of parameter server 1 was ended by the signal SIGSEGV"),
        ),
        ({"worker 1": 3, "worker 2": 4}, Outcome(State.FAILED, "The command of worker 1 ended with exit code 3")),
        ({"worker 1": 0, "worker 2": 255}, Outcome(State.FAILED, "The command of worker 2 ended with exit code 255")),
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
    assert outcome_of(NODES[:1], {"worker 1": exit_code}) == Outcome(State.FAILED, error)


@pytest.fixture
def spec(tmp_path):
    """A run whose command leaves a line each time it runs."""
    body = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": f"echo ran >> {tmp_path}/ran"}
    return LaunchSpec(handle="es1", body=body, nodes=nodes_of(["worker"], body), grace=1.0)


@pytest.fixture
def directory(tmp_path, spec):
    """The directory of that run, which nobody has claimed."""
    directory = RunDirectory(tmp_path / "es1")
    directory.create(spec)
    return directory


def start(directory):
    return subprocess.Popen([*SUPERVISOR, str(directory.path)], stdin=subprocess.DEVNULL, start_new_session=True)


def with_command(spec, command):
    return evolve(spec, nodes=(evolve(spec.nodes[0], command=command),))


def is_unlocked(directory):
    with directory.locked() as is_locked:
        return is_locked


def states_at_end(directory):
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read() and reader.history.has_ended, "the end")
    return [state for _, state in reader.history.states]


def test_only_one_of_several_supervisors_runs_the_experiment(directory, tmp_path):
    """Servers that do not know of each other may start them. All of them report that the run is claimed."""
    assert [each.wait() for each in [start(directory) for _ in range(4)]] == [0] * 4
    assert states_at_end(directory)[-1] == State.STOPPED
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_a_run_that_has_ended_does_not_run_again(directory, spec, tmp_path):
    """Even if a server writes its spec again."""
    assert start(directory).wait() == 0
    states = states_at_end(directory)
    directory.create(spec)
    assert start(directory).wait() == 0
    wait_until(lambda: is_unlocked(directory), "the end of the supervisor")
    assert states_at_end(directory) == states
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert not list(directory.path.glob("spec*"))


def test_a_run_whose_supervisor_was_killed_does_not_run_again(directory, spec, tmp_path):
    """Nobody knows how far it had come."""
    spec = with_command(spec, f"echo ran >> {tmp_path}/ran; echo $PPID; exec sleep 60")
    directory.create(spec)
    assert start(directory).wait() == 0
    log = LogReader(directory.log(0))
    wait_until(log.count, "the row")
    ((_, _, supervisor),) = log.after(0)
    os.kill(int(supervisor), signal.SIGKILL)
    wait_until(lambda: is_unlocked(directory), "the end of the supervisor")
    directory.create(spec)
    assert start(directory).wait() == 0
    wait_until(lambda: is_unlocked(directory), "the end of the second supervisor")
    reader = EventReader(directory.events)
    reader.read()
    kill_run(reader.history.supervisor, reader.history.groups)
    assert not reader.history.has_ended
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert not list(directory.path.glob("spec*"))


def test_a_spec_that_is_written_again_while_the_run_goes_on_is_removed(directory, spec, tmp_path):
    """It may hold secrets."""
    spec = with_command(spec, f"until [ -e {tmp_path}/go ]; do sleep 0.01; done")
    directory.create(spec)
    assert start(directory).wait() == 0
    wait_until(lambda: directory.log(0).exists(), "the log")
    directory.create(spec)
    (tmp_path / "go").touch()
    states_at_end(directory)
    assert not list(directory.path.glob("spec*"))


def test_the_spec_is_readable_by_its_owner_alone_until_it_is_taken(directory, spec):
    """It may hold passwords."""
    (file,) = directory.path.glob("spec*")
    assert file.stat().st_mode & 0o777 == 0o600
    assert directory.take_spec() == spec
    assert not file.exists()


def test_a_run_that_was_stopped_before_it_was_claimed_does_not_run(directory, tmp_path):
    """The server may have been killed between the start and the stop."""
    directory.stop_request.touch()
    assert start(directory).wait() == 0
    assert states_at_end(directory) == [State.CANCELLED]
    assert not (tmp_path / "ran").exists()


def test_a_run_that_cannot_be_claimed_is_an_error_of_the_supervisor(directory):
    """The exit code says so, and standard error why."""
    directory.events.mkdir()
    process = subprocess.run([*SUPERVISOR, str(directory.path)], capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "IsADirectoryError" in process.stderr


def test_a_command_does_not_run_if_its_supervisor_is_killed_at_the_start_barrier(tmp_path):
    """Otherwise there could be a command that nobody finds again."""
    program = [sys.executable, "-c", KILLED_AT_THE_START_BARRIER, tmp_path]
    pid = int(subprocess.run(program, capture_output=True, text=True, check=False).stdout)
    wait_until(lambda: not is_alive(pid), "the end of the node")
    assert not (tmp_path / "ran").exists()


def test_tearing_down_spares_a_later_process_with_the_number_of_a_node(tmp_path, stranger):
    """The other nodes are killed."""
    subprocess.run([sys.executable, "-c", TEARING_DOWN, tmp_path, str(stranger.pid)], check=True, timeout=30)
    assert stranger.poll() is None
    (row,) = (tmp_path / "parameter server 1.log").read_text().splitlines()
    wait_until(lambda: not is_alive(int(row.split('"')[1])), "the end of the other node")


def test_the_supervisor_imports_no_web_server_or_client():
    """It starts fast. Those who download a workspace load more."""
    program = "import sys, gradient_server.runners.process.supervisor; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "psutil" in modules
    assert {"starlette", "uvicorn", "httpx", "http.client", "ssl", "jinja2", "jsonschema_rs"}.isdisjoint(modules)
