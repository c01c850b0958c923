"""Values that the documentation promises, written out, and seen from outside."""

import inspect
import uuid

import pytest

from gradient import (
    ExperimentsClient,
    InvalidParametersError,
    MultiNodeExperiment,
    RateLimitError,
    RequestFailedError,
)
from gradient.constants import ExperimentState
from gradient_ext.config import is_loopback
from gradient_ext.retries import RetryPolicy
from tests.conftest import call_method
from tests.fake_servers import respond_well, status


def test_the_defaults_are_the_documented_ones():
    defaults = {name: each.default for name, each in inspect.signature(ExperimentsClient).parameters.items()}
    options = ("timeout", "connect_timeout", "max_attempts", "deadline", "patience")
    assert [defaults[name] for name in options] == [30, 5, 10, 120, 600]


def test_requests_ask_for_the_documented_numbers_of_experiments_and_rows(flaky, client):
    client.list()
    client.logs("es1")
    assert [request.query.get("limit") for request in flaky.requests] == ["1000", "10000"]
    assert flaky.requests[1].query["line"] == "0"


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_a_loopback_host_is_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["evil-localhost", "localhost.example.com", "notlocalhost", "10.0.0.1", "0.0.0.0", "::"]
)
def test_a_host_that_only_looks_like_loopback_is_not(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("number", [404, 405])
def test_a_server_without_the_light_request_of_the_state_is_asked_for_the_experiment(flaky, client, number):
    flaky.otherwise = lambda request: status(number) if request.path.endswith("/state/") else respond_well(request)
    assert client.state("es1") == ExperimentState.STOPPED
    assert len(flaky.requests) == 2


@pytest.mark.parametrize(("name", "argument"), [("list", "offset"), ("logs", "line"), ("yield_logs", "line")])
def test_a_negative_position_is_refused(flaky, client, name, argument):
    with pytest.raises(InvalidParametersError, match=f"{argument}: must be at least 0, not -1"):
        call_method(client, name, **{argument: -1})
    assert flaky.requests == []


def test_an_idempotency_key_is_a_random_uuid(flaky, client):
    client.start("es1")
    key = flaky.requests[0].headers["idempotency-key"]
    assert (str(uuid.UUID(key)), uuid.UUID(key).version) == (key, 4)


def test_the_registry_password_of_a_master_is_secret():
    experiment = MultiNodeExperiment(id="es1", state=4, experiment_type_id=3, master_registry_password="sesame")
    assert "sesame" not in f"{experiment!r} {experiment.pretty()} {experiment.to_dict()}"


def test_a_retry_after_of_a_minute_is_obeyed_and_a_longer_one_is_not():
    def delay(seconds):
        error = RateLimitError("Failed", status=429, method="GET", url="http://h/", retry_after=seconds)
        return RetryPolicy(attempts=10).delay(error, 1, 0.0, lambda: 1.0)

    assert [delay(60), delay(61)] == [60, None]


def test_delays_double_from_a_fifth_of_a_second_to_ten_seconds():
    error = RequestFailedError("broke")
    delays = [RetryPolicy(attempts=10).delay(error, attempt, 0.0, lambda: 1.0) for attempt in range(1, 11)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, None]
