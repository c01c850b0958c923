"""Numbers beyond what clocks, sockets and text take: the longest wait, or an error of this package."""

import pytest

from gradient import ExperimentsClient, InvalidParametersError, RateLimitError
from gradient_ext.errors import words_of
from gradient_ext.polling import Pause, StateQuery, Waiter

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


def test_a_web_page_of_titles_takes_no_quadratic_time():
    assert words_of(b"<html>" + b"<title>" * 20_000) == ("a web page instead of an answer",)
