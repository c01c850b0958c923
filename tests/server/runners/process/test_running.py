"""One command that really runs: its rows, its states, its end."""

import math
import os
import sys

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process import process_run
from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.output import LONGEST_ROW
from gradient_server.runners.process.run_directory import RunDirectory
from tests.server.runners.process.conftest import is_alive, wait_until, workspace_of

PATH = [
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
    """What it prints is its log, its exit code is its outcome, and states come in the documented order."""
    run = bench.done("echo one; echo two >&2")
    assert bench.rows(run) == ["one", "two"]
    assert bench.outcome(run) == ("stopped", None)
    assert [state for _, state in run.transitions] == [*PATH, State.STOPPED]
    moments = [moment for moment, _ in run.transitions]
    assert moments == sorted(moments)
    assert moments[-1] <= bench.clock.now()


def test_moments_do_not_go_back(bench):
    """Whatever clock says when it was started: what comes after that has not been before."""
    run = bench.prepare("true")
    run.start(bench.clock.now() + 3600)
    wait_until(lambda: run.transitions[-1][1] in TERMINAL_STATES)
    moments = [moment for moment, _ in run.transitions]
    assert moments == sorted(moments)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("exit 3", "The command ended with exit code 3"),
        ("kill -9 $$", "The command was ended by the signal SIGKILL"),
        ("sh -c 'kill -9 $$'; exit $?", "The command ended with exit code 137 (SIGKILL)"),
        ("no-such-program", "The command ended with exit code 127 (command not found)"),
        ("exit 200", "The command ended with exit code 200"),
    ],
)
def test_a_command_fails(bench, command, error):
    """The error says with which exit code, or by which signal."""
    assert bench.outcome(bench.done(command)) == ("failed", error)


def test_who_sees_a_row_finds_that_its_run_has_begun(bench):
    """States are read from one file and rows from others: however that is timed, no row is ahead of its state."""
    for _ in range(10):
        run = bench.run("echo one; exec sleep 60")
        wait_until(lambda run=run: bench.rows(run))
        assert bench.state(run) == State.RUNNING
        run.delete()


def test_rows_have_numbers_and_times(bench):
    """Rows are numbered from 1 without gaps, end with the marker, and have the moments at which they were read."""
    begin = bench.clock.now()
    run = bench.done("echo one; sleep 0.3; echo two", machineType="K80")
    found = run.rows(0, 100, bench.clock.now())
    assert [row.line for _, row in found] == [1, 2, 3, 4]
    assert [row.message for _, row in found][1:] == ["one", "two", END_OF_LOG]
    moments = [row.timestamp for _, row in found]
    assert begin < moments[0] < moments[1] < moments[2] - 0.25
    assert moments[3] == run.transitions[-1][0]
    assert run.rows(2, 1, bench.clock.now()) == found[2:3]
    assert run.rows(4, 10, bench.clock.now()) == []


def test_rows_are_there_as_soon_as_they_are_printed(bench):
    """A row is seen while the command runs, and the runner says that there is one."""
    run = bench.run("mkfifo go; echo first; read -r line < go; echo $line; exec sleep 60")
    bench.wait_for_row(run, "first")
    wait_until(lambda: bench.state(run) == State.RUNNING)
    assert run.next_row_at(1, bench.clock.now()) == math.inf
    assert run.next_row_at(0, bench.clock.now()) <= bench.clock.now()
    workspace_of(bench, run).joinpath("go").write_text("second\n")
    bench.wait_for_row(run, "second")
    assert set(bench.told) == {"es1"}


def test_no_marker_before_the_end(bench):
    """As long as the experiment has not ended, no log ends."""
    run = bench.run("echo one; exec sleep 60")
    bench.wait_for_row(run, "one")
    assert [row.message for _, row in run.rows(0, 10, bench.clock.now())] == ["one"]
    assert run.next_row_at(1, bench.clock.now()) == math.inf
    run.stop(bench.clock.now())
    wait_until(lambda: bench.state(run) in TERMINAL_STATES)
    assert [row.message for _, row in run.rows(0, 10, bench.clock.now())] == ["one", END_OF_LOG]
    assert run.next_row_at(2, bench.clock.now()) is None


def test_rows_of_another_run_that_had_the_handle(make_bench):
    """They are not its own, and are not shown, as long as the files of that one are still there."""
    bench = make_bench(begin=False)
    run = bench.prepare("echo mine", handle="es7")
    directory = RunDirectory(bench.directory / "es7")
    directory.make({})
    LogWriter(directory.log(0)).write(1, ["of another one"])
    assert bench.rows(run) == []
    assert run.next_row_at(0, bench.clock.now()) == math.inf


def test_a_command_cannot_end_its_log(bench):
    """A row that reads like the end marker gets a space."""
    assert bench.rows(bench.done(f"echo {END_OF_LOG}; echo more")) == [f"{END_OF_LOG} ", "more"]


def test_all_kinds_of_output(bench):
    """Progress bars, what is not UTF-8, NUL, long lines, and a last line without an end are all rows."""
    run = bench.done(r"""printf '\r10%%\r20%%\r\nbad \377 byte\nnul \000 byte\n'; head -c 200000 /dev/zero | tr '\0' x
        echo; printf 'no end'""")
    rows = bench.rows(run)
    assert rows[:4] == ["10%", "20%", "bad \ufffd byte", "nul \0 byte"]
    assert [len(row) for row in rows[4:-1]] == [LONGEST_ROW] * 3 + [200000 - 3 * LONGEST_ROW]
    assert rows[-1] == "no end"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has had at most")
