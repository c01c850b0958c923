"""Contracts with operations that the packaged one does not have: a handler is all that such an operation needs."""

import copy
import json
from importlib.resources import files

import pytest

from gradient_server.api.contract import Contract, packaged_contract
from gradient_server.api.operations import Operations
from gradient_server.api.responses import EXPERIMENT_NOT_FOUND, ApiResponse
from gradient_server.api.validation import InvalidRequestError, validate_body, validate_parameters
from gradient_server.app import application
from gradient_server.clock import Clock
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.store import Store
from tests.server.api.conftest import EXPERIMENTS, call

SPEC = json.loads((files("gradient_api") / "experiments.json").read_text(encoding="utf-8"))
UPDATE = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "command": {"$ref": "#/components/schemas/Command"}},
}
COMMAND = {"type": "string", "contentEncoding": "base64"}
NUMBER = {"type": "object", "properties": {"kind": {"const": "number"}, "value": {"type": "integer"}}}
TEXT = {"type": "object", "properties": {"kind": {"const": "text"}, "value": {"type": "string"}}}


def contract_with(schema, *, media_type="application/json", required=True, parameters=()):
    """The packaged contract with an operation `updateExperiment`, whose body has this schema."""
    spec = copy.deepcopy(SPEC)
    spec["components"]["schemas"] |= {"Update": UPDATE, "Command": COMMAND}
    success = spec["paths"]["/experiments/{handle}/stop/"]["put"]["responses"]
    spec["paths"]["/experiments/{handle}/"]["patch"] = {
        "operationId": "updateExperiment",
        "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}, *parameters],
        "requestBody": {"required": required, "content": {media_type: {"schema": schema}}},
        "responses": {**success, "default": {"content": {"application/json": {"schema": {}}}}},
    }
    return Contract(spec)


def operation_of(contract):
    return next(operation for operation in contract.operations if operation.id == "updateExperiment")


class OperationsWithUpdate(Operations):
    def update_experiment(self, parameters, body):
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        self._store.update(experiment, {**experiment.body, **body})
        return ApiResponse(200, {"message": "success"})


def app_of(contract, kind, *, with_experiment=True):
    """An application with one experiment, and the path of that."""
    clock = Clock()
    store = Store(clock, 0, SimulatedRunner())
    experiment = store.add({"projectHandle": "p", "experimentTypeId": 1, "name": "old"})
    app = application(store, clock, "key", check_answers=True, contract=contract, operations=kind(store, clock))
    return app, f"{EXPERIMENTS}{experiment.handle}/"


def test_an_operation_with_a_body_needs_one_handler():
    app, path = app_of(contract_with({"$ref": "#/components/schemas/Update"}), OperationsWithUpdate)
    response = call(app, "PATCH", path, json={"name": "new", "command": "bHM=", "unknown": 1})
    assert (response.status_code, response.json()) == (200, {"message": "success"})
    params = call(app, "GET", path).json()["data"]["templateHistory"]["params"]
    assert params == {"project_handle": "p", "experiment_type_id": 1, "name": "new", "command": "ls"}


def test_its_requests_are_authenticated_and_validated():
    app, path = app_of(contract_with({"$ref": "#/components/schemas/Update"}), OperationsWithUpdate)
    assert call(app, "PATCH", path, json={}, api_key="wrong").status_code == 403
    assert call(app, "PATCH", path, content=b"{}").status_code == 415
    assert call(app, "PATCH", f"{EXPERIMENTS}esnothing/", json={}).status_code == 404
    response = call(app, "PATCH", path, json={"name": "", "command": "no base64"})
    assert response.status_code == 400
    assert set(response.json()["details"]) == {"name", "command"}


def test_an_operation_without_a_handler_is_answered_with_501_and_logged(caplog):
    app, path = app_of(contract_with(UPDATE), Operations)
    assert "updateExperiment has no handler" in caplog.text
    response = call(app, "PATCH", path, json={})
    assert (response.status_code, response.json()["error"]) == (501, "Not implemented")
    assert "updateExperiment" in response.json()["details"]
    assert call(app, "PATCH", path, json={}, api_key="wrong").status_code == 403
    assert call(app, "GET", path).status_code == 200


