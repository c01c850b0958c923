"""What the operations do over HTTP: the life of an experiment, lists and pages, logs."""

import base64
import re
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from tests.server.api.conftest import EXPERIMENTS, EXPERIMENTS_V2

pytestmark = pytest.mark.usefixtures("sound")
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


@pytest.mark.parametrize("kind", KINDS)
def test_both_versions_of_the_api_show_and_change_the_same_experiments(ask, still, contract, kind):
    handle = ask("POST", EXPERIMENTS, contract["components"]["examples"][kind]["value"]).body["handle"]
    for step, method in [("start/", "PUT"), ("stop/", "PUT"), ("", "DELETE")]:
        for path in ("", f"{handle}/", f"{handle}/state/"):
            assert ask("GET", EXPERIMENTS + path).body == ask("GET", EXPERIMENTS_V2 + path).body
        assert ask(method, f"{EXPERIMENTS_V2}{handle}/{step}").status in (200, 204)
    ask("GET", f"{EXPERIMENTS}{handle}/").assert_error(404)
    ask("GET", f"{EXPERIMENTS_V2}{handle}/").assert_error(404)


def test_each_date_appears_when_its_state_is_entered(ask, still, single_node_body):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    seen = {}
    for tenth in range(220):
        data = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
        seen.setdefault(data["state"], tenth / 10)
        assert {name for name in DATES if data[name] is not None} == {name for name in DATES if DATES[name] in seen}
        if tenth == 10:
            ask("PUT", f"{EXPERIMENTS}{handle}/start/")
        still.advance(0.1)
    texts = {name: data[name] for name in [*DATES, "dtModified"]}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", text) for text in texts.values())
    dates = {name: datetime.fromisoformat(text) for name, text in texts.items()}
    assert abs(dates["dtCreated"] - still.clock.date(still.clock.now())) < timedelta(hours=1)
    for name, state in DATES.items():
        entered = (dates[name] - dates["dtCreated"]).total_seconds()
        assert seen[state] - 0.101 <= entered <= seen[state] + 0.001, name
    assert data["dtModified"] == data["dtTeardownFinished"]
    assert data["dtDeleted"] is None


def test_an_experiment_that_is_not_started_stays_created(ask, still, single_node_body):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    still.advance(1e6)
    data = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
    assert data["state"] == State.CREATED
    assert [name for name in DATES if data[name] is not None] == ["dtCreated"]


def test_a_run_passes_through_the_documented_states_in_order(ask, still, run):
    handle, seen = run(), []
    while not seen or seen[-1] != State.STOPPED:
        seen.append(state_of(ask, handle))
        assert ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]["state"] == seen[-1]
        still.advance(0.1)
        assert len(seen) < 300
    assert [State.get_state_str(state) for state in dict.fromkeys(seen)] == [
        "pending",
        "provisioning",
        "provisioned",
        "network setting up",
        "network setup",
        "running",
        "network tearing down",
        "network teardown",
        "stopped",
    ]


@pytest.mark.parametrize(
    ("after", "at_once", "in_the_end"),
    [
        (0, State.CANCELLED, State.CANCELLED),
        (1, State.CANCELLED, State.CANCELLED),
        (10, State.NETWORK_TEARING_DOWN, State.CANCELLED),
        (19.3, State.NETWORK_TEARING_DOWN, State.STOPPED),
        (19.8, State.NETWORK_TEARDOWN, State.STOPPED),
    ],
)
def test_stopping_cancels_at_once_or_tears_down_first(ask, still, run, after, at_once, in_the_end):
    handle = run()
    still.advance(after)
    assert ask("PUT", f"{EXPERIMENTS}{handle}/stop/").body == {"message": "success"}
    assert state_of(ask, handle) == at_once
    still.advance(20)
    assert state_of(ask, handle) == in_the_end
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/").assert_error(409)


@pytest.mark.parametrize("outcome", ["stopped", "failed", "error"])
def test_stopping_an_ended_experiment_is_a_conflict_that_names_its_state(ask, still, single_node_body, outcome):
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_OUTCOME": outcome}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    still.advance(20)
    response = ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    response.assert_error(409)
    assert f"The experiment is {outcome};" in response.body["details"]
    assert State.get_state_str(state_of(ask, handle)) == outcome


def test_stopping_twice_does_not_delay_the_end(ask, still, run):
    handle = run()
    still.advance(10)
    for _ in range(2):
        assert ask("PUT", f"{EXPERIMENTS}{handle}/stop/").status == 200
        still.advance(0.6)
    assert state_of(ask, handle) == State.CANCELLED


