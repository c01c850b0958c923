"""Following logs over real sockets: held requests, servers that go away, time that is over, interruptions."""

import logging
import signal
import subprocess
import sys
import threading
import time
import weakref

import httpx
import pytest
import stamina

from gradient import (
    ExperimentsClient,
    LogsInterruptedError,
    LogsTimeoutError,
    NotFoundError,
    RequestFailedError,
    constants,
)
from tests.client.blocking import KINDS, client_of
from tests.client.live import LiveServer

STOPPED = constants.ExperimentState.STOPPED


@pytest.fixture
def live():
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture(params=KINDS)
def live_client(request, live):
    with client_of(request.param, "a-key", base_url=live.url, logs_url=live.url, timeout=5) as client:
        yield client


@pytest.fixture
def at_once():
    """The transport's own pauses take no time; those of the follower do."""
    stamina.set_testing(True, attempts=2)
    yield
    stamina.set_testing(False)


class Reader(threading.Thread):
    """Follows logs in a thread of its own, and keeps what came, and what it ended with."""

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


def test_a_server_that_holds_requests_is_not_asked_again_and_again(live, live_client):
    """Rows come the moment they are printed, though one request waits for each of them."""
    reader = Reader(live_client.yield_logs("es1"))
    for count in range(1, 4):
        live.wait_for(count)
        assert live.asked()[-1] == {"experimentId": "es1", "line": str(count - 1), "limit": "10000", "wait": "20.0"}
        printed = time.monotonic()
        live.print(1)
        reader.wait_for(count)
        assert time.monotonic() - printed < 0.15
    live.print(1, end=True)
    assert reader.ended() == [1, 2, 3, 4]


def test_rows_that_nobody_keeps_are_gone_while_the_next_ones_come(live, live_client):
    """A page takes memory, and the next one is asked for when the whole of it has been given."""
    came = []

    def remembered():
        for row in live_client.yield_logs("es1"):
            came.append(weakref.ref(row))
            yield row

    live.print(3)
    reader = Reader(remembered())
    live.wait_for(2)
    assert [row() is None for row in came[:2]] == [True, True]
    live.print(1, end=True)
    assert reader.ended() == [1, 2, 3, 4]
    assert len(live.asked()) <= 5
    assert live.asked("/state/") == []


def test_a_held_request_ends_with_the_experiment(live, live_client):
    """Also where no row came, and no marker ever comes."""
    reader = Reader(live_client.yield_logs("es1"))
    live.wait_for(1)
    live.change(state=STOPPED)
    assert reader.ended(2) == []
    assert reader.error is None


def test_a_held_request_may_take_longer_than_the_timeout(live, live_client, caplog):
    """The timeout is for a server that says nothing although it should: this one was asked to wait."""
    caplog.set_level(logging.DEBUG, "gradient")
    threading.Timer(0.8, live.print, [1], {"end": True}).start()
    rows = live_client.with_options(timeout=0.3).yield_logs("es1")
    assert [row.line for row in rows] == [1]
    assert "RequestTimeoutError" not in caplog.text


def test_a_silent_experiment_makes_few_requests(live, live_client):
    """In two seconds, of a server that answers at once."""
    live.change(holds=False)
    with pytest.raises(LogsTimeoutError):
        list(live_client.yield_logs("es1", timeout=2))
    assert 4 <= len(live.asked()) <= 7
    assert len(live.requests) <= 14


@pytest.mark.usefixtures("at_once")
def test_a_server_that_goes_away_and_comes_back(live, live_client):
    """Every row comes, once and in order, whether it was printed before, while or after the server was away."""
    reader = Reader(live_client.yield_logs("es1"))
    for count in (10, 20, 30):
        live.print(5)
        reader.wait_for(count - 5)
        live.wait_for(1)
        live.stop()
        live.print(5)
        live.start()
        reader.wait_for(count)
    live.print(5, end=True)
    assert reader.ended() == list(range(1, 36))


