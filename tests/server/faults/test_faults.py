"""Injected faults over a socket: each kind happens, and afterwards the server works as before."""

import contextlib
import http.client
import inspect
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from gradient import ExperimentsClient
from gradient_server import LocalServer
from gradient_server.faults.settings import Kind
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import PATIENCE, raw_request

pytestmark = pytest.mark.usefixtures("healthy_without_faults")
EVERYTHING = {
    "statuses": [429, 503],
    "statuses_after": 502,
    "resets": ["before", "after"],
    "bodies": ["truncated", "half"],
    "latency": [0, 0.001],
    "slow": [0, 0.001],
}


@pytest.fixture
def healthy_without_faults(server_stays_healthy, gradient_server):
    """End the faults; the server must work then, and have logged nothing."""
    yield
    gradient_server.faults()


@pytest.fixture
def run(ask, contract):
    """Run an experiment of one node or of three, and return its id."""

    def run(kind="MultiNodeRequest", rows=9):
        body = contract["components"]["examples"][kind]["value"]
        return ask("POST", EXPERIMENTS + "run/", {**body, "experimentEnv": {"GRADIENT_MOCK_LOG_LINES": rows}}).body[
            "handle"
        ]

    return run


@pytest.fixture
def total(ask, gradient_server):
    """Count the experiments, without faults."""

    def total():
        ask.close()
        with gradient_server.faults():
            return ask("GET", EXPERIMENTS + "?limit=0").body["meta"]["totalItems"]

    return total


def seconds_for(act):
    began = time.monotonic()
    found = act()
    return found, time.monotonic() - began


def test_statuses_are_returned_without_acting(ask, gradient_server, single_node_body, total):
    with gradient_server.faults(statuses=[429, 503], html=False):
        found = [ask("POST", EXPERIMENTS, single_node_body) for _ in range(30)]
    assert {response.status for response in found} == {429, 503}
    for response in found:
        response.assert_error(response.status)
        assert response.headers["X-Gradient-Fault"] == Kind.STATUS
        assert response.headers["Retry-After"] is None
    assert total() == 0


def test_statuses_after_are_returned_after_acting(ask, gradient_server, single_node_body, total):
    with gradient_server.faults(statuses_after=[504]):
        assert [ask("POST", EXPERIMENTS, single_node_body).status for _ in range(5)] == [504] * 5
    assert total() == 5
    assert gradient_server.faults_injected == {"status_after": 5}


@pytest.mark.parametrize("status", [401, 502, 599])
def test_errors_are_html_or_json(ask, gradient_server, status):
    with gradient_server.faults(statuses=status, html=True):
        response = ask("GET", EXPERIMENTS)
    assert response.status == status
    assert response.headers.get_content_type() == "text/html"
    assert response.body.startswith(f"<html>\n<head><title>{status} ")
    with gradient_server.faults(statuses=status):
        kinds = {ask("GET", EXPERIMENTS).headers.get_content_type() for _ in range(30)}
    assert kinds == {"text/html", "application/json"}


def test_retry_after_is_seconds_or_a_date(ask, gradient_server):
    with gradient_server.faults(statuses=503, statuses_after=429, retry_after=7):
        assert {ask("GET", EXPERIMENTS).headers["Retry-After"] for _ in range(10)} == {"7"}
    with gradient_server.faults(statuses=503, retry_after=7, retry_after_date=True):
        before = datetime.now(UTC)
        date = parsedate_to_datetime(ask("GET", EXPERIMENTS).headers["Retry-After"])
        after = datetime.now(UTC)
    assert before + timedelta(seconds=7) <= date <= after + timedelta(seconds=8)


@pytest.mark.parametrize(("when", "created"), [("before", 0), ("after", 1)])
def test_connections_are_reset_before_or_after_acting(connect, gradient_server, single_node_body, total, when, created):
    body = json.dumps({**single_node_body, "name": "n" * 100_000}).encode()
    headers = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    connection = connect()
    with gradient_server.faults(resets=when):
        connection.sendall(raw_request("POST", EXPERIMENTS, *headers, body=body))
        with pytest.raises(ConnectionResetError):
            connection.recv(9000)
    assert total() == created
    assert gradient_server.faults_injected == {f"reset_{when}": 1}


