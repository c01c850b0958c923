"""Faults that name a promise: each is put on the wire between client and server, and a walk through both notices it.

Wherever such a fault came from, the client, the server or the contract, a test of behaviour would fail; that is what is
shown here. The faults are written in the terms of the API, so that no renaming in the code touches them. `make mutants`
looks into a module of the code instead.
"""

import base64
import json
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from attrs import define

from gradient import ExperimentsClient, GradientSdkError, ResourceFetchingError
from gradient.constants import ExperimentState, ExperimentType


@define
class Message:
    """A request, and its response once there is one, as a fault may change them."""

    method: str
    path: str
    query: dict
    headers: dict
    body: object
    status: int = 0
    answer: object = None

    def named(self, *ends):
        return self.path.endswith(ends)


class FaultyTransport(httpx.BaseTransport):
    """Sends requests after one fault has changed them, or returns responses after one has."""

    def __init__(self, on_request=None, on_response=None):
        self._network = httpx.HTTPTransport()
        self._on_request = on_request or (lambda message: None)
        self._on_response = on_response or (lambda message: None)

    def handle_request(self, request):
        raw = request.read()
        query = dict(parse_qsl(request.url.query.decode()))
        headers = {name: value for name, value in request.headers.items() if name != "content-length"}
        message = Message(request.method, request.url.path, query, headers, json.loads(raw) if raw else None)
        self._on_request(message)
        url = request.url.copy_with(path=message.path, query=urlencode(message.query).encode())
        body = None if message.body is None else json.dumps(message.body).encode()
        sent = httpx.Request(message.method, url, headers=message.headers, content=body, extensions=request.extensions)
        response = self._network.handle_request(sent)
        raw = response.read()
        try:
            message.status, message.answer = response.status_code, json.loads(raw) if raw else None
        except ValueError:
            return httpx.Response(response.status_code, content=raw)
        self._on_response(message)
        return httpx.Response(message.status, json=message.answer) if raw or message.answer else response

    def close(self):
        self._network.close()


def walk(client, server, single_node, multi_node):
    """Use all that the documentation promises; what it says is asserted here, without the code's own words."""
    env = {"A": 1, "B": "two", "C": None}
    created = client.create_single_node(**{**single_node, "experiment_env": env})
    shown = client.get(created)
    assert (shown.id, shown.state, shown.experiment_type_id) == (created, 1, ExperimentType.SINGLE_NODE)
    assert {name: getattr(shown, name) for name in single_node} == {**single_node, "experiment_env": env}
    assert shown.dt_created
    assert shown.dt_started is None
    assert client.state(created) == ExperimentState.CREATED
    client.start(created)
    with pytest.raises(ResourceFetchingError) as refused:
        client.start(created)
    assert refused.value.status == 409
    server.advance(60)
    assert client.state(created) == ExperimentState.STOPPED
    ended = client.wait(created)
    assert ended.state == ExperimentState.STOPPED
    assert ended.dt_started
    assert ended.dt_finished
    rows = client.logs(created)
    assert [(row.line, row.message.split(": ")[1].split()[:2]) for row in rows] == [
        (n, ["step", f"{n}/20"]) for n in range(1, 21)
    ]
    assert all(row.timestamp.endswith("Z") for row in rows)
    assert rows == list(client.yield_logs(created, limit=7))
    assert [row.line for row in client.logs(created, line=15, limit=3)] == [16, 17, 18]

    many = client.run_multi_node(**multi_node)
    shown = client.get(many)
    assert {name: getattr(shown, name) for name in multi_node} == multi_node
    assert client.state(many) != ExperimentState.CREATED
    server.advance(60)
    rows = list(client.yield_logs(many))
    jobs = {row.job_id for row in rows}
    assert sorted((row.job_id, row.line) for row in rows) == sorted((job, n) for job in jobs for n in range(1, 21))
    assert len(jobs) == 3

    stopped = client.run_single_node(**{**single_node, "project_id": "prother"})
    assert client.state(stopped) != ExperimentState.CREATED
    client.stop(stopped)
    assert client.state(stopped) == ExperimentState.CANCELLED
    newest_first = [stopped, many, created]
    assert [one.id for one in client.list()] == newest_first
    assert [one.id for one in client.list(["prother", single_node["project_id"]])] == newest_first
    assert [one.id for one in client.list("prother")] == [stopped]
    assert [one.id for one in client.list(limit=1, offset=1)] == [many]
    assert [one.id for one in client.iter_experiments(page_size=1)] == newest_first
    client.delete(created)
    assert [one.id for one in client.list()] == newest_first[:2]
    for call in (client.get, client.state, client.logs, client.stop):
        with pytest.raises(ResourceFetchingError) as missing:
            call(created)
        assert (missing.value.status, "Experiment not found" in str(missing.value)) == (404, True)