@pytest.mark.usefixtures("at_once")
def test_a_server_that_stays_away(live, live_client):
    """Ends in an error that says where to go on, and what was wrong; who goes on there has every row once."""
    reader = Reader(live_client.with_options(patience=1).yield_logs("es1"))
    live.print(5)
    reader.wait_for(5)
    live.stop()
    reader.ended()
    assert isinstance(reader.error, LogsInterruptedError)
    assert isinstance(reader.error.error, RequestFailedError)
    assert reader.error.line == 5
    assert "yield_logs('es1', line=5) goes on from there" in str(reader.error)
    live.print(5, end=True)
    live.start()
    again = [row.line for row in live_client.yield_logs("es1", line=reader.error.line)]
    assert reader.lines + again == list(range(1, 11))


@pytest.mark.parametrize("holds", [True, False])
def test_the_time_that_was_given_is_kept(live, live_client, holds):
    """Whether the server holds requests, and also when it does not answer at all."""
    live.change(holds=holds)
    live.print(3)
    rows = live_client.yield_logs("es1", timeout=1.5)
    began = time.monotonic()
    assert [next(rows).line for _ in range(3)] == [1, 2, 3]
    with pytest.raises(LogsTimeoutError) as caught:
        next(rows)
    assert 1.4 < time.monotonic() - began < 2
    assert (caught.value.line, caught.value.error) == (3, None)


def test_the_time_that_was_given_is_kept_by_requests_that_hang(live, live_client):
    """A request is given up when the time is over, though the client would wait longer for its answer."""
    rows = live_client.with_options(timeout=30).yield_logs("es1", timeout=1)
    with live.changed:  # Nobody is answered while this is held.
        began = time.monotonic()
        with pytest.raises(LogsTimeoutError) as caught:
            next(rows)
        assert time.monotonic() - began < 2
    assert isinstance(caught.value.error, TimeoutError)


def test_closing_leaves_nothing_behind(live):
    """The one connection that there is serves others between rows; no request and no connection follows the end."""
    live.print(3)
    with (
        httpx.Client(limits=httpx.Limits(max_connections=1), timeout=httpx.Timeout(5, pool=0.5)) as one,
        ExperimentsClient("a-key", base_url=live.url, logs_url=live.url, http_client=one) as client,
    ):
        rows = client.yield_logs("es1")
        assert next(rows).line == 1
        assert client.state("es1") == constants.ExperimentState.RUNNING
        rows.close()
        requests = len(live.requests)
        assert list(rows) == []
        assert client.state("es1") == constants.ExperimentState.RUNNING
        assert len(live.requests) == requests + 1
        assert live.connections() == 1
    live.wait_until(lambda: live.connections() == 0)


def test_nothing_is_asked_before_the_first_row(live, live_client):
    """Making the generator asks nothing, and closing it neither; what is wrong with arguments is said at once."""
    live_client.yield_logs("es1").close()
    assert live.requests == []
    for wrong in ({"timeout": 0}, {"timeout": "1"}, {"timeout": float("nan")}, {"line": -1}, {"limit": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            live_client.yield_logs("es1", **wrong)


def test_an_experiment_that_is_not_there(scripted, scripted_client):
    """Is what it was before: not found."""
    scripted.say(404, {"error": "Not found"})
    with pytest.raises(NotFoundError):
        next(scripted_client.yield_logs("es1"))


@pytest.mark.parametrize("holds", [True, False])
def test_ctrl_c_works_at_once(live, holds):
    """While a request is held, and in the pauses of somebody who follows a silent experiment."""
    live.change(holds=holds)
    script = (
        "from gradient import ExperimentsClient\n"
        f"client = ExperimentsClient('a-key', base_url={live.url!r}, logs_url={live.url!r})\n"
        "list(client.yield_logs('es1'))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    try:
        live.wait_for(1 if holds else 8, seconds=30)  # By then the pauses are longer than the test allows.
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = process.communicate(timeout=10)
        assert time.monotonic() - began < 1.5
    finally:
        process.kill()
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
