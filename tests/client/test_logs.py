"""Following logs over real sockets: long polls, servers that go away, timeouts, interruptions."""

import logging
import signal
import subprocess
import sys
import threading
import time
import weakref

import httpx
import pytest

from gradient import (
    ExperimentsClient,
    InvalidParametersError,
    LogRows,
    LogsInterruptedError,
    LogsTimeoutError,
    RequestFailedError,
    ResourceFetchingError,
)
from gradient.constants import ExperimentState
from tests.fake_servers import LOGS, STATE, status


class Reader(threading.Thread):
    """Follow logs in a thread of its own, and keep the lines and the error."""

    def __init__(self, rows):
        super().__init__(daemon=True)
        self.lines = []
        self.error = None
        self._rows = rows
        self._came = threading.Condition()
        self.start()

    def run(self):
        try:
            for row in self._rows:
                with self._came:
                    self.lines.append(row.line)
                    self._came.notify_all()
        except Exception as error:
            self.error = error

    def wait_for(self, count, seconds=10):
        with self._came:
            assert self._came.wait_for(lambda: len(self.lines) >= count, timeout=seconds), self.error

    def ended(self, seconds=10):
        self.join(seconds)
        assert not self.is_alive()
        return self.lines


def test_one_long_poll_waits_for_each_row_which_comes_the_moment_it_is_printed(live, client):
    reader = Reader(client.yield_logs("es1"))
    for count in range(1, 4):
        live.wait_for(count, LOGS)
        assert live.requests_to(LOGS)[-1].query == {
            "experimentId": "es1",
            "line": str(count - 1),
            "limit": "10000",
            "wait": "20.0",
        }
        printed = time.monotonic()
        live.print(1)
        reader.wait_for(count)
        assert time.monotonic() - printed < 0.15
    live.print(1, end=True)
    assert reader.ended() == [1, 2, 3, 4]


def test_a_page_is_released_before_the_next_one_is_requested(live, client):
    came = []

    def referenced():
        for row in client.yield_logs("es1"):
            came.append(weakref.ref(row))
            yield row

    live.print(3)
    reader = Reader(referenced())
    live.wait_for(2, LOGS)
    assert [row() is None for row in came[:2]] == [True, True]
    live.print(1, end=True)
    assert reader.ended() == [1, 2, 3, 4]
    assert len(live.requests_to(LOGS)) <= 5
    assert live.requests_to(STATE) == []


def test_a_long_poll_ends_with_the_experiment_though_no_row_and_no_end_marker_comes(live, client):
    reader = Reader(client.yield_logs("es1"))
    live.wait_for(1, LOGS)
    live.change(state=ExperimentState.STOPPED)
    assert reader.ended(2) == []
    assert reader.error is None


def test_a_long_poll_may_take_longer_than_the_timeout(live, client, caplog):
    caplog.set_level(logging.DEBUG, "gradient")
    threading.Timer(0.8, live.print, [1], {"end": True}).start()
    rows = client.with_options(timeout=0.3).yield_logs("es1")
    assert [row.line for row in rows] == [1]
    assert "RequestTimeoutError" not in caplog.text


@pytest.mark.usefixtures("no_backoff")
def test_after_outages_of_the_server_every_row_comes_once_and_in_order(live, client):
    reader = Reader(client.yield_logs("es1"))
    for count in (10, 20, 30):
        live.print(5)
        reader.wait_for(count - 5)
        live.wait_for(1, LOGS)
        live.stop()
        live.print(5)
        live.start()
        reader.wait_for(count)
    live.print(5, end=True)
    assert reader.ended() == list(range(1, 36))


@pytest.mark.usefixtures("no_backoff")
def test_when_the_server_stays_away_the_error_names_the_cause_and_the_cursor_from_which_to_go_on(live, client):
    reader = Reader(client.with_options(patience=0.5).yield_logs("es1"))
    live.print(5)
    reader.wait_for(5)
    live.stop()
    reader.ended()
    assert isinstance(reader.error, LogsInterruptedError)
    assert isinstance(reader.error.error, RequestFailedError)
    assert reader.error.line == 5
    assert "yield_logs('es1', after='js0:5') goes on from there" in str(reader.error)
    live.print(5, end=True)
    live.start()
    again = [row.line for row in client.yield_logs("es1", line=reader.error.line)]
    assert reader.lines + again == list(range(1, 11))


def test_the_timeout_ends_a_request_that_hangs(live, client):
    rows = client.with_options(timeout=30).yield_logs("es1", timeout=0.5)
    with live.changed:  # The server does not respond while this is held.
        started_at = time.monotonic()
        with pytest.raises(LogsTimeoutError) as caught:
            next(rows)
        assert time.monotonic() - started_at < 2
    assert isinstance(caught.value.error, TimeoutError)


