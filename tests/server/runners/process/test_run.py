"""One run of a command: its rows, its outcome, and what it finds where it runs."""

import contextlib
import os
import sys

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised import run as run_module
from gradient_server.runners.supervised.log_file import LogWriter
from tests.server.runners.conftest import is_alive, limit_file_size, wait_until, workspace_of

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


def test_a_command_prints_its_log_and_enters_every_state(bench):
    run = bench.done("echo one; printf two >&2")
    assert bench.rows(run) == ["one", "two"]
    assert bench.outcome(run) == ("stopped", None)
    assert [state for _, state in run.transitions] == [*STATES, State.STOPPED]


@pytest.mark.parametrize(
    ("command", "error", "exit_code"),
    [
        ("exit 3", "The command ended with exit code 3", 3),
        ("kill -9 $$", "The command was ended by the signal SIGKILL", -9),
    ],
)
def test_a_failed_command_is_reported_with_its_exit_code_or_signal(bench, command, error, exit_code):
    run = bench.done(command)
    assert (bench.outcome(run), run.exit_code(bench.clock.now())) == (("failed", error), exit_code)


def test_timestamps_do_not_decrease_when_the_clock_of_the_machine_does(bench):
    run = bench.admit("true")
    run.start(bench.clock.now() + 3600)
    wait_until(lambda: run.transitions[-1][1] in TERMINAL_STATES)
    timestamps = [timestamp for timestamp, _ in run.transitions]
    assert timestamps == sorted(timestamps)


def test_a_run_whose_log_cannot_be_written_ends_with_an_error(bench):
    """As on a full disk. The rows before that are there, and the command is ended."""
    with limit_file_size(100_000):  # the supervisor inherits it
        run = bench.run("echo $$; exec yes")
        wait_until(lambda: bench.rows(run), "the first row")
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("error", "The log of worker 0 cannot be kept: File too large")
    pid, *rows = bench.rows(run)
    assert len(rows) > 1000
    assert set(rows) == {"y"}
    assert not is_alive(int(pid))


def test_a_log_that_was_cut_off_has_every_line_and_its_end(bench):
    """Otherwise, readers would wait for what is missing."""
    run = bench.done("seq 5")
    log = bench.directory / run.handle / "jobs" / "0.log"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    lost = "(this row of the log is lost)"
    for line, messages in ((0, ["1", "2", lost, lost, lost, END_OF_LOG]), (3, [lost, lost, END_OF_LOG]), (6, [])):
        rows = run.job_rows(run.jobs[0], line, 10, bench.clock.now())
        assert [row.message for row in rows] == messages
        assert [row.line for row in rows] == list(range(line + 1, 7))


def test_a_log_ends_where_its_run_has_ended(bench):
    """Whatever is appended later."""
    run = bench.done("echo one")
    LogWriter(bench.directory / run.handle / "jobs" / "0.log").write(1, ["two", "three"])
    rows = run.job_rows(run.jobs[0], 0, 10, bench.clock.now())
    assert [(row.line, row.message) for row in rows] == [(1, "one"), (2, END_OF_LOG)]


def test_rows_of_an_earlier_run_with_the_same_handle_are_not_visible(make_bench):
    bench = make_bench(recover=False)
    run = bench.admit("echo mine", handle="es7")
    (bench.directory / "es7" / "jobs").mkdir(parents=True)
    LogWriter(bench.directory / "es7" / "jobs" / "0.log").write(1, ["of another one"])
    assert bench.rows(run) == []
    assert run.next_row_at(0, bench.clock.now()) == float("inf")


def test_little_text_is_returned_at_once_but_all_rows_of_a_line(bench, monkeypatch):
    """A reader could not request the rest of a line."""
    given = {"workerCommand": "seq 101 104", "workerCount": 3}
    given |= {"parameterServerCommand": "echo 101; exec sleep 60", "parameterServerCount": 1}
    run = bench.done(experimentTypeId=2, **given)
    everything = run.rows(0, 1000, bench.clock.now())
    monkeypatch.setattr(run_module, "MAX_CHARACTERS", 1)
    pages = [run.rows(line, 1000, bench.clock.now()) for line in range(5)]
    assert [page[0][1].line for page in pages] == [page[-1][1].line for page in pages] == [1, 2, 3, 4, 5]
    assert [found for page in pages for found in page] == everything


def test_about_32_mib_of_text_are_returned_at_once(bench):
    """However many rows are requested: the server has to have them in memory."""
    run = bench.run("exec sleep 60")
    log = bench.directory / run.handle / "jobs" / "0.log"
    wait_until(log.exists, "the log")
    with contextlib.closing(LogWriter(log)) as writer:
        writer.write(1, ["x" * 64 * 1024] * 600)
    wait_until(lambda: 600 in run.last_lines(bench.clock.now()).values(), "the rows")
    (job,) = run.jobs
    now = bench.clock.now()
    assert len(run.rows(0, 1000, now)) == len(run.job_rows(job, 0, 1000, now)) == 512


