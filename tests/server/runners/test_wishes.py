"""What an experiment says of its own simulation: taken where it makes sense, refused by its name where it does not."""

import pytest
from gradient_api.constants import ExperimentState as State

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *[("GRADIENT_MOCK_OUTCOME", value) for value in ("", "canceled", "running", "Stopped", "5", 5, True, None)],
        *[("GRADIENT_MOCK_LOG_LINES", value) for value in ("", "x", -1, "-1", 2.5, "2.5", 1e10, "nan", True, None)],
        *[("GRADIENT_MOCK_SECONDS", value) for value in ("", "x", -0.1, "inf", "nan", 1e10, 10**400, False, None)],
    ],
)
@pytest.mark.parametrize("path", ["", "run/"])
def test_wishes_that_cannot_be(ask, single_node_body, path, variable, value):
    """The answer names the variable, below the member that carries it, and nothing has been created."""
    answered = ask("POST", EXPERIMENTS + path, {**single_node_body, "experimentEnv": {variable: value}})
    answered.assert_error(400, "experimentEnv")
    assert answered.body["details"]["experimentEnv"][0].startswith(f"{variable} must be ")
    assert ask("GET", EXPERIMENTS).body["data"] == []


@pytest.mark.parametrize("write", [lambda value: value, str], ids=["as numbers", "as text"])
@pytest.mark.parametrize("rows", [0, 1, 7])
@pytest.mark.parametrize("seconds", [0, 0.5, 1000])
def test_rows_and_seconds(ask, still, single_node_body, write, rows, seconds):
    """Variables of an environment may be text; the run takes as long and prints as much as was asked for."""
    wish = {"GRADIENT_MOCK_SECONDS": write(seconds), "GRADIENT_MOCK_LOG_LINES": write(rows)}
    handle = ask("POST", EXPERIMENTS + "run/", {**single_node_body, "experimentEnv": wish}).body["handle"]
    if seconds:
        still.advance(seconds * 0.999)
        assert state_of(ask, handle) == State.NETWORK_TEARDOWN
        still.advance(seconds * 0.0011)
    assert state_of(ask, handle) == State.STOPPED
    lines = [row["line"] for row in ask("GET", f"/jobs/logs?experimentId={handle}").body]
    assert lines == list(range(1, rows + 2))


@pytest.mark.parametrize("outcome", ["stopped", "failed", "error"])
def test_outcomes(ask, still, single_node_body, outcome):
    """A run ends as it was asked to; one that could not be set up says why, and has printed nothing."""
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_OUTCOME": outcome}}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    still.advance(20)
    assert State.get_state_str(state_of(ask, handle)) == outcome
    data = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
    assert (data["experimentError"] is not None) == (outcome == "error")
    assert (data["dtFinished"] is None) == (outcome == "error")
    assert ask("GET", f"/jobs/logs?experimentId={handle}").status == (204 if outcome == "error" else 200)


def state_of(ask, handle):
    return ask("GET", f"{EXPERIMENTS}{handle}/state/").body["data"]["state"]
