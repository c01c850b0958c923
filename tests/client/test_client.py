"""The client against servers that answer well, badly, or not at all."""

import contextlib
from fnmatch import fnmatch

import pytest
from gradient_api.constants import TERMINAL_STATES

from gradient import (
    ExperimentsClient,
    GradientSdkError,
    MalformedResponseError,
    RequestFailedError,
    ResourceCreatingError,
    ResourceFetchingError,
)
from gradient_server.api.contract import packaged_contract
from tests.tracebacks import everything_shown

CALLS = [
    ("get", lambda client, new: client.get("es1")),
    ("list", lambda client, new: client.list()),
    ("state", lambda client, new: client.state("es1")),
    ("logs", lambda client, new: client.logs("es1")),
    ("start", lambda client, new: client.start("es1")),
    ("create", lambda client, new: client.create_single_node(**new)),
]


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (403, {"details": "Incorrect API Key provided", "error": "Forbidden"}, "application/json"),
        (401, b"Authentication failed", "text/plain"),
        (502, b"<html><title>502 Bad Gateway</title></html>", "text/html"),
        (520, b"", "text/html"),
        (301, b"", "text/html"),
    ],
)
def test_error_answers(scripted, scripted_client, single_node, call, status, body, content_type):
    """Every error is a ResourceFetchingError with the status and the words of the server, without the key."""
    scripted.say(status, body, content_type)
    with pytest.raises(ResourceFetchingError) as caught:
        call(scripted_client, single_node)
    assert caught.value.status == status
    assert "a-key" not in str(caught.value)


@pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])
@pytest.mark.parametrize(
    "body", [b"", b"not JSON", b"{}", b"3", b'"text"', b"<html></html>", b'{"data": 7}', b"[" * 100_000]
)
def test_answers_that_are_no_answers(scripted, scripted_client, single_node, call, body):
    """A success without what the contract says is an error of this package, or at least nothing else."""
    scripted.say(200, body)
    with contextlib.suppress(GradientSdkError):
        call(scripted_client, single_node)


@pytest.mark.parametrize("answer", [{}, {"handle": None}, {"handle": ""}, {"handle": {}}])
def test_a_create_without_a_handle(scripted, scripted_client, single_node, answer):
    """Has the name that it always had."""
    scripted.say(200, {"message": "success", **answer})
    with pytest.raises(ResourceCreatingError):
        scripted_client.create_single_node(**single_node)


STORED = {"params": {"registryPassword": "sesame", "workspaceUrl": "https://me:sesame@h/r.git"}}
WITHOUT_STATE = {"handle": "es1", "experimentTypeId": 1, "state": {}, "templateHistory": STORED}


@pytest.mark.parametrize(
    ("call", "answer", "said"),
    [
        ("get", {"data": WITHOUT_STATE}, "state is an object instead of"),
        ("state", {"data": WITHOUT_STATE}, "state is an object instead of"),
        ("list", {"data": [WITHOUT_STATE]}, "state is an object instead of"),
        ("list", {"data": [{"handle": "es1", "data": [], "x": STORED}]}, "an experiment lacks its state"),
        ("logs", [{"line": [], "message": "x", "timestamp": "", "jobId": "js1"}], "line is an array instead of"),
        ("create", {"handle": [], "message": "success"}, "handle is an array instead of"),
    ],
)
def test_values_that_cannot_be(scripted, scripted_client, single_node, call, answer, said):
    """The error names the value and the request, and holds nothing else of the answer, in its frames neither."""
    scripted.say(200, answer)
    with pytest.raises(MalformedResponseError) as caught:
        dict(CALLS)[call](scripted_client, single_node)
    error = caught.value
    assert f"the answer is not as the contract says; {said}" in str(error)
    assert error.url.startswith(scripted.url)
    assert error.method in str(error)
    assert "sesame" not in everything_shown(error)


