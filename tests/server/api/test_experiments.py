"""One experiment: what is shown of it, and what can be done with it, at both addresses that the service had."""

import base64
import re
from datetime import datetime, timedelta

import pytest
from gradient_api.constants import ExperimentState as State

pytestmark = pytest.mark.usefixtures("sound")
V1, V2 = "/experiments/v1/experiments/", "/experiments/v2/experiments/"
KINDS = ["SingleNodeRequest", "MultiNodeRequest", "MpiMultiNodeRequest"]
# Each stamp, and the state that is entered at that moment.
STAMPS = {
    "dtCreated": State.CREATED,
    "dtProvisioningStarted": State.PROVISIONING,
    "dtProvisioningFinished": State.PROVISIONED,
    "dtStarted": State.RUNNING,
    "dtFinished": State.NETWORK_TEARING_DOWN,
    "dtTeardownStarted": State.NETWORK_TEARING_DOWN,
    "dtTeardownFinished": State.STOPPED,
}


@pytest.fixture
def run(ask, single_node_body):
    """Run an experiment; its id."""
    return lambda: ask("POST", V1 + "run/", single_node_body).body["handle"]


def state_of(ask, handle):
    return ask("GET", f"{V1}{handle}/state/").body["data"]["state"]


@pytest.mark.parametrize("kind", KINDS)
def test_stored_parameters(ask, contract, kind):
    """All that was sent is shown: names in snake case, commands as text, values as they were."""
    body = contract["components"]["examples"][kind]["value"]
    handle = ask("POST", V1, body).body["handle"]
    data = ask("GET", f"{V1}{handle}/").body["data"]
    expected = {}
    for name, value in body.items():
        text = base64.b64decode(value).decode() if name.lower().endswith("command") else value
        expected[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()] = text
    assert data["templateHistory"]["params"] == expected
    assert (data["experimentTypeId"], data["projectHandle"]) == (body["experimentTypeId"], body["projectHandle"])


@pytest.mark.parametrize("kind", KINDS)
def test_both_versions_show_the_same(ask, still, contract, kind):
    """An experiment that was created at one address is at the other, too, and what is done to it there is seen here."""
    handle = ask("POST", V1, contract["components"]["examples"][kind]["value"]).body["handle"]
    for step, method in [("start/", "PUT"), ("stop/", "PUT"), ("", "DELETE")]:
        for path in ("", f"{handle}/", f"{handle}/state/"):
            assert ask("GET", V1 + path).body == ask("GET", V2 + path).body
        assert ask(method, f"{V2}{handle}/{step}").status in (200, 204)
    ask("GET", f"{V1}{handle}/").assert_error(404)
    ask("GET", f"{V2}{handle}/").assert_error(404)


def test_stamps(ask, still, single_node_body):
    """Each is there as soon as its state has been entered, and says when; six digits and `+00:00`."""
    handle = ask("POST", V1, single_node_body).body["handle"]
    seen = {}
    for tenth in range(220):
        data = ask("GET", f"{V1}{handle}/").body["data"]
        seen.setdefault(data["state"], tenth / 10)
        assert [name for name in STAMPS if data[name] is not None] == [
            name for name, state in STAMPS.items() if state in seen
        ]
        if tenth == 10:
            ask("PUT", f"{V1}{handle}/start/")
        still.advance(0.1)
    stamps = {name: data[name] for name in [*STAMPS, "dtModified"]}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", stamp) for stamp in stamps.values())
    moments = {name: datetime.fromisoformat(stamp) for name, stamp in stamps.items()}
    assert abs(moments["dtCreated"] - still.clock.date(still.clock.now())) < timedelta(hours=1)
    for name, state in STAMPS.items():
        entered = (moments[name] - moments["dtCreated"]).total_seconds()
        assert seen[state] - 0.101 <= entered <= seen[state] + 0.001, name
    assert data["dtModified"] == data["dtTeardownFinished"]
    assert data["dtDeleted"] is None


