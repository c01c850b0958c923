"""What is derived from the contract is found by its name, however the contract says it."""

import copy

import pytest
from derive import derive, low_level

from tests.openapi.edits import SPEC

OWNER = {"Owner": {"type": "object", "properties": {"name": {"type": "string"}}}}
TO_OWNER = {"$ref": "#/components/schemas/Owner"}


@pytest.fixture
def spec():
    return copy.deepcopy(SPEC)


def first(more, mapping):
    """Return a mapping in which `more` comes before everything else."""
    return more | mapping


@pytest.mark.parametrize("order", [first, lambda more, mapping: mapping | more], ids=["before", "after"])
def test_hosts_and_keys_are_found_by_name(spec, order):
    """Operations with hosts of their own, and other security schemes, can stand anywhere."""
    metrics = copy.deepcopy(spec["paths"]["/experiments/{handle}/state/"])
    metrics["get"] |= {"operationId": "getMetrics", "servers": [{"url": "https://metrics.example.com"}]}
    bearer = {"bearer": {"type": "http", "scheme": "bearer"}}
    spec["paths"] = order({"/metrics/{handle}": metrics}, spec["paths"])
    spec["components"]["securitySchemes"] = order(bearer, spec["components"]["securitySchemes"])
    derived = derive(spec)
    assert derived["experiments_url"] == "https://services.paperspace.io/experiments/v1"
    assert derived["logs_url"] == "https://logs.paperspace.io"
    assert derived["api_url"] == "https://api.paperspace.io"
    assert derived["api_key_header"] == "X-API-Key"


def test_variables_of_a_server_have_their_defaults(spec):
    variables = {"region": {"default": "us"}, "version": {"default": "v1"}}
    spec["servers"][0] = {"url": "https://{region}.example.com/{version}", "variables": variables}
    assert derive(spec)["experiments_url"] == "https://us.example.com/v1"


@pytest.mark.parametrize(
    ("schema", "json_type", "python_type"),
    [
        ({"type": "string"}, "string", "str | None"),
        ({"type": ["string", "null"]}, "string", "str | None"),
        ({"anyOf": [{"type": "null"}, {"type": "string"}]}, "string", "str | None"),
        ({"oneOf": [{"type": "number"}, {"type": "null"}]}, "number", "float | None"),
        ({"anyOf": [{"$ref": "#/components/schemas/ExperimentState"}, {"type": "integer"}]}, "integer", "int | None"),
        (TO_OWNER, "object", "dict[str, object] | None"),
        ({"allOf": [TO_OWNER]}, "object", "dict[str, object] | None"),
        ({"allOf": [{"description": "An owner"}, TO_OWNER]}, "object", "dict[str, object] | None"),
        ({"const": "experiment"}, "string", "str | None"),
        ({"const": True}, "boolean", "bool | None"),
        ({"enum": [0.5, None]}, "number", "float | None"),
        ({"type": "array", "items": {"type": "string"}}, "array", "list[str] | None"),
        ({"type": "array", "items": TO_OWNER}, "array", "list[object] | None"),
    ],
)
def test_a_member_of_an_experiment_has_its_type_however_that_is_said(spec, schema, json_type, python_type):
    spec["components"]["schemas"] |= OWNER
    members = spec["components"]["schemas"]["Experiment"]["properties"]
    members["queued"] = {"description": "When it was queued", "x-python-name": "queued"} | schema
    base = derive(spec)["views"][0]
    (queued,) = (field for field in base["own"] if field["name"] == "queued")
    assert (queued["json_type"], queued["python_type"]) == (json_type, python_type)


def test_descriptions_are_one_line(spec):
    """Documentation of parameters has a line for each, so that no part of a description is lost."""
    text = "First line.\nSecond line,\u2028\twhich   matters.\n"
    spec["components"]["schemas"]["CommonFields"]["properties"]["clusterId"]["description"] = text
    derived = derive(spec)
    (parameter,) = (each for each in derived["requests"][0]["parameters"] if each["name"] == "cluster_id")
    (attribute,) = (each for each in derived["views"][0]["own"] if each["name"] == "cluster_id")
    assert parameter["description"] == attribute["description"] == "First line. Second line, which matters."


def test_titles_and_formats_are_for_people(spec):
    """The generator would name classes by titles and check formats; fields that are called so stay."""
    schemas = spec["components"]["schemas"]
    schemas["Created"] |= {"title": "Made"}
    schemas["Created"]["properties"] |= {"title": {"type": "string"}, "format": {"type": "string", "format": "uuid"}}
    created = low_level(spec)["components"]["schemas"]["Created"]
    assert "title" not in created
    assert created["properties"]["title"] == created["properties"]["format"] == {"type": "string"}
    assert low_level(spec)["info"] == spec["info"]


def test_constants_of_the_same_noun_have_words_of_their_own(spec):
    state = spec["components"]["schemas"]["ExperimentState"]
    spec["components"]["schemas"]["JobState"] = state | {"x-constants": "JobState"}
    assert len({constants["texts_name"] for constants in derive(spec)["constants"]}) == 3
