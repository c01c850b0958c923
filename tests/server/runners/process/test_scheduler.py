"""Slots and the queue, runs that cannot be started or monitored, and what a server takes over from an earlier one."""

import os
import shutil
import signal
import threading

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.base import RunRecord
from tests.server.runners.conftest import is_alive, left_over, wait_until


def test_runs_wait_for_a_slot_without_processes_or_files(make_bench):
    """No more run at once than there are slots; the others are pending. One that is stopped meanwhile is canceled."""
    bench = make_bench(slots=2)
    order = bench.directory / "order"
    runs = [
        bench.run(f"echo {number} >> {order}; while [ ! -e {order}.go ]; do sleep 0.01; done") for number in range(5)
    ]
    wait_until(lambda: [bench.state(run) for run in runs[:2]] == [State.RUNNING] * 2)
    assert [bench.state(run) for run in runs[2:]] == [State.PENDING] * 3
    assert sorted(path.name for path in bench.directory.glob("es*")) == ["es1", "es2"]
    runs[3].stop(bench.clock.now())
    assert bench.outcome(runs[3]) == ("canceled", None)
    assert bench.state(runs[2]) == State.PENDING
    (bench.directory / "order.go").touch()
    bench.wait_for_end(*runs)
    assert sorted(order.read_text().split()[:2]) == ["0", "1"]
    assert sorted(order.read_text().split()[2:]) == ["2", "4"]


def test_a_run_that_is_deleted_in_the_queue_never_runs(make_bench):
    bench = make_bench(slots=1)
    first = bench.run("sleep 0.2")
    waiting = bench.run(f"touch {bench.directory}/wrong")
    last = bench.run("echo last")
    waiting.delete()
    bench.wait_for_end(last)
    assert bench.outcome(first)[0] == "stopped"
    assert not (bench.directory / "wrong").exists()


def test_a_deleted_run_occupies_its_slot_until_it_has_ended_and_leaves_nothing(make_bench):
    bench = make_bench(slots=1, grace=0.3)
    deleted = bench.run("trap '' TERM; echo $$; while :; do sleep 0.05; done", handle="es7")
    (pid,) = bench.pids(deleted)
    again = bench.run(f"kill -0 {pid} && echo still there || echo gone", handle="es7")
    deleted.delete()
    bench.wait_for_end(again)
    assert bench.rows(again)[-1] == "gone"
    again.delete()
    wait_until(lambda: [path.name for path in bench.directory.iterdir()] == ["lock"], "the removal")


def test_a_run_that_cannot_be_monitored_ends_with_an_error_and_does_not_block_others(make_bench, caplog):
    bench = make_bench(slots=1)
    raised = []
    broken = bench.admit("echo $$; exec sleep 60")

    def fail_once(handle):
        if not raised and bench.rows(broken):
            raised.append(handle)
            raise RuntimeError("on purpose")

    bench.on_change = fail_once
    broken.start(bench.clock.now())
    other = bench.run("echo other")
    bench.wait_for_end(other)
    assert (raised, bench.rows(other)) == ([broken.handle], ["other"])
    assert bench.outcome(broken) == ("error", "The run cannot be followed; the log of the server says why")
    wait_until(lambda: not is_alive(int(bench.rows(broken)[0])), "the end of the broken one")
    assert "on purpose" in caplog.text


def fail(*arguments, **more):
    raise RuntimeError("can't start new thread")