def body_without(name):
    return lambda message: message.body and message.body.pop(name, None)


def body_with(**changes):
    return lambda message: (
        message.body and message.body.update({name: value for name, value in changes.items() if name in message.body})
    )


def plain_command(message):
    if message.body and "command" in message.body:
        message.body["command"] = base64.b64decode(message.body["command"]).decode()


def grpc_as_mpi(message):
    if message.body and message.body["experimentTypeId"] == ExperimentType.GRPC_MULTI_NODE:
        message.body["experimentTypeId"] = ExperimentType.MPI_MULTI_NODE


def to_path(old, new, method=None):
    def change(message):
        if message.named(old):
            message.path = message.path.removesuffix(old) + new
            message.method = method or message.method

    return change


def query_without(name):
    return lambda message: [message.query.pop(each) for each in list(message.query) if each.startswith(name)]


def query_plus_one(name):
    return lambda message: message.query.update(
        {key: int(value) + 1 for key, value in message.query.items() if key == name}
    )


def header(old, new):
    return lambda message: message.headers.update({new: message.headers.pop(old)} if old in message.headers else {})


def only_reads(message):
    message.method = "GET" if message.method == "DELETE" else message.method


def experiments_in(message):
    """The experiments of a response, wherever they are in it."""
    data = message.answer.get("data") if isinstance(message.answer, dict) else None
    found = data if isinstance(data, list) else [data] if isinstance(data, dict) and "templateHistory" in data else []
    return [inner for one in found for inner in (one["data"] if "handle" not in one else [one])]


def of_experiments(change):
    return lambda message: [change(one) for one in experiments_in(message)] and None


def stored(change):
    return of_experiments(lambda one: change(one["templateHistory"]["params"]))


def of_rows(change):
    def changed(message):
        if message.named("/logs") and message.status == 200:
            message.answer = change(message.answer)

    return changed


def each_row(**changes):
    return of_rows(lambda rows: [{**row, **changes} for row in rows])


def status(old, new):
    def change(message):
        if message.status == old:
            message.status, message.answer = new, message.answer or {}

    return change


def first_experiment_missing(message):
    if isinstance(message.answer, dict) and isinstance(message.answer.get("data"), list):
        message.answer["data"] = message.answer["data"][1:]


def reversed_list(message):
    if isinstance(message.answer, dict) and isinstance(message.answer.get("data"), list):
        message.answer["data"].reverse()


def state_read_as(number):
    def change(message):
        if message.named("/state/") and message.status == 200:
            message.answer["data"]["state"] = number

    return change


def other_handle(message):
    if message.method == "POST" and message.status == 200:
        message.answer["handle"] = "es" + message.answer["handle"][:1:-1]