def test_a_truncated_body_ends_before_its_announced_length(ask, gradient_server, single_node_body, total):
    with gradient_server.faults(bodies="truncated"):
        for _ in range(10):
            with pytest.raises(http.client.IncompleteRead) as caught:
                ask("POST", EXPERIMENTS, single_node_body)
            assert caught.value.partial.startswith(b"{")
            assert caught.value.expected > 0
            ask.close()
    assert total() == 10


def test_half_a_body_is_valid_http_and_invalid_json(ask, gradient_server, single_node_body, total):
    ask("GET", EXPERIMENTS)
    with gradient_server.faults(bodies="half"):
        for _ in range(10):
            with pytest.raises(json.JSONDecodeError):
                ask("POST", EXPERIMENTS, single_node_body)
    assert ask.connection.times_opened == 1
    assert total() == 10


def test_a_slow_body_comes_in_pieces_over_the_given_time(ask, gradient_server, single_node_body):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    with gradient_server.faults(slow=0.6):
        ask.connection.request("GET", f"{EXPERIMENTS}{handle}/", headers={"X-API-Key": ask.key})
        response, until_head = seconds_for(ask.connection.getresponse)
        parts = []
        _, until_end = seconds_for(lambda: parts.extend(iter(lambda: response.read1(9000), b"")))
    assert until_head < 0.5
    assert 0.5 < until_head + until_end < 2
    assert len(parts) > 5
    assert json.loads(b"".join(parts))["data"]["handle"] == handle


def test_a_delayed_response_comes_after_the_given_time(ask, gradient_server, single_node_body, total):
    with gradient_server.faults(latency=(0.3, 0.4)):
        response, seconds = seconds_for(lambda: ask("POST", EXPERIMENTS, single_node_body))
        assert response.status == 200
        assert 0.3 <= seconds < 2
    with gradient_server.faults(latency=3600):
        ask.connection.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            ask("POST", EXPERIMENTS, single_node_body)
    assert total() == 2


@pytest.mark.parametrize("settings", [{"bodies": ["truncated", "half"]}, {"slow": 1}])
def test_faults_of_bodies_do_not_happen_to_responses_without_one(ask, gradient_server, single_node_body, settings):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    with gradient_server.faults(**settings):
        assert ask("GET", f"/jobs/logs?experimentId={handle}").status == 204
        assert ask("DELETE", f"{EXPERIMENTS}{handle}/").status == 204
    assert gradient_server.faults_injected == {}


@pytest.mark.parametrize("slow", [{"latency": 3600}, {"slow": 3600}])
def test_slow_responses_do_not_delay_stopping(slow, caplog):
    with LocalServer() as server, contextlib.ExitStack() as stack:
        server.faults(**slow)
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE)
        stack.callback(connection.close)
        connection.request("GET", EXPERIMENTS, headers={"X-API-Key": server.api_key})
        deadline = time.monotonic() + PATIENCE
        while not server.faults_injected:
            assert time.monotonic() < deadline
        _, seconds = seconds_for(server.stop)
        assert seconds < 3
    assert caplog.records == []


# Log pages


def rows_after(ask, handle, line=0, **query):
    parts = "".join(f"&{name}={value}" for name, value in query.items())
    response = ask("GET", f"/jobs/logs?experimentId={handle}&line={line}{parts}")
    assert response.status == (200 if response.body else 204)
    return response.body or []


def test_repeated_pages_have_each_row_twice(ask, frozen_server, run):
    handle = run()
    frozen_server.advance(20)
    rows = rows_after(ask, handle)
    with frozen_server.faults(log_pages="repeated"):
        assert rows_after(ask, handle) == [row for row in rows for _ in range(2)]
        assert rows_after(ask, handle, limit=4) == [rows[0], rows[0], rows[1], rows[1]]
        assert rows_after(ask, handle, limit=1) == rows[:1]
        assert rows_after(ask, handle, line=10**6) == []
    assert frozen_server.faults_injected == {"repeated_page": 2}


