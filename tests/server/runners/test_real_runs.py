"""`python -m gradient_server --runner process`: what somebody finds who starts it, and starts it again."""

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

from gradient import ExperimentsClient, PermissionDeniedError

PATIENCE = 30
SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "m"}
# Whoever runs it is told nothing but what the server has printed.
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
    """A user who has nothing yet, and what is started there."""

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
        """Start a server with real runs, and give a client of it that has read the ready file."""
        process = self.launch("--runner", "process", "--ready-file", str(self.ready_file), *options, **given)
        wait_until(lambda: self.ready_file.exists() or process.poll() is not None)
        assert process.poll() is None, process.communicate()
        places = json.loads(self.ready_file.read_text())
        return process, ExperimentsClient(
            places["api_key"], base_url=places["experiments_url"], logs_url=places["logs_url"]
        )

    def refused(self, *options: str) -> tuple[int, str]:
        """Start one that gives up at once: its exit code, and the one line that it says."""
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


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end(process: subprocess.Popen) -> None:
    """End a server in good order."""
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0


@pytest.fixture(params=[False, True], ids=["default", "XDG_STATE_HOME"])
def home(tmp_path, request):
    there = {"XDG_STATE_HOME": str(tmp_path / "home" / "kept here")} if request.param else {}
    made = Home(tmp_path / "home", **there)
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


@pytest.fixture
def plain_home(tmp_path):
    made = Home(tmp_path / "home")
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def folder_of(home: Home) -> Path:
    """Where `--help` says that things are kept."""
    state = home.environment.get("XDG_STATE_HOME")
    return (Path(state) if state else home.path / ".local" / "state") / "gradient-experiments"


def test_the_printed_lines_are_enough(home):
    """A client finds server and key, runs commands, reads what they print, sees how they ended, and stops one."""
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


def test_what_is_kept_is_where_it_is_said_to_be(home):
    """In the folder of the user's state that `--help` names; whatever the umask is, nobody else can read it."""
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


def test_the_key_stays_the_same(plain_home):
    """A server that is started again has the key that its clients know; another key opens nothing."""
    first, client = plain_home.serve()
    key = json.loads(plain_home.ready_file.read_text())["api_key"]
    client.close()
    end(first)
    _, client = plain_home.serve()
    client.close()
    ready = json.loads(plain_home.ready_file.read_text())
    assert ready["api_key"] == key
    with (
        ExperimentsClient("gradient-local", base_url=ready["experiments_url"], logs_url=ready["logs_url"]) as stranger,
        pytest.raises(PermissionDeniedError),
    ):
        stranger.list()


def test_an_orderly_end_leaves_a_run_going(plain_home):
    """The next server finds it, and follows it to its end."""
    go = plain_home.path / "go"
    process, client = plain_home.serve()
    with client:
        handle = client.run_single_node(**SMALL, command=f"echo $$; while [ ! -e {go} ]; do sleep 0.02; done; echo end")
        rows = client.yield_logs(handle)
        pid = next(int(row.message) for row in rows if row.message.isdigit())
        rows.close()
    end(process)
    assert is_alive(pid)
    _, client = plain_home.serve()
    with client:
        assert client.state(handle) == State.RUNNING
        assert [each.id for each in client.list()] == [handle]
        go.touch()
        assert [row.message for row in client.yield_logs(handle)][1:3] == [str(pid), "end"]
        assert client.wait(handle).state == State.STOPPED
    wait_until(lambda: not is_alive(pid))


def test_a_second_server_with_the_same_store(plain_home):
    """It is refused with the name of the file, and the first one goes on."""
    _, client = plain_home.serve()
    with client:
        code, line = plain_home.refused("--runner", "process")
        assert code == 1
        assert f"--store {folder_of(plain_home) / 'experiments'}: another server is using it" in line
        assert client.list() == []


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
def test_what_cannot_be_with_real_runs(plain_home, options, reasons):
    """One line says why and what would be right, the exit code is 2, and nothing is made."""
    code, line = plain_home.refused("--runner", "process", *options)
    assert code == 2
    assert [reason for reason in reasons if reason not in line] == []
    assert list(plain_home.path.iterdir()) == []


@pytest.mark.parametrize("options", [("--slots", "2"), ("--grace", "0"), ("--expose",)], ids=" ".join)
def test_what_only_real_runs_have(plain_home, options):
    """It is refused for simulated ones, for which it would mean nothing."""
    code, line = plain_home.refused(*options)
    assert code == 2
    assert f"{options[0]}: " in line
    assert "--runner simulated" in line


@pytest.mark.parametrize(("first", "second"), [("simulated", "process"), ("process", "simulated")])
def test_a_store_of_another_runner(plain_home, first, second):
    """What one runner has run, the other one would run again, or forget: it is refused, with what would be right."""
    store = str(plain_home.path / "store")
    process = plain_home.launch("--runner", first, "--store", store)
    assert process.stdout.readline()
    end(process)
    code, line = plain_home.refused("--runner", second, "--store", store)
    assert code == 1
    assert f"--store {store}: its experiments are run by another runner ({first}; this server has {second})" in line
    assert "take another file" in line


def test_a_folder_that_is_not_the_users_alone(plain_home):
    """Where others could put files of theirs, nothing is kept, also where the key is given."""
    folder = folder_of(plain_home)
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    for options in ((), ("--api-key", "k" * 20)):
        code, line = plain_home.refused("--runner", "process", *options)
        assert code == 1
        assert f"{folder}: others may use it (mode 777); chmod 700" in line
