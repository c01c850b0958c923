"""`python -m gradient_server --runner process`, as a user starts it."""

import contextlib
import json
import os
import re
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

from gradient import BadRequestError, ExperimentsClient
from gradient_server.cli import parse_options

TIMEOUT = 60
# A client that knows only what the server has printed.
CLIENT = """
import json
from gradient import BadRequestError, ExperimentsClient

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

WITHOUT_DELAY = """
import runpy
from gradient_server import retention
retention.INTERVAL, retention.GRACE_PERIOD = 0.05, 0.0
runpy.run_module("gradient_server", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def home(tmp_path) -> Path:
    """The home of a new user."""
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def launch(home):
    """Start a server of that user."""
    processes = []

    def launch(
        *options: str, program: tuple[str, ...] = ("-m", "gradient_server"), stderr=subprocess.PIPE, **variables: str
    ):
        process = subprocess.Popen(
            [sys.executable, *program, "--port", "0", "--runner", "process", *options],
            env={"PATH": os.environ["PATH"], "HOME": str(home), **variables},
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        processes.append(process)
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.daemon = True
        watchdog.start()
        return process

    yield launch
    for process in processes:
        process.kill()
        process.communicate()


def test_the_printed_lines_are_all_that_a_client_needs(home, launch):
    """With them it finds the server and its key, runs commands, reads their logs, and stops one."""
    process = launch("--slots", "2")
    address, *lines = (process.stdout.readline().rstrip("\n") for _ in range(5))
    assert "(commands run on this machine; Ctrl-C stops it)" in address
    assert lines[-2].startswith("# In a browser, once and within an hour: http://127.0.0.1:")
    assert lines[-1].startswith("# In a browser later: http://127.0.0.1:")
    assert lines[-1].endswith(f"/ with the key in {str(home / '.local/state/gradient-experiments/config.json')!r}")
    script = "\n".join([*lines, f'exec {shlex.quote(sys.executable)} -c "$0"'])
    bare = {"PATH": os.environ["PATH"], "HOME": str(home), "PAPERSPACE_API_KEY": "of another server"}
    shell = subprocess.run(["sh", "-c", script, CLIENT], env=bare, capture_output=True, text=True, timeout=TIMEOUT)
    assert shell.stderr == ""
    rows, states, errors = json.loads(shell.stdout)
    assert rows == ["one", "two"]
    assert states == [State.STOPPED, State.FAILED, State.CANCELLED]
    assert errors == [None, "The command ended with exit code 3", None]


def test_files_are_in_the_state_folder_of_the_user_and_private_whatever_the_umask_is(home, launch):
    ready = home / "ready.json"
    process = launch("--ready-file", str(ready), program=("-c", OPEN_TO_ALL), XDG_STATE_HOME=str(home / "kept here"))
    with served(process, ready) as client:
        command = "echo one > file; echo two"
        handle = client.run_single_node(name="n", project_id="p", container="c", machine_type="m", command=command)
        client.wait(handle)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    folder = home / "kept here" / "gradient-experiments"
    assert json.loads((folder / "config.json").read_text()).keys() == {"apiKey"}
    assert {"config.json", "experiments", "experiments.runs"} <= {path.name for path in folder.iterdir()}
    run = folder / "experiments.runs" / handle
    assert (run / "workspace" / "file").read_text() == "one\n"
    for path in (folder, *folder.iterdir(), run, *run.iterdir(), *(run / "jobs").iterdir()):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def served(process, ready):
    """Wait until a server serves, and return a client of it."""
    deadline = time.monotonic() + TIMEOUT
    while not ready.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    server = json.loads(ready.read_text())
    return ExperimentsClient(server["api_key"], base_url=server["experiments_url"], logs_url=server["logs_url"])


def stopped(process, ready, number=signal.SIGINT):
    """Stop a server, and return the lines of its console, without their times and with one duration for all."""
    process.send_signal(number)
    lines = process.communicate(timeout=TIMEOUT)[1].splitlines()
    assert process.returncode == 0
    assert not ready.exists()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines), lines
    return [re.sub(r"after \d+\.\d s", "after 0.1 s", line[9:]) for line in lines]


RUN = {"project_id": "p", "container": "c", "machine_type": "m"}


def test_the_console_has_a_line_for_each_run_that_starts_and_ends_and_names_once_what_commands_do_not_get(home, launch):
    """And no colours: names of experiments cannot bring any either."""
    ready = home / "ready.json"
    variables = {"WANDB_MODE": "offline", "WANDB_KEY": "sesame", "SHLVL": "1"}
    process = launch("--ready-file", str(ready), "--slots", "1", "--pass-env", "WANDB_M*", **variables)
    with served(process, ready) as client:
        commands = [("good", 'echo "$WANDB_MODE$WANDB_KEY"'), ("\x1b[31mred", "exit 3"), ("gone", "true")]
        ids = []
        for name, command in commands:
            workspace = {"workspace_url": "/no/such/folder"} if name == "gone" else {}
            ids.append(client.run_single_node(**RUN, **workspace, name=name, command=command))
            client.wait(ids[-1], raise_on_failure=False)
        assert "offline" in [row.message for row in client.logs(ids[0])]
    lines = stopped(process, ready)
    assert lines[0] == "Commands do not get these variables of the server; --pass-env NAME passes one: WANDB_KEY"
    assert lines[1:5] == [
        f'{ids[0]} "good" started',
        f'{ids[0]} "good" ended as stopped after 0.1 s (exit code 0)',
        f'{ids[1]} "\\x1b[31mred" started',
        f'{ids[1]} "\\x1b[31mred" ended as failed after 0.1 s: The command ended with exit code 3',
    ]
    assert lines[5] == f'{ids[2]} "gone" started'
    assert lines[6].startswith(f'{ids[2]} "gone" ended as error after 0.1 s: ')
    assert "/no/such/folder" in lines[6]
    assert len(lines) == 7


def test_the_console_has_a_line_for_each_run_that_is_canceled_or_deleted_in_time_or_not(home, launch):
    ready = home / "ready.json"
    process = launch("--ready-file", str(ready), "--slots", "1")
    with served(process, ready) as client:
        running, canceled, waiting = (client.run_single_node(**RUN, name="n", command="sleep 600") for _ in range(3))
        client.wait(running, until="running", timeout=TIMEOUT)
        client.stop(canceled)
        for experiment_id in (waiting, running):
            client.delete(experiment_id)
            client.wait_for_removal(experiment_id)
    assert [re.sub(r"freed \d+\.\d kB", "freed 4.1 kB", line) for line in stopped(process, ready)] == [
        f'{running} "n" started',
        f'{canceled} "n" ended as canceled',
        f'{waiting} "n" was deleted',
        f'{running} "n" was deleted while it ran, which freed 4.1 kB',
    ]


def test_keep_limits_what_is_kept_of_ended_runs(home, launch):
    ready = home / "ready.json"
    options = ("--keep", "1", "--keep", "200GB")
    process = launch("--ready-file", str(ready), *options, program=("-c", WITHOUT_DELAY))
    with served(process, ready) as client:
        first, second = (client.run_single_node(**RUN, name="n", command="true") for _ in range(2))
        deadline = time.monotonic() + TIMEOUT
        while len(client.list()) > 1:
            assert time.monotonic() < deadline
        (left,) = [each.id for each in client.list()]
    (deleted,) = {first, second} - {left}
    lines = [line.partition(", which freed")[0] for line in stopped(process, ready) if "deleted" in line]
    assert lines == [f'{deleted} "n" was deleted by --keep 1 --keep 200GB']


def test_a_server_that_ends_names_the_runs_that_go_on_and_the_next_one_those_that_it_takes_over(home, launch):
    ready, go_on = home / "ready.json", home / "go on"
    options = ("--ready-file", str(ready), "--slots", "2", "--store", "my store")
    process = launch(*options)
    with served(process, ready) as client:
        command = f"echo begun; while [ ! -e '{go_on}' ]; do sleep 0.01; done"
        ids = [client.run_single_node(**RUN, name=name, command=command) for name in ("a", "b", "c")]
        for experiment_id in ids[:2]:
            client.wait(experiment_id, until="running")
    a, b, c = (f'{experiment_id} "{name}"' for experiment_id, name in zip(ids, "abc", strict=True))
    lines = stopped(process, ready)
    assert lines[-1] == (
        f"Not ended: 3 runs: {a} (running), {b} (running), {c} (pending). What runs goes on, what is pending waits; to "
        "come back to it, start a server again: gradient server start --store 'my store'"
    )
    process = launch(*options)
    with served(process, ready) as client:
        go_on.touch()
        for experiment_id in ids:
            client.wait(experiment_id)
    first, *lines = stopped(process, ready, signal.SIGTERM)
    assert first == f"Took over 3 runs: {a} (running), {b} (running), {c} (pending)"
    assert sorted(lines) == sorted(
        [f"{c} started", *(f"{each} ended as stopped after 0.1 s (exit code 0)" for each in (a, b, c))]
    )


def test_a_console_that_nobody_reads_keeps_no_run_from_starting(home, launch):
    ready = home / "ready.json"
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    os.set_blocking(writer, True)
    process = launch("--ready-file", str(ready), stderr=writer)
    try:
        with served(process, ready) as client:
            client.wait(client.run_single_node(**RUN, name="n", command="true"), timeout=TIMEOUT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--slots", "0"), "from 1 to 1000"),
        (("--slots", "1001"), "from 1 to 1000"),
        (("--slots", "9" * 5000), "from 1 to 1000"),
        (("--slots", "²"), "from 1 to 1000"),
        (("--slots", "\u0663"), "from 1 to 1000"),
        (("--grace", "-1"), "from 0 to 3600"),
        (("--grace", "3601"), "from 0 to 3600"),
        (("--grace", "nan"), "from 0 to 3600"),
        (("--grace", "x"), "from 0 to 3600"),
        (("--pass-env", "A B"), "no name of a variable"),
    ],
)
def test_an_option_that_real_runs_do_not_allow_is_refused_with_what_would_be_right(capsys, options, reason):
    with pytest.raises(SystemExit):
        parse_options(["--runner", "process", *options])
    error = capsys.readouterr().err
    assert options[0] in error
    assert reason in error


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (None, ("--machine-types", "machines.toml"), "--machine-types: machines.toml: No such file or directory"),
        (
            "[K80]\ngpus = 'x'",
            ("--machine-types", "machines.toml"),
            "machines.toml: gpus of the machine type 'K80' must",
        ),
        ("[K80]", ("--machine-types", "machines.toml", "--gpus", "0,0"), "--gpus: '0,0' is no list of different GPUs"),
        (None, ("--gpus", "0,1"), "--gpus: experiments get GPUs by their machine types"),
    ],
)
def test_machine_types_that_cannot_be_used_are_refused(capsys, tmp_path, monkeypatch, text, options, reason):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("machines.toml").write_text(text)
    with pytest.raises(SystemExit):
        parse_options(["--runner", "process", *options])
    assert reason in capsys.readouterr().err


