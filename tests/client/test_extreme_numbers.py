"""Numbers beyond what clocks, sockets and text take: the longest wait, or an error of this package."""

import pytest

from gradient import (
    ExperimentsClient,
    GradientSdkError,
    InvalidParametersError,
    RateLimitError,
)
from gradient_ext.polling import Pause, StateQuery, Waiter
from tests.conftest import call_method
from tests.fake_servers import status

THREE_YEARS = 1e8
ENORMOUS = [1e300, float("inf"), 10**5000]


@pytest.mark.parametrize("seconds", ENORMOUS, ids=["float", "infinite", "int"])
def test_an_enormous_retry_after_is_a_pause_that_clocks_take(seconds):
    waiter = Waiter(handle="es1", patience=None)
    assert isinstance(waiter.next_step(0.0), StateQuery)
    error = RateLimitError("Failed", status=429, method="GET", url="http://h/", retry_after=min(seconds, 1e300))
    waiter.on_error(error, 1.0)
    assert waiter.next_step(1.0) == Pause(THREE_YEARS)


@pytest.mark.parametrize("seconds", ENORMOUS, ids=["float", "infinite", "int"])
@pytest.mark.parametrize("name", ["timeout", "connect_timeout", "deadline", "patience"])
def test_an_enormous_option_is_the_longest_wait(client, name, seconds):
    with ExperimentsClient("a-key", base_url="http://localhost:1", **{name: seconds}) as unused:
        assert getattr(unused._options, name) == THREE_YEARS
    assert client.with_options(**{name: seconds}).list() == []


@pytest.mark.parametrize("seconds", ENORMOUS, ids=["float", "infinite", "int"])
def test_an_enormous_timeout_of_a_wait_is_the_longest_wait(client, single_node, seconds):
    experiment_id = client.run_single_node(**single_node)
    client.stop(experiment_id)
    assert client.wait(experiment_id, timeout=seconds).id == experiment_id
    assert list(client.yield_logs(experiment_id, timeout=seconds)) == []


@pytest.mark.parametrize("call", ["logs", "yield_logs"])
@pytest.mark.parametrize("name", ["line", "limit"])
def test_an_enormous_line_or_limit_is_refused(client, call, name):
    with pytest.raises(InvalidParametersError, match=f"{name}: must be at most 9223372036854775807"):
        getattr(client, call)("es1", **{name: 10**5000})


TOO_LONG = 10**5000
"""Python does not write integers of more than 4,300 digits: `repr`, `str` and `json` raise ValueError."""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *((name, {"experiment_id": TOO_LONG}) for name in ("get", "start", "stop", "delete", "state", "wait", "logs")),
        *(("logs", {name: sign * TOO_LONG}) for name in ("line", "limit") for sign in (1, -1)),
        *(("list", {name: sign * TOO_LONG}) for name in ("offset", "limit") for sign in (1, -1)),
        *(("list", {"project_id": value}) for value in (TOO_LONG, [TOO_LONG], {TOO_LONG})),
        *(("iter_experiments", {"page_size": sign * TOO_LONG}) for sign in (1, -1)),
        *(("wait", {"until": value}) for value in (TOO_LONG, -TOO_LONG, [4, TOO_LONG])),
        *((name, {"timeout": -TOO_LONG}) for name in ("wait", "yield_logs")),
        *(("create_single_node", {name: -TOO_LONG}) for name in ("name", "ports", "command", "is_preemptible")),
        ("create_single_node", {"experiment_env": {"SEED": TOO_LONG}}),
        ("create_single_node", {"experiment_env": {TOO_LONG: "SEED"}}),
        *(
            ("create_multi_node", {name: sign * TOO_LONG})
            for name in ("worker_count", "experiment_type_id")
            for sign in (1, -1)
        ),
    ],
)
def test_a_number_that_is_too_long_for_python_to_write_is_refused_wherever_it_is_given(flaky, client, name, arguments):
    with pytest.raises(InvalidParametersError, match=next(iter(arguments))):
        call_method(client, name, **arguments)
    assert flaky.requests == []


@pytest.mark.parametrize("name", ["timeout", "connect_timeout", "max_attempts", "deadline", "patience"])
def test_an_option_that_is_too_long_for_python_to_write_is_refused(client, name):
    for value in (-TOO_LONG, [TOO_LONG]):
        with pytest.raises(InvalidParametersError, match=f"{name}: must be .*, not a number that is too long to show"):
            client.with_options(**{name: value})


@pytest.mark.parametrize("digits", [b"9" * 5000, b"9" * 400])
def test_an_error_with_numbers_that_are_too_long_is_read(flaky, client, digits):
    flaky.otherwise = lambda request: status(429, b'{"error": "Slow down", "count": %b}' % digits, Retry_After="9" * 10)
    with pytest.raises(RateLimitError, match="Slow down") as caught:
        client.get("es1")
    assert caught.value.retry_after == 9_999_999_999


@pytest.mark.parametrize("name", ["wait", "yield_logs"])
def test_a_retry_after_beyond_the_patience_is_said_to_be_that(flaky, client, name):
    flaky.otherwise = lambda request: status(503, {"error": "Repairs"}, Retry_After="3600")
    with pytest.raises(GradientSdkError) as caught:
        call_method(client.with_options(patience=50), name)
    shown = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "the server asks to wait 3600 seconds, and the patience is 50" in shown
    assert "nothing else" not in shown
    assert len(flaky.requests) == 1
