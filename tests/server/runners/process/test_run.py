"""One run: its rows, its states and its outcome, and its monitor at times that are hard to meet."""

import contextlib
import math
import os
import sys

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process import run as run_module
from gradient_server.runners.process.environment import nodes_of
from gradient_server.runners.process.log_file import MAX_ROW_LENGTH, LogWriter
from gradient_server.runners.process.run import RunMonitor
from gradient_server.runners.process.run_files import EventReader, LaunchSpec, RunDirectory
from tests.server.runners.process.conftest import is_alive, limit_file_size, wait_until, workspace_of

STATES = [
    State.PENDING,
    State.PROVISIONING,
    State.PROVISIONED,
    State.NETWORK_SETTING_UP,
    State.NETWORK_SETUP,
    State.RUNNING,
    State.NETWORK_TEARING_DOWN,
    State.NETWORK_TEARDOWN,
]


def test_a_command_runs(bench):
    """Its output is its log, its exit code is the outcome, and states come in the documented order."""
    run = bench.done("echo one; echo two >&2")
    assert bench.rows(run) == ["one", "two"]
    assert bench.outcome(run) == ("stopped", None)
    assert [state for _, state in run.transitions] == [*STATES, State.STOPPED]
    timestamps = [timestamp for timestamp, _ in run.transitions]
    assert timestamps == sorted(timestamps)
    assert timestamps[-1] <= bench.clock.now()


def test_timestamps_never_decrease(bench):
    """Whatever time it was started at."""
    run = bench.admit("true")
    run.start(bench.clock.now() + 3600)
    wait_until(lambda: run.transitions[-1][1] in TERMINAL_STATES)
    timestamps = [timestamp for timestamp, _ in run.transitions]
    assert timestamps == sorted(timestamps)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("exit 3", "The command ended with exit code 3"),
        ("kill -9 $$", "The command was ended by the signal SIGKILL"),
    ],
)
def test_a_failed_command_is_reported_with_its_exit_code_or_signal(bench, command, error):
    """The run has failed."""
    assert bench.outcome(bench.done(command)) == ("failed", error)


def test_a_run_whose_log_cannot_be_written_ends_with_an_error(bench):
    """As on a full disk. The rows before that are there, and the command is ended."""
    with limit_file_size(100_000):  # the supervisor inherits it
        run = bench.run("echo $$; exec yes")
        wait_until(lambda: bench.rows(run), "the first row")
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("error", "The log of worker cannot be kept: File too large")
    pid, *rows = bench.rows(run)
    assert len(rows) > 1000
    assert set(rows) == {"y"}
    assert not is_alive(int(pid))


def test_rows_are_not_visible_before_the_run_is_running(bench):
    """States and rows come from different files; no row is ahead of its state."""
    for _ in range(10):
        run = bench.run("echo one; exec sleep 60")
        wait_until(lambda run=run: bench.rows(run))
        assert bench.state(run) == State.RUNNING
        run.delete()


def test_rows_have_lines_and_timestamps(bench):
    """Lines count from 1 without gaps up to the end marker; timestamps say when a row was read."""
    begin = bench.clock.now()
    run = bench.done("echo one; sleep 0.3; echo two", machineType="K80")
    found = run.rows(0, 100, bench.clock.now())
    assert [row.line for _, row in found] == [1, 2, 3, 4]
    assert [row.message for _, row in found][1:] == ["one", "two", END_OF_LOG]
    timestamps = [row.timestamp for _, row in found]
    assert begin < timestamps[0] < timestamps[1] < timestamps[2] - 0.25
    assert timestamps[3] == run.transitions[-1][0]
    assert run.rows(2, 1, bench.clock.now()) == found[2:3]
    assert run.rows(4, 10, bench.clock.now()) == []


def test_rows_are_visible_as_soon_as_they_are_printed(bench):
    """The runner reports a change, so that nobody has to poll."""
    run = bench.run("mkfifo go; echo first; read -r line < go; echo $line; exec sleep 60")
    bench.wait_for_row(run, "first")
    wait_until(lambda: bench.state(run) == State.RUNNING)
    assert run.next_row_at(1, bench.clock.now()) == math.inf
    assert run.next_row_at(0, bench.clock.now()) <= bench.clock.now()
    workspace_of(bench, run).joinpath("go").write_text("second\n")
    bench.wait_for_row(run, "second")
    assert set(bench.changes) == {"es1"}


