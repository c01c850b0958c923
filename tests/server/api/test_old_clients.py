"""Requests of the published clients 0.3.7 and 1.9.1, to both versions of the API."""

import base64
import http.client
import json
import re
from urllib.parse import urlencode

import pytest
from gradient_api.constants import ExperimentState as State

from tests.server.api.conftest import EXPERIMENTS, EXPERIMENTS_V2

pytestmark = pytest.mark.usefixtures("server_stays_healthy")
END_OF_LOG = "PSEOF"  # Written out: they know no contract.
REQUESTS_HEADERS = {
    "User-Agent": "python-requests/2.22.0",
    "Accept-Encoding": "gzip, deflate",
    "Accept": "*/*",
    "Connection": "keep-alive",
}
HEADERS = {
    "0.3.7": {**REQUESTS_HEADERS, "ps_client_name": "gradient-cli", "ps_client_version": "0.3.7"},
    "1.9.1": {**REQUESTS_HEADERS, "ps_client_name": "gradient-cli-sdk", "ps_client_version": "v1.9.1"},
}


def in_base64(text):
    return base64.b64encode(text.encode()).decode()


# 0.3.7 sends an empty environment where none was given, 1.9.1 nothing; commands are in base64 for both.
SINGLE = {
    "name": "old",
    "projectHandle": "prlvf0u05",
    "experimentTypeId": 1,
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "machineType": "K80",
    "command": in_base64("python é.py"),
    "ports": "5000",
}
WORKERS = {
    "projectHandle": "prlvf0u05",
    "workerContainer": "horovod/horovod:0.16.4",
    "workerMachineType": "K80",
    "workerCommand": in_base64("sleep infinity"),
    "workerCount": 2,
}
GRPC = {
    **WORKERS,
    "name": "old",
    "experimentTypeId": 2,
    "parameterServerContainer": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "parameterServerMachineType": "K80",
    "parameterServerCommand": in_base64("python mnist.py"),
    "parameterServerCount": 1,
}
MPI = {
    **WORKERS,
    "experimentTypeId": 3,
    "masterContainer": "horovod/horovod:0.16.4",
    "masterMachineType": "K80",
    "masterCommand": in_base64("mpirun python mnist.py"),
    "masterCount": 1,
}
BODIES = pytest.mark.parametrize(
    ("version", "body"),
    [
        pytest.param("0.3.7", {**SINGLE, "experimentEnv": {}}, id="0.3.7 single node"),
        pytest.param("0.3.7", {**GRPC, "experimentEnv": {}}, id="0.3.7 GRPC"),
        pytest.param("0.3.7", {**GRPC, "experimentTypeId": 3, "experimentEnv": {}}, id="0.3.7 MPI"),
        pytest.param("1.9.1", {**SINGLE, "isPreemptible": True, "workspaceRef": "main"}, id="1.9.1 single node"),
        pytest.param("1.9.1", GRPC, id="1.9.1 GRPC"),
        pytest.param("1.9.1", {**MPI, "name": "old"}, id="1.9.1 MPI"),
        pytest.param("1.9.1", MPI, id="1.9.1 MPI without a name"),
    ],
)
AT_BOTH = pytest.mark.parametrize("at", [EXPERIMENTS, EXPERIMENTS_V2], ids=["v1", "v2"])


class OldClient:
    """Sends requests as the library `requests` did: these headers in this order, and no body if there is none."""

    def __init__(self, server, version):
        self._connection = http.client.HTTPConnection(*server.url.removeprefix("http://").split(":"), timeout=20)
        self._headers = {**HEADERS[version], "X-API-Key": server.api_key}

    def ask(self, method, path, body=None):
        headers, raw = dict(self._headers), None
        if body is not None:
            raw = json.dumps(body).encode()
            headers |= {"Content-Length": str(len(raw)), "Content-Type": "application/json"}
        elif method != "GET":
            headers["Content-Length"] = "0"
        self._connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            self._connection.putheader(name, value)
        self._connection.endheaders(raw)
        response = self._connection.getresponse()
        answer = response.read()
        return response.status, json.loads(answer) if answer else None

    def close(self):
        self._connection.close()


@pytest.fixture
def client_of(gradient_server):
    """Make old clients; all are closed after the test."""
    made = []

    def make(version):
        made.append(OldClient(gradient_server, version))
        return made[-1]

    yield make
    for client in made:
        client.close()


@AT_BOTH
@BODIES
def test_an_experiment_from_creation_to_the_end_of_its_log(client_of, frozen_server, at, version, body):
    client = client_of(version)
    status, created = client.ask("POST", at, body)
    assert (status, created["message"]) == (200, "success")
    handle = created["handle"]
    status, got = client.ask("GET", f"{at}{handle}/")
    assert (status, got["message"], got["data"]["state"]) == (200, "success", State.CREATED)
    params = got["data"]["templateHistory"]["params"]
    assert params["project_handle"] == "prlvf0u05"
    assert params.get("command", "python é.py") == "python é.py"
    assert client.ask("GET", f"/jobs/logs?experimentId={handle}&line=0&limit=10000") == (204, None)
    assert client.ask("PUT", f"{at}{handle}/start/") == (200, {"message": "success"})
    frozen_server.advance(20)
    rows = followed(client, handle, version)
    assert [row["message"] == END_OF_LOG for row in rows] == [False] * (len(rows) - 1) + [True]
    assert client.ask("GET", f"{at}{handle}/")[1]["data"]["state"] == State.STOPPED
    assert client.ask("PUT", f"{at}{handle}/stop/")[0] == 409


