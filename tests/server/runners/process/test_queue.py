"""Slots: how many experiments run at once, and in which order the others come."""

import errno
import os

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.events import EventReader
from tests.server.runners.process.conftest import is_alive, wait_until


def test_others_wait_until_there_is_a_slot(make_bench):
    """Not more run at once than there are slots; the others are pending, and come later."""
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
    wait_until(lambda: all(bench.state(run) in TERMINAL_STATES for run in runs))
    assert sorted(order.read_text().split()[:2]) == ["0", "1"]
    assert sorted(order.read_text().split()[2:]) == ["2", "4"]


def test_one_that_is_forgotten_while_it_waits_never_runs(make_bench):
    """Its turn does not come, and that of the next one does."""
    bench = make_bench(slots=1)
    first = bench.run("read -r _ < /dev/null; sleep 0.3")
    waiting = bench.run(f"touch {bench.directory}/wrong")
    last = bench.run("echo last")
    waiting.delete()
    wait_until(lambda: bench.state(last) in TERMINAL_STATES)
    assert bench.outcome(first)[0] == "stopped"
    assert not (bench.directory / "wrong").exists()


def test_a_thousand_can_wait(make_bench):
    """They cost next to nothing: no process and no file."""
    bench = make_bench(slots=1)
    first = bench.run("echo one; exec sleep 60")
    waiting = [bench.run("true") for _ in range(1000)]
    bench.wait_for_row(first, "one")
    assert len(list(bench.directory.iterdir())) <= 2
    assert {bench.state(run) for run in waiting} == {State.PENDING}
    for run in waiting[:-1]:
        run.stop(bench.clock.now())
    first.stop(bench.clock.now())
    wait_until(lambda: bench.state(waiting[-1]) in TERMINAL_STATES)


def test_one_that_cannot_be_followed_keeps_no_other_from_running(make_bench, caplog):
    """It is ended, with an error that says so, and leaves its slot."""
    bench = make_bench(slots=1)
    raised = []

    def fail_once(handle):
        if not raised and bench.rows(broken):
            raised.append(handle)
            raise RuntimeError("on purpose")

    bench.when_changed = fail_once
    broken = bench.run("echo $$; exec sleep 60")
    other = bench.run("echo other")
    wait_until(lambda: bench.state(other) in TERMINAL_STATES)
    assert (raised, bench.rows(other)) == ([broken.handle], ["other"])
    assert bench.outcome(broken) == ("error", "The run cannot be followed; the log of the server says why")
    wait_until(lambda: not is_alive(int(bench.rows(broken)[0])), "the end of the broken one")
    assert "on purpose" in caplog.text


def test_what_is_no_event_is_passed_over(bench):
    """Whatever a machine that lost power has left in the file, the run goes on, ends, and can be forgotten."""
    run = bench.run("echo begun; while [ ! -e go ]; do sleep 0.01; done; echo done")
    bench.wait_for_row(run, "begun")
    folder = bench.directory / run.handle
    with (folder / "events.jsonl").open("ab") as events:
        events.write(b'no event\n\0\0\n[]\n{"state": 1}\n{"claimed": 2}\n\xff\n')
    (folder / "workspace" / "go").touch()
    wait_until(lambda: bench.state(run) in TERMINAL_STATES)
    assert (bench.outcome(run), bench.rows(run)) == (("stopped", None), ["begun", "done"])
    run.delete()
    wait_until(lambda: not folder.exists(), "the end of its files")
    assert bench.rows(bench.done("echo other")) == ["other"]


def test_one_that_could_not_be_started_does_not_run_later(make_bench, tmp_path):
    """Who asked has seen that it has ended in an error: it has for the next server, too."""
    directory, ran = tmp_path / "kept", tmp_path / "ran"
    bench = make_bench(directory, keep=True)
    (directory / "es1" / "supervisor.log").mkdir(parents=True)
    outcome = bench.outcome(bench.done(f"touch {ran}"))
    assert outcome[0] == "error"
    bench.runner.close()
    (directory / "es1" / "supervisor.log").rmdir()
    later = make_bench(directory, keep=True, begin=False)
    known = later.prepare(f"touch {ran}", handle="es1", started=0.0)
    assert later.outcome(known) == outcome
    later.runner.recover()
    assert later.rows(later.done("echo other", handle="es2")) == ["other"]
    assert later.outcome(known) == outcome
    assert not ran.exists()


