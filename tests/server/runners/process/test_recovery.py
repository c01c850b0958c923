"""`kill -9` at any time, of the server or of a supervisor: no row is lost, nothing runs twice, nothing is left over."""

import json
import os
import random
import shutil
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

from tests.server.runners.process.conftest import PATIENCE, is_alive, only_linux, wait_until
from tests.server.runners.process.test_stopping import LEAVING

SERVER = Path(__file__).with_name("minimal_server.py")


class Servers:
    """Servers that use the same directory one after the other, and what their clients have seen."""

    def __init__(self, directory, slots=2):
        self.directory = directory
        self.path = directory.parent / "store.json"
        self.store = {"epoch": time.time(), "slots": slots, "experiments": []}
        self.rows, self.outcomes, self.wrong = {}, {}, []
        self.process = None

    def add(self, handle, command, *, started=0.0, **given):
        body = {"experimentTypeId": 1, "name": handle, "projectHandle": "p", "command": command}
        self.store["experiments"].append({"handle": handle, "body": body, "started": started, **given})

    def start(self):
        self.path.write_text(json.dumps(self.store))
        program = [sys.executable, str(SERVER), str(self.directory), str(self.path)]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        self.reading = threading.Thread(target=self._read, args=[self.process.stdout])
        self.reading.start()

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
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
        made.end()
    for pid in left_over(tmp_path):
        os.kill(pid, signal.SIGKILL)