@pytest.mark.parametrize("after", [0, 1, 10, 19.5, 20])
def test_starting_a_started_experiment_is_a_conflict_that_names_its_state(ask, still, run, after):
    handle = run()
    still.advance(after)
    before = state_of(ask, handle)
    response = ask("PUT", f"{EXPERIMENTS}{handle}/start/")
    response.assert_error(409)
    assert f"The experiment is {State.get_state_str(before)};" in response.body["details"]
    assert state_of(ask, handle) == before


def test_starting_a_canceled_experiment_is_a_conflict(ask, still, single_node_body):
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    assert ask("PUT", f"{EXPERIMENTS}{handle}/stop/").status == 200
    assert state_of(ask, handle) == State.CANCELLED
    ask("PUT", f"{EXPERIMENTS}{handle}/start/").assert_error(409)


@pytest.mark.parametrize("after", [None, 0, 10, 20])
def test_a_deleted_experiment_and_its_log_are_not_found(ask, still, single_node_body, after):
    path = EXPERIMENTS if after is None else EXPERIMENTS + "run/"
    handle = ask("POST", path, single_node_body).body["handle"]
    still.advance(after or 0)
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


def test_the_list_of_an_empty_server(ask):
    assert ask("GET", EXPERIMENTS).body == {
        "data": [],
        "message": "success",
        "meta": {"filter": [], "limit": 20, "offset": 0, "totalItems": 0},
    }


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


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("filtered", [False, True], ids=["flat", "in groups"])
def test_pages_together_are_the_whole_list(ask, create, size, filtered):
    create("p", "q", "p", "r", "q", "p", "p")
    query = "?projectHandle[0]=q&projectHandle[1]=p&limit={}&offset={}" if filtered else "?limit={}&offset={}"

    def page(limit, offset):
        data = ask("GET", EXPERIMENTS + query.format(limit, offset)).body["data"]
        return handles(found for group in data for found in group["data"]) if filtered else handles(data)

    whole = page(-1, 0)
    assert len(whole) == (6 if filtered else 7)
    assert [handle for offset in range(0, len(whole) + size, size) for handle in page(size, offset)] == whole


def test_a_project_filter_gives_a_group_for_each_project_in_the_order_of_the_numbers(ask, create):
    first, _, third, fourth = create("p", "other", "q", "p")
    query = "projectHandle%5B10%5D=p&projectHandle%5B2%5D=q&projectHandle%5B0%5D=unknown"
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


def test_a_page_of_groups_has_every_group_with_its_total(ask, create):
    create("p", "q", "p")
    body = ask("GET", f"{EXPERIMENTS}?projectHandle[0]=p&projectHandle[1]=q&limit=1&offset=1").body
    assert [len(group["data"]) for group in body["data"]] == [1, 0]
    assert [group["meta"]["totalItems"] for group in body["data"]] == [2, 1]
    assert body["meta"] == {"filter": [], "limit": 1, "offset": 1, "totalItems": 3}


def test_a_project_that_is_requested_twice_is_one_group(ask, create):
    (handle,) = create("p")
    body = ask("GET", f"{EXPERIMENTS}?projectHandle[0]=p&projectHandle[1]=p").body
    assert [handles(group["data"]) for group in body["data"]] == [[handle]]
    assert body["meta"]["totalItems"] == 1


@pytest.mark.parametrize("project", ["é & ü", "a/b?c#d", "%", "[0]", "prlvf0u05", "p" * 5000])
def test_the_name_of_a_project_may_be_any_text(ask, create, project):
    (handle,) = create(project)
    quoted = "".join(f"%{byte:02X}" for byte in project.encode())
    (group,) = ask("GET", f"{EXPERIMENTS}?projectHandle[0]={quoted}").body["data"]
    assert group["meta"]["itemGroup"]["value"] == project
    assert handles(group["data"]) == [handle]


# --- logs

ROWS = 5


@pytest.fixture
def run_with_rows(ask, contract):
    """Run an experiment of three nodes, or of one, each of which prints some rows; its handle."""

    def run(kind="MultiNodeRequest", rows=ROWS):
        body = contract["components"]["examples"][kind]["value"]
        body = {**body, "experimentEnv": {"GRADIENT_MOCK_LOG_LINES": rows}}
        return ask("POST", EXPERIMENTS + "run/", body).body["handle"]

    return run


@pytest.fixture
def logs(ask):
    def logs(handle, **query):
        parts = "".join(f"&{name}={value}" for name, value in query.items())
        response = ask("GET", f"/jobs/logs?experimentId={handle}{parts}")
        assert response.status == (200 if response.body else 204)
        return response.body or []

    return logs


