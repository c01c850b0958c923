"""Slots and the queue, and runs that cannot be started, written or monitored."""

from gradient_api.constants import ExperimentState as State

from tests.server.runners.process.conftest import is_alive, wait_until


def test_runs_wait_for_a_slot(make_bench):
    """No more run at once than there are slots; the others are pending. One that is stopped meanwhile is canceled."""
    bench = make_bench(slots=2)
    order = bench.directory / "order"
    runs = [
        bench.run(f"echo {number} >> {order}; while [ ! -e {order}.go ]; do sleep 0.01; done") for number in range(5)
    ]
    wait_until(lambda: [bench.state(run) for run in runs[:2]] == [State.RUNNING] * 2)
    assert [bench.state(run) for run in runs[2:]] == [State.PENDING] * 3
    runs[3].stop(bench.clock.now())
    assert bench.outcome(runs[3]) == ("canceled", None)
    assert bench.state(runs[2]) == State.PENDING
    (bench.directory / "order.go").touch()
    bench.wait_for_end(*runs)
    assert sorted(order.read_text().split()[:2]) == ["0", "1"]
    assert sorted(order.read_text().split()[2:]) == ["2", "4"]


def test_a_run_that_is_deleted_in_the_queue_never_runs(make_bench):
    """The next one does."""
    bench = make_bench(slots=1)
    first = bench.run("read -r _ < /dev/null; sleep 0.3")
    waiting = bench.run(f"touch {bench.directory}/wrong")
    last = bench.run("echo last")
    waiting.delete()
    bench.wait_for_end(last)
    assert bench.outcome(first)[0] == "stopped"
    assert not (bench.directory / "wrong").exists()


def test_a_thousand_runs_wait_without_processes_or_files(make_bench):
    """They cost next to nothing."""
    bench = make_bench(slots=1)
    first = bench.run("echo one; exec sleep 60")
    waiting = [bench.run("true") for _ in range(1000)]
    bench.wait_for_row(first, "one")
    assert len(list(bench.directory.iterdir())) <= 2
    assert {bench.state(run) for run in waiting} == {State.PENDING}
    for run in waiting[:-1]:
        run.stop(bench.clock.now())
    first.stop(bench.clock.now())
    bench.wait_for_end(waiting[-1])


def test_a_run_that_cannot_be_monitored_does_not_block_others(make_bench, caplog):
    """It is stopped with an error, and its slot is free."""
    bench = make_bench(slots=1)
    raised = []

    def fail_once(handle):
        if not raised and bench.rows(broken):
            raised.append(handle)
            raise RuntimeError("on purpose")

    bench.on_change = fail_once
    broken = bench.run("echo $$; exec sleep 60")
    other = bench.run("echo other")
    bench.wait_for_end(other)
    assert (raised, bench.rows(other)) == ([broken.handle], ["other"])
    assert bench.outcome(broken) == ("error", "The run cannot be followed; the log of the server says why")
    wait_until(lambda: not is_alive(int(bench.rows(broken)[0])), "the end of the broken one")
    assert "on purpose" in caplog.text


def test_invalid_events_are_ignored(bench):
    """As a power failure may leave them. The run goes on, ends, and can be deleted."""
    run = bench.run("echo begun; while [ ! -e go ]; do sleep 0.01; done; echo done")
    bench.wait_for_row(run, "begun")
    folder = bench.directory / run.handle
    with (folder / "events.jsonl").open("ab") as events:
        events.write(b'no event\n\0\0\n[]\n{"state": 1}\n{"claimed": 2}\n\xff\n')
    (folder / "workspace" / "go").touch()
    bench.wait_for_end(run)
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), ["begun", "done"])
    run.delete()
    wait_until(lambda: not folder.exists(), "the end of its files")
    assert bench.rows(bench.done("echo other")) == ["other"]


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
    later = make_bench(directory, keep=True, recover=False)
    known = later.admit(f"touch {ran}", handle="es1", started=0.0)
    assert later.outcome(known) == outcome
    later.runner.recover()
    assert later.rows(later.done("echo other", handle="es2")) == ["other"]
    assert later.outcome(known) == outcome
    assert not ran.exists()


def test_an_error_that_cannot_be_written_is_written_later(make_bench, tmp_path):
    """As soon as it is possible, so that the next server does not start the run; but not for a deleted run."""
    directory, ran = tmp_path / "kept", tmp_path / "ran"
    bench = make_bench(directory, keep=True, slots=1)
    for handle in ("es1", "es2"):
        (directory / handle).write_text("in the way")
    failed, deleted = bench.done(f"touch {ran}"), bench.done("true")
    outcome = bench.outcome(failed)
    assert (outcome[0], bench.rows(failed)) == ("error", [])
    assert outcome[1].startswith("The run cannot be started: ")
    assert "File exists" in outcome[1]
    assert failed.next_row_at(0, bench.clock.now()) is None
    assert "es1" in bench.changes
    deleted.delete()
    wait_until(lambda: not (directory / "es2").exists(), "the removal")
    (directory / "es1").unlink()
    wait_until((directory / "es1" / "events.jsonl").exists, "the error in its files")
    bench.runner.close()
    assert not (directory / "es2").exists()
    later = make_bench(directory, keep=True, recover=False)
    known = later.admit(f"touch {ran}", handle="es1", started=0.0)
    later.runner.recover()
    assert later.rows(later.done("echo other", handle="es3")) == ["other"]
    assert later.outcome(known) == outcome
    assert not ran.exists()


def test_a_deleted_run_occupies_its_slot_until_it_has_ended(make_bench):
    """Its resources are not free before."""
    bench = make_bench(slots=1, grace=0.5)
    leaving = bench.run("trap '' TERM; echo $$; while :; do sleep 0.05; done")
    wait_until(lambda: bench.rows(leaving))
    pid = bench.rows(leaving)[0]
    other = bench.run(f"kill -0 {pid} && echo still there || echo gone")
    leaving.delete()
    bench.wait_for_end(other)
    assert bench.rows(other)[-1] == "gone"


def test_a_run_whose_supervisor_fails_to_start_ends_with_its_last_error(make_bench, monkeypatch, broken_supervisor):
    """The slot is free."""
    bench = make_bench(slots=1)
    broken = bench.done("true")
    monkeypatch.undo()
    other = bench.done("echo other")
    assert bench.outcome(broken) == (
        "error",
        "The process that supervises the run could not be started: RuntimeError: broken on purpose",
    )
    assert bench.rows(other) == ["other"]


def test_events_that_cannot_be_read_at_first_are_read_later(make_bench):
    """The end of the run is found, and its slot is free."""
    bench = make_bench(slots=1)
    run = bench.run("echo begun; while [ ! -e go ]; do sleep 0.01; done")
    bench.wait_for_row(run, "begun")
    folder = bench.directory / run.handle
    events, moved = folder / "events.jsonl", folder / "moved"
    events.rename(moved)
    events.mkdir()
    (folder / "workspace" / "go").touch()
    wait_until(lambda: b'"rows"' in moved.read_bytes(), "the last event")
    assert bench.state(run) == State.RUNNING
    events.rmdir()
    moved.rename(events)
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(bench.done("echo other")) == ["other"]
