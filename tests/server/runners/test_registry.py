"""The registry of runners: one new file in `gradient_server/runners` is a runner that can be chosen."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradient_api.constants import ExperimentState as State
from hypothesis import given
from hypothesis import strategies as st

import gradient_server
from gradient_server.runners.base import entries_until, jobs_of, next_state_at, runners, state_at
from gradient_server.runners.process.runner import ProcessRunner
from gradient_server.runners.simulated import SimulatedRunner
from tests.server.conftest import PATIENCE
from tests.server.runners import skeleton

SERVER = [sys.executable, "-m", "gradient_server"]


@pytest.mark.parametrize(
    ("body", "jobs"),
    [
        ({"command": "x"}, [("worker 0", "jscn4ntbzpk5fu")]),
        (
            {"workerCount": 2, "parameterServerCount": 1},
            [("worker 0", "js3z6hnfkpkipd"), ("worker 1", "jsr5a6z55bzuux"), ("parameter server 0", "jsiajfppwol7fd")],
        ),
    ],
)
def test_nodes_count_from_0_and_their_ids_are_those_that_earlier_servers_told(body, jobs):
    """A reader goes on after `js...:12` when the next server has another version."""
    assert [(job.name, job.id) for job in jobs_of("es1", body)] == jobs


def test_runners_are_found_in_modules_and_packages():
    found = runners()
    assert (found["simulated"], found["process"]) == (SimulatedRunner, ProcessRunner)
    assert all(name == runner.name and runner.description for name, runner in found.items())


def test_a_second_runner_of_the_same_name_is_refused():
    with pytest.raises(TypeError, match="'simulated' is the name of SimulatedRunner, too"):
        type("Other", (SimulatedRunner,), {"name": "simulated"})


@pytest.fixture
def python(tmp_path) -> dict[str, Any]:
    """Return where and how to start a Python in which one new file of the server is the skeleton runner."""
    copied = tmp_path / "copy" / "gradient_server"
    shutil.copytree(Path(gradient_server.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    source = Path(skeleton.__file__).read_text()
    option = """
    @classmethod
    def add_arguments(cls, parser):
        parser.add_argument("--bones", type=int, metavar="NUMBER", help="how many bones it has")

    @classmethod
    def from_arguments(cls, options):
        print("bones:", options.bones)
        return cls()
"""
    source = source.replace("    executes_commands = False\n", f"    executes_commands = False\n{option}")
    (copied / "runners" / "skeleton.py").write_text(source)
    root = Path(gradient_server.__file__).parent.parent
    path = os.pathsep.join([str(copied.parent), str(root)])
    return {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}, "text": True}


def test_the_options_of_a_new_runner_are_in_the_help_and_refused_for_another_one(python):
    text = subprocess.check_output([*SERVER, "--help"], **python, timeout=PATIENCE)
    assert re.search(r"--runner \{\S*skeleton\S*\}", text)
    assert "skeleton: every run stops as soon as it is started" in " ".join(text.split())
    assert re.search(r"with --runner skeleton:\n +--bones NUMBER +how many bones it has\n", text)
    process = subprocess.run([*SERVER, "--bones", "3"], **python, capture_output=True, check=False)
    assert process.returncode == 2
    assert "--bones: it goes with --runner skeleton" in process.stderr


def test_a_new_runner_serves_experiments(python, tmp_path, single_node_body):
    ready = tmp_path / "ready.json"
    options = ["--runner", "skeleton", "--port", "0", "--ready-file", str(ready), "--bones", "206"]
    process = subprocess.Popen([*SERVER, *options], **python, stdout=subprocess.PIPE)
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)  # if the test fails
        assert process.stdout.readline() == "bones: 206\n"
        assert "(every run stops as soon as it is started; Ctrl-C stops it)" in process.stdout.readline()
        assert process.stdout.readline()
        server = json.loads(ready.read_text())
        with httpx.Client(headers={"X-API-Key": server["api_key"]}) as client:
            url = server["experiments_url"]
            handle = client.post(f"{url}experiments/run/", json=single_node_body).json()["handle"]
            assert client.get(f"{url}experiments/{handle}/").json()["data"]["state"] == State.STOPPED
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


TIMES = st.sampled_from([0.0, 1.0, 2.0]) | st.floats(0, 10)
TERMINAL = [State.STOPPED, State.FAILED, State.ERROR, State.CANCELLED]


@st.composite
def transitions(draw):
    """States that a run enters, or has entered so far, several of them perhaps at the same time."""
    states = [state for state in (State.PENDING, State.PROVISIONING, State.RUNNING) if draw(st.booleans())]
    states += draw(st.just([]) | st.sampled_from(TERMINAL).map(lambda state: [state]))
    times = sorted(draw(st.lists(TIMES, min_size=len(states), max_size=len(states))))
    return list(zip(times, states, strict=True))


@given(entered=transitions(), now=TIMES)
def test_the_state_at_a_time_is_the_last_one_entered_until_then(entered, now):
    past = [(timestamp, state) for timestamp, state in entered if timestamp <= now]
    assert state_at(entered, now) == (past[-1][1] if past else State.CREATED)
    assert [(timestamp, state) for state, timestamp in entries_until(entered, now).items()] == past


@given(data=st.data(), entered=transitions(), now=TIMES)
def test_the_state_stays_until_the_next_one_is_due(data, entered, now):
    """It is due at infinity if the next state is not known yet, and never (None) after a terminal one."""
    due, state = next_state_at(entered, now), state_at(entered, now)
    assert (due is None) == (state in TERMINAL)
    if due is not None:
        assert due > now
        assert due == float("inf") or state_at(entered, due) != state
        earlier = data.draw(st.floats(now, min(due, 1e9), exclude_max=due < float("inf")))
        assert state_at(entered, earlier) == state