def test_memory_is_bounded(bench):
    """A line of many megabytes, binary noise and a million rows take the supervisor no more than a few rows do."""
    noise = "head -c 50000000 /dev/zero | tr '\\0' x; head -c 20000000 /dev/urandom; yes | head -n 1000000"
    run = bench.done(f"{noise}; echo; grep VmHWM /proc/$PPID/status")
    rows = bench.rows(run)
    assert len(rows) > 1_000_000
    assert int(rows[-1].split()[1]) < 80_000, rows[-1]


def test_what_is_given_at_once_is_bounded(bench):
    """However many long rows are asked for, as much comes as the server has memory for; the others come after it."""
    run = bench.done("head -c 80000000 /dev/zero | tr '\\0' x")
    sizes, line = [], 0
    while page := run.rows(line, 50_000, bench.clock.now()):
        sizes.append(sum(len(row.message) for _, row in page))
        line = page[-1][1].line
    assert sum(sizes) == 80_000_000 + len(END_OF_LOG)
    assert max(sizes) < 40_000_000


def test_what_is_given_at_once_has_all_rows_of_a_line(bench, monkeypatch):
    """Of several jobs, too, the others come after the last line: nobody could ask for the rest of it alone."""
    given = {"workerCommand": "seq 101 104", "workerCount": 3}
    given |= {"parameterServerCommand": "echo 101; exec sleep 60", "parameterServerCount": 1}
    run = bench.done(experimentTypeId=2, **given)
    everything = run.rows(0, 1000, bench.clock.now())
    monkeypatch.setattr(process_run, "MOST_CHARACTERS", 1)
    pages = [run.rows(line, 1000, bench.clock.now()) for line in range(5)]
    assert [page[0][1].line for page in pages] == [page[-1][1].line for page in pages] == [1, 2, 3, 4, 5]
    assert [found for page in pages for found in page] == everything


def test_a_row_that_stands_still_is_shown(bench):
    """A prompt without an end of line is seen while the command waits, and goes on in the next row."""
    run = bench.run("mkfifo go; printf 'Ready? '; read -r line < go; echo $line")
    bench.wait_for_row(run, "Ready? ")
    workspace_of(bench, run).joinpath("go").write_text("yes\n")
    bench.wait_for_row(run, "yes")
    assert bench.rows(run) == ["Ready? ", "yes"]


def test_nothing_is_buffered(bench):
    """A Python program that does not flush is seen at once."""
    run = bench.run(f"{sys.executable} -c 'import time; print(1); time.sleep(60)'")
    bench.wait_for_row(run, "1")


def test_commands_see_nothing_secret_of_the_server(bench, monkeypatch):
    """Of the server's environment only what programs need is passed on, to the supervisor too."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("PAPERSPACE_API_KEY", "very-secret")
    run = bench.done("env; cat /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n'", experimentEnv={"MINE": 1})
    rows = bench.rows(run)
    assert "MINE=1" in rows
    assert f"PATH={os.environ['PATH']}" in rows
    assert [row for row in rows if "very-secret" in row] == []


def test_experiment_env_is_on_top(bench):
    """What an experiment sets is what its command sees, as text; null takes a variable away."""
    given = {"A": 1.5, "B": True, "C": "x y", "WORK_ENV": "mine", "TZ": None, "PYTHONUNBUFFERED": None}
    rows = bench.rows(bench.done("env", experimentEnv=given))
    assert {"A=1.5", "B=true", "C=x y", "WORK_ENV=mine", "PAPERSPACE_EXPERIMENT_ID=es1"} <= set(rows)
    assert [row for row in rows if row.startswith(("TZ=", "PYTHONUNBUFFERED="))] == []


def test_what_is_not_used_is_said_first(bench):
    """The first row says what the machine of the server cannot give, and no secret."""
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
    """Whoever reads finds the end at once, and does not wait for ever."""
    assert bench.outcome(bench.done("cat; echo done"))[0] == "stopped"


@pytest.mark.parametrize("name", ["INT", "HUP", "CHLD"])
def test_commands_do_not_inherit_that_signals_are_ignored(bench, name):
    """What they start can be interrupted, as in a terminal: `timeout --signal INT` for instance."""
    run = bench.done(f"kill -{name} $$; echo survived")
    assert bench.rows(run) == (["survived"] if name == "CHLD" else [])


def test_files_of_runs_are_their_owners_alone(bench):
    """Nobody else can look into the directories of runs, and what may be secret is not kept."""
    bench.done("echo one", registryPassword="very-secret", workspacePassword="very-secret")
    top = bench.directory
    assert top.stat().st_mode & 0o777 == 0o700
    assert (top / "es1").stat().st_mode & 0o777 == 0o700
    files = [path for path in top.rglob("*") if path.is_file()]
    assert [path for path in files if b"very-secret" in path.read_bytes()] == []
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_run_that_is_forgotten_leaves_nothing(bench):
    """What runs is ended, what is kept is removed, and another run can have its name at once."""
    run = bench.run("echo $$; exec sleep 60", handle="es7")
    wait_until(lambda: bench.rows(run))
    pid = int(bench.rows(run)[0])
    run.delete()
    again = bench.done("echo again", handle="es7")
    assert bench.rows(again) == ["again"]
    wait_until(lambda: not is_alive(pid))
    again.delete()
    wait_until(lambda: [path.name for path in bench.directory.iterdir()] == ["lock"])
