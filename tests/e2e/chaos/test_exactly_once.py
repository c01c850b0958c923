"""Threads share one client to create and start experiments over a bad network: each is created and started once.

`make faults` does the same on a large scale.
"""

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from random import Random

import pytest
import stamina
from gradient_api.constants import ExperimentState

from gradient import MultiNodeExperiment
from tests.e2e.chaos.server_process import ServerProcess

THREADS = 32
TIMEOUT = 0.5
"""Seconds for which the client waits for a response; delayed ones come later."""
FAULTS = {
    "statuses": [408, 429, 500, 502, 503, 504],
    "statuses_after": [500, 502, 503, 504],
    "resets": ["before", "after"],
    "bodies": ["truncated", "half"],
    "latency": [TIMEOUT * 1.2, TIMEOUT * 2],
    "slow": [0.02, 0.2],
}
SERVER_HAS_ACTED = {"half_body", "latency", "reset_after", "status_after", "truncated_body"}
"""Faults in which the server has acted and the client does not know."""
SINGLE_NODE = {"project_id": "p", "container": "c", "machine_type": "K80", "command": "python mnist.py"}
MULTI_NODE = {
    "project_id": "p",
    "experiment_type_id": "GRPC",
    "worker_container": "c",
    "worker_machine_type": "K80",
    "worker_command": "python mnist.py",
    "worker_count": 2,
    "parameter_server_container": "c",
    "parameter_server_machine_type": "K80",
    "parameter_server_command": "python mnist.py",
    "parameter_server_count": 1,
}


@pytest.fixture
def without_pauses():
    stamina.set_testing(True, attempts=10)
    yield
    stamina.set_testing(False)


def create_and_start(client, number):
    # One dictionary for all threads, as in a script.
    create, body = (client.create_multi_node, MULTI_NODE) if number % 2 else (client.create_single_node, SINGLE_NODE)
    handle = create(name=f"experiment {number}", **body)
    client.start(handle)
    return number, handle


def assert_each_happened_once(server, handles):
    with server.client() as client, ThreadPoolExecutor(THREADS) as pool:
        names = Counter(experiment.name for experiment in client.list())
        assert names == Counter(f"experiment {number}" for number in handles)
        for number, found in zip(handles, pool.map(client.get, handles.values()), strict=True):
            # Not the response of another call.
            assert (found.id, found.name) == (handles[number], f"experiment {number}")
            assert isinstance(found, MultiNodeExperiment) == bool(number % 2)
            assert found.state != ExperimentState.CREATED
    assert server.errors == ""


@pytest.mark.usefixtures("without_pauses")
def test_threads_that_share_a_client_do_everything_once_over_a_bad_network(tmp_path, pytestconfig):
    with contextlib.closing(ServerProcess(tmp_path)) as server:
        server.inject({**FAULTS, "rate": 0.3, "seed": 1})
        with server.client(timeout=TIMEOUT) as client, ThreadPoolExecutor(THREADS) as pool:
            numbers = range(2 * max(25, pytestconfig.option.examples))
            handles = dict(pool.map(lambda number: create_and_start(client, number), numbers))
        assert server.inject(None) >= SERVER_HAS_ACTED
        assert_each_happened_once(server, handles)


def test_everything_is_done_once_while_the_server_is_killed(tmp_path, pytestconfig):
    """All that it has acknowledged is there when it comes back."""
    count = max(25, pytestconfig.option.examples)
    kills = sorted(Random(1).sample(range(count // 20, count - count // 20), count // 25))
    handles = {}
    with contextlib.closing(ServerProcess(tmp_path)) as server:
        server.inject({**FAULTS, "rate": 0.1, "seed": 1})
        with server.client(timeout=TIMEOUT) as client, ThreadPoolExecutor(THREADS) as pool:
            calls = [pool.submit(create_and_start, client, number) for number in range(count)]
            for done, call in enumerate(as_completed(calls)):
                number, handles[number] = call.result()
                if done in kills:
                    server.kill()
                    server.inject({**FAULTS, "rate": 0.1, "seed": done, "retry_after": 1})
        server.inject(None)
        assert_each_happened_once(server, handles)
