"""Bodies with members that are missing or wrong, derived from the contract: the answer names each of them."""

import base64
import json

import pytest

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
MISSING = "Missing data for required field."


def members(contract, name):
    """The members of a kind of request body, and which of them are required."""
    schemas = contract["components"]["schemas"]
    properties, required = {}, []
    for part in schemas[name]["allOf"]:
        group = schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        properties |= group["properties"]
        required += group.get("required", [])
    return properties, required


def kinds(contract):
    schemas = contract["components"]["schemas"]["NewExperiment"]["anyOf"]
    examples = contract["components"]["examples"]
    return [(name := kind["$ref"].rsplit("/", 1)[1], examples[name]["value"]) for kind in schemas]


def wrong_values(schema):
    """Values that a member cannot have, by its type and its bounds."""
    of_a_type = {
        "string": "text",
        "integer": 1,
        "number": 1.5,
        "boolean": True,
        "array": [],
        "object": {},
        "null": None,
    }
    fitting = {"integer": {"integer"}, "number": {"integer", "number"}}.get(schema["type"], {schema["type"]})
    yield from (value for kind, value in of_a_type.items() if kind not in fitting)
    if schema["type"] == "integer":
        yield from (1.5, -(10**30), "1")
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield from (schema["maximum"] + 1, 10**30, 1e300)
    if schema.get("minLength"):
        yield ""
    if schema.get("contentEncoding") == "base64":
        yield from ("python mnist.py", "YQ", "YQ==\n", "é", "_-8=", base64.b64encode(b"\xff").decode())
    if "additionalProperties" in schema:
        yield from ({"A": []}, {"A": {"B": 1}})


def test_every_member_of_a_body_with_a_wrong_value(ask, contract):
    """For each kind of experiment and each of its members: the answer names it, and nothing else."""
    tried = 0
    for kind, example in kinds(contract):
        properties, _ = members(contract, kind)
        for name, schema in properties.items():
            for value in wrong_values(schema):
                # With a model type, as a path needs one.
                ask("POST", EXPERIMENTS, {**example, "modelType": "Custom", name: value}).assert_error(400, name)
                tried += 1
    assert tried > 300


def test_every_required_member_missing(ask, contract):
    """One at a time, and all at once, except for the type, which says what is required."""
    for kind, example in kinds(contract):
        _, required = members(contract, kind)
        for name in required:
            body = {member: value for member, value in example.items() if member != name}
            answered = ask("POST", EXPERIMENTS, body)
            answered.assert_error(400, name)
            assert answered.body["details"][name] == [MISSING]
    for number, kind in [(1, "SingleNodeRequest"), (2, "MultiNodeRequest")]:
        _, required = members(contract, kind)
        ask("POST", EXPERIMENTS, {"experimentTypeId": number}).assert_error(
            400, *(set(required) - {"experimentTypeId"})
        )


@pytest.mark.parametrize("number", [0, 4, 9, -1, 10**30, "1", None, True, 1.5, [1]])
def test_an_unknown_type_of_experiment(ask, single_node_body, number):
    """Is the one thing that is named."""
    answered = ask("POST", EXPERIMENTS, {**single_node_body, "experimentTypeId": number})
    answered.assert_error(400, "experimentTypeId")


def test_a_model_path_without_a_type(ask, single_node_body):
    """Needs the type, which is what the answer names."""
    del single_node_body["modelType"]
    answered = ask("POST", EXPERIMENTS, single_node_body)
    assert answered.status == 400
    assert "modelType" in json.dumps(answered.body)


def test_secrets_are_not_repeated(ask, single_node_body):
    """No error shows the value of a member; it might be a password."""
    answered = ask("POST", EXPERIMENTS, {**single_node_body, "registryPassword": ["swordfish"], "command": "swordfish"})
    answered.assert_error(400, "registryPassword", "command")
    assert "swordfish" not in json.dumps(answered.body)
