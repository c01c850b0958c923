"""Faults of a server in another process, set over HTTP."""

import contextlib
import http.client
import json
from urllib.parse import urlsplit

import pytest

from gradient_server.faults.settings import Faults

pytestmark = pytest.mark.usefixtures("sound")
FAULTS = "/_gradient/faults"
EXPERIMENTS = "/experiments/v1/experiments/"
NONE = {"faults": None, "injected": {}}


@pytest.fixture
def elsewhere(launch, ready_file):
    """Ask a server that is a process of its own."""
    process = launch("--port", "0", "--ready-file", str(ready_file))
    process.stdout.readline()
    process.stdout.readline()
    ready = json.loads(ready_file.read_text(encoding="utf-8"))
    connection = http.client.HTTPConnection(urlsplit(ready["logs_url"]).netloc, timeout=20)

    def ask(method, path, body=None):
        connection.request(method, path, body and json.dumps(body), {"X-API-Key": ready["api_key"]})
        with connection.getresponse() as response:
            return response.status, json.loads(response.read() or b"null")

    with contextlib.closing(connection):
        yield ask


def test_faults_of_a_server_in_another_process_are_set_read_and_ended(elsewhere):
    """With the counts of what was injected."""
    assert elsewhere("GET", FAULTS) == (200, NONE)
    status, told = elsewhere("PUT", FAULTS, {"statuses": [503], "html": False, "times": 3})
    assert status == 200
    assert told["injected"] == {}
    assert told["faults"]["statuses"] == [503]
    assert [elsewhere("GET", EXPERIMENTS)[0] for _ in range(5)] == [503, 503, 503, 200, 200]
    assert elsewhere("GET", FAULTS) == (200, {**told, "injected": {"status": 3}})
    elsewhere("PUT", FAULTS, {"statuses": 500, "html": False})
    assert elsewhere("GET", EXPERIMENTS)[0] == 500
    assert elsewhere("DELETE", FAULTS) == (200, {"faults": None, "injected": {"status": 4}})
    assert elsewhere("GET", EXPERIMENTS)[0] == 200


def test_settings_are_returned_as_they_can_be_put(ask, gradient_server):
    """However they were set."""
    settings = {"rate": 0.25, "latency": 2, "resets": "after", "log_pages": ["old"], "operations": ["getLogs"]}
    gradient_server.faults(**settings)
    told = ask("GET", FAULTS).body["faults"]
    assert Faults(**told) == Faults(**settings)
    assert ask("PUT", FAULTS, told).body == {"faults": told, "injected": {}}
    gradient_server.faults(statuses=503, html=False)
    ask("GET", EXPERIMENTS)
    assert ask("GET", FAULTS).body["injected"] == gradient_server.faults_injected == {"status": 1}
    gradient_server.reset()
    assert ask("GET", FAULTS).body == NONE


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({"statuses": [200], "rate": 2}, {"statuses": "400 to 599", "rate": "0 to 1"}),
        ({"statuses": [500], "ratio": 0.5}, {"ratio": "did you mean rate?"}),
        ({"zzz": 1, "rate": 2}, {"zzz": "there are rate, seed, statuses"}),
        ({"statuses": [500], "operations": ["getLog"]}, {"operations": "There is no getLog; there are "}),
        ({"rate": 0.5}, {"faults": "give statuses, "}),
        ({}, {"faults": "give statuses, "}),
    ],
)
def test_invalid_settings_are_rejected_by_name(ask, settings, problems):
    """In the error body of the services, and nothing is set."""
    answered = ask("PUT", FAULTS, settings)
    answered.assert_error(400, *problems)
    for name, text in problems.items():
        assert text in answered.body["details"][name][0]
    assert ask("GET", FAULTS).body == NONE


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"503", b"\xff", b'{"rate": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_a_json_object_is_rejected(ask, body):
    """The error says what is wrong with it."""
    answered = ask("PUT", FAULTS, body)
    answered.assert_error(400)
    assert answered.body["details"].startswith("The body ")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_faults_cannot_be_read_or_changed_without_the_key(ask, gradient_server, method, key):
    """The response is 403."""
    gradient_server.faults(statuses=503, html=False, operations="createExperiment")
    ask(method, FAULTS, {"statuses": [500]}, headers={"X-API-Key": key}).assert_error(403)
    assert ask("GET", FAULTS).body["faults"]["statuses"] == [503]
    gradient_server.faults()


def test_no_faults_are_injected_into_the_control_path(ask, gradient_server):
    """They could not be ended otherwise."""
    gradient_server.faults(resets="before")
    assert [ask(method, FAULTS, {"resets": "before"}).status for method in ("GET", "PUT", "GET", "DELETE")] == [200] * 4
    assert ask("GET", EXPERIMENTS).status == 200