def test_a_run_whose_launch_fails_unexpectedly_ends_with_an_error_and_others_run(make_bench, monkeypatch, caplog):
    bench = make_bench(slots=1)
    broken = bench.admit()
    monkeypatch.setattr(broken.monitor, "launch", fail)
    broken.start(bench.clock.now())
    assert bench.rows(bench.done("echo other")) == ["other"]
    assert bench.outcome(broken) == ("error", "The run cannot be started: can't start new thread")
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("method", ["stop", "move", "poll"])
def test_an_unexpected_error_does_not_end_the_scheduler(make_bench, monkeypatch, caplog, method):
    """Neither while a run is deleted, when nothing else guards it."""
    bench = make_bench(slots=1)
    deleted = bench.run("exec sleep 60")
    wait_until(lambda: bench.state(deleted) == State.RUNNING, "the start")
    original, errors = getattr(deleted.monitor, method), [fail]
    monkeypatch.setattr(
        deleted.monitor, method, lambda *given: errors.pop()() if deleted.is_deleted and errors else original(*given)
    )
    deleted.delete()
    assert bench.rows(bench.done("echo other")) == ["other"]
    assert (errors, "can't start new thread" in caplog.text) == ([], True)
    wait_until(lambda: [path.name for path in bench.directory.glob("*1*")] == [], "the removal")


def test_a_deleted_run_is_removed_when_there_can_be_no_more_threads(make_bench, monkeypatch):
    bench = make_bench(slots=1)
    run, start = bench.done(), threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: fail() if "remover" in self.name else start(self))
    run.delete()
    assert bench.rows(bench.done("echo other")) == ["other"]
    wait_until(lambda: not (bench.directory / run.handle).exists() and not list(bench.directory.glob(".*")))


def test_events_that_cannot_be_read_at_first_are_read_later(make_bench, monkeypatch):
    bench, polls = make_bench(slots=1), []
    run = bench.run("echo begun; while [ ! -e go ]; do sleep 0.01; done")
    bench.wait_for_row(run, "begun")
    folder = bench.directory / run.handle
    events, moved = folder / "events.jsonl", folder / "moved"
    events.rename(moved)
    events.mkdir()
    (folder / "workspace" / "go").touch()
    wait_until(lambda: b'"rows"' in moved.read_bytes(), "the last event")
    poll = run.monitor.poll
    monkeypatch.setattr(run.monitor, "poll", lambda: polls.append(0) or poll())
    wait_until(lambda: len(polls) > 2, "polls that fail")
    assert bench.state(run) == State.RUNNING
    events.rmdir()
    moved.rename(events)
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(bench.done("echo other")) == ["other"]


def test_a_run_whose_files_cannot_be_created_ends_with_an_error(make_bench, tmp_path, caplog):
    """Where the error cannot be stored either, the log of the server says so."""
    bench = make_bench(tmp_path / "kept", keep=True)
    (bench.directory / "es1").write_text("in the way")
    run = bench.done("true")
    state, error = bench.outcome(run)
    assert state == "error"
    assert error.startswith("The run cannot be started: ")
    assert "File exists" in error
    assert (bench.rows(run), run.next_row_at(0, bench.clock.now())) == ([], None)
    assert "es1" in bench.changes
    assert "its error cannot be stored: " in caplog.text


def follow(make_bench, directory, *admitted):
    """Start a server that admits experiments and runs another one. Return it with their runs."""
    bench = make_bench(directory, keep=True, recover=False)
    runs = [bench.admit(command, **given) for command, given in admitted]
    bench.runner.recover()
    assert bench.rows(bench.done("echo other", handle="other")) == ["other"]
    return bench, runs


def test_a_run_that_could_not_be_started_is_not_started_by_the_next_server(make_bench, tmp_path):
    """Clients have seen that it has ended with an error. Its spec, which may hold secrets, is removed."""
    directory, ran = tmp_path / "kept", tmp_path / "ran"
    bench = make_bench(directory, keep=True)
    (directory / "es1" / "supervisor.log").mkdir(parents=True)
    outcome = bench.outcome(bench.done(f"touch {ran}"))
    assert outcome[0] == "error"
    assert not list(directory.rglob("spec*"))
    bench.runner.close()
    (directory / "es1" / "supervisor.log").rmdir()
    later, (known,) = follow(make_bench, directory, (f"touch {ran}", {"handle": "es1", "started": 0.0}))
    assert later.outcome(known) == outcome
    assert not ran.exists()


