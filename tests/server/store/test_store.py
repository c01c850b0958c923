"""Stores with a file: what a server has acknowledged is there when another one opens the file."""

import contextlib
import threading
import time

import httpx
import pytest
from attrs import asdict, filters
from gradient_api.constants import ExperimentState as State
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gradient_server import LocalServer
from gradient_server.api.operations import Operations
from gradient_server.clock import Clock, Reading
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.records import StoredResponse
from gradient_server.store.sqlite import StoreFile, StoreWriteError
from gradient_server.store.store import Store
from tests.server.api.conftest import EXPERIMENTS
from tests.server.runners.conftest import limit_file_size
from tests.server.runners.manual_runner import ManualRunner

BODY = {"experimentTypeId": 1, "projectHandle": "p", "rows": 9}


@pytest.fixture
def serve(tmp_path):
    """Serve from the store of this test, one server after the other; the server and a client of it."""

    @contextlib.contextmanager
    def serving(**options):
        options = {"store": tmp_path / "store", "check_answers": True, **options}
        with LocalServer(**options) as server, httpx.Client(base_url=server.url) as client:
            client.headers["X-API-Key"] = server.api_key
            yield server, client

    return serving


def post(client, body, path="", key=None):
    return client.post(EXPERIMENTS + path, json=body, headers={"Idempotency-Key": key} if key else {})


def logs(client, handle):
    response = client.get("/jobs/logs", params={"experimentId": handle, "limit": 10000})
    return response.json() if response.status_code == 200 else []


def everything(client):
    """Read the list and every log; pages are where the server is."""
    data = client.get(EXPERIMENTS, params={"limit": -1}).json()["data"]
    for found in data:
        assert found.pop("url") == f"{str(client.base_url).rstrip('/')}/page/experiments/{found['handle']}"
    return data, {found["handle"]: logs(client, found["handle"]) for found in data}


def test_everything_that_could_be_read_can_be_read_after_a_restart(serve, contract):
    bodies = [found["value"] for name, found in contract["components"]["examples"].items() if name.endswith("Request")]
    with serve() as (server, client):
        server.clock.scale = 0
        for body in bodies:
            post(client, body)
            stopped, deleted = (post(client, body, "run/").json()["handle"] for _ in range(2))
            server.advance(10)
            client.put(f"{EXPERIMENTS}{stopped}/stop/")
            client.delete(f"{EXPERIMENTS}{deleted}/")
            for outcome in ("stopped", "failed", "error"):
                post(client, {**body, "experimentEnv": {"GRADIENT_MOCK_OUTCOME": outcome}}, "run/")
        # Everything has ended, so that nothing changes while it is read; but for what was not started.
        server.advance(1000)
        before = everything(client)
        assert {found["state"] for found in before[0]} == {
            *(State.CREATED, State.STOPPED, State.FAILED, State.ERROR, State.CANCELLED)
        }
    for _ in range(2):
        with serve() as (_, client):
            assert everything(client) == before


def test_a_simulated_run_continues_while_no_server_runs(serve, single_node_body):
    rows = {"GRADIENT_MOCK_LOG_LINES": 200, "GRADIENT_MOCK_SECONDS": 20}
    with serve(time_scale=10) as (server, client):
        handle = post(client, {**single_node_body, "experimentEnv": rows}, "run/").json()["handle"]
        server.advance(10)
        before = client.get(f"{EXPERIMENTS}{handle}/").json()["data"]
        began, seen = time.monotonic(), logs(client, handle)
    assert before["state"] == State.RUNNING
    assert 50 < len(seen) < 190
    with serve(time_scale=1e-9) as (server, client):
        # The clock went on as it was set while there was no server.
        rows = logs(client, handle)
        assert rows[: len(seen)] == seen
        assert len(rows) - len(seen) <= (time.monotonic() - began) * 100 + 1
        after = client.get(f"{EXPERIMENTS}{handle}/").json()["data"]
        for name in ("dtCreated", "dtProvisioningStarted", "dtProvisioningFinished", "dtStarted"):
            assert after[name] == before[name]
        server.advance(20)
        assert client.get(f"{EXPERIMENTS}{handle}/").json()["data"]["state"] == State.STOPPED
        assert len(logs(client, handle)) == 201


