"""The operations over HTTP: the life of an experiment, lists and pages, logs."""

import base64
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.api.operations import serialize_log_row
from gradient_server.clock import Clock, Reading
from gradient_server.runners.base import Job, LogRow
from tests.server.api.conftest import EXPERIMENTS, EXPERIMENTS_V2

pytestmark = pytest.mark.usefixtures("server_stays_healthy")
KINDS = ["SingleNodeRequest", "MultiNodeRequest", "MpiMultiNodeRequest"]
# Each date, and the state that is entered at that time.
DATES = {
    "dtCreated": State.CREATED,
    "dtProvisioningStarted": State.PROVISIONING,
    "dtProvisioningFinished": State.PROVISIONED,
    "dtStarted": State.RUNNING,
    "dtFinished": State.NETWORK_TEARING_DOWN,
    "dtTeardownStarted": State.NETWORK_TEARING_DOWN,
    "dtTeardownFinished": State.STOPPED,
}


def state_of(ask, handle):
    return ask("GET", f"{EXPERIMENTS}{handle}/state/").body["data"]["state"]


# --- experiments


@pytest.fixture
def run(ask, single_node_body):
    """Run an experiment; its handle."""
    return lambda: ask("POST", EXPERIMENTS + "run/", single_node_body).body["handle"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_experiment_shows_the_parameters_it_was_created_with(ask, contract, kind):
    body = contract["components"]["examples"][kind]["value"]
    handle = ask("POST", EXPERIMENTS, body).body["handle"]
    data = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
    expected = {}
    for name, value in body.items():
        text = base64.b64decode(value).decode() if name.lower().endswith("command") else value
        expected[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()] = text
    assert data["templateHistory"]["params"] == expected
    assert (data["experimentTypeId"], data["projectHandle"]) == (body["experimentTypeId"], body["projectHandle"])


@pytest.mark.parametrize(("outcome", "codes"), [("stopped", [None, 0]), ("failed", [None, 1]), ("error", [None, None])])
def test_a_simulated_command_has_an_exit_code_when_it_has_ended(ask, frozen_server, single_node_body, outcome, codes):
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_OUTCOME": outcome}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    found = []
    for seconds in (15, 15):
        frozen_server.advance(seconds)
        found.append(ask("GET", f"{EXPERIMENTS}{handle}/").body["data"])
    assert [data["exitCode"] for data in found] == codes
    assert [data["exitSignal"] for data in found] == [None, None]


def test_an_experiment_has_the_address_of_its_page_where_the_client_called_the_server(
    gradient_server, single_node_body
):
    port = gradient_server.url.rpartition(":")[2]
    for host in ("127.0.0.1", "localhost"):
        address = f"http://{host}:{port}"
        with httpx.Client(base_url=address, headers={"X-API-Key": gradient_server.api_key}) as client:
            handle = client.post(EXPERIMENTS, json=single_node_body).json()["handle"]
            urls = [client.get(f"{EXPERIMENTS}{handle}/").json()["data"]["url"]]
            urls += [data["url"] for data in client.get(EXPERIMENTS).json()["data"][:1]]
            assert urls == [f"{address}/page/experiments/{handle}"] * 2
            # Without a session, a page leads to the login, and then to itself.
            assert client.get(urls[0]).headers["location"].endswith(f"to=/page/experiments/{handle}")


def test_both_versions_of_the_api_show_and_change_the_same_experiments(ask, frozen_server, single_node_body):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    for step, method in [("start/", "PUT"), ("stop/", "PUT"), ("", "DELETE")]:
        for path in ("", f"{handle}/", f"{handle}/state/"):
            assert ask("GET", EXPERIMENTS + path).body == ask("GET", EXPERIMENTS_V2 + path).body
        assert ask(method, f"{EXPERIMENTS_V2}{handle}/{step}").status in (200, 204)
    for version in (EXPERIMENTS, EXPERIMENTS_V2):
        ask("GET", f"{version}{handle}/").assert_error(404)


def test_each_date_appears_when_its_state_is_entered(ask, frozen_server, single_node_body):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    seen = {}
    for tenth in range(220):
        data = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
        assert data["state"] == state_of(ask, handle)
        seen.setdefault(data["state"], tenth / 10)
        assert {name for name in DATES if data[name] is not None} == {name for name in DATES if DATES[name] in seen}
        if tenth == 10:
            ask("PUT", f"{EXPERIMENTS}{handle}/start/")
        frozen_server.advance(0.1)
    texts = {name: data[name] for name in [*DATES, "dtModified"]}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", text) for text in texts.values())
    dates = {name: datetime.fromisoformat(text) for name, text in texts.items()}
    assert abs(dates["dtCreated"] - frozen_server.clock.date(frozen_server.clock.now())) < timedelta(hours=1)
    for name, state in DATES.items():
        entered = (dates[name] - dates["dtCreated"]).total_seconds()
        assert seen[state] - 0.101 <= entered <= seen[state] + 0.001, name
    assert data["dtModified"] == data["dtTeardownFinished"]
    assert data["dtDeleted"] is None


@pytest.mark.parametrize(
    ("outcome", "after", "state", "conflicts"),
    [
        ("stopped", 0, "pending", "start"),
        ("stopped", 10, "running", "start"),
        ("stopped", 20, "stopped", "start stop"),
        ("failed", 20, "failed", "start stop"),
        ("error", 20, "error", "start stop"),
    ],
)
def test_a_change_that_does_not_fit_the_state_is_a_conflict_that_names_it(
    ask, frozen_server, single_node_body, outcome, after, state, conflicts
):
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_OUTCOME": outcome}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    frozen_server.advance(after)
    for change in conflicts.split():
        response = ask("PUT", f"{EXPERIMENTS}{handle}/{change}/")
        response.assert_error(409)
        assert f"The experiment is {state};" in response.body["details"]
    assert State.get_state_str(state_of(ask, handle)) == state


def test_stopping_cancels_what_has_not_run_and_tears_down_what_runs_whether_once_or_twice(
    ask, frozen_server, run, single_node_body
):
    created, running = ask("POST", EXPERIMENTS, single_node_body).body["handle"], run()
    frozen_server.advance(10)
    for _ in range(2):
        assert ask("PUT", f"{EXPERIMENTS}{running}/stop/").body == {"message": "success"}
        assert state_of(ask, running) == State.NETWORK_TEARING_DOWN
        frozen_server.advance(0.4)
    assert ask("PUT", f"{EXPERIMENTS}{created}/stop/").body == {"message": "success"}
    frozen_server.advance(0.3)
    assert state_of(ask, created) == state_of(ask, running) == State.CANCELLED
    ask("PUT", f"{EXPERIMENTS}{created}/start/").assert_error(409)


@pytest.mark.parametrize("after", [None, 0, 10, 20])
def test_a_deleted_experiment_and_its_log_are_not_found(ask, frozen_server, single_node_body, after):
    path = EXPERIMENTS if after is None else EXPERIMENTS + "run/"
    handle = ask("POST", path, single_node_body).body["handle"]
    frozen_server.advance(after or 0)
    response = ask("DELETE", f"{EXPERIMENTS}{handle}/")
    assert (response.status, response.body) == (204, "")
    for method, step in [("GET", ""), ("GET", "state/"), ("PUT", "start/"), ("PUT", "stop/"), ("DELETE", "")]:
        ask(method, f"{EXPERIMENTS}{handle}/{step}").assert_error(404)
    ask("GET", f"/jobs/logs?experimentId={handle}").assert_error(404)
    assert ask("GET", EXPERIMENTS).body["data"] == []


# --- lists


@pytest.fixture
def create(ask, single_node_body):
    """Create experiments in projects, in order; their handles."""

    def create(*projects):
        bodies = [{**single_node_body, "projectHandle": project} for project in projects]
        return [ask("POST", EXPERIMENTS, body).body["handle"] for body in bodies]

    return create


def handles(data):
    return [experiment["handle"] for experiment in data]


def test_a_page_is_newest_first_with_20_experiments_by_default_and_all_for_a_limit_of_minus_1(ask, create):
    newest_first = create(*["p"] * 25)[::-1]
    for query, expected in [
        ("", slice(0, 20)),
        ("?limit=-1", slice(None)),
        ("?limit=0", slice(0, 0)),
        ("?limit=1", slice(0, 1)),
        ("?limit=7&offset=20", slice(20, 25)),
        ("?limit=1000000", slice(None)),
        (f"?limit={10**30}&offset={10**30}", slice(25, 25)),
        ("?offset=24", slice(24, 25)),
        ("?offset=25", slice(25, 25)),
        ("?limit=-1&offset=3", slice(3, 25)),
    ]:
        body = ask("GET", EXPERIMENTS + query).body
        assert handles(body["data"]) == newest_first[expected], query
        assert body["meta"]["totalItems"] == 25
    assert ask("GET", EXPERIMENTS).body["meta"] == {"filter": [], "limit": 20, "offset": 0, "totalItems": 25}


def test_a_project_filter_gives_a_group_for_each_project_in_the_order_of_the_numbers(ask, create):
    first, _, third, fourth = create("p", "other", "q", "p")
    query = "projectHandle%5B10%5D=p&projectHandle%5B2%5D=q&projectHandle%5B0%5D=unknown&projectHandle%5B11%5D=p"
    body = ask("GET", f"{EXPERIMENTS}?limit=-1&{query}").body
    groups = [(group["meta"], handles(group["data"])) for group in body["data"]]
    assert groups == [
        ({"itemGroup": {"key": "projectHandle", "value": "unknown"}, "totalItems": 0}, []),
        ({"itemGroup": {"key": "projectHandle", "value": "q"}, "totalItems": 1}, [third]),
        ({"itemGroup": {"key": "projectHandle", "value": "p"}, "totalItems": 2}, [fourth, first]),
    ]
    assert body["meta"]["totalItems"] == 3


@pytest.mark.parametrize("number", ["1", "007", "9" * 20, "9" * 5000])
def test_the_numbers_of_a_project_filter_may_be_large(ask, number):
    body = ask("GET", f"{EXPERIMENTS}?projectHandle[{number}]=second&projectHandle[0]=first").body
    assert [group["meta"]["itemGroup"]["value"] for group in body["data"]] == ["first", "second"]


def test_a_page_of_groups_is_cut_from_all_of_them_and_has_every_group_with_its_total(ask, create):
    first, second, third = create("p", "q", "p")
    for offset, expected in [(0, [[third], []]), (1, [[first], []]), (2, [[], [second]]), (3, [[], []])]:
        body = ask("GET", f"{EXPERIMENTS}?projectHandle[0]=p&projectHandle[1]=q&limit=1&offset={offset}").body
        assert [handles(group["data"]) for group in body["data"]] == expected
        assert [group["meta"]["totalItems"] for group in body["data"]] == [2, 1]
        assert body["meta"] == {"filter": [], "limit": 1, "offset": offset, "totalItems": 3}


@pytest.mark.parametrize("project", ["é & ü", "a/b?c#d", "%", "[0]", "prlvf0u05", "p" * 5000])
def test_the_name_of_a_project_may_be_any_text(ask, create, project):
    (handle,) = create(project)
    quoted = "".join(f"%{byte:02X}" for byte in project.encode())
    (group,) = ask("GET", f"{EXPERIMENTS}?projectHandle[0]={quoted}").body["data"]
    assert group["meta"]["itemGroup"]["value"] == project
    assert handles(group["data"]) == [handle]


# --- logs


def test_a_page_of_a_log_has_the_first_rows_after_a_line_with_the_id_of_their_job(ask, frozen_server, contract):
    body = contract["components"]["examples"]["MultiNodeRequest"]["value"]
    body = {**body, "experimentEnv": {"GRADIENT_MOCK_LOG_LINES": 5}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    frozen_server.advance(20)
    rows = ask("GET", f"/jobs/logs?experimentId={handle}").body
    assert len({row["jobId"] for row in rows}) == 3
    assert [row["line"] for row in rows] == [line for line in range(1, 7) for _ in range(3)]
    for line, limit in [(0, 1), (0, 4), (2, 2), (5, 100)]:
        after = [row for row in rows if row["line"] > line]
        assert ask("GET", f"/jobs/logs?experimentId={handle}&line={line}&limit={limit}").body == after[:limit]
    for line in (6, 10**6, 10**30):
        response = ask("GET", f"/jobs/logs?experimentId={handle}&line={line}")
        assert (response.status, response.body) == (204, "")


def test_a_response_has_at_most_50_000_rows(ask, frozen_server, single_node_body):
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_LOG_LINES": 10**9}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    frozen_server.advance(20)
    rows = ask("GET", f"/jobs/logs?experimentId={handle}&line=1000&limit=50001").body
    assert [row["line"] for row in rows] == list(range(1001, 51_001))


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [(0.0, ":00.000Z"), (59.0, ":59.000Z"), (1.5, ":01.500Z"), (10.1234, ":10.123Z"), (2.0001, ":02.000Z")],
)
def test_the_timestamp_of_a_row_is_utc_in_milliseconds_of_fixed_width(timestamp, text):
    """So that timestamps sort as text."""
    clock = Clock(earlier=Reading(epoch=datetime(2026, 1, 1, tzinfo=UTC), passed=0, scale=1, real=0))
    row = serialize_log_row(Job(id="js1", name="worker 0"), LogRow(1, timestamp, "printed"), clock)
    expected = {"jobId": "js1", "node": "worker 0", "line": 1, "message": "printed"}
    assert row == {**expected, "timestamp": "2026-01-01T00:00" + text}
