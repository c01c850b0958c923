"""Exactly once, in small: many threads share one client, and the network is bad. `make faults` does it in large."""

import pytest
import stamina

from tests.e2e.chaos.servers import KilledServer, RestartedServer
from tests.e2e.chaos.trial import Plan, figures_of

ACTED = {"half_body", "latency", "reset_after", "status_after", "truncated_body"}
"""The kinds of faults in which the server has acted, and the caller is not told."""


@pytest.fixture
def at_once():
    """Pauses take no time."""
    stamina.set_testing(True, attempts=10)
    yield
    stamina.set_testing(False)


def assert_exactly_once(figures, server):
    assert {kind: sentences for kind, sentences in figures.verdict.wrong.items() if sentences} == {}
    assert figures.verdict.gave_up == []
    assert figures.experiments == figures.calls / 2
    assert figures.requests == figures.calls + figures.retries
    assert server.complaints == ""


@pytest.mark.usefixtures("at_once")
def test_threads_that_share_a_client(tmp_path):
    """32 threads through faults: nobody gets the answer of another, nothing is lost, nothing is done twice."""
    with RestartedServer(tmp_path) as server:
        figures = figures_of(Plan(count=150), server)
        assert_exactly_once(figures, server)
    assert figures.injected.keys() >= ACTED
    # Only a slow body is one that a client need not ask for again.
    assert figures.retries >= sum(figures.injected.values()) - figures.injected.get("slow_body", 0)


def test_a_server_that_is_killed(tmp_path):
    """It is killed and started again while 32 threads are at work, and all holds as if it had not been."""
    with KilledServer(tmp_path) as server:
        figures = figures_of(Plan(count=100, times_away=4, rate=0.1), server)
        assert_exactly_once(figures, server)
    assert figures.times_away == 4
    assert figures.retries > sum(figures.injected.values())