def test_handles_and_numbers_are_never_reused(serve, single_node_body):
    handles, numbers = [], []
    for seed in (0, 0, 1, 0):
        with serve(seed=seed) as (_, client):
            for _ in range(3):
                handles.append(post(client, single_node_body).json()["handle"])
                numbers.append(client.get(f"{EXPERIMENTS}{handles[-1]}/").json()["data"]["id"])
            client.delete(f"{EXPERIMENTS}{handles[-1]}/")
            client.delete(f"{EXPERIMENTS}{handles[-2]}/")
    assert len(set(handles)) == 12
    assert numbers == list(range(1, 13))


def test_the_next_server_replays_stored_responses(serve, single_node_body):
    with serve() as (_, client):
        first = post(client, single_node_body, "run/", key="a")
        other = post(client, single_node_body, key="b").json()["handle"]
        start = {"url": f"{EXPERIMENTS}{other}/start/", "headers": {"Idempotency-Key": "c"}}
        started = client.put(**start)
    with serve() as (_, client):
        again = post(client, single_node_body, "run/", key="a")
        assert (again.status_code, again.content) == (first.status_code, first.content) == (200, first.content)
        again = client.put(**start)
        assert (again.status_code, again.content) == (started.status_code, started.content)
        assert client.put(start["url"]).status_code == 409
        assert post(client, {**single_node_body, "name": "another"}, key="a").status_code == 422
        assert client.get(EXPERIMENTS).json()["meta"]["totalItems"] == 2
    with serve(api_key="another") as (_, client):
        assert post(client, single_node_body, "run/", key="a").json()["handle"] not in (first.json()["handle"], other)


def test_requests_resets_and_clock_changes_in_several_threads_do_not_fail(serve, single_node_body):
    with serve() as (server, client):
        stop = threading.Event()

        def interfere():
            while not stop.is_set():
                server.advance(0.001)
                server.clock.scale = 2
                server.reset()

        threads = [threading.Thread(target=interfere) for _ in range(2)]
        for thread in threads:
            thread.start()
        statuses = [post(client, single_node_body, "run/", key=f"k{number}").status_code for number in range(50)]
        stop.set()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 50


def test_a_second_stop_has_no_effect():
    clock = Clock(0)
    store = Store(clock, 0, SimulatedRunner())
    experiment = store.add(BODY, start=True)
    store.stop(experiment)
    clock.advance(5)
    store.stop(experiment)
    assert experiment.stopped == 0


