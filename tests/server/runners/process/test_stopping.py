"""Stopped runs, and what is left of a run that has ended: nothing."""

import os
import signal
import subprocess
import sys

import pytest
from gradient_api.constants import ExperimentState as State

from tests.server.runners.process.conftest import is_alive, only_linux, wait_until, workspace_of

# Starts a program in a session of its own, and prints its pid.
LEAVING = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], start_new_session=True).pid, flush=True)"


def stop(bench, run):
    run.stop(bench.clock.now())
    bench.wait_for_end(run)


def test_stopping_a_run_ends_its_processes_and_cancels_it(bench):
    """Its output is complete, and stopping it again changes nothing."""
    run = bench.run("echo $$; sleep 60 & echo $!; wait")
    running = bench.pids(run, 2)
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


def test_a_command_can_handle_sigterm(bench):
    """Its last output is in the log."""
    run = bench.run("trap 'echo saving; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    bench.wait_for_row(run, "ready")
    stop(bench, run)
    rows = bench.rows(run)  # the shell prints in between how its child has ended
    assert (rows[0], rows[-1]) == ("ready", "saving")
    assert bench.outcome(run) == ("canceled", None)


def test_processes_that_ignore_sigterm_are_killed(make_bench):
    """After the grace period, in the whole group."""
    bench = make_bench(grace=0.3)
    run = bench.run("trap '' TERM; echo $$; (trap '' TERM; while :; do sleep 1; done) & echo $!; wait")
    running = bench.pids(run, 2)
    begin = bench.clock.now()
    stop(bench, run)
    assert 0.3 < bench.clock.now() - begin < 5
    assert not any(map(is_alive, running))


@only_linux
@pytest.mark.parametrize("ending", ["stopped", "by itself"])
def test_processes_that_have_left_their_group_are_killed(make_bench, ending):
    """Also those in a session of their own."""
    bench = make_bench(grace=0.3)
    stubborn = "trap '' TERM; while :; do sleep 1; done"
    leave = f'{sys.executable} -c "{LEAVING}" sh -c "{stubborn}"'
    run = bench.run(f"{leave}; {leave}; {'wait; sleep 60' if ending == 'stopped' else 'true'}")
    running = bench.pids(run, 2)
    if ending == "stopped":
        stop(bench, run)
    bench.wait_for_end(run)
    assert not any(map(is_alive, running))


@only_linux
@pytest.mark.parametrize("ending", ["stopped", "by itself"])
def test_processes_that_have_left_their_group_can_handle_sigterm(make_bench, ending):
    """They have the grace period as all others do."""
    bench = make_bench(grace=10)
    saving = "trap 'echo saving; exit' TERM; echo ready; while :; do sleep 0.05; done"
    leave = f'{sys.executable} -c "{LEAVING}" sh -c "{saving}"'
    go_on = "sleep 60" if ending == "stopped" else "mkfifo go; read -r _ < go"
    run = bench.run(f"{leave}; {go_on}")
    # It may come in the middle of the row with the pid.
    wait_until(lambda: any("ready" in row for row in bench.rows(run)))
    if ending == "stopped":
        stop(bench, run)
    else:
        workspace_of(bench, run).joinpath("go").write_text("go\n")
        bench.wait_for_end(run)
    assert "saving" in bench.rows(run)


def test_a_run_can_be_stopped_if_the_stop_request_cannot_be_written(bench):
    """As on a full disk."""
    run = bench.run("echo $$; exec sleep 60")
    (pid,) = bench.pids(run)
    (bench.directory / run.handle / "stop").symlink_to("/no/such/folder/stop")
    stop(bench, run)
    assert not is_alive(pid)


def test_background_processes_end_with_the_command(bench):
    """The run has ended when its command has."""
    run = bench.done("sleep 60 & echo $!")
    assert bench.outcome(run) == ("stopped", None)
    assert not is_alive(bench.pids(run)[0])


def test_a_run_can_be_stopped_at_any_time(bench):
    """During launch, setup or execution, it is canceled and nothing is left."""
    for pause in range(0, 60, 6):
        run = bench.run(f"echo $$ >> {bench.directory}/started; exec sleep 60", workspaceUrl="none")
        begin = bench.clock.now()
        wait_until(lambda begin=begin, pause=pause: bench.clock.now() > begin + pause / 100)
        stop(bench, run)
        assert bench.outcome(run) == ("canceled", None)
    started = bench.directory / "started"
    assert not any(is_alive(int(line)) for line in (started.read_text().split() if started.exists() else []))


def test_sigterm_to_the_supervisor_ends_the_run_with_an_error(bench):
    """As when the machine shuts down: it was not stopped by a client."""
    run = bench.run("echo $$; echo $PPID; exec sleep 60")
    command, supervisor = bench.pids(run, 2)
    os.kill(supervisor, signal.SIGTERM)
    bench.wait_for_end(run)
    state, error = bench.outcome(run)
    assert state == "error"
    assert "ended from outside" in error
    assert not is_alive(command)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_do_not_end_a_supervisor(bench, number):
    """As when a terminal is closed."""
    run = bench.run("echo $PPID; mkfifo go; read -r line < go; echo $line")
    (supervisor,) = bench.pids(run)
    os.kill(supervisor, number)
    wait_until((workspace_of(bench, run) / "go").exists, "the pipe")
    (workspace_of(bench, run) / "go").write_text("done\n")
    bench.wait_for_end(run)
    assert (bench.outcome(run), bench.rows(run)[1:]) == (("stopped", None), ["done"])


def test_runs_that_are_not_kept_end_with_a_killed_server(tmp_path):
    """Their supervisors notice."""
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
