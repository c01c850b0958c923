"""What clients were told of runs that execute commands stays so, whatever becomes of the files beside the store."""

import contextlib
import errno
import json
import os
import re
import shutil
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from gradient_api.constants import ExperimentState as State

from gradient import ConflictError, ExperimentsClient
from gradient_server import LocalServer
from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.process import ProcessRunner
from gradient_server.store.sqlite import StoreFile
from tests.server.conftest import PATIENCE

NAMES = {"name": "n", "project_id": "p", "container": "c", "machine_type": "m"}


class Place:
    """A store with real runs, and what they have executed."""

    def __init__(self, folder):
        self.folder = folder
        self.store, self.runs, self.executed = folder / "store", folder / "store.runs", folder / "executed"
        folder.mkdir()

    @contextlib.contextmanager
    def served(self, *, slots=1, **options):
        """Serve it, and yield a client."""
        runner = ProcessRunner(self.runs, slots=slots, grace=1.0, **options)
        with LocalServer(store=self.store, runner=runner) as server:
            urls = {"base_url": server.experiments_url, "logs_url": server.logs_url}
            with ExperimentsClient(server.api_key, **urls) as client:
                yield client

    def run(self, client, command="true"):
        """Start a run that leaves a trace when it is executed."""
        return client.run_single_node(**NAMES, command=f"echo ran >> {self.executed}; {command}")

    def runs_executed(self):
        return len(self.executed.read_text().split()) if self.executed.exists() else 0


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path / "here")
    yield place
    # Whatever still runs is ended without them.
    shutil.rmtree(place.runs, ignore_errors=True)


def told(client, handle):
    """All that a client is told of what has become of an experiment, but for its rows."""
    state = client.state(handle)
    not_of_the_run = ("id", "url", "remark")
    return state, {name: value for name, value in client.get(handle).to_dict().items() if name not in not_of_the_run}


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def remove_newest(place, handles):
    shutil.rmtree(place.runs / handles[-1])
    return place


def remove_all(place, handles):
    shutil.rmtree(place.runs)
    return place


def remove_events(place, handles):
    for handle in handles:
        (place.runs / handle / "events.jsonl").unlink()
    return place


def go_back_to_the_launch(place, handles):
    for handle in handles:
        (place.runs / handle / "events.jsonl").unlink()
        (place.runs / handle / "spec.json").write_text("{}")
    return place


def copy_the_store_alone(place, handles):
    copy = Place(place.folder.with_name("there"))
    copy.executed = place.executed
    shutil.copy(place.store, copy.store)
    return copy


LOSSES = [remove_newest, remove_all, remove_events, go_back_to_the_launch, copy_the_store_alone]


def test_ids_of_real_runs_are_random_and_stay_what_they_are(tmp_path):
    """With an id and the wrong server, or a new store, a script would delete the experiment of somebody else."""
    places = [Place(tmp_path / name) for name in ("here", "there")]
    ids = []
    for place in places:
        with place.served() as client:
            ids += [client.create_single_node(**NAMES, command="true") for _ in range(2)]
    assert len(set(ids)) == 4
    assert all(re.fullmatch("es[a-z2-7]{12}", handle) for handle in ids)
    with places[0].served() as client:
        assert [experiment.id for experiment in client.list()] == ids[1::-1]
        ids.append(client.run_single_node(**NAMES, command="echo one"))
        jobs = {row.job_id for row in client.yield_logs(ids[-1])}
    with places[0].served() as client:
        assert {row.job_id for row in client.logs(ids[-1])} == jobs


@pytest.mark.parametrize(
    ("command", "numbers"),
    [
        ("true", (0, None)),
        ("exit 3", (3, None)),
        ("kill -9 $$", (137, 9)),
        ("sh -c 'kill -9 $$'; exit $?", (137, None)),
    ],
)
def test_exit_code_and_signal_of_the_command_are_numbers_and_stay_known_without_its_files(place, command, numbers):
    with place.served(slots=2) as client:
        handle = place.run(client, command)
        client.wait(handle, raise_on_failure=False)
        found = client.get(handle)
        assert (found.exit_code, found.exit_signal) == numbers
    shutil.rmtree(place.runs)
    with place.served() as client:
        found = client.get(handle)
        assert (found.exit_code, found.exit_signal) == numbers