def test_a_server_with_machine_types_refuses_what_it_never_has_and_assigns_the_gpus_that_it_has(home, launch):
    ready, machines = home / "ready.json", home / "machines.toml"
    machines.write_text("[K80]\ngpus = 1\n[V100]\ngpus = 3\n")
    process = launch("--ready-file", str(ready), "--machine-types", "machines.toml", CUDA_VISIBLE_DEVICES="4,7")
    with served(process, ready) as client:
        new = {**RUN, "name": "n", "command": 'echo "GPU $CUDA_VISIBLE_DEVICES"'}
        for machine_type, reason in (("V100", "needs 3 GPUs; the server has 2 GPUs (4, 7)"), ("m", "no machine type")):
            with pytest.raises(BadRequestError, match="machineType") as caught:
                client.create_single_node(**{**new, "machine_type": machine_type})
            assert reason in str(caught.value)
        experiment = client.wait(client.run_single_node(**{**new, "machine_type": "K80"}))
        assert experiment.remark.endswith("GPUs: 4.")
        assert [row.message for row in client.logs(experiment.id)] == ["GPU 4"]
    assert "Machine types: K80, V100; GPUs: 4, 7" in stopped(process, ready)


def test_a_thousand_slots_and_an_hour_of_grace_are_allowed():
    options = parse_options(["--runner", "process", "--slots", "1000", "--grace", "3600"])
    assert (options.slots, options.grace) == (1000, 3600)


def test_a_short_key_is_refused_and_nothing_is_created(home, launch):
    process = launch("--api-key", "too-short")
    output, error = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, output, list(home.iterdir())) == (2, "", [])
    assert [
        reason for reason in ("--api-key", "at least 20 characters", "a random one is made") if reason not in error
    ] == []
