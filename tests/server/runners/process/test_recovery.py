"""`kill -9` at any time, of the server or of a supervisor: no row is lost, nothing runs twice, nothing is left over."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from tests.server.runners.process.conftest import PATIENCE, is_alive, left_over, only_linux, wait_until
from tests.server.runners.process.test_stopping import LEAVING

SERVER = Path(__file__).with_name("minimal_server.py")


class Servers:
    """Servers that use the same directory one after the other, and what their clients have seen."""

    def __init__(self, directory):
        self.directory = directory
        self.path = directory.parent / "store.json"
        self.store = {"epoch": time.time(), "slots": 2, "experiments": []}
        self.rows, self.outcomes, self.wrong = {}, {}, []
        self.process = None

    def add(self, handle, command, started):
        body = {"experimentTypeId": 1, "name": handle, "projectHandle": "p", "command": command}
        self.store["experiments"].append({"handle": handle, "body": body, "started": started})

    def start(self):
        self.path.write_text(json.dumps(self.store))
        program = [sys.executable, str(SERVER), str(self.directory), str(self.path)]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        self.reading = threading.Thread(target=self._read, args=[self.process.stdout])
        self.reading.start()

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENCE)
        self.reading.join(PATIENCE)

    def _read(self, output):
        with output:
            for line in output:
                if not line.endswith("\n"):
                    break
                handle, number, message, *error = json.loads(line)
                if error:
                    self.outcomes[handle] = (number, *error)
                # Every client sees the same rows from the first on.
                elif self.rows.setdefault(handle, {}).setdefault(number, message) != message:
                    self.wrong.append((handle, number, message))


@pytest.fixture
def servers(tmp_path):
    made = Servers(tmp_path / "runs")
    yield made
    if made.process and made.process.poll() is None:
        made.kill()
    for pid in left_over(tmp_path):
        os.kill(pid, signal.SIGKILL)


def test_runs_survive_servers_that_are_killed_at_any_time(servers, tmp_path, request):
    """The next server takes them over with every row, and each of them runs exactly once."""
    kills, length = max(10, request.config.option.examples // 5), 40
    chance = random.Random(1)
    rows = f"i=0; while [ $i -lt {length} ]; do echo row $i; i=$((i+1)); sleep 0.01; done"
    command = f"echo $EXPERIMENT_NAME >> {tmp_path}/ran; {rows}"
    for number in range(kills):
        servers.add(f"es{number}", command, float(number))
    for _ in range(kills):
        servers.start()
        time.sleep(chance.uniform(0, 1.2))
        servers.kill()
    servers.start()
    wait_until(lambda: len(servers.outcomes) == kills, "the end of all", PATIENCE + 2 * kills)
    servers.kill()
    assert servers.wrong == []
    assert servers.outcomes == {f"es{number}": (State.STOPPED, None) for number in range(kills)}
    expected = {line: f"row {line - 1}" for line in range(1, length + 1)} | {length + 1: END_OF_LOG}
    assert servers.rows == {f"es{number}": expected for number in range(kills)}
    assert Counter((tmp_path / "ran").read_text().split()) == {f"es{number}": 1 for number in range(kills)}
    wait_until(lambda: left_over(tmp_path) == [], "that nothing is left")


def test_the_queue_keeps_the_order_in_which_runs_were_started(make_bench, tmp_path):
    """Whatever the order in which the next server admits them."""
    bench = make_bench(slots=1, recover=False)
    runs = [bench.admit(f"echo {start} >> {tmp_path}/order", started=start) for start in (3.0, 1.0, 2.0)]
    bench.runner.recover()
    bench.wait_for_end(*runs)
    assert (tmp_path / "order").read_text().split() == ["1.0", "2.0", "3.0"]


@pytest.fixture
def abandoned(make_bench, tmp_path):
    """Start a run that prints some pids, and end its server. Return the directory of all runs, and the pids."""

    def abandon(command, count):
        bench = make_bench(tmp_path / "kept", keep=True)
        run = bench.run(command, handle="es1")
        pids = bench.pids(run, count)
        bench.runner.close()
        return bench.directory, pids

    return abandon


def test_a_run_without_an_experiment_is_stopped_and_kept(make_bench, abandoned):
    """As when the store is lost."""
    directory, (pid,) = abandoned("echo $$; exec sleep 60", 1)
    assert is_alive(pid)
    make_bench(directory, keep=True)
    wait_until(lambda: not is_alive(pid), "the end of the command")
    kept, lock = sorted(path.name for path in directory.iterdir())
    assert (kept.startswith("kept-es1-"), lock) == (True, "lock")
    wait_until(lambda: left_over(directory) == [], "that nothing is left")


def test_a_run_that_an_earlier_server_was_deleting_is_deleted(make_bench, abandoned):
    """It is stopped first."""
    directory, (pid,) = abandoned("echo $$; exec sleep 60", 1)
    (directory / "es1").rename(directory / ".forgotten-es1-0")
    make_bench(directory, keep=True)
    wait_until(lambda: not is_alive(pid), "the end of the command")
    wait_until(lambda: [path.name for path in directory.iterdir()] == ["lock"], "the removal")


@only_linux
def test_a_run_whose_supervisor_is_killed_ends_with_an_error(bench):
    """Its processes are killed. Those that have left their group are found by a variable in their environment."""
    leave = f'{sys.executable} -c "{LEAVING}" sleep 60'
    command = f"echo $PPID; echo $$; sleep 60 & echo $!; {leave}; wait"
    run = bench.run(command, experimentEnv={"GRADIENT_RUN": "an experiment cannot override it"})
    supervisor, *commands = bench.pids(run, 4)
    os.kill(supervisor, signal.SIGKILL)
    bench.wait_for_end(run)
    state, error = bench.outcome(run)
    assert (state, "was killed" in error) == ("error", True)
    assert not any(map(is_alive, commands))
    assert run.rows(4, 10, bench.clock.now())[0][1].message == END_OF_LOG


def test_a_supervisor_that_is_killed_while_there_is_no_server_is_noticed_by_the_next(make_bench, abandoned):
    """Later servers report the same error."""
    directory, (supervisor, command) = abandoned("echo $PPID; echo $$; sleep 60", 2)
    os.kill(supervisor, signal.SIGKILL)
    errors = []
    for _ in range(2):
        bench = make_bench(directory, keep=True, recover=False)
        run = bench.admit("true", handle="es1", started=0.0)
        bench.runner.recover()
        wait_until(lambda bench=bench, run=run: bench.state(run) == State.ERROR, "the error")
        errors.append(run.error(bench.clock.now()))
        assert not is_alive(command)
        bench.runner.close()
    assert "was killed" in errors[0]
    assert errors[0] == errors[1]


def test_supervisors_can_be_killed_at_any_time(make_bench, tmp_path):
    """Each run ends with its outcome or an error, runs once at most, and leaves nothing."""
    bench = make_bench(slots=4)
    chance = random.Random(2)
    runs = [bench.run(f"echo {number} >> {tmp_path}/ran; echo one; sleep 0.1; echo two") for number in range(24)]
    while not all(bench.state(run) in TERMINAL_STATES for run in runs):
        time.sleep(chance.uniform(0, 0.1))
        supervisors = [pid for pid in left_over(bench.directory) if b"process.supervisor" in command_of(pid)]
        if supervisors:
            os.kill(chance.choice(supervisors), signal.SIGKILL)
    ran = (tmp_path / "ran").read_text().split()
    assert len(ran) == len(set(ran))
    for number, run in enumerate(runs):
        state, error = bench.outcome(run)
        assert state in ("stopped", "error"), (number, state, error)
        if state == "stopped":
            assert bench.rows(run) == ["one", "two"]
    wait_until(lambda: left_over(bench.directory) == [])


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