def followed(client, handle, version, limit=100):
    """Follow a log as old clients did: count rows instead of lines, and end at the first end marker."""
    line, rows = {"0.3.7": 0, "1.9.1": 1}[version], []
    for _ in range(20):  # a server that repeats itself must not hold this up for ever
        status, page = client.ask("GET", f"/jobs/logs?experimentId={handle}&line={line}&limit={limit}")
        assert status == 200
        for row in page:
            rows.append(row)
            if row["message"] == END_OF_LOG:
                return rows
        line += len(page)
    raise AssertionError("the log does not come to an end")


def test_0_3_7_sees_every_row_and_1_9_1_misses_the_first(client_of, gradient_server):
    client = client_of("0.3.7")
    environment = {"GRADIENT_MOCK_LOG_LINES": 176, "GRADIENT_MOCK_SECONDS": 0}
    handle = client.ask("POST", EXPERIMENTS + "run/", {**SINGLE, "experimentEnv": environment})[1]["handle"]
    assert [row["line"] for row in followed(client, handle, "0.3.7")] == list(range(1, 178))
    assert [row["line"] for row in followed(client_of("1.9.1"), handle, "1.9.1")] == list(range(2, 178))


@AT_BOTH
def test_0_3_7_lists_everything_and_numbers_projects(client_of, at):
    client = client_of("0.3.7")
    handles = [client.ask("POST", EXPERIMENTS, SINGLE)[1]["handle"] for _ in range(25)]
    status, listed = client.ask("GET", f"{at}?limit=-1")
    assert (status, len(listed["data"]), listed["meta"]["totalItems"]) == (200, 25, 25)
    query = "limit=-1&projectHandle%5B0%5D=prlvf0u05&projectHandle%5B1%5D=prother"
    groups = client.ask("GET", f"{at}?{query}")[1]["data"]
    assert [[found["handle"] for found in group["data"]] for group in groups] == [handles[::-1], []]
    letters = "&".join(f"projectHandle%5B{place}%5D={letter}" for place, letter in enumerate("prlvf0u05"))
    groups = client.ask("GET", f"{at}?limit=-1&{letters}")[1]["data"]
    assert [group["data"] for group in groups] == [[]] * 8  # one of the letters comes twice


@pytest.mark.parametrize("entity", ["experiment", "project"])
def test_1_9_1_reads_tags_and_sends_all_of_them_again(client_of, entity):
    """Once after a creation, to which it gives no tags, and then for each change; it filters lists by them."""
    client = client_of("1.9.1")
    at, body = (EXPERIMENTS, SINGLE) if entity == "experiment" else ("/projects/", {"name": "old"})
    handle, other = (client.ask("POST", at, body)[1]["handle"] for _ in range(2))
    read = f"/entityTags/getTags?{urlencode({'entity': entity, 'entityIds': handle})}"
    assert client.ask("GET", read) == (200, {handle: []})
    for tags in (["a", "b"], ["b"]):
        status, written = client.ask(
            "PUT", "/entityTags/updateTags", {"entity": entity, "entityId": handle, "tags": tags}
        )
        assert (status, [row["tag"]["name"] for row in written]) == (200, tags)
        status, found = client.ask("GET", f"{read}&entityIds={other}")
        assert (status, [[row["tag"]["name"] for row in found[each]] for each in (handle, other)]) == (200, [tags, []])
    asked = {"experiment": f"{EXPERIMENTS_V2}?tag=b&tag=c", "project": "/projects/?tagFilter=b&tagFilter=c"}
    (listed,) = client.ask("GET", asked[entity])[1]["data"]
    assert (listed["handle"], listed["tags"]) == (handle, [{"name": "b"}] if entity == "experiment" else ["b"])


def test_missing_fields_have_the_recorded_error_body(client_of):
    body = {name: value for name, value in SINGLE.items() if name not in ("container", "projectHandle")}
    assert client_of("0.3.7").ask("POST", EXPERIMENTS, body) == (
        400,
        {
            "details": {
                "container": ["Missing data for required field."],
                "projectHandle": ["Missing data for required field."],
            },
            "error": "Experiment data error",
        },
    )


def test_projects_from_creation_to_deletion(client_of):
    """0.3.7 sends no filter, 1.9.1 sends one in every list, and looks for a project by one."""
    old, later = client_of("0.3.7"), client_of("1.9.1")
    assert old.ask("GET", "/projects/") == (200, {"data": [], "meta": {"totalItems": 0}})
    status, created = old.ask("POST", "/projects/", {"name": "old", "repoUrl": "https://example.com/old.git"})
    assert (status, created["name"], created["repoUrl"]) == (201, "old", "https://example.com/old.git")
    assert re.fullmatch("pr[a-z0-9]{7}", created["handle"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created["dtCreated"])
    everything = {"offset": 0, "where": {"dtDeleted": None}, "order": "dtCreated desc"}
    for client, query in ((old, {}), (later, {"filter": json.dumps(everything)})):
        assert client.ask("GET", f"/projects/?{urlencode(query)}")[1]["data"] == [created]
    one = urlencode({"filter": json.dumps({"where": {"handle": created["handle"]}})})
    assert later.ask("GET", f"/projects/?{one}")[1]["data"] == [created]
    delete = f"/projects/{created['handle']}/deleteProject"
    assert later.ask("POST", delete) == (204, None)
    message = f'Project "{created["handle"]}" is already deleted.'
    assert later.ask("POST", delete) == (400, {"error": {"name": "Error", "status": 400, "message": message}})
    assert later.ask("GET", f"/projects/?{one}")[1]["data"] == []


def test_a_project_without_a_name_is_refused_as_the_host_of_projects_did(client_of):
    status, answer = client_of("0.3.7").ask("POST", "/projects/", {})
    assert (status, answer["error"]["name"], answer["error"]["details"]["context"]) == (
        400,
        "ValidationError",
        "project",
    )
    assert list(answer["error"]["details"]["messages"]) == ["name"]