def test_mixed_pages_are_ordered_by_line_only_within_a_job(ask, frozen_server, run):
    handle, single = run(), run("SingleNodeRequest")
    frozen_server.advance(20)
    rows = rows_after(ask, handle)
    with frozen_server.faults(log_pages="mixed"):
        found = rows_after(ask, handle)
        rows_after(ask, single)
    assert frozen_server.faults_injected == {"mixed_page": 1}
    assert found != rows
    assert sorted(found, key=lambda row: row["line"]) != found
    for job in {row["jobId"] for row in rows}:
        assert [row for row in found if row["jobId"] == job] == [row for row in rows if row["jobId"] == job]


def test_old_pages_begin_before_the_requested_line_while_it_runs(ask, frozen_server, run):
    handle = run(rows=100)
    frozen_server.advance(12)
    rows = rows_after(ask, handle)
    visible = rows[-1]["line"]
    with frozen_server.faults(log_pages="old"):
        begins = []
        for _ in range(20):
            found = rows_after(ask, handle, line=visible, limit=30, wait=60)
            begins.append(found[0]["line"])
            assert found == [row for row in rows if row["line"] >= begins[-1]][:30]
        assert max(begins) <= visible
        assert len(set(begins)) > 5
        assert rows_after(ask, handle, limit=3) == rows[:3]
    assert frozen_server.faults_injected == {"old_page": 20}


def test_late_pages_are_empty_while_it_runs(ask, frozen_server, run):
    handle = run()
    with frozen_server.faults(log_pages="late"):
        assert seconds_for(lambda: rows_after(ask, handle, wait=0.2))[1] >= 0.2
        frozen_server.advance(12)
        assert rows_after(ask, handle) == rows_after(ask, handle, wait=60) == []
    assert rows_after(ask, handle) != []
    assert frozen_server.faults_injected == {"late_page": 2}


def test_log_pages_are_complete_after_the_end_of_the_run(ask, frozen_server, run):
    handle = run()
    frozen_server.advance(20)
    rows = rows_after(ask, handle)
    with frozen_server.faults(log_pages=["old", "late"]):
        for _ in range(20):
            assert rows_after(ask, handle) == rows
            assert rows_after(ask, handle, line=5) == [row for row in rows if row["line"] > 5]
            assert rows_after(ask, handle, line=10) == []
    assert frozen_server.faults_injected == {}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs/logs?experimentId=nobody", 404),
        ("/jobs/logs", 400),
        ("/jobs/logs?experimentId={handle}&line=x", 400),
        (f"/jobs/logs?experimentId={{handle}}&line={10**400}", 204),
    ],
)
@pytest.mark.parametrize("page", ["repeated", "mixed", "old", "late"])
def test_faults_of_log_pages_do_not_happen_to_other_responses(ask, frozen_server, run, path, status, page):
    path = path.format(handle=run())
    frozen_server.advance(12)
    with frozen_server.faults(log_pages=page):
        assert ask("GET", path).status == status
        wrong = ask("GET", "/jobs/logs?experimentId=nobody", headers={"X-API-Key": "wrong"})
        assert (wrong.status, wrong.body) == (401, "Authentication failed")
    assert frozen_server.faults_injected == {}


ANY_PAGE = ["repeated", "mixed", "old", "late"]


@pytest.mark.parametrize("kind", ["SingleNodeRequest", "MultiNodeRequest"])
@pytest.mark.parametrize("limit", [1, 5, 10_000])
def test_the_client_reads_every_row_once_whatever_pages_come(gradient_server, run, kind, limit):
    gradient_server.clock.scale = 40
    handle = run(kind, rows=20)
    with (
        ExperimentsClient(
            "gradient-local", base_url=gradient_server.experiments_url, logs_url=gradient_server.url
        ) as c,
        gradient_server.faults(rate=0.6, log_pages=ANY_PAGE, seed=limit),
    ):
        rows = list(c.yield_logs(handle, limit=limit))
    jobs = {row.job_id for row in rows}
    assert len(jobs) == (1 if kind == "SingleNodeRequest" else 3)
    for job in jobs:
        assert [row.line for row in rows if row.job_id == job] == list(range(1, 21))


# Periods, operations and counts