def left_over(directory):
    """Return the other processes that name a directory in their arguments or environment. Only on Linux."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(directory).encode() in text and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def test_runs_survive_servers_that_are_killed_at_any_time(servers, tmp_path, request):
    """The next server takes them over with every row, and each of them runs exactly once."""
    kills, length = max(10, request.config.option.examples // 5), 40
    chance = random.Random(1)
    rows = f"i=0; while [ $i -lt {length} ]; do echo row $i; i=$((i+1)); sleep 0.01; done"
    command = f"echo $EXPERIMENT_NAME >> {tmp_path}/ran; {rows}"
    for number in range(kills):
        servers.add(f"es{number}", command, started=float(number))
    for _ in range(kills):
        servers.start()
        time.sleep(chance.uniform(0, 1.2))
        servers.end()
    servers.start()
    wait_until(lambda: len(servers.outcomes) == kills, "the end of all", PATIENCE + 2 * kills)
    servers.end()
    assert servers.wrong == []
    assert servers.outcomes == {f"es{number}": (State.STOPPED, None) for number in range(kills)}
    expected = {line: f"row {line - 1}" for line in range(1, length + 1)} | {length + 1: END_OF_LOG}
    assert servers.rows == {f"es{number}": expected for number in range(kills)}
    assert Counter((tmp_path / "ran").read_text().split()) == {f"es{number}": 1 for number in range(kills)}
    wait_until(lambda: left_over(tmp_path) == [], "that nothing is left")


def test_the_queue_keeps_its_order_across_servers(servers, tmp_path):
    """Runs that have ended do not run again."""
    servers.store["slots"] = 1
    for number, started in enumerate([3.0, 1.0, 2.0]):
        servers.add(f"es{number}", f"echo {number} >> {tmp_path}/order", started=started)
    servers.start()
    wait_until(lambda: len(servers.outcomes) == 3)
    servers.end()
    servers.outcomes.clear()
    servers.start()
    wait_until(lambda: len(servers.outcomes) == 3)
    assert (tmp_path / "order").read_text().split() == ["1", "2", "0"]


def test_a_run_whose_directory_was_removed_between_servers_does_not_run_again(servers, tmp_path):
    """Later runs have run, so it has; one that was still waiting runs."""
    for number in range(3):
        servers.add(f"es{number}", f"echo {number} >> {tmp_path}/order", started=float(number))
    servers.start()
    wait_until(lambda: len(servers.outcomes) == 3)
    servers.end()
    servers.outcomes.clear()
    shutil.rmtree(servers.directory / "es1")
    servers.add("es3", f"echo 3 >> {tmp_path}/order", started=3.0)
    servers.start()
    wait_until(lambda: len(servers.outcomes) == 4)
    assert sorted((tmp_path / "order").read_text().split()) == ["0", "1", "2", "3"]
    state, error = servers.outcomes["es1"]
    assert (state, "have been removed" in error) == (State.ERROR, True)


def test_runs_go_on_when_the_server_ends(servers, tmp_path):
    """The next server follows them to their end."""
    servers.add("es1", f"echo $$; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; echo end")
    servers.start()
    wait_until(lambda: servers.rows.get("es1"))
    servers.end(signal.SIGTERM)
    assert servers.process.returncode == 0
    (tmp_path / "go").touch()
    servers.start()
    wait_until(lambda: servers.outcomes)
    assert list(servers.rows["es1"].values())[1:] == ["end", END_OF_LOG]


def test_a_stop_that_a_killed_server_has_only_stored_is_done_by_the_next_one(servers):
    """For a run that is running, and for one that was never started."""
    servers.add("es1", "echo $$; exec sleep 60")
    servers.add("es2", "exec sleep 60", started=None, stopped=2.0)
    servers.start()
    wait_until(lambda: servers.rows.get("es1"))
    servers.end()
    servers.store["experiments"][0]["stopped"] = 1.0
    servers.start()
    wait_until(lambda: len(servers.outcomes) == 2)
    assert servers.outcomes == {"es1": (State.CANCELLED, None), "es2": (State.CANCELLED, None)}
    assert not is_alive(int(servers.rows["es1"][1]))


def test_a_run_without_an_experiment_is_stopped_and_kept(servers, tmp_path):
    """As when the store is lost."""
    servers.add("es1", "echo $$; exec sleep 60")
    servers.start()
    wait_until(lambda: servers.rows.get("es1"))
    servers.end()
    servers.store["experiments"].clear()
    servers.start()
    wait_until(lambda: not is_alive(int(servers.rows["es1"][1])))
    kept, lock = sorted(path.name for path in servers.directory.iterdir())
    assert (kept.startswith("kept-es1-"), lock) == (True, "lock")
    wait_until(lambda: left_over(tmp_path) == [servers.process.pid], "that nothing is left")


def test_a_run_that_a_killed_server_was_deleting_is_deleted(servers):
    """It is stopped first."""
    servers.add("es1", "echo $$; exec sleep 60")
    servers.start()
    wait_until(lambda: servers.rows.get("es1"))
    servers.end()
    (servers.directory / "es1").rename(servers.directory / ".forgotten-es1-0")
    servers.store["experiments"].clear()
    servers.start()
    wait_until(lambda: not is_alive(int(servers.rows["es1"][1])))
    wait_until(lambda: [path.name for path in servers.directory.iterdir()] == ["lock"])


@pytest.mark.parametrize("when", ["while a server follows", "while no server is there"])
def test_a_run_whose_supervisor_is_killed_ends_with_an_error(servers, when):
    """Its processes are killed, and later servers report the same error."""
    servers.add("es1", "echo $PPID; echo $$; sleep 60 & echo $!; wait")
    servers.start()
    wait_until(lambda: len(servers.rows.get("es1", {})) == 3)
    supervisor, *commands = map(int, servers.rows["es1"].values())
    if when == "while no server is there":
        servers.end()
    os.kill(supervisor, signal.SIGKILL)
    if when == "while no server is there":
        servers.start()
    wait_until(lambda: servers.outcomes)
    state, error = servers.outcomes["es1"]
    assert state == State.ERROR
    assert "was killed" in error
    assert not any(map(is_alive, commands))
    assert servers.rows["es1"][4] == END_OF_LOG
    servers.end()
    servers.start()
    wait_until(lambda: servers.outcomes)
    assert servers.outcomes["es1"] == (state, error)


@only_linux
def test_processes_that_have_left_their_group_are_killed_without_a_supervisor(servers):
    """They are found by a variable in their environment."""
    servers.add("es1", f'echo $PPID; {sys.executable} -c "{LEAVING}" sleep 60; wait; sleep 60')
    servers.start()
    wait_until(lambda: len(servers.rows.get("es1", {})) == 2)
    supervisor, left = map(int, servers.rows["es1"].values())
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: servers.outcomes)
    assert not is_alive(left)


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