def test_a_line_that_is_printed_in_parts_within_a_second_is_one_row(bench):
    assert bench.rows(bench.done("printf 'one '; sleep 0.3; echo two")) == ["one two"]


def test_a_partial_line_becomes_a_row_while_the_command_waits(bench):
    run = bench.run("mkfifo go; printf 'Ready? '; read -r line < go; echo $line")
    bench.wait_for_row(run, "Ready? ")
    workspace_of(bench, run).joinpath("go").write_text("yes\n")
    bench.wait_for_row(run, "yes")
    assert bench.rows(run) == ["Ready? ", "yes"]


def test_a_progress_bar_that_is_seldom_redrawn_is_one_row(bench):
    assert bench.rows(bench.done("printf '\\r50%%|'; sleep 1.3; printf '\\r100%%|\\n'; echo done")) == ["100%|", "done"]


def test_the_log_of_the_node_that_failed_ends_with_the_reason(bench):
    nodes = {"workerCount": 2, "parameterServerCount": 1, "parameterServerCommand": "exec sleep 60"}
    command = '[ $INDEX = 0 ] && exec sleep 60; echo "going to fail"; exit 3'
    run = bench.done(experimentTypeId=2, workerCommand=command, **nodes)
    now = bench.clock.now()
    rows = {job.name: [(row.line, row.message) for row in run.job_rows(job, 0, 9, now)] for job in run.jobs}
    reason = "The command of worker 1 ended with exit code 3"
    assert rows == {
        "worker 0": [(1, "PSEOF")],
        "worker 1": [(1, "going to fail"), (2, reason), (3, "PSEOF")],
        "parameter server 0": [(1, "PSEOF")],
    }
    assert [run.last_lines(now)[job] for job in run.jobs] == [1, 3, 1]
    assert [row.message for _, row in run.rows(1, 9, now)] == [reason, "PSEOF"]
    assert [row.message for _, row in run.rows(2, 9, now)] == ["PSEOF"]
    assert run.rows(3, 9, now) == []


def test_a_run_that_could_not_be_set_up_has_a_log_with_the_reason(bench):
    run = bench.done(workspaceUrl="/no/such/folder")
    rows = [row.message for _, row in run.rows(0, 9, bench.clock.now())]
    assert rows == [run.error(bench.clock.now()), "PSEOF"]
    assert rows[0].startswith("The workspace /no/such/folder does not exist")


def test_commands_see_their_variables_and_no_secret_of_the_server(bench, monkeypatch):
    """The supervisor does not see them either."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("PAPERSPACE_API_KEY", "very-secret")
    run = bench.done("env; cat /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n'", experimentEnv={"MINE": 1})
    rows = bench.rows(run)
    assert {"MINE=1", f"PATH={os.environ['PATH']}", "PAPERSPACE_EXPERIMENT_ID=es1"} <= set(rows)
    assert [row for row in rows if "very-secret" in row] == []


def test_the_rows_of_a_command_count_from_1_and_the_run_says_which_parameters_are_not_used(bench):
    run = bench.done("echo first", container="c", clusterId="x")
    assert [(row.line, row.message) for _, row in run.rows(0, 1, bench.clock.now())] == [(1, "first")]
    assert run.remark == "This runs as a process of the server's machine: container c and clusterId are not used."


@pytest.mark.parametrize(
    ("command", "rows"),
    [
        ("cat; echo done", ["done"]),
        ("kill -INT $$; echo survived", []),
        ("kill -HUP $$; echo survived", []),
        ("kill -CHLD $$; echo survived", ["survived"]),
    ],
)
def test_a_command_has_no_input_and_inherits_no_ignored_signals(bench, command, rows):
    """It can be interrupted as in a terminal, for example by `timeout --signal INT`."""
    assert bench.rows(bench.done(command)) == rows


def test_only_the_owner_can_read_the_files_of_a_run_and_none_holds_a_secret(bench):
    bench.done("echo one", registryPassword="very-secret", workspacePassword="very-secret")
    top = bench.directory
    assert [path.stat().st_mode & 0o777 for path in (top, top / "es1")] == [0o700, 0o700]
    files = [path for path in top.rglob("*") if path.is_file()]
    assert [path for path in files if b"very-secret" in path.read_bytes()] == []
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_output_of_python_is_visible_without_a_flush(bench):
    run = bench.run(f"{sys.executable} -c 'import time; print(1); time.sleep(60)'")
    bench.wait_for_row(run, "1")
    assert END_OF_LOG not in [row.message for _, row in run.rows(0, 9, bench.clock.now())]
