"""The files of runs: events that survive a crash or a full disk, and a directory that may contain files of others."""

import contextlib
import os
import subprocess
import sys

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised.log_file import LogWriter
from gradient_server.runners.supervised.run_files import EventReader, EventWriter, RunDirectory, RunsDirectory
from tests.server.runners.conftest import is_alive, limit_file_size, wait_until

WITHOUT_RIGHTS = """
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from gradient_server.runners.process.monitor import LocalMonitor
from gradient_server.runners.supervised.run_files import EventWriter, RunDirectory, RunsDirectory
from gradient_server.runners.supervised.log_file import LogWriter
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
with TemporaryDirectory(dir="/tmp") as folder:
    runs = Path(folder, "runs")
    directory = RunDirectory(runs / "es1")
    jobs = directory.log(0).parent
    jobs.mkdir(parents=True)
    (runs / "lost+found").mkdir(mode=0)
    EventWriter(directory.events).write(state=5, rows=[1])
    LogWriter(directory.log(0)).write(1, ["one"])
    for path in (directory.events, directory.log(0), jobs, directory.path, runs):
        path.chmod(0)
    monitor = LocalMonitor(directory, 1)
    with suppress(PermissionError):
        monitor.poll()
    monitor.poll()
    assert monitor.history.has_ended
    assert list(monitor.logs[0].after(0)) == [(1, 1.0, "one")]
    assert [run.path for run in RunsDirectory(runs).unknown([])] == [directory.path]
"""


def states_in(reader):
    reader.read()
    return [state for _, state in reader.history.states]


@pytest.fixture
def events(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.mark.parametrize("room", range(0, 60, 7))
def test_an_event_is_written_completely_or_not_at_all(events, room):
    """Whatever room there is on the disk, later events can be read."""
    with contextlib.closing(EventWriter(events)) as writer:
        writer.write(state=State.PENDING)
        size = events.stat().st_size
        fits = True
        with limit_file_size(size + room):
            try:
                writer.write(state=State.RUNNING)
            except OSError:
                fits = False
        assert fits == (events.stat().st_size > size)
        writer.write(state=State.STOPPED)
    expected = [State.PENDING, State.RUNNING, State.STOPPED] if fits else [State.PENDING, State.STOPPED]
    assert states_in(EventReader(events)) == expected


def test_an_incomplete_event_is_read_when_it_is_complete(events):
    """A reader misses none, however little of it has been written when it reads."""
    with contextlib.closing(EventWriter(events)) as writer:
        writer.write(state=State.PENDING)
        writer.write(state=State.STOPPED, rows=[1])
    data = events.read_bytes()
    events.write_bytes(b"")
    reader = EventReader(events)
    for place in range(len(data)):
        with events.open("ab") as file:
            file.write(data[place : place + 1])
        assert reader.read() == (data[place : place + 1] == b"\n")
    assert states_in(reader) == [State.PENDING, State.STOPPED]
    assert reader.history.rows == (1,)


def test_an_incomplete_event_of_a_killed_writer_is_dropped(events):
    """Old and new readers read what the next writer appends."""
    with contextlib.closing(EventWriter(events)) as writer:
        writer.write(state=State.PENDING)
        writer.write(state=State.RUNNING)
    whole = events.read_bytes()
    for length in range(len(whole)):
        events.write_bytes(whole[:length])
        reader = EventReader(events)
        reader.read()
        with contextlib.closing(EventWriter(events)) as writer:
            writer.write(state=State.ERROR, error="killed")
        expected = ([State.PENDING] if b"\n" in whole[:length] else []) + [State.ERROR]
        assert states_in(reader) == states_in(EventReader(events)) == expected


@pytest.mark.parametrize("invalid", ["", 'no event\n\0\0\n[]\n{"state": 1}\n{"claimed": 2}\n\udcff\n'])
def test_the_files_of_an_earlier_version_are_read_without_what_a_power_failure_has_left(events, invalid):
    """The format is stable: runs outlive the version of the server that has started them."""
    text = (
        '{"real": 1.5, "claimed": [10, "boot 7"]}\n'
        f"{invalid}"
        '{"real": 2.0, "state": 4}\n'
        '{"real": 2.5, "group": [11, "boot 8"]}\n'
        '{"real": 3.0, "state": 8, "rows": [2, 0], "error": "reason"}\n'
    )
    events.write_bytes(text.encode(errors="surrogateescape"))
    reader = EventReader(events)
    reader.read()
    history = reader.history
    assert (history.supervisor, history.groups) == ((10, "boot 7"), [(11, "boot 8")])
    assert (history.states, history.error, history.rows) == ([(2.0, 4), (3.0, 8)], "reason", (2, 0))


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        ("caf\udce9.txt is missing", r"caf\xe9.txt is missing"),
        ("half a pair: \ud83d", r"half a pair: \ud83d"),
        ("both: \udce9 \ud83d", r"both: \udce9 \ud83d"),
        ("ä 😀 \n", "ä 😀 \n"),
        ("b" * 2000 + "m" * 5_000_000 + "e" * 2000, "b" * 2000 + " ... " + "e" * 2000),
        ("x" * 4000, "x" * 4000),
    ],
)
def test_an_error_can_be_encoded_and_has_4000_characters_at_most(events, error, stored):
    """Names of files may be no UTF-8, and messages of programs may have any length."""
    with contextlib.closing(EventWriter(events)) as writer:
        writer.write(state=State.ERROR, error=error)
    reader = EventReader(events)
    reader.read()
    assert reader.history.error == stored