def test_what_no_command_has_decided_has_no_exit_code(place):
    with place.served() as client:
        handle = place.run(client, "sleep 60")
        waiting = client.run_single_node(**NAMES, command="true")
        client.wait(handle, until="running")
        for stopped in (waiting, handle):
            client.stop(stopped)
            assert client.wait(stopped, raise_on_failure=False).state == State.CANCELLED
        unset = client.run_single_node(**NAMES, command="true", workspace_url="/no/such/folder")
        client.wait(unset, raise_on_failure=False)
        assert [(each.exit_code, each.exit_signal) for each in client.list()] == [(None, None)] * 3


@pytest.mark.parametrize("lose", LOSSES)
def test_runs_that_have_ended_stay_so_and_are_not_executed_again(place, lose):
    """Their states, errors, dates and the ends of their logs are told as before; one that still waits is executed."""
    with place.served() as client:
        handles = [place.run(client, command) for command in ("true", "exit 3", "echo a row")]
        before = [(client.wait(handle, raise_on_failure=False), told(client, handle))[1] for handle in handles]
        last_lines = [max((row.line for row in client.logs(handle)), default=0) for handle in handles]
        running = place.run(client, "sleep 60")
        wait_until(lambda: client.state(running) == State.RUNNING)
        waiting = place.run(client)
    lost = lose(place, handles)
    with lost.served() as client:
        with contextlib.suppress(ConflictError):  # its files may be lost, too
            client.stop(running)
        client.wait(waiting)
        assert [told(client, handle) for handle in handles] == before
        for handle, line in zip(handles, last_lines, strict=True):
            assert client.logs(handle, line=line) == []
            assert list(client.yield_logs(handle, line=line)) == []
    assert place.runs_executed() == 5


@pytest.mark.parametrize("lose", LOSSES)
def test_a_run_whose_files_were_removed_while_it_ran_is_not_executed_again(place, lose):
    """What was told stays told, also by the servers after that, and it ends with an error that says why."""
    with place.served() as client:
        handle = place.run(client, "sleep 60")
        wait_until(lambda: client.state(handle) == State.RUNNING)
        started = client.get(handle).dt_started
    lost = lose(place, [handle])
    results = []
    for _ in range(2):
        with lost.served() as client:
            wait_until(lambda client=client: client.state(handle) == State.ERROR)
            results.append(told(client, handle))
            assert "have been removed" in client.get(handle).experiment_error
            assert client.get(handle).dt_started == started
    assert results[0] == results[1]
    assert place.runs_executed() == 1


def test_a_launch_and_an_end_are_in_the_file_itself_even_if_the_server_is_killed(place):
    """A copy of the file without the log of SQLite beside it has them."""
    with place.served(slots=2) as client:
        ended = place.run(client)
        client.wait(ended)
        before = told(client, ended)
        running = place.run(client, "sleep 60")
        wait_until(lambda: client.state(running) == State.RUNNING)
        copy = copy_the_store_alone(place, [])
        client.stop(running)
        client.wait(running, raise_on_failure=False)
    with copy.served() as client:
        assert told(client, ended) == before
        assert client.state(running) == State.ERROR
        assert client.wait(place.run(client)).state == State.STOPPED
    assert place.runs_executed() == 3


def test_a_run_whose_launch_was_recorded_and_that_was_not_executed_is_launched_by_the_next_server(place, monkeypatch):
    """As when the server is killed in between."""
    monkeypatch.setattr("gradient_server.runners.process.monitor.LocalMonitor._start_supervisor", lambda monitor: None)
    with place.served() as client:
        handle = place.run(client)
        wait_until(lambda: (place.runs / handle / "spec.json").exists())
    assert place.runs_executed() == 0
    monkeypatch.undo()
    with place.served() as client:
        client.wait(handle)
    assert place.runs_executed() == 1


def test_runs_that_do_not_outlive_their_server_are_not_executed_again(place):
    """Their files go with the server."""
    with place.served(keep=False, slots=2) as client:
        ended, running = place.run(client), place.run(client, "sleep 60")
        client.wait(ended)
        before = told(client, ended)
        wait_until(lambda: client.state(running) == State.RUNNING)
    assert not place.runs.exists()
    with place.served() as client:
        assert told(client, ended) == before
        assert client.state(running) == State.ERROR
        assert client.wait(place.run(client)).state == State.STOPPED
    assert place.runs_executed() == 3


