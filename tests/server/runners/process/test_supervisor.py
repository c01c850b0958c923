"""The program that runs one experiment, without a server."""

import os
import signal
import subprocess
import sys

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.events import EventReader
from gradient_server.runners.process.log_file import LogReader
from gradient_server.runners.process.nodes import nodes_of
from gradient_server.runners.process.run_directory import RunDirectory
from gradient_server.runners.process.supervised_run import Spec
from gradient_server.runners.process.taking_over import end_all_of
from tests.server.runners.process.conftest import wait_until


@pytest.fixture
def spec(tmp_path):
    """A run that leaves a line each time it runs."""
    body = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": f"echo ran >> {tmp_path}/ran"}
    return Spec(handle="es1", body=body, nodes=nodes_of(["worker"], body), grace=1.0).as_json()


@pytest.fixture
def directory(tmp_path, spec):
    """The directory of that run, which nobody has claimed."""
    made = RunDirectory(tmp_path / "es1")
    made.make(spec)
    return made


def begin(directory):
    program = [sys.executable, "-m", "gradient_server.runners.process.supervisor", str(directory.path)]
    return subprocess.Popen(program, stdin=subprocess.DEVNULL, start_new_session=True)


def history_at_end(directory):
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read_on() and reader.history.has_ended, "the end")
    return reader.history


def test_of_several_one_runs_the_experiment(directory, tmp_path):
    """However many are started, by servers that know nothing of each other: it runs once, and all say that it does."""
    assert [each.wait() for each in [begin(directory) for _ in range(4)]] == [0] * 4
    assert [state for _, state in history_at_end(directory).states][-1] == State.STOPPED
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_what_has_run_does_not_run_again(directory, spec, tmp_path):
    """A run that is claimed is never started, also when it has ended, and when a server says what to run."""
    assert begin(directory).wait() == 0
    states = history_at_end(directory).states
    directory.make(spec)
    assert begin(directory).wait() == 0
    wait_until(lambda: is_free(directory))
    assert history_at_end(directory).states == states
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert not list(directory.path.glob("spec*"))


def test_what_was_killed_does_not_run_again(tmp_path):
    """Nobody knows how far it had come; what of it has been claimed has perhaps been done."""
    body = {"experimentTypeId": 1, "command": f"echo ran >> {tmp_path}/ran; echo $PPID; exec sleep 60"}
    spec = Spec(handle="es1", body=body, nodes=nodes_of(["worker"], body), grace=1.0).as_json()
    directory = RunDirectory(tmp_path / "es1")
    directory.make(spec)
    assert begin(directory).wait() == 0
    log = LogReader(directory.log(0))
    wait_until(log.count, "the row")
    ((_, _, supervisor),) = log.after(0)
    os.kill(int(supervisor), signal.SIGKILL)
    wait_until(lambda: is_free(directory), "the end of the supervisor")
    directory.make(spec)
    assert begin(directory).wait() == 0
    wait_until(lambda: is_free(directory))
    reader = EventReader(directory.events)
    reader.read_on()
    end_all_of(reader.history)
    assert not reader.history.has_ended
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert not list(directory.path.glob("spec*"))


def test_what_is_written_down_once_more_while_it_runs_does_not_stay(directory, spec, tmp_path):
    """A server that did not know that it runs may have done that; there may be secrets in it."""
    spec["nodes"][0]["command"] = f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"
    directory.make(spec)
    assert begin(directory).wait() == 0
    wait_until(lambda: directory.log(0).exists(), "the log")
    directory.make(spec)
    (tmp_path / "go").touch()
    history_at_end(directory)
    assert not list(directory.path.glob("spec*"))


def test_nobody_else_can_read_what_is_to_be_run(directory):
    """There may be passwords in it, and in the environment of its commands."""
    (made,) = directory.path.glob("spec*")
    assert made.stat().st_mode & 0o777 == 0o600
    directory.take_spec()
    assert not made.exists()


def test_what_was_stopped_before_does_not_run(directory, tmp_path):
    """A server may have been told after it had started the supervisor, and not know that."""
    directory.stop.touch()
    assert begin(directory).wait() == 0
    assert [state for _, state in history_at_end(directory).states] == [State.CANCELLED]
    assert not (tmp_path / "ran").exists()


def test_what_cannot_be_claimed_is_said(directory):
    """By the exit code, and by what went wrong."""
    directory.events.mkdir()
    process = subprocess.run(
        [sys.executable, "-m", "gradient_server.runners.process.supervisor", str(directory.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "IsADirectoryError" in process.stderr


def is_free(directory):
    with directory.locked() as is_alone:
        return is_alone
