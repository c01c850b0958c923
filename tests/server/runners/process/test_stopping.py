"""Runs that are stopped, and what is left when a run has ended: nothing."""

import os
import subprocess
import sys

import pytest
from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from tests.server.runners.process.conftest import is_alive, wait_until, workspace_of

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux finds what has left its process group")
# Starts something, says its number, and goes on.
LEAVING = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], start_new_session=True).pid, flush=True)"


def stop(bench, run):
    run.stop(bench.clock.now())
    wait_until(lambda: bench.state(run) in TERMINAL_STATES, "the end")


def pids(bench, run, count):
    wait_until(lambda: len(bench.rows(run)) >= count, "the rows with the pids")
    return [int(row) for row in bench.rows(run)[:count]]


def test_a_run_is_stopped(bench):
    """It is torn down and canceled, its processes are gone, and what was printed is there."""
    run = bench.run("echo $$; sleep 60 & echo $!; wait")
    running = pids(bench, run, 2)
    stop(bench, run)
    assert bench.outcome(run) == ("canceled", None)
    assert [state for _, state in run.transitions][-3:] == [
        State.NETWORK_TEARING_DOWN,
        State.NETWORK_TEARDOWN,
        State.CANCELLED,
    ]
    assert not any(map(is_alive, running))
    run.stop(bench.clock.now())
    assert bench.outcome(run) == ("canceled", None)


def test_commands_can_end_in_order(bench):
    """They are asked with SIGTERM, and what they print then is a part of the log."""
    run = bench.run("trap 'echo saving; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    bench.wait_for_row(run, "ready")
    stop(bench, run)
    rows = bench.rows(run)  # the shell tells in between what has ended its child
    assert (rows[0], rows[-1]) == ("ready", "saving")
    assert bench.outcome(run) == ("canceled", None)


def test_what_does_not_want_to_end_is_killed(make_bench):
    """After the grace period comes SIGKILL, for all of the group."""
    bench = make_bench(grace=0.3)
    run = bench.run("trap '' TERM; echo $$; (trap '' TERM; while :; do sleep 1; done) & echo $!; wait")
    running = pids(bench, run, 2)
    begin = bench.clock.now()
    stop(bench, run)
    assert 0.3 < bench.clock.now() - begin < 5
    assert not any(map(is_alive, running))


@only_linux
@pytest.mark.parametrize("ending", ["stopped", "by itself"])
def test_what_has_left_its_group_is_found(make_bench, ending):
    """A process in a session of its own ends with the run, too; where it has to be, it is killed."""
    bench = make_bench(grace=0.3)
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    leave = f'{sys.executable} -c "{LEAVING}" sh -c "{stubborn}"'
    run = bench.run(f"{leave}; {leave}; {'wait; sleep 60' if ending == 'stopped' else 'true'}")
    running = pids(bench, run, 2)
    if ending == "stopped":
        stop(bench, run)
    wait_until(lambda: bench.state(run) in TERMINAL_STATES)
    assert not any(map(is_alive, running))


@only_linux
@pytest.mark.parametrize("ending", ["stopped", "by itself"])
def test_what_has_left_its_group_can_end_in_order(make_bench, ending):
    """It is asked with SIGTERM as all others are, and has the grace period to do what it has to."""
    bench = make_bench(grace=10)
    saving = "trap 'echo saving; exit' TERM; echo ready; while :; do sleep 0.05; done"
    leave = f'{sys.executable} -c "{LEAVING}" sh -c "{saving}"'
    go_on = "sleep 60" if ending == "stopped" else "mkfifo go; read -r _ < go"
    run = bench.run(f"{leave}; {go_on}")
    # It may come in the middle of the row with the number.
    wait_until(lambda: any("ready" in row for row in bench.rows(run)))
    if ending == "stopped":
        stop(bench, run)
    else:
        workspace_of(bench, run).joinpath("go").write_text("go\n")
        wait_until(lambda: bench.state(run) in TERMINAL_STATES)
    assert "saving" in bench.rows(run)


def test_what_goes_on_in_the_background_ends_with_the_command(bench):
    """When the command has ended, the experiment has, and nothing is left of it."""
    run = bench.done("sleep 60 & echo $!")
    assert bench.outcome(run) == ("stopped", None)
    assert not is_alive(pids(bench, run, 1)[0])


def test_a_run_is_stopped_before_it_was_started(bench):
    """It is canceled at once."""
    run = bench.prepare("echo one")
    run.stop(5.0)
    assert list(run.transitions) == [(5.0, State.CANCELLED)]
    assert run.rows(0, 10, 6.0) == []
    assert run.next_row_at(0, 6.0) is None


def test_a_run_is_stopped_at_any_moment(bench):
    """Right after the start, or a little later: it is canceled, whatever it was just doing, and nothing is left."""
    for pause in range(0, 60, 6):
        run = bench.run(f"echo $$ >> {bench.directory}/started; exec sleep 60", workspaceUrl="none")
        begin = bench.clock.now()
        wait_until(lambda begin=begin, pause=pause: bench.clock.now() > begin + pause / 100)
        stop(bench, run)
        assert bench.outcome(run) == ("canceled", None)
    started = bench.directory / "started"
    assert not any(is_alive(int(line)) for line in (started.read_text().split() if started.exists() else []))


def test_a_supervisor_that_is_ended_from_outside_ends_its_run(bench):
    """A machine that shuts down asks all processes to end; the run says that it was not stopped by hand."""
    run = bench.run("echo $$ $PPID; exec sleep 60")
    wait_until(lambda: bench.rows(run))
    command, supervisor = map(int, bench.rows(run)[0].split())
    os.kill(supervisor, 15)
    wait_until(lambda: bench.state(run) in TERMINAL_STATES)
    state, error = bench.outcome(run)
    assert state == "error"
    assert "ended from outside" in error
    assert not is_alive(command)


def test_runs_that_are_not_to_outlive_their_server_end_with_it(tmp_path):
    """However it ends: where nothing is kept, a server that is killed leaves nothing running."""
    program = f"""
import sys, time
from pathlib import Path
from tests.server.runners.process.conftest import Bench, wait_until
bench = Bench(Path({str(tmp_path / "runs")!r}), keep=False)
bench.runner.recover()
run = bench.run("echo $$; exec sleep 60")
wait_until(lambda: bench.rows(run))
print(bench.rows(run)[0], flush=True)
time.sleep(60)
"""
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    with server:
        command = int(server.stdout.readline())
        server.kill()
    wait_until(lambda: not is_alive(command), "the end of the command")