def test_a_run_that_was_rejected_by_one_server_is_not_executed_by_another(place, monkeypatch):
    with place.served() as client:
        first = place.run(client, "sleep 60")
        wait_until(lambda: client.state(first) == State.RUNNING)
        command = f"echo ran >> {place.executed}"
        waiting, created = place.run(client), client.create_single_node(**NAMES, command=command)
    admit = ProcessRunner.admit

    def reject(runner, spec):
        if spec.handle in (waiting, created):
            raise RunRejectedError("On purpose.", "command")
        return admit(runner, spec)

    monkeypatch.setattr(ProcessRunner, "admit", reject)
    with place.served() as client:
        client.stop(first)
        client.start(created)
        before = [told(client, handle) for handle in (waiting, created)]
    monkeypatch.undo()
    with place.served() as client:
        assert [told(client, handle) for handle in (waiting, created)] == before
        assert before[0][0] == before[1][0] == State.ERROR
        assert client.wait(place.run(client)).state == State.STOPPED
    assert place.runs_executed() == 2


@pytest.mark.parametrize("ahead", [-400 * 86400, 400 * 86400])
def test_dates_are_right_again_after_a_server_whose_machine_had_a_wrong_clock(place, monkeypatch, ahead):
    """What happened meanwhile keeps the dates that were told, and its order."""
    with place.served() as client:
        client.wait(place.run(client))
    machine = SimpleNamespace(time=lambda: time.time() + ahead, monotonic=time.monotonic)
    with monkeypatch.context() as wrong:
        wrong.setattr("gradient_server.clock.time", machine)
        with place.served() as client:
            meanwhile = place.run(client)
            client.wait(meanwhile)
            before = told(client, meanwhile)
            created = client.create_single_node(**NAMES, command="true")
    with place.served() as client:
        assert told(client, meanwhile) == before
        now = datetime.now(UTC)
        found = client.wait(place.run(client, "sleep 0.3"))
        assert abs(datetime.fromisoformat(found.dt_created) - now) < timedelta(minutes=1)
        took = datetime.fromisoformat(found.dt_finished) - datetime.fromisoformat(found.dt_started)
        assert timedelta(seconds=0.2) < took < timedelta(minutes=1)
        client.start(created)
        found = client.wait(created)
        assert found.dt_created <= found.dt_started <= found.dt_finished


def as_the_first_version(store):
    """Change a store into what the first version has written."""
    with contextlib.closing(sqlite3.connect(store)) as database, database:
        database.execute("DROP TABLE projects")
        database.execute("ALTER TABLE experiments DROP COLUMN run")
        database.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize("has_files", [True, False])
def test_a_store_of_the_first_version_is_converted(place, has_files):
    """Without the files of its runs, it does not tell which of them have ended: none is executed again."""
    with place.served() as client:
        ended = place.run(client)
        client.wait(ended)
        before = told(client, ended)
        created = client.create_single_node(**NAMES, command="true")
    as_the_first_version(place.store)
    if not has_files:
        shutil.rmtree(place.runs)
    for _ in range(2):
        with place.served() as client:
            if has_files:
                assert told(client, ended) == before
            else:
                assert client.state(ended) == State.ERROR
            assert client.state(created) == State.CREATED
            assert client.wait(place.run(client)).state == State.STOPPED
        shutil.rmtree(place.runs)
    assert place.runs_executed() == 3


def test_a_store_of_the_first_version_has_its_waiting_runs_executed(place):
    with place.served() as client:
        running = place.run(client, "sleep 60")
        wait_until(lambda: client.state(running) == State.RUNNING)
        waiting = place.run(client)
    as_the_first_version(place.store)
    with place.served() as client:
        client.stop(running)
        assert client.wait(waiting).state == State.STOPPED
    assert place.runs_executed() == 2


class Disk:
    """A disk on which nothing can be recorded of runs while it is full."""

    def __init__(self):
        self.is_full, self.refused = False, 0

    def check(self):
        if self.is_full:
            self.refused += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def disk(monkeypatch):
    disk, write_run = Disk(), StoreFile.write_run
    monkeypatch.setattr(StoreFile, "write_run", lambda *given: disk.check() or write_run(*given))
    return disk