@pytest.mark.parametrize(("kind", "jobs"), [("SingleNodeRequest", 1), ("MultiNodeRequest", 3)])
def test_rows_are_numbered_for_each_job_and_ordered_by_line(still, run_with_rows, logs, kind, jobs):
    handle = run_with_rows(kind)
    still.advance(20)
    rows = logs(handle)
    assert len({row["jobId"] for row in rows}) == jobs
    for job in {row["jobId"] for row in rows}:
        own = [row for row in rows if row["jobId"] == job]
        assert [row["line"] for row in own] == list(range(1, ROWS + 2))
        assert [row["message"] == END_OF_LOG for row in own] == [False] * ROWS + [True]
    assert [row["line"] for row in rows] == sorted(row["line"] for row in rows)


def test_rows_appear_while_it_runs_and_the_end_marker_with_the_terminal_state(ask, still, run_with_rows, logs):
    handle = run_with_rows("SingleNodeRequest")
    assert logs(handle) == []
    seen = [[]]
    for _ in range(201):  # One more than it takes: small steps do not add up exactly.
        still.advance(0.1)
        seen.append(logs(handle))
        is_complete = [row["message"] for row in seen[-1]][-1:] == [END_OF_LOG]
        assert is_complete == (state_of(ask, handle) in TERMINAL_STATES)
    assert {len(rows) for rows in seen} == set(range(ROWS + 2))
    assert all(later[: len(sooner)] == sooner for sooner, later in pairwise(seen))


def test_a_page_has_the_first_rows_after_a_line(still, run_with_rows, logs):
    handle = run_with_rows()
    still.advance(20)
    rows = logs(handle)
    for line in range(ROWS + 3):
        rest = [row for row in rows if row["line"] > line]
        assert logs(handle, line=line) == rest
        for limit in (1, 2, 4, 17, 18, 19, 100):
            assert logs(handle, line=line, limit=limit) == rest[:limit]


@pytest.mark.parametrize("line", [ROWS + 1, 10**6, 10**30])
def test_there_is_no_content_after_the_last_line(ask, still, run_with_rows, line):
    handle = run_with_rows()
    still.advance(20)
    response = ask("GET", f"/jobs/logs?experimentId={handle}&line={line}")
    assert (response.status, response.body) == (204, "")


def test_the_log_of_a_job_without_output_is_the_end_marker(still, run_with_rows, logs):
    handle = run_with_rows("SingleNodeRequest", rows=0)
    still.advance(20)
    assert [(row["line"], row["message"]) for row in logs(handle)] == [(1, END_OF_LOG)]


@pytest.mark.parametrize("after", [2, 5, 10, 18.9])
def test_stopping_ends_the_log_of_each_job_after_the_rows_so_far(ask, still, run_with_rows, logs, after):
    handle = run_with_rows()
    still.advance(after)
    before = logs(handle)
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    assert logs(handle) == before
    still.advance(1.1)
    rows = logs(handle)
    assert rows[: len(before)] == before
    assert [row["message"] for row in rows[len(before) :]] == [END_OF_LOG] * 3
    still.advance(100)
    assert logs(handle) == rows


@pytest.mark.parametrize("started", [False, True])
def test_an_experiment_that_is_canceled_before_it_runs_has_no_log(ask, still, single_node_body, started):
    handle = ask("POST", EXPERIMENTS + "run/" * started, single_node_body).body["handle"]
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    still.advance(100)
    assert ask("GET", f"/jobs/logs?experimentId={handle}").status == 204


def test_log_timestamps_are_utc_without_trailing_zeros_and_never_decrease_within_a_job(still, run_with_rows, logs):
    handle = run_with_rows(rows=200)
    still.advance(20)
    rows = logs(handle)
    texts = [row["timestamp"] for row in rows]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,2}[1-9])?Z", text) for text in texts)
    for job in {row["jobId"] for row in rows}:
        own = [datetime.fromisoformat(row["timestamp"]) for row in rows if row["jobId"] == job]
        assert own == sorted(own)


def test_a_billion_rows_are_read_from_anywhere_and_at_most_50_000_at_once(still, run_with_rows, logs):
    handle = run_with_rows(rows=10**9)
    still.advance(20)
    assert [(row["line"]) for row in logs(handle, limit=4)] == [1, 1, 1, 2]
    last = logs(handle, line=10**9)
    assert [(row["line"], row["message"]) for row in last] == [(10**9 + 1, END_OF_LOG)] * 3
    assert len(logs(handle, limit=50_001)) == 50_000