def test_the_packaged_contract_has_a_handler_for_each_operation(caplog):
    app_of(packaged_contract(), Operations)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("schema", "given", "expected"),
    [
        pytest.param(UPDATE, {"name": "n", "other": 1}, {"name": "n"}, id="an object"),
        pytest.param({"allOf": [UPDATE, NUMBER]}, {"name": "n", "value": 1.0}, {"name": "n", "value": 1}, id="allOf"),
        pytest.param({"oneOf": [NUMBER, TEXT]}, {"kind": "text", "value": "v"}, None, id="oneOf"),
        pytest.param({"anyOf": [NUMBER, TEXT]}, {"kind": "text", "value": "v"}, None, id="anyOf"),
        pytest.param({"type": "object"}, {"any": ["thing"]}, None, id="free-form"),
        pytest.param({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}, None, id="a map"),
        pytest.param({}, {"any": ["thing"]}, None, id="empty"),
    ],
)
def test_any_schema_of_a_body_is_understood(schema, given, expected):
    body = validate_body(operation_of(contract_with(schema)).body, json.dumps(given).encode())
    assert body == (given if expected is None else expected)


@pytest.mark.parametrize(
    ("schema", "given", "problems"),
    [
        ({"anyOf": [NUMBER, TEXT]}, {"kind": "text", "value": 1}, {"value"}),
        ({"anyOf": [NUMBER, TEXT]}, {"kind": "date", "value": 1}, {"kind"}),
        ({"anyOf": [NUMBER, TEXT], "required": ["kind"]}, {"value": 1}, {"kind"}),
        ({"oneOf": [NUMBER, {**NUMBER}]}, {"kind": "number"}, {"body"}),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": "b"}, {"a"}),
        ({"type": "object", "minProperties": 1}, {}, {"body"}),
    ],
)
def test_the_problems_of_any_schema_are_named(schema, given, problems):
    with pytest.raises(InvalidRequestError) as caught:
        validate_body(operation_of(contract_with(schema)).body, json.dumps(given).encode())
    assert set(caught.value.problems) == problems


def test_of_long_names_of_properties_with_problems_the_beginning_is_repeated():
    body = operation_of(contract_with({"type": "object", "additionalProperties": {"type": "integer"}})).body
    with pytest.raises(InvalidRequestError) as caught:
        validate_body(body, json.dumps({"n" * 80: "text", "long" * 100_000: "text"}).encode())
    assert list(caught.value.problems) == ["n" * 80, "long" * 20 + "..."]


def test_a_body_that_is_not_required_may_be_missing():
    app, path = app_of(contract_with(UPDATE, required=False), OperationsWithUpdate)
    assert call(app, "PATCH", path).status_code == 200
    assert call(app, "PATCH", path, json={"name": ""}).status_code == 400
    assert call(app, "PATCH", path, data={"name": "n"}).status_code == 415


def test_a_body_may_have_another_media_type():
    app, path = app_of(contract_with(UPDATE, media_type="application/merge-patch+json"), OperationsWithUpdate)
    response = call(app, "PATCH", path, json={})
    assert (response.status_code, response.json()["details"]) == (415, "Send the body as application/merge-patch+json")


@pytest.mark.parametrize(
    ("schema", "query", "expected"),
    [
        ({"type": "boolean"}, [("p", "true")], True),
        ({"type": "array", "items": {"type": "integer"}}, [("p", "1"), ("p", "2")], [1, 2]),
        ({"$ref": "#/components/schemas/ExperimentState"}, [("p", "4")], 4),
        ({"enum": ["a", "b"]}, [("p", "b")], "b"),
    ],
)
def test_parameters_of_other_types_are_parsed(schema, query, expected):
    parameter = {"name": "p", "in": "query", "schema": schema}
    operation = operation_of(contract_with(UPDATE, parameters=[parameter]))
    assert validate_parameters(operation, {"handle": "es1"}, query, {})["p"] == expected
    with pytest.raises(InvalidRequestError) as caught:
        validate_parameters(operation, {"handle": "es1"}, [("p", "other")], {})
    assert set(caught.value.problems) == {"p"}