def test_a_run_whose_launch_cannot_be_stored_waits_until_it_can(place, disk, caplog):
    disk.is_full = True
    with place.served() as client:
        handle = place.run(client)
        wait_until(lambda: disk.refused)
        assert client.state(handle) == State.PENDING
        assert place.runs_executed() == 0
        disk.is_full = False
        client.wait(handle)
    assert "waits until its start can be stored" in caplog.text
    assert place.runs_executed() == 1


def test_a_run_that_is_stopped_while_its_launch_cannot_be_stored_is_cancelled(place, disk):
    disk.is_full = True
    with place.served() as client:
        handle = place.run(client)
        wait_until(lambda: disk.refused)
        client.stop(handle)
        assert client.wait(handle, raise_on_failure=False).state == State.CANCELLED
        before = told(client, handle)
        disk.is_full = False
    with place.served() as client:
        assert told(client, handle) == before
        client.wait(place.run(client))
    assert place.runs_executed() == 1


def test_a_run_that_cannot_be_started_is_told_so_once_that_can_be_stored(place, disk, monkeypatch):
    """The next server would start it otherwise."""
    disk.is_full = True
    with place.served() as client:
        monkeypatch.setattr("gradient_server.runners.supervised.run_files.RunDirectory.create", out_of_space)
        monkeypatch.setattr("gradient_server.runners.supervised.run_files.RunDirectory.create_empty", out_of_space)
        handle = place.run(client)
        wait_until(lambda: disk.refused)
        assert client.state(handle) == State.PENDING
        disk.is_full = False
        wait_until(lambda: client.state(handle) == State.ERROR)
        before = told(client, handle)
    monkeypatch.undo()
    with place.served() as client:
        assert told(client, handle) == before
        assert client.wait(place.run(client)).state == State.STOPPED
    assert place.runs_executed() == 1


def out_of_space(directory, *parameters):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_end_that_cannot_be_stored_is_told_and_stored_later(place, disk):
    """A run that executes can be ended on a full disk; that it was launched keeps it from being executed again."""
    with place.served() as client:
        handle = place.run(client, "sleep 60")
        wait_until(lambda: place.runs_executed() == 1)
        disk.is_full = True
        client.stop(handle)
        client.wait(handle, raise_on_failure=False)
        before = told(client, handle)
        assert disk.refused
        disk.is_full = False

        def stored():
            copy = copy_the_store_alone(place, []).store
            with contextlib.closing(sqlite3.connect(copy)) as database:
                (text,) = database.execute("SELECT run FROM experiments").fetchone()
            shutil.rmtree(copy.parent)
            return json.loads(text)["transitions"][-1][1] == State.CANCELLED

        wait_until(stored)
    shutil.rmtree(place.runs)
    with place.served() as client:
        assert told(client, handle) == before
    assert place.runs_executed() == 1


@pytest.mark.parametrize("source", ["its events", "the store"])
def test_an_error_that_utf_8_cannot_encode_breaks_nothing(place, source):
    """As earlier versions have written it of names of files."""
    with place.served() as client:
        handle, other = place.run(client), place.run(client)
        client.wait(handle)
        client.wait(other)
    events = place.runs / handle / "events.jsonl"
    if source == "its events":
        as_the_first_version(place.store)
        lines = events.read_text().replace('"error": null', r'"error": "caf\udce9.txt"')
        assert "udce9" in lines
        events.write_text(lines)
    else:
        with contextlib.closing(sqlite3.connect(place.store)) as database, database:
            statement = "UPDATE experiments SET run = replace(run, ?, ?) WHERE handle = ?"
            database.execute(statement, ['"error": null', r'"error": "caf\udce9.txt"', handle])
    for _ in range(2):
        with place.served() as client:
            assert {found.id for found in client.list()} == {handle, other}
            assert client.get(handle).experiment_error == r"caf\udce9.txt"
            assert client.state(handle) == State.STOPPED


@pytest.mark.parametrize("value", ["[]", '{"transitions": 1}', '{"unknown": 1}', "{"])
def test_a_record_that_cannot_be_is_damage(place, value):
    with place.served() as client:
        place.run(client)
    with contextlib.closing(sqlite3.connect(place.store)) as database, database:
        database.execute("UPDATE experiments SET run = ?", [value])
    with pytest.raises(OSError, match="it is damaged"), place.served():
        pass
