"""The file of a store: which files are accepted, who can read them, and what happens when the disk is full."""

import contextlib
import hashlib
import json
import os
import re
import resource
import sqlite3
import stat
import time

import httpx
import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server import LocalServer
from gradient_server.clock import Clock, Reading
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.records import StoredResponse
from gradient_server.store.sqlite import StoreFile
from gradient_server.store.store import Store
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import PATIENCE

BODY = {"experimentTypeId": 1, "projectHandle": "p"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a store"


@contextlib.contextmanager
def opened(path):
    with contextlib.closing(StoreFile(path, SimulatedRunner.name)) as file:
        clock = file.clock(1)
        yield Store(clock, 0, SimulatedRunner(), file=file)


def filled(path):
    """Create a file with experiments; its bytes."""
    with opened(path) as store:
        for _ in range(50):
            store.add(BODY, start=True)
    return path.read_bytes()


def modified(path, *statements):
    """Create a file, and modify it as no server would."""
    filled(path)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def other_program(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (text)")


def damaged(path):
    raw = filled(path)
    path.write_bytes(raw[:4096] + b"\xff" * (len(raw) - 4096))


UNUSABLE = {
    "text": (lambda path: path.write_text("What is this?" * 100), "it is no store of a server"),
    "of another program": (other_program, "it is a database of another program"),
    "of a later version": (
        lambda path: modified(path, "PRAGMA user_version = 4"),
        "a server of another version wrote it (layout 4; this one reads 3)",
    ),
    "damaged": (damaged, "it is damaged"),
    "half of it": (lambda path: path.write_bytes(filled(path)[:5000]), "it is damaged"),
    "with values that cannot be": (lambda path: modified(path, "UPDATE experiments SET body = '{'"), "it is damaged"),
    "with an epoch that cannot be": (lambda path: modified(path, "UPDATE clock SET epoch = 'once'"), "it is damaged"),
    "a folder": (lambda path: path.mkdir(), "Is a directory"),
    "in a folder that is missing": (lambda path: path.parent.rmdir(), "No such file or directory"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_file_is_an_error_that_names_it_and_leaves_it_unchanged(path, kind):
    make, reason = UNUSABLE[kind]
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(OSError, match=re.escape(reason)) as caught, LocalServer(store=path):
        pass
    assert (caught.value.filename, caught.value.strerror) == (str(path), reason)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_file_stays_whole_when_the_power_fails(path, monkeypatch):
    """SQLite has what it needs for that written to the disk itself."""
    databases, connect = [], sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **options: databases.append(connect(*args, **options)) or databases[-1]
    )
    with opened(path):
        (database,) = databases
        settings = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 1]


# What the first version wrote; later ones added the table `runner`.
FIRST_VERSION = """
CREATE TABLE experiments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, handle TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
    created REAL NOT NULL, started REAL, stopped REAL
);
CREATE TABLE first_answers (
    place INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, request BLOB NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, moment REAL NOT NULL
);
CREATE TABLE clock (
    one INTEGER PRIMARY KEY, epoch TEXT NOT NULL, passed REAL NOT NULL, scale REAL NOT NULL, real REAL NOT NULL
);
INSERT INTO experiments VALUES (3, 'esold', '{"experimentTypeId": 1, "projectHandle": "p"}', 1.0, 2.5, NULL);
UPDATE sqlite_sequence SET seq = 5;
PRAGMA application_id = 1198678372;
PRAGMA user_version = 1;
"""


def test_a_file_of_the_second_version_is_read(path):
    """It has no projects."""
    modified(path, "DROP TABLE projects", "PRAGMA user_version = 2")
    with opened(path) as store:
        assert len(store.newest_first()) == 50
        kept = store.add_project({"name": "new"})
    with opened(path) as store:
        assert store.projects() == {kept.handle: kept}


@pytest.mark.parametrize("names_its_runner", [False, True])
def test_a_file_of_the_first_version_is_read(path, single_node_body, names_its_runner):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.executescript(FIRST_VERSION)
        if names_its_runner:
            database.execute("CREATE TABLE runner (one INTEGER PRIMARY KEY, name TEXT NOT NULL)")
            database.execute("INSERT INTO runner VALUES (1, 'simulated')")
        database.execute("INSERT INTO clock VALUES (1, '2026-01-01T00:00:00+00:00', 100.0, 1.0, ?)", [time.time()])
        key, request = (
            hashlib.sha256(json.dumps(parts).encode()).digest()
            for parts in (["gradient-local", "a"], ["startExperiment", {"handle": "esold"}, {}])
        )
        values = [key, request, 200, '{"message": "success"}', time.time()]
        database.execute("INSERT INTO first_answers VALUES (1, ?, ?, ?, ?, ?)", values)
    headers = {"X-API-Key": "gradient-local", "Idempotency-Key": "a"}
    with LocalServer(store=path) as server, httpx.Client(base_url=server.url, headers=headers) as client:
        (data,) = client.get(EXPERIMENTS).json()["data"]
        assert (data["handle"], data["id"], data["state"]) == ("esold", 3, State.STOPPED)
        assert data["dtCreated"] == "2026-01-01T00:00:01.000000+00:00"
        # A start without this key would be a conflict.
        assert client.put(f"{EXPERIMENTS}esold/start/").status_code == 200
        handle = client.post(EXPERIMENTS, json=single_node_body, headers={"Idempotency-Key": "b"}).json()["handle"]
        assert client.get(f"{EXPERIMENTS}{handle}/").json()["data"]["id"] == 6


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_read_only_file_or_folder_is_an_error(path, closed):
    filled(path)
    place = path if closed == "file" else path.parent
    place.chmod(0o500)
    try:
        with pytest.raises(PermissionError), LocalServer(store=path):
            pass
    finally:
        place.chmod(0o700)


def test_a_file_is_locked_while_a_server_uses_it(launch, path):
    with LocalServer(store=path) as server:
        with pytest.raises(OSError, match="another server is using it"), LocalServer(store=path):
            pass
        process = launch("--port", "0", "--store", str(path))
        output, errors = process.communicate(timeout=PATIENCE)
        assert (output, process.returncode) == ("", 1)
        assert errors == f"python -m gradient_server: --store {path}: another server is using it\n"
        assert httpx.get(server.experiments_url + "experiments/", headers={"X-API-Key": server.api_key}).is_success
    with LocalServer(store=path):
        pass


def test_no_file_is_created_or_locked_if_the_port_is_in_use(path):
    with LocalServer() as other:
        port = int(other.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            LocalServer(port=port, store=path)
        assert not path.exists()
        filled(path)
        with pytest.raises(OSError, match="in use"):
            LocalServer(port=port, store=path)
    with opened(path) as store:
        assert len(store.newest_first()) == 50


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "with spaces and ü"])
def test_a_path_may_be_relative_and_have_any_name(tmp_path, monkeypatch, single_node_body, name):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        with LocalServer(store=name) as server:
            at, headers = server.experiments_url + "experiments/", {"X-API-Key": server.api_key}
            assert httpx.get(at, headers=headers).json()["meta"]["totalItems"] == number
            assert httpx.post(at, json=single_node_body, headers=headers).status_code == 200
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_file_and_its_log_are_private(path):
    os.umask(mask := os.umask(0))
    assert mask & 0o077 != 0o077, "this test proves nothing where new files are closed anyway"
    with opened(path) as store:
        store.add(BODY)
        files = list(path.parent.iterdir())
        assert len(files) > 1
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_keys_are_not_in_the_file(path, single_node_body):
    with LocalServer(store=path, api_key="secret-api-key") as server:
        headers = {"X-API-Key": "secret-api-key", "Idempotency-Key": "secret-idempotency-key"}
        created = httpx.post(server.experiments_url + "experiments/", json=single_node_body, headers=headers)
        assert created.status_code == 200
        raw = b"".join(file.read_bytes() for file in path.parent.iterdir())
    raw += path.read_bytes()
    assert created.json()["handle"].encode() in raw
    assert b"secret" not in raw


def test_a_full_disk_is_an_error_and_the_request_can_be_repeated(launch_ready, path, single_node_body):
    process, url = launch_ready("--store", str(path))
    with httpx.Client(base_url=url, headers={"X-API-Key": "gradient-local"}) as client:

        def create(key):
            return client.post(EXPERIMENTS, json=single_node_body, headers={"Idempotency-Key": key})

        assert create("before").status_code == 200
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        assert create("before").status_code == 200  # there is nothing to write
        for key in ("a", "a", "b"):
            response = create(key)
            assert (response.status_code, response.json()["error"]) == (500, "Internal server error")
            details = response.json()["details"]
            assert details.startswith("Nothing was stored: the store cannot be written: ")
            assert details.endswith("free space on its disk and try again")
        assert client.get(EXPERIMENTS).json()["meta"]["totalItems"] == 1
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        handles = [create(key).json()["handle"] for key in ("a", "b", "a", "b")]
        assert handles[:2] == handles[2:]
        assert client.get(EXPERIMENTS).json()["meta"]["totalItems"] == 3
    process.kill()
    process.wait()
    with opened(path) as store:
        assert {found.handle for found in store.newest_first()} > set(handles)


def test_of_changes_that_cannot_be_written_none_is(path):
    with opened(path) as store:
        with pytest.raises(TypeError), store.transaction():
            [store.add(body) for body in (BODY, {**BODY, "name": object()})]
        assert store.newest_first() == []
        kept = store.add(BODY).handle
    with opened(path) as store:
        assert [found.handle for found in store.newest_first()] == [kept]


def test_expired_responses_are_removed_from_memory_and_file(path):
    names = {b"one": 0, b"two": 1000, b"three": 86401}
    with opened(path) as store:
        for name, timestamp in names.items():
            store.store_response(name, StoredResponse(request=b"r", status=204, body="null", timestamp=timestamp))
        assert [store.stored_response(name) is not None for name in names] == [False, True, True]
    with opened(path) as store:
        assert [store.stored_response(name) is not None for name in names] == [False, True, True]


def test_a_response_that_was_stored_while_the_clock_was_ahead_expires(path):
    """Those of the last day before and after it stay."""
    names = {b"wrong": 86402, b"ahead": 86400, b"now": 1}
    with opened(path) as store:
        for name, timestamp in names.items():
            store.store_response(name, StoredResponse(request=b"r", status=204, body="null", timestamp=timestamp))
        assert [store.stored_response(name) is not None for name in names] == [False, True, True]


def test_simulated_time_does_not_go_back_if_real_time_does(path):
    with opened(path) as store:
        handle = store.add(BODY, start=True).handle
        timestamp = store.get(handle).started
    modified = f"UPDATE clock SET real = {time.time() + 1e6}, passed = 0"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(modified)
    with contextlib.closing(StoreFile(path, SimulatedRunner.name)) as file:
        clock = file.clock(1)
        assert timestamp <= clock.now() < timestamp + 10


@pytest.mark.parametrize(("ago", "passed"), [(0, 0), (100, 50), (-100, 0)])
def test_a_clock_continues_from_a_stored_reading(ago, passed):
    epoch = Clock().date(-1e6)
    earlier = Reading(epoch=epoch, passed=7.0, scale=0.5, real=time.time() - ago)
    kept = []
    clock = Clock(1e-9, earlier=earlier, keep=kept.append)
    assert clock.now() == pytest.approx(7 + passed, abs=1)
    assert clock.date(0) == epoch
    clock.advance(3)
    clock.scale = 2
    assert [(one.scale, one.epoch) for one in kept] == [(1e-9, epoch), (1e-9, epoch), (2, epoch)]
    assert kept[-1].passed == pytest.approx(10 + passed, abs=1)
    assert kept[-1].real == pytest.approx(time.time(), abs=1)