class StoreMachine(RuleBasedStateMachine):
    """The same changes to a store with a file, which is reopened now and then, and to one in memory."""

    path = None

    @initialize()
    def begin(self):
        self.path.unlink(missing_ok=True)
        self.file = None
        self.open()
        # The clocks show the same: they begin at the same timestamp, and stand still.
        self.memory_clock = Clock(0, earlier=Reading(epoch=self.clock.date(0), passed=0, scale=0, real=0))
        self.memory = Store(self.memory_clock, 0, SimulatedRunner())
        self.names = []

    def open(self):
        self.file = StoreFile(self.path, SimulatedRunner.name)
        self.clock = self.file.clock(0)
        self.store = Store(self.clock, 0, SimulatedRunner(), file=self.file)

    @rule()
    def reopen(self):
        self.file.close()
        self.open()

    @rule(seconds=st.floats(0, 30))
    def advance(self, seconds):
        self.clock.advance(seconds)
        self.memory_clock.advance(seconds)

    @rule(
        start=st.booleans(),
        body=st.fixed_dictionaries(
            {"experimentTypeId": st.just(2), "projectHandle": st.text(max_size=3)},
            optional={
                "workerCount": st.integers(1, 3),
                "experimentEnv": st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False) | st.text(max_size=3)),
            },
        ),
    )
    def add(self, body, start):
        assert self.store.add(body, start=start).handle == self.memory.add(body, start=start).handle

    @precondition(lambda self: self.memory.newest_first())
    @rule(data=st.data(), what=st.sampled_from(["start", "stop", "delete"]))
    def change(self, data, what):
        handle = data.draw(st.sampled_from([found.handle for found in self.memory.newest_first()]))
        for store in (self.store, self.memory):
            getattr(store, what)(store.get(handle))

    @precondition(lambda self: self.memory.newest_first())
    @rule(data=st.data(), name=st.text(max_size=3))
    def update(self, data, name):
        handle = data.draw(st.sampled_from([found.handle for found in self.memory.newest_first()]))
        for store in (self.store, self.memory):
            experiment = store.get(handle)
            store.update(experiment, {**experiment.body, "name": name})

    @rule(name=st.binary(max_size=2), timestamp=st.sampled_from([0.0, 1e5]), body=st.text(max_size=3))
    def store_response(self, name, timestamp, body):
        self.names.append(name)
        for store in (self.store, self.memory):
            store.store_response(name, StoredResponse(request=b"r", status=200, body=body, timestamp=timestamp))

    @rule(fails=st.booleans())
    def transaction(self, fails):
        for store in (self.store, self.memory):
            with contextlib.suppress(ZeroDivisionError), store.transaction():
                store.add({"experimentTypeId": 1, "projectHandle": "p"})
                response = StoredResponse(request=b"r", status=200, body="null", timestamp=1.0)
                store.store_response(b"in a transaction", response)
                if fails:
                    raise ZeroDivisionError
            # The number of a failed transaction may be used again, but not once a later one is acknowledged.
            store.add({"experimentTypeId": 1, "projectHandle": "q"})

    @rule()
    def reset(self):
        self.store.reset()
        self.memory.reset()

    @invariant()
    def both_stores_are_equal(self):
        kept = filters.exclude("run")
        shown = [[asdict(found, filter=kept) for found in store.newest_first()] for store in (self.store, self.memory)]
        assert shown[0] == shown[1]
        for name in self.names:
            assert self.store.stored_response(name) == self.memory.stored_response(name)
        listed = [self.list(store, clock) for store, clock in self.pairs()]
        assert listed[0] == listed[1]
        for handle in (found["handle"] for found in listed[0].body["data"]):
            logs = {"experimentId": handle, "line": 0, "limit": 100}
            responses = [Operations(store, clock).get_logs(logs, {}) for store, clock in self.pairs()]
            assert responses[0] == responses[1]

    def pairs(self):
        return (self.store, self.clock), (self.memory, self.memory_clock)

    def list(self, store, clock):
        return Operations(store, clock).list_experiments({"limit": -1}, {})

    def teardown(self):
        self.file.close()


def test_a_store_that_is_reopened_equals_one_in_memory(tmp_path):
    StoreMachine.path = tmp_path / "store"
    examples = max(6, settings().max_examples // 4)
    run_state_machine_as_test(StoreMachine, settings=settings(max_examples=examples, stateful_step_count=20))


# --- a full disk


def test_on_a_full_disk_a_run_that_executes_is_stopped_and_nothing_else_changes(tmp_path):
    runner = ManualRunner({})
    with contextlib.closing(StoreFile(tmp_path / "store", runner.name)) as file:
        clock = Clock(0)
        runner.attach(clock, lambda handle: None)
        store = Store(clock, 0, runner, file)
        running = store.add(BODY, start=True)
        runner.step()
        queued, created = store.add(BODY, start=True), store.add(BODY)
        runner.calls.clear()
        with limit_file_size(1000):
            for experiment in (running, queued, created):
                for change in (store.stop, store.delete):
                    with pytest.raises(StoreWriteError) as caught:
                        change(experiment)
                    is_stopped = "the run is stopped all the same" in caught.value.strerror
                    assert is_stopped is (experiment is running)
            with pytest.raises(StoreWriteError):
                store.add(BODY)
        assert [call for call in runner.calls if call[0] != "delete"] == [("stop", running.handle)] * 2
        assert [found.stopped for found in store.newest_first()] == [None] * 3
        store.delete(running)
    with contextlib.closing(StoreFile(tmp_path / "store", runner.name)) as file:
        specs = list(file.contents.experiments.values())
        assert [(spec.handle, spec.stopped) for spec in specs] == [(queued.handle, None), (created.handle, None)]


def test_a_server_starts_on_a_full_disk(serve, single_node_body, caplog):
    with serve() as (_, client):
        handle = post(client, single_node_body).json()["handle"]
    with limit_file_size(1000), serve() as (_, client):
        assert client.get(f"{EXPERIMENTS}{handle}/").status_code == 200
        assert post(client, single_node_body).status_code == 500
    assert "The clock was not stored" in caplog.text
    with serve() as (_, client):
        assert client.delete(f"{EXPERIMENTS}{handle}/").status_code == 204
