"""Runs whose directories are removed by hand: what runs is ended, whoever looks, and what asks for them gets an end."""

import shutil

import pytest
from gradient_api.constants import TERMINAL_STATES

from tests.server.runners.process.conftest import is_alive, wait_until
from tests.server.runners.process.test_kill import left_over, servers  # noqa: F401
from tests.server.runners.process.test_stopping import only_linux

STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.05; done"


@pytest.mark.parametrize("what", ["the directory of the run", "the directory of all runs"])
@pytest.mark.parametrize("asked", ["nothing", "stop"])
def test_a_run_that_goes_on(make_bench, what, asked):
    """It is ended, with an error that says so, and who follows its log finds the end; its slot is free then."""
    bench = make_bench(slots=1, grace=0.3)
    run = bench.run(STUBBORN)
    wait_until(lambda: bench.rows(run), "the row with the pid")
    pid = int(bench.rows(run)[0])
    shutil.rmtree(bench.directory / run.handle if what == "the directory of the run" else bench.directory)
    if asked == "stop":
        run.stop(bench.clock.now())
    wait_until(lambda: bench.state(run) in TERMINAL_STATES, "the end")
    state, error = bench.outcome(run)
    assert (state, "have been removed" in error) == ("error", True)
    assert not is_alive(pid)
    assert run.next_row_at(0, bench.clock.now()) is None
    assert bench.rows(bench.done("echo other")) == ["other"]


def test_a_run_that_is_forgotten(make_bench):
    """It ends, and nothing of it is left; only then another one has its slot."""
    bench = make_bench(slots=1, grace=0.3)
    run = bench.run(STUBBORN)
    wait_until(lambda: bench.rows(run), "the row with the pid")
    pid = int(bench.rows(run)[0])
    shutil.rmtree(bench.directory / run.handle)
    run.delete()
    other = bench.done(f"kill -0 {pid} 2>/dev/null && echo still there || echo gone")
    assert bench.rows(other) == ["gone"]
    wait_until(lambda: not list(bench.directory.glob(".*")), "the end of its files")


def test_a_run_that_has_just_begun(make_bench):
    """At whatever moment it loses its files, it comes to an end, and nothing of it is left."""
    bench = make_bench(slots=1, grace=0.3)
    for number in range(8):
        run = bench.run("sleep 60")
        wait_until((bench.directory / run.handle / ("supervisor.log", "events.jsonl")[number % 2]).exists)
        wait_until(lambda run=run: is_removed(bench.directory / run.handle), "the removal")
        wait_until(lambda run=run: bench.state(run) in TERMINAL_STATES, "the end")
        assert bench.outcome(run)[0] == "error"
    wait_until(lambda: left_over(bench.directory) == [], "that nothing is left")


def is_removed(folder):
    """Remove a folder in which others make files at the same time; tell whether it has gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@only_linux
def test_a_run_that_no_server_follows(servers):  # noqa: F811
    """Its supervisor finds it out."""
    servers.know("es1", STUBBORN.replace("trap '' TERM; ", ""))
    servers.start()
    wait_until(lambda: servers.rows.get("es1"))
    servers.end()
    shutil.rmtree(servers.directory / "es1")
    wait_until(lambda: left_over(servers.directory) == [], "that nothing is left")
    assert not is_alive(int(servers.rows["es1"][1]))


def test_an_error_that_stays(make_bench, tmp_path):
    """What has lost its files is not run again by the next server."""
    directory, ran = tmp_path / "kept", tmp_path / "ran"
    bench = make_bench(directory, keep=True)
    run = bench.run(f"echo ran >> {ran}; echo begun; sleep 60", handle="es1")
    bench.wait_for_row(run, "begun")
    shutil.rmtree(directory / "es1")
    wait_until(lambda: bench.state(run) in TERMINAL_STATES, "the end")
    outcome = bench.outcome(run)
    bench.runner.close()
    later = make_bench(directory, keep=True, begin=False)
    known = later.prepare(f"echo again >> {ran}", handle="es1", started=0.0)
    later.runner.recover()
    assert later.rows(later.done("echo other", handle="es2")) == ["other"]
    assert later.outcome(known) == outcome
    assert ran.read_text() == "ran\n"