REQUEST_FAULTS = {
    "commands are sent as plain text": plain_command,
    "the key is sent under another name": header("x-api-key", "authorization"),
    "bodies are not declared as JSON": header("content-type", "x-content-type"),
    "run only creates": to_path("/run/", "/"),
    "create runs at once": to_path("/experiments/", "/experiments/run/"),
    "start stops": to_path("/start/", "/stop/"),
    "stop starts": to_path("/stop/", "/start/"),
    "delete only reads": only_reads,
    "the name is lost": body_without("name"),
    "the environment is lost": body_without("experimentEnv"),
    "the model path is lost": body_without("modelPath"),
    "the project is another": body_with(projectHandle="prelse"),
    "the number of workers is another": body_with(workerCount=3),
    "GRPC becomes MPI": grpc_as_mpi,
    "the container of the parameter servers is lost": body_without("parameterServerContainer"),
    "the project filter is lost": query_without("projectHandle"),
    "a list skips one experiment too many": query_plus_one("offset"),
    "logs skip one line": query_plus_one("line"),
    "the experiment of the logs is lost": query_without("experimentId"),
}
RESPONSE_FAULTS = {
    "a create returns another handle": other_handle,
    "a state is always created": state_read_as(1),
    "a state is always stopped": state_read_as(5),
    "experiments are always created": of_experiments(lambda one: one.update(state=1)),
    "experiments are of an unknown type": of_experiments(lambda one: one.update(experimentTypeId=9)),
    "experiments have no handle": of_experiments(lambda one: one.pop("handle")),
    "experiments do not say when they were created": of_experiments(lambda one: one.update(dtCreated=None)),
    "experiments do not say when they started": of_experiments(lambda one: one.update(dtStarted=None)),
    "experiments do not say when they ended": of_experiments(lambda one: one.update(dtFinished=None)),
    "stored parameters are lost": of_experiments(lambda one: one.update(templateHistory=None)),
    "stored names are lost": stored(lambda params: params.pop("name")),
    "stored commands are in base64": stored(lambda params: params.update(command="cHl0aG9u")),
    "lists lack their first experiment": first_experiment_missing,
    "lists are oldest first": reversed_list,
    "logs lack their first row": of_rows(lambda rows: rows[1:]),
    "log rows have another text": each_row(message="worker: text"),
    "log rows have no time": each_row(timestamp=""),
    "log rows are all of one job": each_row(jobId="jsone"),
    "log rows come twice": of_rows(lambda rows: [row for row in rows for _ in range(2)]),
    "log rows come in another order": of_rows(lambda rows: rows[::-1]),
    "there are never log rows": of_rows(lambda rows: []),
    "refused starts succeed": status(409, 200),
    "missing experiments are found": status(404, 200),
    "missing experiments are conflicts": status(404, 409),
}
TOLERATED = {
    "lines are texts": of_rows(lambda rows: [{**row, "line": str(row["line"])} for row in rows]),
    "states are texts": of_experiments(lambda one: one.update(state=str(one["state"]))),
    "there are unknown members": of_experiments(lambda one: one.update(addedLater={"a": 1})),
}


@pytest.fixture
def walk_through(gradient_server, single_node, multi_node):
    def walk_through(**faults):
        gradient_server.clock.scale = 0
        urls = {"base_url": gradient_server.experiments_url, "logs_url": gradient_server.logs_url}
        with (
            httpx.Client(transport=FaultyTransport(**faults)) as http_client,
            ExperimentsClient(
                gradient_server.api_key, **urls, http_client=http_client, max_attempts=1, patience=0.01
            ) as client,
        ):
            walk(client, gradient_server, single_node, multi_node)

    return walk_through


def test_the_walk_passes_where_there_is_no_fault(walk_through):
    walk_through()


@pytest.mark.parametrize("fault", TOLERATED)
def test_what_the_client_tolerates_makes_no_difference(walk_through, fault):
    walk_through(on_response=TOLERATED[fault])


@pytest.mark.parametrize("fault", REQUEST_FAULTS)
def test_a_fault_of_requests_is_noticed(walk_through, fault):
    with pytest.raises((AssertionError, GradientSdkError, pytest.fail.Exception)):
        walk_through(on_request=REQUEST_FAULTS[fault])


@pytest.mark.parametrize("fault", RESPONSE_FAULTS)
def test_a_fault_of_responses_is_noticed(walk_through, fault):
    with pytest.raises((AssertionError, GradientSdkError, pytest.fail.Exception)):
        walk_through(on_response=RESPONSE_FAULTS[fault])
