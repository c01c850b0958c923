"""The server with a runner that it does not know: what it tells a run, when, and what it makes of what the run says."""

import contextlib
import sqlite3
import threading

import httpx
import pytest
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from gradient_server import LocalServer
from gradient_server.clock import Clock
from gradient_server.runners.base import RunRejectedError, state_at
from gradient_server.store.sqlite import StoreFile
from gradient_server.store.store import Store
from tests.server.conftest import PATIENCE
from tests.server.runners.manual_runner import ManualRun, ManualRunner

BODY = {"experimentTypeId": 1, "projectHandle": "p", "rows": 1, "code": 0}
REFUSED = {**BODY, "rows": -1}


class Broken(ManualRun):
    """A run of a server that is killed when it has written down that the run starts, but has not told it."""

    def start(self, moment):
        raise ZeroDivisionError


class Choosy(ManualRunner):
    """A runner that takes nothing any more."""

    def admit(self, spec):
        raise RunRejectedError("there is no mpirun on this machine.", "experimentTypeId")


@pytest.fixture
def runner():
    return ManualRunner({})


@pytest.fixture
def store(runner):
    return store_of(runner)


def store_of(runner, file=None):
    clock = Clock(0)
    runner.attach(clock, lambda handle: None)
    return Store(clock, 0, runner, file)


@contextlib.contextmanager
def filed(path, runner):
    with contextlib.closing(StoreFile(path, runner.name)) as file:
        yield store_of(runner, file)


@contextlib.contextmanager
def client_of(server):
    with httpx.Client(base_url=server.url, headers={"X-API-Key": server.api_key}, timeout=2 * PATIENCE) as client:
        yield client


def shown(client, handle):
    return client.get(f"/experiments/v1/experiments/{handle}/").json()["data"]


def test_a_whole_life(runner, single_node_body):
    """What the run says is in the answers: its states with their dates, its rows, and whatever it is asked to do."""
    at = "/experiments/v1/experiments/"
    with LocalServer(runner=runner, check_answers=True) as server, client_of(server) as client:
        handle = client.post(at, json=single_node_body).json()["handle"]
        assert (runner.calls, shown(client, handle)["state"]) == ([], State.CREATED)
        assert client.put(f"{at}{handle}/start/").status_code == 200
        assert (runner.calls, shown(client, handle)["state"]) == ([("start", handle)], State.PENDING)
        runner.step()
        data = shown(client, handle)
        assert (data["state"], data["dtModified"]) == (State.RUNNING, data["dtStarted"])
        assert client.get("/jobs/logs", params={"experimentId": handle}).status_code == 204
        assert client.put(f"{at}{handle}/stop/").status_code == 200
        runner.step()
        runner.step()
        data = shown(client, handle)
        assert data["state"] == State.CANCELLED
        assert data["dtStarted"] <= data["dtFinished"] == data["dtTeardownStarted"] <= data["dtTeardownFinished"]
        (row,) = client.get("/jobs/logs", params={"experimentId": handle}).json()
        assert (row["line"], row["message"]) == (1, END_OF_LOG)
        assert client.put(f"{at}{handle}/stop/").status_code == 409
        assert client.delete(f"{at}{handle}/").status_code == 204
        assert runner.calls == [(what, handle) for what in ("start", "stop", "delete")]
        assert (runner.begun, runner.closed) == (1, 0)
    assert (runner.begun, runner.closed) == (1, 1)


def test_a_run_that_breaks_off(runner, single_node_body):
    """One that ended without being torn down has begun and ended all the same."""
    with LocalServer(runner=runner) as server, client_of(server) as client:
        handle = client.post("/experiments/v1/experiments/run/", json=single_node_body).json()["handle"]
        runner.step()
        runner.kept[handle]._enter(State.ERROR, server.clock.now())
        data = shown(client, handle)
        assert data["dtTeardownStarted"] is None
        assert data["dtStarted"] <= data["dtFinished"] == data["dtTeardownFinished"] == data["dtModified"]
        assert data["experimentError"] == "There is nothing to run."


@pytest.mark.parametrize(
    ("address", "steps"),
    [(f"/experiments/v1/experiments/{{}}/state/?known={State.PENDING}", 1), ("/jobs/logs?experimentId={}&line=0", 2)],
    ids=["state", "rows"],
)
def test_a_long_poll_is_woken_by_the_runner(runner, single_node_body, address, steps):
    """It is answered when the runner says so, from another thread, although no moment was announced; and not before."""
    with LocalServer(runner=runner) as server, client_of(server) as client:
        handle = client.post("/experiments/v1/experiments/run/", json=single_node_body).json()["handle"]
        answers = []
        parameters = {"method": "GET", "url": address.format(handle) + "&wait=60"}
        held = threading.Thread(target=lambda: answers.append(client.request(**parameters)))
        held.start()
        for _ in range(steps):
            held.join(0.2)
            assert held.is_alive()
            runner.step()
        held.join(PATIENCE)
        assert [answer.status_code for answer in answers] == [200]
        assert shown(client, handle)["state"] == State.RUNNING


def test_a_server_that_does_not_come_to_serve(runner):
    """What was attached is closed, also without having begun; what was not attached is left alone."""
    with LocalServer() as other, pytest.raises(OSError, match="in use"):
        LocalServer(port=int(other.url.rpartition(":")[2]), runner=runner)
    assert (runner.begun, runner.closed) == (0, 0)
    LocalServer(runner=runner).stop()
    assert (runner.begun, runner.closed) == (0, 1)


