"""Runs whose directories are removed by hand."""

import shutil

import pytest
from gradient_api.constants import ExperimentState as State

from tests.server.runners.process.conftest import is_alive, left_over, only_linux, wait_until

STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.05; done"


@pytest.mark.parametrize("what", ["the directory of the run", "the directory of all runs"])
@pytest.mark.parametrize("asked", ["nothing", "stop"])
def test_a_run_whose_files_are_removed_ends_with_an_error(make_bench, what, asked):
    """Its processes are killed, followers of its log find the end, and its slot is free."""
    bench = make_bench(slots=1, grace=0.3)
    run = bench.run(STUBBORN)
    (pid,) = bench.pids(run)
    shutil.rmtree(bench.directory / run.handle if what == "the directory of the run" else bench.directory)
    if asked == "stop":
        run.stop(bench.clock.now())
    bench.wait_for_end(run)
    state, error = bench.outcome(run)
    assert (state, "have been removed" in error) == ("error", True)
    assert not is_alive(pid)
    assert run.next_row_at(0, bench.clock.now()) is None
    assert bench.rows(bench.done("echo other")) == ["other"]


def test_a_deleted_run_whose_files_were_removed_ends(make_bench):
    """Its slot is free when nothing of it is left."""
    bench = make_bench(slots=1, grace=0.3)
    run = bench.run(STUBBORN)
    (pid,) = bench.pids(run)
    shutil.rmtree(bench.directory / run.handle)
    run.delete()
    other = bench.done(f"kill -0 {pid} 2>/dev/null && echo still there || echo gone")
    assert bench.rows(other) == ["gone"]
    wait_until(lambda: not list(bench.directory.glob(".*")), "the end of its files")


def test_files_can_be_removed_at_any_time(make_bench):
    """Whatever the run is doing, it ends, and nothing of it is left."""
    bench = make_bench(slots=1, grace=0.3)
    for number in range(8):
        run = bench.run("sleep 60")
        wait_until((bench.directory / run.handle / ("supervisor.log", "events.jsonl")[number % 2]).exists)
        wait_until(lambda run=run: is_removed(bench.directory / run.handle), "the removal")
        bench.wait_for_end(run)
        assert bench.outcome(run)[0] == "error"
    wait_until(lambda: left_over(bench.directory) == [], "that nothing is left")


def is_removed(folder):
    """Remove a folder while others may create files in it. Return whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@only_linux
def test_a_supervisor_notices_that_its_files_were_removed(make_bench, tmp_path):
    """Without a server, it ends the run."""
    bench = make_bench(tmp_path / "kept", keep=True)
    run = bench.run("echo $$; exec sleep 60")
    (pid,) = bench.pids(run)
    bench.runner.close()
    shutil.rmtree(bench.directory / run.handle)
    wait_until(lambda: left_over(bench.directory) == [], "that nothing is left")
    assert not is_alive(pid)


def test_a_run_whose_files_were_removed_between_two_servers_does_not_run_again(make_bench, tmp_path):
    """A later run has run, so it has. One that was still waiting runs."""
    directory, order = tmp_path / "kept", tmp_path / "order"
    first = make_bench(directory, keep=True, slots=1)
    for _ in range(2):
        first.done(f"echo ran >> {order}")
    first.runner.close()
    shutil.rmtree(directory / "es1")
    bench = make_bench(directory, keep=True, recover=False)
    removed, _, waiting = (bench.admit(f"echo again >> {order}", started=float(number)) for number in range(3))
    canceled = bench.admit("true", started=0.0, stopped=0.0)
    bench.runner.recover()
    wait_until(lambda: bench.state(waiting) == State.STOPPED, "the end of the one that waited")
    state, error = bench.outcome(removed)
    assert (state, "have been removed" in error) == ("error", True)
    assert bench.outcome(canceled) == ("canceled", None)
    assert order.read_text() == "ran\nran\nagain\n"


def test_a_run_whose_files_were_removed_is_not_run_by_the_next_server(make_bench, tmp_path):
    """It keeps its error."""
    directory, ran = tmp_path / "kept", tmp_path / "ran"
    bench = make_bench(directory, keep=True)
    run = bench.run(f"echo ran >> {ran}; echo begun; sleep 60", handle="es1")
    bench.wait_for_row(run, "begun")
    shutil.rmtree(directory / "es1")
    bench.wait_for_end(run)
    outcome = bench.outcome(run)
    bench.runner.close()
    later = make_bench(directory, keep=True, recover=False)
    known = later.admit(f"echo again >> {ran}", handle="es1", started=0.0)
    later.runner.recover()
    assert later.rows(later.done("echo other", handle="es2")) == ["other"]
    assert later.outcome(known) == outcome
    assert ran.read_text() == "ran\n"
