"""The server between clients and a runner: which calls a run gets and when, and how its reports are shown."""

import contextlib
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
EXPERIMENTS = "/experiments/v1/experiments/"


class RejectingRunner(ManualRunner):
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
def stored(path, runner):
    with contextlib.closing(StoreFile(path, runner.name)) as file:
        yield store_of(runner, file)


@contextlib.contextmanager
def serving(**options):
    """Serve, and return the server with a client for it."""
    with LocalServer(check_answers=True, **options) as server:
        headers = {"X-API-Key": server.api_key}
        with httpx.Client(base_url=server.url, headers=headers, timeout=2 * PATIENCE) as client:
            yield server, client


def data_of(client, handle):
    return client.get(f"{EXPERIMENTS}{handle}/").json()["data"]


def test_states_rows_and_requests_pass_between_client_and_run(runner, single_node_body):
    with serving(runner=runner) as (_, client):
        handle = client.post(EXPERIMENTS, json=single_node_body).json()["handle"]
        assert (runner.calls, data_of(client, handle)["state"]) == ([], State.CREATED)
        assert client.put(f"{EXPERIMENTS}{handle}/start/").status_code == 200
        assert (runner.calls, data_of(client, handle)["state"]) == ([("start", handle)], State.PENDING)
        runner.step()
        data = data_of(client, handle)
        assert (data["state"], data["dtModified"]) == (State.RUNNING, data["dtStarted"])
        assert client.get("/jobs/logs", params={"experimentId": handle}).status_code == 204
        assert client.put(f"{EXPERIMENTS}{handle}/stop/").status_code == 200
        runner.step()
        runner.step()
        data = data_of(client, handle)
        assert data["state"] == State.CANCELLED
        assert data["dtStarted"] <= data["dtFinished"] == data["dtTeardownStarted"] <= data["dtTeardownFinished"]
        (row,) = client.get("/jobs/logs", params={"experimentId": handle}).json()
        assert (row["line"], row["message"]) == (1, END_OF_LOG)
        assert client.put(f"{EXPERIMENTS}{handle}/stop/").status_code == 409
        assert client.delete(f"{EXPERIMENTS}{handle}/").status_code == 204
        assert runner.calls == [(call, handle) for call in ("start", "stop", "delete")]
        assert (runner.recovered, runner.closed) == (1, 0)
    assert (runner.recovered, runner.closed) == (1, 1)


def test_a_program_with_a_server_gets_what_the_console_shows_from_its_logger(runner, single_node_body, caplog):
    """Names are cut, and a long list is; a run that was canceled while it waited has neither started nor failed."""
    caplog.set_level("INFO", "gradient_server")
    name = "n" * 1000
    with serving(runner=runner) as (server, client):
        body = {**single_node_body, "name": name, "rows": 0, "code": None}
        handles = [client.post(f"{EXPERIMENTS}run/", json=body).json()["handle"] for _ in range(7)]
        titles = [f'{handle} "{"n" * 57}..."' for handle in handles]
        assert server.unfinished == f"7 runs: {', '.join(f'{title} (pending)' for title in titles[:5])} and 2 more"
        client.put(f"{EXPERIMENTS}{handles[0]}/stop/")
        for _ in range(2):
            runner.step()
        assert client.delete(f"{EXPERIMENTS}{handles[1]}/").status_code == 204
        runner.on_change(handles[1])
        assert caplog.messages == [
            *(f"{title} started" for title in titles[1:]),
            f"{titles[1]} was deleted while it ran",
        ]
        for handle in handles[2:]:
            client.put(f"{EXPERIMENTS}{handle}/stop/")
        for _ in range(3):
            runner.step()
        ends = [message.partition(" after ")[0] for message in caplog.messages[7:]]
        assert ends == [f"{title} ended as canceled" for title in titles[2:]]
        assert server.unfinished is None


def test_a_run_that_ends_without_a_teardown_has_dates(runner, single_node_body):
    with serving(runner=runner) as (server, client):
        handle = client.post(f"{EXPERIMENTS}run/", json=single_node_body).json()["handle"]
        runner.step()
        runner.kept[handle].enter(State.ERROR, server.clock.now())
        data = data_of(client, handle)
        assert data["dtTeardownStarted"] is None
        assert data["dtStarted"] <= data["dtFinished"] == data["dtTeardownFinished"] == data["dtModified"]
        assert data["experimentError"] == "There is nothing to run."


@pytest.mark.parametrize(
    ("address", "steps"),
    [(f"{EXPERIMENTS}{{}}/state/?known={State.PENDING}", 1), ("/jobs/logs?experimentId={}&line=0", 2)],
    ids=["state", "rows"],
)
def test_a_long_poll_is_answered_when_the_runner_reports_a_change_and_not_before(
    runner, single_node_body, address, steps
):
    with serving(runner=runner) as (_, client):
        handle = client.post(f"{EXPERIMENTS}run/", json=single_node_body).json()["handle"]
        responses = []
        url = address.format(handle) + "&wait=60"
        poll = threading.Thread(target=lambda: responses.append(client.get(url)))
        poll.start()
        for _ in range(steps):
            poll.join(0.2)
            assert poll.is_alive()
            runner.step()
        poll.join(PATIENCE)
        assert [response.status_code for response in responses] == [200]
        assert data_of(client, handle)["state"] == State.RUNNING