def test_what_is_refused(runner, single_node_body):
    """The caller is told by the name of the member, and nothing is kept."""
    with LocalServer(runner=Choosy({}), check_answers=True) as server, client_of(server) as client:
        for path in ("", "run/"):
            answer = client.post(f"/experiments/v1/experiments/{path}", json=single_node_body)
            assert answer.status_code == 400
            assert answer.json()["details"] == {"experimentTypeId": ["there is no mpirun on this machine."]}
        assert client.get("/experiments/v1/experiments/").json()["data"] == []


def test_what_is_rolled_back_is_not_begun(runner, store):
    """Runs are told at the end of what belongs together; where that fails, that they are forgotten and nothing else."""
    with contextlib.suppress(ZeroDivisionError), store.transaction():
        failed = store.add(BODY, start=True)
        raise ZeroDivisionError
    assert (runner.calls, store.newest_first()) == ([("delete", failed.handle)], [])
    runner.calls.clear()
    with store.transaction():
        made = store.add(BODY, start=True)
        assert runner.calls == []
    assert runner.calls == [("start", made.handle)]


def test_what_cannot_be_written_is_not_begun(runner, tmp_path):
    """Of a create that does not get into the file nothing is left, alone or in a transaction."""
    with filed(tmp_path / "store", runner) as store:
        for block in (contextlib.nullcontext, store.transaction):
            with pytest.raises(TypeError), block():
                store.add({**BODY, "name": object()}, start=True)
        assert [what for what, _ in runner.calls] == ["delete", "delete"]
        assert runner.prepared == runner.kept == {}


def test_what_was_reset_in_between(runner, store):
    """What another thread has reset is not told anything more, whatever was about to be done to it."""
    for act in (store.start, store.stop, store.delete):
        found = store.add(BODY)
        runner.calls.clear()
        store.reset()
        act(found)
        assert runner.calls == [("delete", found.handle)]
    with store.transaction():
        added = store.add(BODY, start=True)
        runner.calls.clear()
        store.reset()
    assert runner.calls == [("delete", added.handle)]


def test_a_reset_forgets_every_run(runner, store):
    """Each once, also those that are running."""
    handles = [store.add(BODY, start=start).handle for start in (True, False)]
    runner.calls.clear()
    store.reset()
    assert runner.calls == [("delete", handle) for handle in handles]


def test_a_server_that_starts_again(tmp_path):
    """What is known of each experiment is told to the runner, which goes on with those that it still has."""
    runner, path = ManualRunner({}), tmp_path / "store"
    with filed(path, runner) as store:
        handles = [store.add(BODY, start=start).handle for start in (True, False, True, True)]
        store.stop(store.get(handles[2]))
        store.delete(store.get(handles[3]))
        runner.step()
    again = ManualRunner(runner.kept)
    with filed(path, again) as store:
        assert list(again.prepared) == handles[:3]
        assert again.calls == [("stop", handles[2])]
        states = [state_at(store.get(handle).run.transitions, 0) for handle in handles[:3]]
        assert states == [State.RUNNING, State.CREATED, State.CANCELLED]


def test_a_server_that_is_killed_between_writing_and_telling(tmp_path, monkeypatch):
    """It has written down what it did not come to tell: the next one tells it."""
    runner, path = ManualRunner({}), tmp_path / "store"
    with filed(path, runner) as store, monkeypatch.context() as patch:
        patch.setattr(ManualRun, "start", Broken.start)
        with pytest.raises(ZeroDivisionError):
            store.add(BODY, start=True)
    again = ManualRunner({})
    with filed(path, again) as store:
        (found,) = store.newest_first()
        assert again.calls == [("start", found.handle)]
        assert state_at(found.run.transitions, found.started) == State.PENDING


def test_what_the_runner_does_not_take_any_more(tmp_path):
    """The server serves; such an experiment stays as it was, or ends with an error that says why when it is started."""
    runner, path = ManualRunner({}), tmp_path / "store"
    with filed(path, runner) as store:
        created, started, canceled = (store.add(BODY, start=start) for start in (False, True, False))
        store.stop(canceled)
    with LocalServer(store=path, runner=Choosy({}), check_answers=True) as server, client_of(server) as client:
        states = [shown(client, found.handle)["state"] for found in (created, started, canceled)]
        assert states == [State.CREATED, State.ERROR, State.CANCELLED]
        address = f"/experiments/v1/experiments/{created.handle}/"
        assert client.put(address + "start/").status_code == 200
        data = shown(client, created.handle)
        assert (data["state"], data["dtStarted"]) == (State.ERROR, None)
        assert data["experimentError"] == "It cannot be run any more: there is no mpirun on this machine."
        for found in (created, started, canceled):
            assert client.get("/jobs/logs", params={"experimentId": found.handle, "wait": 60}).status_code == 204
        assert client.delete(address).status_code == 204


def test_the_store_of_another_runner(tmp_path):
    """It is refused, and stays as it is: all that one runner has run, another one would run again."""
    path = tmp_path / "store"
    with filed(path, ManualRunner({})) as store:
        store.add(BODY, start=True)
    before = path.read_bytes()
    with pytest.raises(
        OSError, match=r"run by another runner \(manual; this server has simulated\); take another file"
    ) as caught:
        LocalServer(store=path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    LocalServer(store=path, runner=ManualRunner({})).stop()


def test_a_store_from_before_there_were_runners(tmp_path):
    """Its experiments were simulated, and are taken up; no other runner gets them."""
    path = tmp_path / "store"
    LocalServer(store=path).stop()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE runner")
    with pytest.raises(OSError, match="simulated; this server has manual"):
        LocalServer(store=path, runner=ManualRunner({}))
    LocalServer(store=path).stop()