def test_the_queue_keeps_the_order_in_which_runs_were_started(make_bench, tmp_path):
    """Whatever the order in which the next server admits them."""
    bench = make_bench(slots=1, recover=False)
    runs = [bench.admit(f"echo {start} >> {tmp_path}/order", started=start) for start in (0.03, 0.01, 0.02)]
    bench.runner.recover()
    bench.wait_for_end(*runs)
    assert (tmp_path / "order").read_text().split() == ["0.01", "0.02", "0.03"]


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


def test_what_still_executes_of_a_run_that_was_recorded_as_ended_is_ended(make_bench, abandoned):
    """What was recorded stays as it was."""
    directory, (pid,) = abandoned("echo $$; exec sleep 60", 1)
    bench = make_bench(directory, keep=True, recover=False)
    recorded = RunRecord(transitions=[(0.0, State.PENDING), (0.0, State.ERROR)], error="as recorded")
    run = bench.admit("true", handle="es1", started=0.0, recorded=recorded)
    bench.runner.recover()
    wait_until(lambda: not is_alive(pid), "the end of the command")
    assert bench.rows(bench.done("echo other", handle="other")) == ["other"]
    assert (tuple(run.transitions), bench.outcome(run)) == (recorded.transitions, ("error", "as recorded"))


@pytest.mark.parametrize("name", ["es1", ".forgotten-es1-0"], ids=["unknown", "being deleted"])
def test_a_run_without_an_experiment_is_stopped_and_kept_unless_it_was_being_deleted(make_bench, abandoned, name):
    """As when the store is lost."""
    directory, (pid,) = abandoned("echo $$; exec sleep 60", 1)
    assert is_alive(pid)
    (directory / "es1").rename(directory / name)
    make_bench(directory, keep=True)
    wait_until(lambda: left_over(directory) == [] and not is_alive(pid), "that nothing runs")
    is_kept = name == "es1"
    wait_until(lambda: len(list(directory.iterdir())) == is_kept + 1, "the removal")
    assert len(list(directory.glob("kept-es1-*"))) == is_kept


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


def test_a_run_whose_files_were_removed_between_two_servers_does_not_run_again(make_bench, tmp_path):
    """A later run has run, so it has. One that was still waiting runs."""
    directory, order = tmp_path / "kept", tmp_path / "order"
    first = make_bench(directory, keep=True, slots=1)
    for _ in range(2):
        first.done(f"echo ran >> {order}")
    first.runner.close()
    shutil.rmtree(directory / "es1")
    admitted = [(f"echo again >> {order}", {"started": float(number)}) for number in range(3)]
    bench, (removed, _, waiting, canceled) = follow(
        make_bench, directory, *admitted, ("true", {"started": 0.0, "stopped": 0.0})
    )
    bench.wait_for_end(waiting)
    state, error = bench.outcome(removed)
    assert (state, "have been removed" in error) == ("error", True)
    assert bench.outcome(canceled) == ("canceled", None)
    assert order.read_text() == "ran\nran\nagain\n"


def test_a_run_whose_files_were_removed_keeps_its_error_and_is_not_run_by_the_next_server(make_bench, tmp_path):
    directory, ran = tmp_path / "kept", tmp_path / "ran"
    bench = make_bench(directory, keep=True)
    run = bench.run(f"echo ran >> {ran}; echo begun; sleep 60", handle="es1")
    bench.wait_for_row(run, "begun")
    shutil.rmtree(directory / "es1")
    bench.wait_for_end(run)
    outcome = bench.outcome(run)
    bench.runner.close()
    later, (known,) = follow(make_bench, directory, (f"echo again >> {ran}", {"handle": "es1", "started": 0.0}))
    assert later.outcome(known) == outcome
    assert ran.read_text() == "ran\n"