def test_a_runner_is_closed_if_it_was_attached(runner):
    with LocalServer() as other, pytest.raises(OSError, match="in use"):
        LocalServer(port=int(other.url.rpartition(":")[2]), runner=runner)
    assert (runner.recovered, runner.closed) == (0, 0)
    LocalServer(runner=runner).stop()
    assert (runner.recovered, runner.closed) == (0, 1)


@pytest.mark.parametrize("path", ["", "run/"])
def test_a_rejected_request_is_an_error_of_its_field_and_nothing_is_stored(single_node_body, path):
    with serving(runner=RejectingRunner({})) as (_, client):
        response = client.post(EXPERIMENTS + path, json=single_node_body)
        assert response.status_code == 400
        assert response.json()["details"] == {"experimentTypeId": ["there is no mpirun on this machine."]}
        assert client.get(EXPERIMENTS).json()["data"] == []


def test_a_run_is_started_when_its_transaction_ends_and_deleted_when_it_fails(runner, store):
    with contextlib.suppress(ZeroDivisionError), store.transaction():
        failed = store.add(BODY, start=True)
        raise ZeroDivisionError
    assert (runner.calls, store.newest_first()) == ([("delete", failed.handle)], [])
    runner.calls.clear()
    with store.transaction():
        made = store.add(BODY, start=True)
        assert runner.calls == []
    assert runner.calls == [("start", made.handle)]


def test_a_run_that_cannot_be_stored_is_deleted(runner, tmp_path):
    with stored(tmp_path / "store", runner) as store:
        for block in (contextlib.nullcontext, store.transaction):
            with pytest.raises(TypeError), block():
                store.add({**BODY, "name": object()}, start=True)
        assert [call for call, _ in runner.calls] == ["delete", "delete"]
        assert runner.admitted == runner.kept == {}


def test_a_reset_deletes_every_run_and_nothing_else_is_asked_of_them(runner, store):
    handles = [store.add(BODY, start=start).handle for start in (True, False)]
    runner.calls.clear()
    store.reset()
    assert runner.calls == [("delete", handle) for handle in handles]
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


def test_the_next_server_admits_what_the_store_has_and_the_runs_go_on(tmp_path):
    runner, path = ManualRunner({}), tmp_path / "store"
    with stored(path, runner) as store:
        handles = [store.add(BODY, start=start).handle for start in (True, False, True, True)]
        store.stop(store.get(handles[2]))
        store.delete(store.get(handles[3]))
        runner.step()
    again = ManualRunner(runner.kept)
    with stored(path, again) as store:
        assert list(again.admitted) == handles[:3]
        assert again.calls == [("stop", handles[2])]
        states = [state_at(store.get(handle).run.transitions, 0) for handle in handles[:3]]
        assert states == [State.RUNNING, State.CREATED, State.CANCELLED]


def test_a_start_that_was_stored_before_a_kill_is_repeated(tmp_path, monkeypatch):
    runner, path = ManualRunner({}), tmp_path / "store"

    def killed(run, timestamp):
        raise ZeroDivisionError

    with stored(path, runner) as store, monkeypatch.context() as patch:
        patch.setattr(ManualRun, "start", killed)
        with pytest.raises(ZeroDivisionError):
            store.add(BODY, start=True)
    again = ManualRunner({})
    with stored(path, again) as store:
        (found,) = store.newest_first()
        assert again.calls == [("start", found.handle)]
        assert state_at(found.run.transitions, found.started) == State.PENDING


def test_a_stored_experiment_that_is_now_rejected_ends_in_an_error_if_it_is_started(tmp_path):
    runner, path = ManualRunner({}), tmp_path / "store"
    with stored(path, runner) as store:
        created, started, cancelled = (store.add(BODY, start=start) for start in (False, True, False))
        store.stop(cancelled)
    with serving(store=path, runner=RejectingRunner({})) as (_, client):
        states = [data_of(client, found.handle)["state"] for found in (created, started, cancelled)]
        assert states == [State.CREATED, State.ERROR, State.CANCELLED]
        address = f"{EXPERIMENTS}{created.handle}/"
        assert client.put(f"{address}start/").status_code == 200
        data = data_of(client, created.handle)
        assert (data["state"], data["dtStarted"]) == (State.ERROR, None)
        assert data["experimentError"] == "It cannot be run any more: there is no mpirun on this machine."
        for found in (created, started, cancelled):
            assert client.get("/jobs/logs", params={"experimentId": found.handle, "wait": 60}).status_code == 204
        assert client.delete(address).status_code == 204


def test_the_store_of_another_runner_is_refused_and_unchanged(tmp_path):
    path = tmp_path / "store"
    with stored(path, ManualRunner({})) as store:
        store.add(BODY, start=True)
    before = path.read_bytes()
    with pytest.raises(
        OSError, match=r"run by another runner \(manual; this server has simulated\); take another file"
    ) as caught:
        LocalServer(store=path)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    LocalServer(store=path, runner=ManualRunner({})).stop()