def test_faults_happen_to_chosen_operations_only(ask, gradient_server, single_node_body):
    with gradient_server.faults(statuses=503, operations=["createExperiment", "getExperimentState"]):
        for version in ("v1", "v2"):
            path = EXPERIMENTS.replace("v1", version)
            assert ask("POST", path, single_node_body).status == 503
            assert ask("GET", path).status == 200
            handle = ask("POST", path + "run/", single_node_body).body["handle"]
            assert ask("GET", f"{path}{handle}/state/").status == 503
            assert ask("GET", f"{path}{handle}/").status == 200


@pytest.mark.parametrize("times", [1, 3])
def test_times_is_the_largest_number_of_faults(ask, gradient_server, times):
    with gradient_server.faults(bodies="half", times=times):
        for _ in range(times):
            assert ask("GET", "/jobs/logs?experimentId=nobody", headers={"X-API-Key": "wrong"}).status == 401
            with pytest.raises(json.JSONDecodeError):
                ask("GET", EXPERIMENTS)
        assert [ask("GET", EXPERIMENTS).status for _ in range(20)] == [200] * 20
    assert gradient_server.faults_injected == {"half_body": times}


def test_faults_last_until_the_next_call_or_reset(ask, gradient_server):
    gradient_server.faults(statuses=503)
    assert [ask("GET", EXPERIMENTS).status for _ in range(3)] == [503] * 3
    gradient_server.faults(statuses=500)
    assert [ask("GET", EXPERIMENTS).status for _ in range(3)] == [500] * 3
    gradient_server.faults()
    assert [ask("GET", EXPERIMENTS).status for _ in range(3)] == [200] * 3
    gradient_server.faults(statuses=503)
    gradient_server.reset()
    assert ask("GET", EXPERIMENTS).status == 200
    assert gradient_server.faults_injected == {}


def test_a_block_ends_with_the_faults_that_were_before_it(ask, gradient_server):
    gradient_server.faults(statuses=500)
    with gradient_server.faults(statuses=501):
        with contextlib.suppress(ZeroDivisionError), gradient_server.faults(statuses=502):
            assert ask("GET", EXPERIMENTS).status == 502
            raise ZeroDivisionError
        assert ask("GET", EXPERIMENTS).status == 501
        with gradient_server.faults():
            assert ask("GET", EXPERIMENTS).status == 200
        assert ask("GET", EXPERIMENTS).status == 501
    assert ask("GET", EXPERIMENTS).status == 500
    with gradient_server.faults(statuses=503):
        gradient_server.reset()
    assert ask("GET", EXPERIMENTS).status == 200


def outcomes(ask, total):
    """Send requests, and list what a client gets."""
    met = []
    for _ in range(total):
        try:
            response = ask("GET", EXPERIMENTS)
            met.append((response.status, response.headers["X-Gradient-Fault"]))
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            ask.close()
            met.append(type(error).__name__)
    return met


def test_the_seed_decides_which_requests_are_hit(ask, gradient_server):
    found = []
    for seed in (1, 1, 2):
        with gradient_server.faults(rate=0.5, seed=seed, **EVERYTHING):
            found.append(outcomes(ask, 100))
    assert found[0] == found[1] != found[2]
    assert found[0].count((200, None)) in range(30, 70)
    injected = gradient_server.faults_injected
    assert sum(injected.values()) == sum(met != (200, None) for some in found for met in some)
    assert injected.keys() == {kind.value for kind in Kind if not kind.value.endswith("_page")}
    assert list(injected) == sorted(injected)


def test_faults_happen_to_operations_of_the_contract_with_any_key(ask, gradient_server):
    with gradient_server.faults(statuses=503):
        assert ask("GET", "/nowhere").status == 404
        assert ask("PATCH", EXPERIMENTS).status == 405
        assert ask("GET", EXPERIMENTS, headers={"X-API-Key": "wrong"}).status == 503
    with gradient_server.faults(latency=0):
        assert ask("GET", EXPERIMENTS, headers={"X-API-Key": "wrong"}).status == 403


def test_help_documents_every_setting(gradient_server):
    settings = [name for name in inspect.signature(gradient_server.faults).parameters if name != "self"]
    text = gradient_server.faults.__doc__
    assert len(settings) > 10
    for name in settings:
        assert f" {name}: " in text
    assert "{parameters}" not in text