def test_an_experiment_that_is_only_created(ask, still, single_node_body):
    """Has one stamp, and stays as it is."""
    handle = ask("POST", V1, single_node_body).body["handle"]
    still.advance(1e6)
    data = ask("GET", f"{V1}{handle}/").body["data"]
    assert data["state"] == State.CREATED
    assert [name for name in STAMPS if data[name] is not None] == ["dtCreated"]


def test_states_pass_by(ask, still, run):
    """Looked at often enough, a run shows every state, in the documented order."""
    handle, seen = run(), []
    while not seen or seen[-1] != State.STOPPED:
        seen.append(state_of(ask, handle))
        assert ask("GET", f"{V1}{handle}/").body["data"]["state"] == seen[-1]
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
def test_stopping(ask, still, run, after, at_once, in_the_end):
    """What did not run yet is canceled at once; what runs is torn down first; what is torn down already goes on."""
    handle = run()
    still.advance(after)
    assert ask("PUT", f"{V1}{handle}/stop/").body == {"message": "success"}
    assert state_of(ask, handle) == at_once
    still.advance(20)
    assert state_of(ask, handle) == in_the_end
    ask("PUT", f"{V1}{handle}/stop/").assert_error(409)


@pytest.mark.parametrize("outcome", ["stopped", "failed", "error"])
def test_stopping_what_has_ended(ask, still, single_node_body, outcome):
    """However it ended, it is a conflict, whose text has the word for the state; the state stays as it is."""
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_OUTCOME": outcome}}
    handle = ask("POST", V1 + "run/", body).body["handle"]
    still.advance(20)
    answered = ask("PUT", f"{V1}{handle}/stop/")
    answered.assert_error(409)
    assert f"The experiment is {outcome};" in answered.body["details"]
    assert State.get_state_str(state_of(ask, handle)) == outcome


def test_stopping_twice(ask, still, run):
    """The second time changes nothing: the end comes when the first had it come."""
    handle = run()
    still.advance(10)
    for _ in range(2):
        assert ask("PUT", f"{V1}{handle}/stop/").status == 200
        still.advance(0.6)
    assert state_of(ask, handle) == State.CANCELLED


@pytest.mark.parametrize("after", [0, 1, 10, 19.5, 20])
def test_starting_what_has_started(ask, still, run, after):
    """Is a conflict, whose text has the word for the state; the run is not disturbed."""
    handle = run()
    still.advance(after)
    before = state_of(ask, handle)
    answered = ask("PUT", f"{V1}{handle}/start/")
    answered.assert_error(409)
    assert f"The experiment is {State.get_state_str(before)};" in answered.body["details"]
    assert state_of(ask, handle) == before


def test_starting_what_was_stopped_before_it_ran(ask, still, single_node_body):
    """Is a conflict: a canceled experiment has ended."""
    handle = ask("POST", V1, single_node_body).body["handle"]
    assert ask("PUT", f"{V1}{handle}/stop/").status == 200
    assert state_of(ask, handle) == State.CANCELLED
    ask("PUT", f"{V1}{handle}/start/").assert_error(409)


@pytest.mark.parametrize("after", [None, 0, 10, 20])
def test_deleting(ask, still, single_node_body, after):
    """In any state; what is deleted is not there any more, and neither are its logs."""
    path = V1 if after is None else V1 + "run/"
    handle = ask("POST", path, single_node_body).body["handle"]
    still.advance(after or 0)
    answered = ask("DELETE", f"{V1}{handle}/")
    assert (answered.status, answered.body) == (204, "")
    for method, step in [("GET", ""), ("GET", "state/"), ("PUT", "start/"), ("PUT", "stop/"), ("DELETE", "")]:
        ask(method, f"{V1}{handle}/{step}").assert_error(404)
    ask("GET", f"/jobs/logs?experimentId={handle}").assert_error(404)
    assert ask("GET", V1).body["data"] == []
