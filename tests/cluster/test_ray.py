"""Experiments on a real Ray cluster with a token, whose head keeps its state in Redis: what dies, and what stays."""

import re

import pytest
from gradient_api.constants import ExperimentState as State

from tests.cluster.conftest import lab_of
from tests.cluster.machines import wait_for
from tests.cluster.test_experiments import (
    PATIENCE,
    SECRET,
    messages,
    multi_node,
    single_node,
    sleeping,
    wait_until_printed,
)

pytestmark = pytest.mark.filterwarnings("ignore:The API key goes to .* over plain http")


@pytest.fixture(scope="module")
def lab():
    """A cluster in which drivers run on another machine than the head."""
    with lab_of("ray", redis=True, token="a-token-of-the-tests-0123456789abcdef") as lab:
        yield lab


@pytest.mark.parametrize(
    ("part", "count"),
    [
        ("gradient_server.runners.ray.on_ray", 1),
        ("supervised.agent", 3),
        ("ray::JobSupervisor", 1),
        ("ray::gradient agent", 3),
    ],
)
def test_a_killed_part_of_a_run_ends_it_and_all_that_it_has_started(lab, client, part, count):
    handle = client.run_multi_node(**multi_node(f"{sleeping(91)}", "exec sleep 3600.91", "half"))
    wait_until_printed(client, handle, "ready")
    victims = [each for each in lab.processes(part) if part in " ".join(each.cmdline())]
    assert len(victims) >= count
    victims[0].kill()
    experiment = client.wait(handle, raise_on_failure=False, timeout=PATIENCE)
    assert experiment.state in (State.ERROR, State.CANCELLED)
    wait_for(lambda: lab.processes("3600.91") == [], "the end of all commands")


def test_a_secret_is_not_in_redis(lab, client):
    handle = client.run_single_node(**single_node("echo ready", experiment_env={"TOKEN": SECRET}))
    client.wait(handle)
    lab.cluster.save_redis()
    assert lab.files_with(SECRET) == []
    assert lab.files_with(handle) != []


def test_a_run_outlives_the_head_whose_state_is_in_redis(lab, client):
    handle = client.run_single_node(**single_node("for i in $(seq 300); do echo $i; sleep 0.1; done", "P100"))
    wait_until_printed(client, handle, "10")
    lab.cluster.kill_machine("m1")
    lab.cluster.restart_machine("m1")
    assert messages(client, handle) == [str(number) for number in range(1, 301)]
    assert client.wait(handle).state == State.STOPPED


def test_a_killed_raylet_ends_the_run_with_the_name_of_its_machine(lab, client):
    handle = client.run_single_node(**single_node(sleeping(93), "m3"))
    wait_until_printed(client, handle, "ready")
    raylet = next(each for each in lab.cluster.machines["m3"].processes() if each.name() == "raylet")
    raylet.kill()
    try:
        experiment = client.wait(handle, raise_on_failure=False, timeout=PATIENCE)
        assert experiment.state == State.ERROR
        # The driver may be there, too, which Ray knows by its address.
        assert re.search(r"\bm3\b|\b10\.77\.0\.3\b", experiment.experiment_error)
        wait_for(lambda: lab.processes("3600.93") == [], "the end of the command")
    finally:
        lab.cluster.kill_machine("m3")
        lab.cluster.restart_machine("m3")