def test_rows_of_an_earlier_run_with_the_same_handle_are_not_visible(make_bench):
    """Its files may still be there."""
    bench = make_bench(recover=False)
    run = bench.admit("echo mine", handle="es7")
    (bench.directory / "es7" / "jobs").mkdir(parents=True)
    LogWriter(bench.directory / "es7" / "jobs" / "0.log").write(1, ["of another one"])
    assert bench.rows(run) == []
    assert run.next_row_at(0, bench.clock.now()) == math.inf


def test_any_output_becomes_rows(bench):
    """Progress bars, invalid UTF-8, NUL, long lines, the end marker, and a last line without a line break."""
    run = bench.done(r"""printf '\r10%%\r20%%\r\nbad \377 byte\nnul \000 byte\nPSEOF\n'
        head -c 200000 /dev/zero | tr '\0' x; echo; printf 'no end'""")
    rows = bench.rows(run)
    assert rows[:5] == ["10%", "20%", "bad \ufffd byte", "nul \0 byte", f"{END_OF_LOG} "]
    assert [len(row) for row in rows[5:-1]] == [MAX_ROW_LENGTH] * 3 + [200000 - 3 * MAX_ROW_LENGTH]
    assert rows[-1] == "no end"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has had at most")
def test_the_memory_of_the_supervisor_is_bounded(bench):
    """A line of many megabytes, binary noise and a million rows take no more than a few rows do."""
    noise = "head -c 50000000 /dev/zero | tr '\\0' x; head -c 20000000 /dev/urandom; yes | head -n 1000000"
    run = bench.done(f"{noise}; echo; grep VmHWM /proc/$PPID/status")
    rows = bench.rows(run)
    assert len(rows) > 1_000_000
    assert int(rows[-1].split()[1]) < 80_000, rows[-1]


def test_the_text_that_is_returned_at_once_is_bounded(bench):
    """Whatever the limit is; a reader gets the rest with the next calls."""
    run = bench.done("head -c 80000000 /dev/zero | tr '\\0' x")
    sizes, line = [], 0
    while page := run.rows(line, 50_000, bench.clock.now()):
        sizes.append(sum(len(row.message) for _, row in page))
        line = page[-1][1].line
    assert sum(sizes) == 80_000_000 + len(END_OF_LOG)
    assert max(sizes) < 40_000_000


def test_all_rows_of_a_line_are_returned_at_once(bench, monkeypatch):
    """With several jobs too: a reader could not request the rest of a line."""
    given = {"workerCommand": "seq 101 104", "workerCount": 3}
    given |= {"parameterServerCommand": "echo 101; exec sleep 60", "parameterServerCount": 1}
    run = bench.done(experimentTypeId=2, **given)
    everything = run.rows(0, 1000, bench.clock.now())
    monkeypatch.setattr(run_module, "MAX_CHARACTERS", 1)
    pages = [run.rows(line, 1000, bench.clock.now()) for line in range(5)]
    assert [page[0][1].line for page in pages] == [page[-1][1].line for page in pages] == [1, 2, 3, 4, 5]
    assert [found for page in pages for found in page] == everything


def test_a_partial_line_becomes_a_row_while_the_command_waits(bench):
    """A prompt is visible; what follows it is the next row."""
    run = bench.run("mkfifo go; printf 'Ready? '; read -r line < go; echo $line")
    bench.wait_for_row(run, "Ready? ")
    workspace_of(bench, run).joinpath("go").write_text("yes\n")
    bench.wait_for_row(run, "yes")
    assert bench.rows(run) == ["Ready? ", "yes"]


def test_python_programs_do_not_buffer_their_output(bench):
    """Without a flush, a row is visible at once."""
    run = bench.run(f"{sys.executable} -c 'import time; print(1); time.sleep(60)'")
    bench.wait_for_row(run, "1")