def test_events_are_not_written_through_a_link(events, tmp_path):
    events.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        EventWriter(events)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["stop", "supervisor.log"])
@pytest.mark.parametrize("is_pipe", [False, True], ids=["link", "pipe"])
def test_neither_links_nor_pipes_are_used_where_files_are_written(tmp_path, name, is_pipe):
    """Commands can put them there. Nobody waits for somebody who reads from a pipe."""
    directory = RunDirectory(tmp_path)
    path, elsewhere = tmp_path / name, tmp_path / "elsewhere"
    os.mkfifo(path) if is_pipe else path.symlink_to(elsewhere)
    with pytest.raises(OSError, match="No such device" if is_pipe else "symbolic links"):
        directory.request_stop() if name == "stop" else directory.open_supervisor_log()
    assert not elsewhere.exists()


def test_events_are_not_read_from_a_pipe(events):
    os.mkfifo(events)
    with pytest.raises(OSError, match="it is no file"):
        EventReader(events).read()


def test_rights_that_a_command_has_taken_away_are_restored(tmp_path):
    """Those of its owner to the files of the run, and to nothing that a link leads to."""
    directory, other = RunDirectory(tmp_path / "runs" / "es1"), tmp_path / "other"
    jobs = directory.log(0).parent
    jobs.mkdir(parents=True)
    other.touch()
    directory.log(1).symlink_to(other)
    EventWriter(directory.events)
    LogWriter(directory.log(0))
    paths = [directory.events, directory.log(0), other, jobs, directory.path, directory.path.parent]
    for path in paths:
        path.chmod(0o044)
    directory.restore_access()
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o644, 0o644, 0o044, 0o744, 0o744, 0o744]


def test_a_run_without_rights_is_read_and_folders_that_nobody_may_enter_are_left_alone():
    """By a user who is not root, for whom rights mean something."""
    subprocess.run([sys.executable, "-c", WITHOUT_RIGHTS], check=True, timeout=30)


@pytest.fixture
def shared(tmp_path):
    """A directory that contains files of somebody else."""
    directory = tmp_path / "mine"
    directory.mkdir(mode=0o700)
    (directory / "thesis").mkdir()
    (directory / "thesis" / "chapter.txt").write_text("x")
    (directory / "thesis" / "events.jsonl").write_text("mine\n")
    (directory / "kept-photos").mkdir()
    (directory / "notes").write_text("y")
    (directory / "link").symlink_to(directory / "thesis")
    return directory


def contents_of(directory):
    return {path: path.read_bytes() if path.is_file() else None for path in directory.rglob("*")}


@pytest.mark.parametrize("keep", [True, False])
def test_files_of_others_are_left_alone(make_bench, shared, keep):
    """Also if runs are not kept: only what the runner has created is removed."""
    before = contents_of(shared)
    bench = make_bench(shared, keep=keep)
    assert bench.rows(bench.done("echo one", handle="es1")) == ["one"]
    bench.runner.close()
    assert contents_of(shared).items() >= before.items()
    created = {path.name for path in shared.iterdir()} - {path.name for path in before}
    assert created == ({"es1", "lock"} if keep else set())


