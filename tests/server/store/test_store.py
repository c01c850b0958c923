"""A server with `store=`: what it was told and what it said are there again when another one takes up the file."""

import contextlib
import threading
import time

import httpx
import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server import LocalServer

EXPERIMENTS = "/experiments/v1/experiments/"


@pytest.fixture
def serve(tmp_path):
    """Serve from the store of this test, one server after the other; gives the server and a client of it."""

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
    answered = client.get("/jobs/logs", params={"experimentId": handle, "limit": 10000})
    return answered.json() if answered.status_code == 200 else []


def everything(client):
    """All that can be read: the list, and every log."""
    data = client.get(EXPERIMENTS, params={"limit": -1}).json()["data"]
    return data, {found["handle"]: logs(client, found["handle"]) for found in data}


def test_all_that_could_be_read_can_be_read_again(serve, contract):
    """Experiments of every kind, in every state, with every stamp, and all rows; twice over."""
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


def test_a_run_goes_on(serve, single_node_body):
    """Time goes on without a server: what has happened stays as it was, and the run ends when it would have ended."""
    rows = {"GRADIENT_MOCK_LOG_LINES": 200, "GRADIENT_MOCK_SECONDS": 20}
    with serve(time_scale=10) as (server, client):
        handle = post(client, {**single_node_body, "experimentEnv": rows}, "run/").json()["handle"]
        server.advance(10)
        before = client.get(f"{EXPERIMENTS}{handle}/").json()["data"]
        seen, began = logs(client, handle), time.monotonic()
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


def test_time_goes_on_as_the_clock_was_set(serve, single_node_body):
    """What moved it, and how fast it went, is known to the next server; also while nobody serves."""
    with serve(time_scale=1e-9) as (server, client):
        handle = post(client, single_node_body).json()["handle"]
        server.advance(1e6)
        later = post(client, single_node_body).json()["handle"]
        server.clock.scale = 1e6
        began = time.monotonic()
    with serve(time_scale=1e-9) as (server, client):
        ended = time.monotonic()
        last = post(client, single_node_body).json()["handle"]
        moments = [client.get(f"{EXPERIMENTS}{name}/").json()["data"]["dtCreated"] for name in (handle, later, last)]
        assert moments == sorted(moments)
        assert 1e6 <= server.clock.now() <= 1e6 + (ended - began + 0.1) * 1e6


def test_ids_are_not_given_again(serve, single_node_body):
    """With any seed, and also when the last experiments have been deleted."""
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


def test_an_answer_is_given_again_by_the_next_server(serve, single_node_body):
    """Nothing is done again; with another API key, it is another key."""
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


def test_resetting(serve, single_node_body):
    """Forgets what is in the file, too, and the ids begin again."""
    with serve() as (server, client):
        first = [post(client, single_node_body, key="a"), post(client, single_node_body, key="b")]
        server.reset()
    with serve() as (_, client):
        assert client.get(EXPERIMENTS).json()["data"] == []
        again = [post(client, single_node_body, key="b"), post(client, single_node_body, key="a")]
    assert [one.json() for one in again] == [one.json() for one in first]


def test_threads_do_not_get_into_each_others_way(serve, single_node_body):
    """While requests are answered, others move the clock and reset the server."""
    with serve() as (server, client):
        stop = threading.Event()

        def meddle():
            while not stop.is_set():
                server.advance(0.001)
                server.clock.scale = 2
                server.reset()

        meddling = [threading.Thread(target=meddle) for _ in range(2)]
        for thread in meddling:
            thread.start()
        answers = [post(client, single_node_body, "run/", key=f"k{number}").status_code for number in range(200)]
        stop.set()
        for thread in meddling:
            thread.join()
        assert answers == [200] * 200