def test_a_generator_occupies_no_connection_between_rows_and_leaves_none_behind(live):
    live.print(3)
    with (
        httpx.Client(limits=httpx.Limits(max_connections=1), timeout=httpx.Timeout(5, pool=0.5)) as one,
        ExperimentsClient("a-key", base_url=live.url, logs_url=live.url, http_client=one) as client,
    ):
        rows = client.yield_logs("es1")
        assert next(rows).line == 1
        assert client.state("es1") == ExperimentState.RUNNING
        rows.close()
        requests = len(live.requests)
        assert list(rows) == []
        assert client.state("es1") == ExperimentState.RUNNING
        assert len(live.requests) == requests + 1
        assert live.connections() == 1
    live.wait_until(lambda: live.connections() == 0)


def test_nothing_is_requested_before_the_first_row_but_wrong_arguments_are_refused_at_once(live, client):
    client.yield_logs("es1").close()
    assert live.requests == []
    for wrong in ({"timeout": 0}, {"timeout": "1"}, {"timeout": float("nan")}, {"line": -1}, {"limit": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            client.yield_logs("es1", **wrong)


@pytest.mark.parametrize("number", [401, 403, 404])
def test_an_experiment_that_is_deleted_or_a_key_that_is_revoked_meanwhile_ends_the_generator(flaky, client, number):
    row = {"jobId": "js1", "line": 1, "message": "one", "timestamp": ""}
    experiment = {"data": {"handle": "es1", "experimentTypeId": 1, "state": ExperimentState.RUNNING}}
    flaky.plan = [status(200, experiment), status(200, [row])]
    flaky.otherwise = lambda request: status(number)
    rows = client.yield_logs("es1")
    assert next(rows).line == 1
    with pytest.raises(ResourceFetchingError) as caught:
        next(rows)
    assert caught.value.status == number


def test_the_last_rows_are_those_of_the_highest_lines(client, gradient_server, multi_node):
    """However many there are, and the markers of the ends do not count."""
    experiment_id = client.run_multi_node(**{**multi_node, "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 2500}})
    gradient_server.advance(3600)
    rows = client.logs(experiment_id, tail=7)
    assert [row.line for row in rows] == [2498, 2499, 2499, 2499, 2500, 2500, 2500]
    assert {row.node for row in rows} == {"worker 0", "worker 1", "parameter server 0"}
    for arguments in ({"tail": 0}, {"tail": 1, "line": 1}):
        with pytest.raises(InvalidParametersError, match="tail"):
            client.logs(experiment_id, **arguments)


@pytest.mark.parametrize("go_on", ["cursor", "rows", "row of each node"])
def test_a_reader_of_several_nodes_goes_on_where_it_was(client, gradient_server, multi_node, go_on):
    """Every row comes once, whatever the first reader has."""
    experiment_id = client.run_multi_node(**{**multi_node, "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 20}})
    gradient_server.advance(3600)
    whole = list(client.yield_logs(experiment_id))
    read = [row for row in whole if row.line <= {"worker 0": 12, "worker 1": 3}.get(row.node, 7)]
    last = {row.node: row for row in read}
    after = {
        "cursor": ",".join(f"{row.job_id}:{row.line}" for row in last.values()),
        "rows": LogRows(read),
        "row of each node": last.values(),
    }[go_on]
    rest = list(client.yield_logs(experiment_id, after=after))
    assert sorted([*read, *rest], key=repr) == sorted(whole, key=repr)


@pytest.mark.parametrize("after", ["", "js1", "js1:", "js1:-1", "1:2:x", 5, [1], object()])
def test_what_is_no_cursor_is_refused(client, after):
    with pytest.raises(InvalidParametersError, match="after: must be a cursor such as 'js1:12'"):
        client.yield_logs("es1", after=after)
    with pytest.raises(InvalidParametersError, match="either line or after"):
        client.yield_logs("es1", 3, after="js1:1")


def test_ctrl_c_ends_a_long_poll_at_once(live):
    script = (
        "from gradient import ExperimentsClient\n"
        f"client = ExperimentsClient('a-key', base_url={live.url!r}, logs_url={live.url!r})\n"
        "list(client.yield_logs('es1'))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    try:
        live.wait_for(1, LOGS, seconds=30)
        process.send_signal(signal.SIGINT)
        started_at = time.monotonic()
        _, printed = process.communicate(timeout=10)
        assert time.monotonic() - started_at < 1.5
    finally:
        process.kill()
    assert printed.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
