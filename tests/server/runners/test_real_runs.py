"""`python -m gradient_server --runner process`, as a user starts it, and starts it again."""

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentState as State

from gradient import ExperimentsClient

PATIENCE = 30
SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "m"}
# A client that knows only what the server has printed.
CLIENT = """
import json
from gradient import ExperimentsClient

client = ExperimentsClient()
run = lambda command: client.run_single_node(name="n", project_id="p", container="c", machine_type="m", command=command)
good, bad, long = run("echo one; echo two >&2"), run("exit 3"), run("echo begun; exec sleep 600")
rows = [row.message for row in client.yield_logs(good)]
for row in client.yield_logs(long):
    if row.message == "begun":
        client.stop(long)
found = [client.wait(each, raise_on_failure=False) for each in (good, bad, long)]
print(json.dumps([rows, [each.state for each in found], [each.experiment_error for each in found]]))
"""
OPEN_TO_ALL = "import os, runpy; os.umask(0); runpy.run_module('gradient_server', run_name='__main__', alter_sys=True)"


class Home:
    """The home of a new user, and the servers that are started there."""

    def __init__(self, home: Path, **environment: str) -> None:
        home.mkdir()
        self.path = home
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "100", **environment}
        self.ready_file = home / "ready.json"
        self.processes: list[subprocess.Popen] = []

    def launch(self, *options: str, program: tuple[str, ...] = ("-m", "gradient_server")) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *program, "--port", "0", *options],
            env=self.environment,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        watchdog = threading.Timer(2 * PATIENCE, process.kill)
        watchdog.daemon = True
        watchdog.start()
        return process

    def serve(self, *options: str, **given) -> tuple[subprocess.Popen, ExperimentsClient]:
        """Start a server with real runs. Return it with a client that is configured from the ready file."""
        process = self.launch("--runner", "process", "--ready-file", str(self.ready_file), *options, **given)
        wait_until(lambda: self.ready_file.exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        places = json.loads(self.ready_file.read_text())
        return process, ExperimentsClient(
            places["api_key"], base_url=places["experiments_url"], logs_url=places["logs_url"]
        )

    def refused(self, *options: str) -> tuple[int, str]:
        """Start a server that fails at once. Return its exit code, and the one line that it prints."""
        process = self.launch(*options)
        output, errors = process.communicate(timeout=PATIENCE)
        assert output == ""
        assert errors.count("\n") == 1, errors
        return process.returncode, errors


def wait_until(true) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def end(process: subprocess.Popen) -> None:
    """End a server with SIGTERM."""
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0


@pytest.fixture
def make_home(tmp_path):
    homes = []

    def make(**environment):
        homes.append(Home(tmp_path / "home", **environment))
        return homes[-1]

    yield make
    for process in (process for home in homes for process in home.processes):
        process.kill()
        process.communicate()


@pytest.fixture(params=[False, True], ids=["default", "XDG_STATE_HOME"])
def home(make_home, tmp_path, request):
    return make_home(**({"XDG_STATE_HOME": str(tmp_path / "home" / "kept here")} if request.param else {}))


@pytest.fixture
def plain_home(make_home):
    return make_home()


def folder_of(home: Home) -> Path:
    """Return where `--help` says that files are kept."""
    state = home.environment.get("XDG_STATE_HOME")
    return (Path(state) if state else home.path / ".local" / "state") / "gradient-experiments"


def test_the_printed_lines_are_all_that_a_client_needs(home):
    """With them it finds the server and its key, runs commands, reads their logs, and stops one."""
    process = home.launch("--runner", "process", "--slots", "2")
    address, *lines = (process.stdout.readline().rstrip("\n") for _ in range(4))
    assert "(commands run on this machine; Ctrl-C stops it)" in address
    assert lines[-1].startswith("# In a browser: http://127.0.0.1:")
    assert lines[-1].endswith(f"/ with the key in {str(folder_of(home) / 'config.json')!r}")
    script = "\n".join([*lines, f'exec {shlex.quote(sys.executable)} -c "$0"'])
    bare = {"PATH": os.environ["PATH"], "HOME": str(home.path), "PAPERSPACE_API_KEY": "of another server"}
    shell = subprocess.run(["sh", "-c", script, CLIENT], env=bare, capture_output=True, text=True, timeout=2 * PATIENCE)
    assert shell.stderr == ""
    (notice, *rows), states, errors = json.loads(shell.stdout)
    assert notice == "This runs as a process of the server's machine: container c and machineType m are not used."
    assert rows[:2] == ["one", "two"]
    assert states == [State.STOPPED, State.FAILED, State.CANCELLED]
    assert errors[0] is None
    assert "3" in errors[1]
    assert errors[2] is None


def test_files_are_where_help_says_and_private(home):
    """Whatever the umask is, nobody else can read them."""
    process, client = home.serve(program=("-c", OPEN_TO_ALL))
    with client:
        handle = client.run_single_node(**SMALL, command="echo one > file; echo two")
        client.wait(handle)
    folder = folder_of(home)
    end(process)
    assert json.loads((folder / "config.json").read_text()).keys() == {"apiKey"}
    assert {"config.json", "experiments", "experiments.runs"} <= {path.name for path in folder.iterdir()}
    run = folder / "experiments.runs" / handle
    assert (run / "workspace" / "file").read_text() == "one\n"
    for path in (folder, *folder.iterdir(), run, *run.iterdir(), *(run / "jobs").iterdir()):
        # What commands make is as they make it, in a folder that nobody else can enter.
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or path.parent == run / "workspace", path
    home.environment["COLUMNS"] = "1000"
    said = home.launch("--help").communicate(timeout=PATIENCE)[0]
    for name in (folder.name, "~/.local/state", "config.json", "experiments.runs"):
        assert name in said


def test_runs_go_on_when_the_server_ends(plain_home):
    """The next server follows them to their end."""
    go = plain_home.path / "go"
    process, client = plain_home.serve()
    with client:
        handle = client.run_single_node(**SMALL, command=f"echo one; until [ -e {go} ]; do sleep 0.02; done; echo two")
        wait_until(lambda: "one" in [row.message for row in client.logs(handle)])
    end(process)
    _, client = plain_home.serve()
    with client:
        assert client.state(handle) == State.RUNNING
        go.touch()
        assert [row.message for row in client.yield_logs(handle)][1:3] == ["one", "two"]
        assert client.wait(handle).state == State.STOPPED


@pytest.mark.parametrize(
    ("options", "reasons"),
    [
        (("--time-scale", "5"), ["--time-scale", "commands run in real time"]),
        (("--host", "0.0.0.0"), ["--host 0.0.0.0", "can run any command here as you", "--expose"]),
        (("--slots", "0"), ["--slots", "from 1 to 1000"]),
        (("--grace", "-1"), ["--grace", "from 0 to 3600"]),
        (("--api-key", "too-short"), ["--api-key", "at least 20 characters", "a random one is made"]),
        (("--runner", "cluster"), ["--runner", "simulated", "process"]),
    ],
    ids=lambda found: " ".join(found) if isinstance(found, tuple) else None,
)
def test_options_that_real_runs_do_not_allow_are_refused(plain_home, options, reasons):
    """One line says why and what would be right, and nothing is created."""
    code, line = plain_home.refused("--runner", "process", *options)
    assert code == 2
    assert [reason for reason in reasons if reason not in line] == []
    assert list(plain_home.path.iterdir()) == []


@pytest.mark.parametrize("options", [("--slots", "2"), ("--grace", "0"), ("--expose",)], ids=" ".join)
def test_options_of_real_runs_are_refused_for_simulated_ones(plain_home, options):
    """They would mean nothing."""
    code, line = plain_home.refused(*options)
    assert code == 2
    assert f"{options[0]}: " in line
    assert "--runner simulated" in line
