"""The file of a store: which can be one, who can read it, and what happens when it cannot be written to."""

import contextlib
import json
import os
import re
import resource
import sqlite3
import stat
import time

import httpx
import pytest

from gradient_server import LocalServer
from gradient_server.api.idempotency import FirstAnswer
from gradient_server.api.responses import ApiResponse
from gradient_server.clock import Clock, Reading
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.sqlite import StoreFile
from gradient_server.store.store import Store
from gradient_server.store.store_layout import LAYOUT

EXPERIMENTS = "/experiments/v1/experiments/"
PATIENCE = 20
BODY = {"experimentTypeId": 1, "projectHandle": "p"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a store"


@contextlib.contextmanager
def opened(path):
    with contextlib.closing(StoreFile(path, SimulatedRunner.name)) as file:
        clock = Clock(earlier=file.found.clock, at_least=file.found.last_moment, keep=file.write_clock)
        yield Store(clock, 0, SimulatedRunner(), file=file)


def filled(path):
    """Fill a store; its bytes."""
    with opened(path) as store:
        for _ in range(50):
            store.add(BODY, start=True)
    return path.read_bytes()


def changed(path, *statements):
    """Do something to a store that a server would not do."""
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


REFUSED = {
    "text": (lambda path: path.write_text("What is this?" * 100), "it is no store of a server"),
    "of another program": (other_program, "it is a database of another program"),
    "of a later version": (
        lambda path: changed(path, f"PRAGMA user_version = {LAYOUT + 1}"),
        f"a server of another version wrote it (layout {LAYOUT + 1}; this one reads {LAYOUT})",
    ),
    "damaged": (damaged, "it is damaged"),
    "half of it": (lambda path: path.write_bytes(filled(path)[:5000]), "it is damaged"),
    "with values that cannot be": (lambda path: changed(path, "UPDATE experiments SET body = '{'"), "it is damaged"),
    "with an epoch that cannot be": (lambda path: changed(path, "UPDATE clock SET epoch = 'once'"), "it is damaged"),
    "a folder": (lambda path: path.mkdir(), "Is a directory"),
    "in a folder that is missing": (lambda path: path.parent.rmdir(), "No such file or directory"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_files_that_cannot_be_used(launch, path, kind):
    """One line names the file and says what is wrong with it; the exit code is 1, and the file stays as it is."""
    make, reason = REFUSED[kind]
    make(path)
    before = path.read_bytes() if path.is_file() else None
    process = launch("--port", "0", "--store", str(path))
    output, errors = process.communicate(timeout=PATIENCE)
    assert (output, process.returncode) == ("", 1)
    assert errors == f"python -m gradient_server: --store {path}: {reason}\n"
    assert (path.read_bytes() if path.is_file() else None) == before
    with pytest.raises(OSError, match=re.escape(reason)) as caught, LocalServer(store=path):
        pass
    assert (caught.value.filename, caught.value.strerror) == (str(path), reason)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("closed", ["file", "folder"])
def test_files_that_may_not_be_written(path, closed):
    """Neither a file nor a folder that is read only can be used, because SQLite writes beside the file."""
    filled(path)
    place = path if closed == "file" else path.parent
    place.chmod(0o500)
    try:
        with pytest.raises(PermissionError), LocalServer(store=path):
            pass
    finally:
        place.chmod(0o700)


def test_a_file_that_is_in_use(launch, path):
    """By another server, of this process or another one: it is not disturbed, and when it has ended it is free."""
    with LocalServer(store=path) as server:
        with pytest.raises(OSError, match="another server is using it"), LocalServer(store=path):
            pass
        for _ in range(2):
            process = launch("--port", "0", "--store", str(path))
            _, errors = process.communicate(timeout=PATIENCE)
            assert errors == f"python -m gradient_server: --store {path}: another server is using it\n"
            assert process.returncode == 1
        assert httpx.get(server.experiments_url + "experiments/", headers={"X-API-Key": server.api_key}).is_success
    with LocalServer(store=path):
        pass


def test_a_port_in_use(path):
    """Then no file is made, and one that is there is free for the next server."""
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
def test_any_name(tmp_path, monkeypatch, single_node_body, name):
    """Names mean nothing but themselves, and a path may be relative; as soon as it has stopped, all is in one file."""
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        with LocalServer(store=name) as server:
            at, headers = server.experiments_url + "experiments/", {"X-API-Key": server.api_key}
            assert httpx.get(at, headers=headers).json()["meta"]["totalItems"] == number
            assert httpx.post(at, json=single_node_body, headers=headers).status_code == 200
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_only_its_owner_can_read_it(path):
    """And what SQLite writes beside it."""
    os.umask(mask := os.umask(0))
    assert mask & 0o077 != 0o077, "this test proves nothing where new files are closed anyway"
    with opened(path) as store:
        store.add(BODY)
        files = list(path.parent.iterdir())
        assert len(files) > 1
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_no_key_is_in_it(path, single_node_body):
    """Neither the API key nor idempotency keys can be read out of the file."""
    with LocalServer(store=path, api_key="secret-api-key") as server:
        headers = {"X-API-Key": "secret-api-key", "Idempotency-Key": "secret-idempotency-key"}
        created = httpx.post(server.experiments_url + "experiments/", json=single_node_body, headers=headers)
        assert created.status_code == 200
        raw = b"".join(file.read_bytes() for file in path.parent.iterdir())
    raw += path.read_bytes()
    assert created.json()["handle"].encode() in raw
    assert b"secret" not in raw


def test_it_cannot_be_written_any_more(launch, path, ready_file, single_node_body):
    """Then the caller is told so and nothing has been done; when there is space again, the same call does it once."""
    process = launch("--port", "0", "--store", str(path), "--ready-file", str(ready_file))
    process.stdout.readline()
    deadline = time.monotonic() + PATIENCE
    while not ready_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.001)
    url = json.loads(ready_file.read_text(encoding="utf-8"))["logs_url"]
    with httpx.Client(base_url=url, headers={"X-API-Key": "gradient-local"}) as client:

        def create(key):
            return client.post(EXPERIMENTS, json=single_node_body, headers={"Idempotency-Key": key})

        assert create("before").status_code == 200
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        assert create("before").status_code == 200  # there is nothing to write
        for key in ("a", "a", "b"):
            refused = create(key)
            assert (refused.status_code, refused.json()["error"]) == (500, "Internal server error")
            assert re.match(r"Nothing was done: the store cannot be written: .*disk", refused.json()["details"])
        assert client.get(EXPERIMENTS).json()["meta"]["totalItems"] == 1
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        handles = [create(key).json()["handle"] for key in ("a", "b", "a", "b")]
        assert handles[:2] == handles[2:]
        assert client.get(EXPERIMENTS).json()["meta"]["totalItems"] == 3
    process.kill()
    process.wait()
    with opened(path) as store:
        assert {found.handle for found in store.newest_first()} > set(handles)


def test_changes_that_cannot_be_written(path):
    """None of those that belong together is, and later ones are not disturbed."""
    with opened(path) as store:
        with pytest.raises(TypeError), store.transaction():
            [store.add(body) for body in (BODY, {**BODY, "name": object()})]
        assert store.newest_first() == []
        kept = store.add(BODY).handle
    with opened(path) as store:
        assert [found.handle for found in store.newest_first()] == [kept]


def test_keys_are_let_go(path):
    """What has been kept for a day goes out of the file, too."""
    with opened(path) as store:
        for name, moment in ((b"one", 0), (b"two", 1000), (b"three", 86401)):
            store.keep(name, FirstAnswer.of(b"request", ApiResponse(204), moment))
    with opened(path) as store:
        assert [store.first_answer(name) is not None for name in (b"one", b"two", b"three")] == [False, True, True]


def test_real_time_that_was_set_back(path):
    """What has been done stays in the past: nothing can be started again because the machine's clock is wrong."""
    with opened(path) as store:
        handle = store.add(BODY, start=True).handle
        moment = store.get(handle).started
    changed = f"UPDATE clock SET real = {time.time() + 1e6}, passed = 0"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(changed)
    with contextlib.closing(StoreFile(path, SimulatedRunner.name)) as file:
        clock = Clock(earlier=file.found.clock, at_least=file.found.last_moment)
        assert moment <= clock.now() < moment + 10


@pytest.mark.parametrize(("ago", "passed"), [(0, 0), (100, 50), (-100, 0)])
def test_a_clock_goes_on_from_another(ago, passed):
    """As if it had never stood still, at the speed that the other one had; but never backwards."""
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