def test_a_server_that_does_not_keep_runs_ends_them_and_removes_a_directory_that_it_has_created(make_bench, tmp_path):
    bench = make_bench(tmp_path / "created", keep=False, grace=0.3)
    bench.done("echo one")
    (pid,) = bench.pids(bench.run("trap '' TERM; echo $$; while :; do sleep 0.05; done"))
    bench.runner.close()
    assert not (tmp_path / "created").exists()
    assert not is_alive(pid)


def test_a_server_that_fails_to_start_removes_nothing(make_bench, tmp_path):
    """For example because its store cannot be used."""
    directory = tmp_path / "kept"
    first = make_bench(directory, keep=True)
    first.done("echo one > file", handle="es1")
    first.runner.close()
    make_bench(directory, keep=False, recover=False).runner.close()
    assert (directory / "es1" / "workspace" / "file").read_text() == "one\n"


def test_runs_without_an_experiment_are_kept_under_another_name(make_bench, tmp_path, caplog):
    """If the store was lost, they are all that is left. The server logs where they are, once."""
    directory = tmp_path / "kept"
    first = make_bench(directory, keep=True)
    first.done("echo one > file", handle="es1")
    first.runner.close()
    for _ in range(2):
        later = make_bench(directory, keep=False)
        assert later.rows(later.done("echo other", handle="es1")) == ["other"]
        later.runner.close()
        (kept,) = directory.iterdir()
        assert kept.name.startswith("kept-es1-")
        assert (kept / "workspace" / "file").read_text() == "one\n"
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert str(kept) in warning


def test_the_spec_of_a_run_without_an_experiment_is_removed(make_bench, tmp_path):
    """It may hold secrets, and nobody is going to run it."""
    directory = tmp_path / "kept"
    (directory / "es1" / "jobs").mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    (directory / "es1" / "spec.json").write_text('{"handle": "es1"}')
    make_bench(directory, keep=True)
    wait_until(lambda: not list(directory.rglob("spec.json")), "the removal")
    assert len(list(directory.glob("kept-es1-*"))) == 1


def test_a_directory_that_others_may_use_is_refused(make_bench, tmp_path):
    """The error says what would be right."""
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o770)
    with pytest.raises(PermissionError, match=r"others may use it \(mode 770\); chmod 700") as raised:
        make_bench(directory)
    assert (raised.value.filename, list(directory.iterdir())) == (str(directory), [])


@pytest.mark.parametrize("link", ["runs", "runs/lock"])
def test_symbolic_links_are_refused(make_bench, tmp_path, link):
    """As the directory or as its lock; nothing is created where they lead."""
    (tmp_path / "there").mkdir(mode=0o700)
    if link == "runs/lock":
        (tmp_path / "runs").mkdir(mode=0o700)
    os.symlink(tmp_path / "there" if link == "runs" else tmp_path / "there" / "lock", tmp_path / link)
    with pytest.raises(OSError, match="symbolic link") as raised:
        make_bench(tmp_path / "runs")
    assert raised.value.filename == str(tmp_path / link)
    assert list((tmp_path / "there").iterdir()) == []


def test_servers_have_a_store_id_by_their_directory_which_does_not_reveal_its_secret(tmp_path):
    found = []
    for name in ("one", "one", "two"):
        directory = RunsDirectory(tmp_path / name)
        with directory.in_use():
            found.append((directory.store_id, directory.secret))
    (first, secret), again, (other, other_secret) = found
    assert (first, secret) == again
    assert first != other
    assert secret != other_secret
    assert len(secret) == 64
    assert first not in secret
    assert len(first) == 8
    assert (tmp_path / "one" / "secret").stat().st_mode & 0o777 == 0o600


def test_two_servers_cannot_share_a_directory(make_bench, tmp_path):
    """The second one fails to start."""
    make_bench(tmp_path / "runs")
    with pytest.raises(OSError, match="is used by another server") as raised:
        make_bench(tmp_path / "runs")
    assert raised.value.filename == str(tmp_path / "runs")