def test_what_could_not_be_written_of_it_is_written_later(make_bench, tmp_path):
    """Also where it had no directory at first, say on a full disk; of one that is forgotten nothing comes back."""
    directory, ran = tmp_path / "kept", tmp_path / "ran"
    bench = make_bench(directory, keep=True)
    for handle in ("es1", "es2"):
        (directory / handle).write_text("in the way")
    outcome, forgotten = bench.outcome(bench.done(f"touch {ran}")), bench.done("true")
    assert outcome[0] == "error"
    forgotten.delete()
    wait_until(lambda: not (directory / "es2").exists(), "the end of its files")
    (directory / "es1").unlink()
    wait_until((directory / "es1" / "events.jsonl").exists, "the error in its files")
    bench.runner.close()
    assert not (directory / "es2").exists()
    later = make_bench(directory, keep=True, begin=False)
    known = later.prepare(f"touch {ran}", handle="es1", started=0.0)
    later.runner.recover()
    assert later.rows(later.done("echo other", handle="es3")) == ["other"]
    assert later.outcome(known) == outcome
    assert not ran.exists()


def test_one_that_is_being_ended_keeps_its_slot(make_bench):
    """Also when it was forgotten: what it uses is not free before it has gone."""
    bench = make_bench(slots=1, grace=0.5)
    leaving = bench.run("trap '' TERM; echo $$; while :; do sleep 0.05; done")
    wait_until(lambda: bench.rows(leaving))
    pid = bench.rows(leaving)[0]
    other = bench.run(f"kill -0 {pid} && echo still there || echo gone")
    leaving.delete()
    wait_until(lambda: bench.state(other) in TERMINAL_STATES)
    assert bench.rows(other)[-1] == "gone"


def test_one_whose_files_cannot_be_made_is_an_error(make_bench):
    """It says why, and leaves its slot to the next one."""
    bench = make_bench(slots=1)
    (bench.directory / "es1").write_text("in the way")
    broken, other = bench.run("true"), bench.run("echo other")
    wait_until(lambda: bench.state(other) in TERMINAL_STATES)
    state, error = bench.outcome(broken)
    assert (state, bench.rows(broken), bench.rows(other)) == ("error", [], ["other"])
    assert "The run cannot be started: " in error
    assert "File exists" in error
    assert broken.next_row_at(0, bench.clock.now()) is None
    assert bench.told.count("es1") >= 1


def test_one_whose_supervisor_does_not_start_is_an_error(make_bench, monkeypatch, broken_supervisor):
    """It says what was the last complaint, and leaves its slot to the next one."""
    bench = make_bench(slots=1)
    broken = bench.done("true")
    monkeypatch.undo()
    other = bench.done("echo other")
    assert bench.outcome(broken) == (
        "error",
        "The process that supervises the run could not be started: RuntimeError: broken on purpose",
    )
    assert bench.rows(other) == ["other"]


def test_what_cannot_be_read_at_one_moment_is_read_at_the_next(make_bench, monkeypatch):
    """Where too many files are open when a run ends, its end is found all the same, and its slot is free."""
    bench = make_bench(slots=1)
    read_on, failed = EventReader.read_on, []

    def fail_once(reader):
        if not failed and b'"rows"' in (bench.directory / "es1" / "events.jsonl").read_bytes():
            failed.append(reader)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read_on(reader)

    run = bench.run("echo begun; while [ ! -e go ]; do sleep 0.01; done")
    bench.wait_for_row(run, "begun")
    monkeypatch.setattr(EventReader, "read_on", fail_once)
    (bench.directory / "es1" / "workspace" / "go").touch()
    wait_until(lambda: bench.state(run) in TERMINAL_STATES, "the end")
    assert (len(failed), bench.outcome(run)) == (1, ("stopped", None))
    assert bench.rows(bench.done("echo other")) == ["other"]