def test_commands_do_not_see_secrets_of_the_server(bench, monkeypatch):
    """Of its environment, only what programs need is passed on, to the supervisor too."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("PAPERSPACE_API_KEY", "very-secret")
    run = bench.done("env; cat /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n'", experimentEnv={"MINE": 1})
    rows = bench.rows(run)
    assert "MINE=1" in rows
    assert f"PATH={os.environ['PATH']}" in rows
    assert [row for row in rows if "very-secret" in row] == []


def test_experiment_env_overrides_variables(bench):
    """Values become text; null removes a variable."""
    given = {"A": 1.5, "B": True, "C": "x y", "WORK_ENV": "mine", "TZ": None, "PYTHONUNBUFFERED": None}
    rows = bench.rows(bench.done("env", experimentEnv=given))
    assert {"A=1.5", "B=true", "C=x y", "WORK_ENV=mine", "PAPERSPACE_EXPERIMENT_ID=es1"} <= set(rows)
    assert [row for row in rows if row.startswith(("TZ=", "PYTHONUNBUFFERED="))] == []


def test_the_first_row_names_the_parameters_that_are_ignored(bench):
    """But no secret value."""
    run = bench.done(
        "echo one", container="tensorflow:1.13", machineType="K80", registryPassword="very-secret", isPreemptible=False
    )
    first, second = (row.message for _, row in run.rows(0, 2, bench.clock.now()))
    assert first == (
        "This runs as a process of the server's machine: "
        "container tensorflow:1.13, machineType K80 and registryPassword are not used."
    )
    assert second == "one"


def test_a_command_has_no_input(bench):
    """A read finds the end of the file at once."""
    assert bench.outcome(bench.done("cat; echo done"))[0] == "stopped"


@pytest.mark.parametrize("name", ["INT", "HUP", "CHLD"])
def test_commands_do_not_inherit_ignored_signals(bench, name):
    """They can be interrupted as in a terminal, for example by `timeout --signal INT`."""
    run = bench.done(f"kill -{name} $$; echo survived")
    assert bench.rows(run) == (["survived"] if name == "CHLD" else [])


def test_only_the_owner_can_read_the_files_of_a_run(bench):
    """And none of them holds a secret once the run has started."""
    bench.done("echo one", registryPassword="very-secret", workspacePassword="very-secret")
    top = bench.directory
    assert top.stat().st_mode & 0o777 == 0o700
    assert (top / "es1").stat().st_mode & 0o777 == 0o700
    files = [path for path in top.rglob("*") if path.is_file()]
    assert [path for path in files if b"very-secret" in path.read_bytes()] == []
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_deleted_run_leaves_nothing(bench):
    """It is stopped, its files are removed, and its handle can be used again at once."""
    run = bench.run("echo $$; exec sleep 60", handle="es7")
    (pid,) = bench.pids(run)
    run.delete()
    again = bench.done("echo again", handle="es7")
    assert bench.rows(again) == ["again"]
    wait_until(lambda: not is_alive(pid))
    again.delete()
    wait_until(lambda: [path.name for path in bench.directory.iterdir()] == ["lock"])


BODY = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": "true"}
SPEC = LaunchSpec(handle="es1", body=BODY, nodes=nodes_of(["worker"], BODY), grace=1.0)


class LateDirectory(RunDirectory):
    """A run whose last event becomes visible when its lock is taken."""

    def hide_last_event(self):
        first, _, last = self.events.read_bytes().removesuffix(b"\n").rpartition(b"\n")
        self.events.write_bytes(first + b"\n")
        self.hidden = last + b"\n"

    @contextlib.contextmanager
    def locked(self):
        with super().locked() as is_locked, self.events.open("ab") as events:
            events.write(self.hidden)
            events.flush()
            yield is_locked


def test_a_run_that_ends_while_its_supervisor_is_checked_leaves_no_process(tmp_path):
    """The end is found after the supervisor; the process that has launched it is reaped all the same."""
    directory = LateDirectory(tmp_path / "es1")
    monitor = RunMonitor(directory, 1, SPEC)
    monitor.launch()
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read() and reader.history.has_ended, "the end")
    wait_until(lambda: not reader.history.supervisor.is_alive(), "the end of the supervisor")
    directory.hide_last_event()
    monitor.poll()
    assert monitor.history.states[-1][1] == State.STOPPED
    assert monitor.is_over


def test_an_error_that_cannot_be_written_at_first_is_written_by_a_later_poll(tmp_path, broken_supervisor):
    """A supervisor that fails to start is such an error."""
    directory = RunDirectory(tmp_path / "es1")
    (directory.path / "lock").mkdir(parents=True)
    monitor = RunMonitor(directory, 1, SPEC)
    monitor.launch()

    def fails():
        try:
            monitor.poll()
        except IsADirectoryError:
            return True
        return False

    wait_until(fails, "the poll that finds the error")
    assert not monitor.is_over
    (directory.path / "lock").rmdir()
    wait_until(lambda: monitor.poll() or monitor.is_over, "the end")
    assert monitor.history.states[-1][1] == State.ERROR
    assert "broken on purpose" in monitor.history.error
