"""Faults set over HTTP, as for a server in another process."""

import pytest

from gradient_server.faults.settings import Faults
from tests.server.api.conftest import EXPERIMENTS

pytestmark = pytest.mark.usefixtures("server_stays_healthy")
FAULTS = "/_gradient/faults"
NONE = {"faults": None, "injected": {}}


def test_faults_are_set_read_and_ended_with_their_counts(ask):
    assert ask("GET", FAULTS).body == NONE
    response = ask("PUT", FAULTS, {"statuses": [503], "html": False, "times": 3})
    assert response.status == 200
    assert response.body["faults"]["statuses"] == [503]
    assert [ask("GET", EXPERIMENTS).status for _ in range(5)] == [503, 503, 503, 200, 200]
    assert ask("GET", FAULTS).body == {**response.body, "injected": {"status": 3}}
    ask("PUT", FAULTS, {"statuses": 500, "html": False})
    assert ask("GET", EXPERIMENTS).status == 500
    assert ask("DELETE", FAULTS).body == {"faults": None, "injected": {"status": 4}}
    assert ask("GET", EXPERIMENTS).status == 200


def test_settings_are_returned_as_they_can_be_put(ask, gradient_server):
    settings = {"rate": 0.25, "latency": 2, "resets": "after", "log_pages": ["old"], "operations": ["getLogs"]}
    gradient_server.faults(**settings)
    current = ask("GET", FAULTS).body["faults"]
    assert Faults(**current) == Faults(**settings)
    assert ask("PUT", FAULTS, current).body == {"faults": current, "injected": {}}
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
        ({"statuses": [500] * 201}, {"statuses": "1 to 200 statuses"}),
        ({"operations": ["o" * 900_000], "statuses": 500}, {"operations": "There is no ooo"}),
        ({"o" * 900_000: 1}, {"o" * 80 + "...": "there are rate, seed, statuses"}),
        ({"operations": [f"o{number}" for number in range(201)]}, {"operations": "1 to 200 ids of operations"}),
        ({f"o{number}": 1 for number in range(9_000)}, {f"o{number}": "there are rate" for number in range(5)}),
        ({"rate": 0.5}, {"faults": "give statuses, "}),
        ({}, {"faults": "give statuses, "}),
    ],
)
def test_invalid_settings_are_rejected_by_name(ask, settings, problems):
    response = ask("PUT", FAULTS, settings)
    response.assert_error(400, *problems)
    assert len(str(response.body)) < 2_000
    for name, text in problems.items():
        assert text in response.body["details"][name][0]
    assert ask("GET", FAULTS).body == NONE


@pytest.mark.parametrize("body", [b"", b"[]", b'{"rate": NaN}'])
def test_a_body_that_is_not_a_json_object_is_rejected(ask, body):
    response = ask("PUT", FAULTS, body)
    response.assert_error(400)
    assert response.body["details"].startswith("The body ")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_faults_cannot_be_read_or_changed_without_the_key(ask, gradient_server, method, key):
    gradient_server.faults(statuses=503, html=False, operations="createExperiment")
    ask(method, FAULTS, {"statuses": [500]}, headers={"X-API-Key": key}).assert_error(403)
    assert ask("GET", FAULTS).body["faults"]["statuses"] == [503]
    gradient_server.faults()


def test_no_faults_are_injected_into_the_control_path(ask, gradient_server):
    gradient_server.faults(resets="before")
    assert [ask(method, FAULTS, {"resets": "before"}).status for method in ("GET", "PUT", "GET", "DELETE")] == [200] * 4
    assert ask("GET", EXPERIMENTS).status == 200