@pytest.mark.parametrize("status", [202, 203, 206])
def test_a_success_of_another_kind(scripted, scripted_client, status):
    """Rows of which only a part came, or that a proxy has changed, do not pass for no rows."""
    scripted.say(status, [{"line": 1, "message": "x", "timestamp": "", "jobId": "js1"}])
    with pytest.raises(MalformedResponseError, match=f"status {status} with a body"):
        scripted_client.logs("es1")


def test_what_goes_over_the_wire(scripted, scripted_client):
    """The filter is numbered, the key is in its header."""
    scripted.say(200, {"data": []})
    assert scripted_client.list(("p1", "p2")) == []
    assert scripted.requests[0][1].endswith("projectHandle%5B0%5D=p1&projectHandle%5B1%5D=p2")
    assert {name.lower(): value for name, value in scripted.headers[0].items()}["x-api-key"] == "a-key"


def test_every_kind_of_answer_is_accepted(scripted, scripted_client):
    """A server that negotiates may answer whatever the contract says, the plain text of the log host too."""
    scripted.say(200, [])
    scripted_client.logs("es1")
    accepted = {name.lower(): value for name, value in scripted.headers[0].items()}["accept"].split(",")
    answers = [answer for operation in packaged_contract().operations for answer in operation.responses.values()]
    for media_type in {media_type for answer in answers for media_type in answer}:
        assert any(fnmatch(media_type, kind.partition(";")[0].strip()) for kind in accepted), media_type


def test_no_server():
    """A server that is not there is a connection error."""
    here = ExperimentsClient("k", base_url="http://127.0.0.1:9", max_attempts=1)
    with here as client, pytest.raises(RequestFailedError) as caught:
        client.get("es1")
    assert isinstance(caught.value, ConnectionError)


def test_an_old_server_without_the_light_state(scripted, scripted_client):
    """The state is then read with the rest of the experiment."""
    scripted.say(404, {"error": "Not found"})
    scripted.say(200, {"data": {"handle": "es1", "experimentTypeId": 1, "state": 4}})
    assert scripted_client.state("es1") == 4


@pytest.mark.parametrize("wrong", ["", "..", "a/b", "a?b", "a#b", "a b", 7, None, "é"])
def test_ids_that_cannot_be(scripted, scripted_client, wrong):
    """Are refused before anything is sent."""
    for method in ("get", "start", "stop", "delete", "state", "logs", "yield_logs"):
        with pytest.raises(ValueError, match="experiment_id"):
            getattr(scripted_client, method)(wrong)
    assert scripted.requests == []


@pytest.mark.parametrize("outcome", ["stopped", "failed", "error"])
def test_outcomes(client, gradient_server, single_node, outcome):
    """A simulated run ends as asked, and following its logs ends with it."""
    environment = {"GRADIENT_MOCK_OUTCOME": outcome, "GRADIENT_MOCK_LOG_LINES": 3, "GRADIENT_MOCK_SECONDS": 1000}
    experiment_id = client.run_single_node(**{**single_node, "experiment_env": environment})
    gradient_server.advance(1001)
    rows = list(client.yield_logs(experiment_id, timeout=30))
    assert len(rows) == (0 if outcome == "error" else 3)
    experiment = client.get(experiment_id)
    assert experiment.state in TERMINAL_STATES
    assert (experiment.experiment_error is None) == (outcome != "error")


def test_conflicts_and_missing_experiments(client, gradient_server, single_node):
    """Starting twice and stopping what has ended are 409; what is not there is 404."""
    experiment_id = client.run_single_node(**single_node)
    with pytest.raises(ResourceFetchingError, match="only one that has not run can be started") as caught:
        client.start(experiment_id)
    assert caught.value.status == 409
    gradient_server.advance(30)
    with pytest.raises(ResourceFetchingError, match="cannot be stopped"):
        client.stop(experiment_id)
    for call in (client.get, client.state, client.start, client.stop, client.delete, client.logs):
        with pytest.raises(ResourceFetchingError) as caught:
            call("esnothing")
        assert caught.value.status == 404
