"""Answers that the contract allows, and what a client must make of them."""

import functools
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator

from gradient import (
    Artifact,
    ArtifactList,
    BaseExperiment,
    ExperimentList,
    LogRow,
    LogRows,
    MetricList,
    MetricPoint,
    MetricSeries,
    Project,
    ProjectList,
    Removal,
    StorageEntry,
    StorageList,
)
from judging.contract import (
    END_OF_LOG,
    KINDS_OF_BODY,
    OPERATIONS,
    SCHEMAS,
    SPEC,
    Answer,
    Schema,
    members,
    python_name,
    snake_case,
)
from judging.generated import values
from tests.conftest import METHODS

MEMBERS = {
    ArtifactList: Artifact,
    ExperimentList: BaseExperiment,
    LogRows: LogRow,
    MetricList: MetricSeries,
    ProjectList: Project,
    StorageList: StorageEntry,
}
JSON_TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
CLASSES = {
    number: SCHEMAS[request]["x-experiment"]
    for request in KINDS_OF_BODY
    for type_id in [members(request)["experimentTypeId"]]
    for number in type_id.get("enum", [type_id.get("const")])
}


def schema_of(operation: str, status: int) -> Schema | None:
    """Return the JSON schema of a response of an operation; None: it has no JSON body."""
    return OPERATIONS[operation].answers[status].get("content", {}).get("application/json", {}).get("schema")


def answers(operation: str, status: int) -> st.SearchStrategy[Answer]:
    """Return a strategy for responses of an operation."""
    schema = schema_of(operation, status)
    if schema:
        return values(schema).map(lambda body: as_json(body, status))
    if "application/octet-stream" in OPERATIONS[operation].answers[status].get("content", {}):
        size = len(OPERATIONS[operation].example(status)[2])  # as the example of the list says
        content = st.binary(min_size=size, max_size=size)
        return content.map(lambda content: (status, "application/octet-stream", content))
    if "content" in OPERATIONS[operation].answers[status]:
        return st.text().map(lambda text: (status, "text/plain; charset=utf-8", text.encode()))
    return st.just((status, "application/json", b""))


def as_json(body: Any, status: int = 200) -> Answer:
    """Return a response with a JSON body."""
    return status, "application/json", json.dumps(body).encode()


def conforms(operation: str, raw: bytes) -> bool:
    """Whether this is a body of the successful response of an operation."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return _validator(operation).is_valid(body)


@functools.cache
def _validator(operation: str) -> OAS31Validator:
    schema = schema_of(operation, OPERATIONS[operation].success)
    return OAS31Validator({"allOf": [schema], "components": SPEC["components"]})


def check_well_formed(result: Any) -> None:
    """Check that what a method returned is what its type says, down to each attribute, prints, shows and is JSON."""
    match result:
        case ArtifactList() | ExperimentList() | LogRows() | MetricList() | ProjectList() | StorageList():
            assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
            assert result.pretty()
            assert result._repr_html_()
            for one in result:
                assert isinstance(one, MEMBERS[type(result)])
                check_well_formed(one)
        case [dict(), *_]:
            assert all(type(tag) is str for each in result for tags in each.values() for tag in tags)
        case list():
            for one in result:
                assert isinstance(
                    one, BaseExperiment | LogRow | MetricPoint | Path
                )  # out of a generator, or downloaded
                check_well_formed(one)
        case BaseExperiment():
            assert type(result).__name__ == CLASSES.get(result.experiment_type_id, "BaseExperiment")
            _check_attributes(result)
        case Project() | Removal() | StorageEntry():
            _check_attributes(result)
        case MetricSeries():
            assert len(result.values) == len(result.times) == len(result.steps) == len(result.points)
            for point in result.points:
                check_well_formed(point)
        case MetricPoint():
            assert type(result.value) is float
            assert type(result.name) is str
            assert result.time.utcoffset() == timedelta()
            json.dumps(result.to_dict(), allow_nan=False)
        case LogRow():
            assert [type(value) for value in result] == [int, str, str]
            assert result.job_id is None or type(result.job_id) is str
            assert repr(result).startswith("LogRow(")
        case Path():
            assert result.is_file()
        case Artifact():
            assert [type(value) for value in result.to_dict().values()] == [str, int, str, str]
        case str():
            assert result
        case _:
            assert result is None or type(result) is int


def _check_attributes(experiment: BaseExperiment | Project | Removal | StorageEntry) -> None:
    declared = get_type_hints(type(experiment))
    for field in experiment._fields:
        value = getattr(experiment, field.name)
        if value is None:
            assert type(None) in get_args(declared[field.name]), f"{field.name} is None"
        else:
            assert type(value) is JSON_TYPES[field.json_type], f"{field.name} is {value!r}"
    assert repr(experiment).startswith(f"{type(experiment).__name__}(")
    assert list(experiment.to_dict()) == [field.name for field in experiment._fields]
    assert experiment.pretty()
    assert experiment._repr_html_()


def check_faithful(result: Any, operation: str, body: Any) -> None:
    """Check that what a method returned says what the answer says."""
    match operation:
        case "createExperiment" | "runExperiment":
            assert result == body["handle"]
        case "getExperimentState":
            assert result == body["data"]["state"]
        case "getExperiment":
            _check_same(result, body["data"])
        case "listExperiments":
            told = _told_once(body["data"])
            assert len(result) == len(told)
            for experiment, one in zip(result, told, strict=True):
                _check_same(experiment, one)
        case "getLogs":
            assert [(*row, row.job_id) for row in result] == _rows(body)
        case "getMetrics":
            assert [one.name for one in result] == [one["name"] for one in body["data"]]
            for series, told in zip(result, body["data"], strict=True):
                count = min(len(told["times"]), len(told["values"]))
                assert list(map(str, series.values)) == [str(float(value)) for value in told["values"][:count]]
                shifts = [one.timestamp() - time for one, time in zip(series.times, told["times"], strict=False)]
                assert all(abs(shift) < 1e-3 for shift in shifts)
        case "listStorage":
            told = {one["handle"]: one for one in body["data"]}
            assert {entry.id: entry.size for entry in result} == {name: one["size"] for name, one in told.items()}
        case "getRemoval":
            assert (result.id, result.is_done) == (body["data"]["handle"], body["data"]["done"])
            assert result.freed == body["data"]["freed"]
        case "listArtifacts":
            names = ("name", "size", "modified", "version")
            assert result.to_dict() == [
                {name: one[name] for name in names} for one in body["data"] if one["name"].endswith(".pt")
            ]
        case "getArtifactContent":
            assert [path.read_bytes() for path in result] == [body]
        case "createProject":
            assert result == body["handle"]
        case "createWorkspace":
            assert result == body["data"]["url"]
        case "findMissingParts" | "uploadPart":
            assert result == json.loads(OPERATIONS["createWorkspace"].example(200)[2])["data"]["url"]
        case "getTags" if result is not None:
            assert result == [
                {handle: [row["tag"]["name"] for row in body.get(handle, ())]}
                for handle in METHODS["list_tags"]["entity_ids"]
            ]
        case "listProjects":
            told = {one["handle"]: one for one in reversed(body["data"])}
            assert len(result) == len(told)
            for project in result:
                _check_same_members(project, told[project.id], "Project")
        case _:
            assert result is None


def check_followed(result: Any, body: Any) -> None:
    """Check that following a log gave its rows: not those that come again, or out of order, or after an end."""
    rows = [(*row, row.job_id) for row in result]
    assert set(rows) <= set(_rows(body))
    places = [(row.job_id, row.line) for row in result]
    assert len(set(places)) == len(places)


def _rows(body: Any) -> list[tuple[Any, ...]]:
    return [
        (row["line"], row["message"], row["timestamp"], row.get("jobId") or None)
        for row in body or ()
        if row["message"] != END_OF_LOG
    ]


def _told_once(data: Any) -> list[Mapping[str, Any]]:
    """Return the experiments of a list, grouped or not, each where it comes first."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in data:
        for experiment in [one] if "handle" in one else one["data"]:
            found.setdefault(experiment["handle"], experiment)
    return list(found.values())


def _check_same_members(shown: BaseExperiment | Project, told: Mapping[str, Any], schema_name: str) -> None:
    for wire_name, schema in SCHEMAS[schema_name]["properties"].items():
        if "x-python-name" in schema:
            assert getattr(shown, schema["x-python-name"]) == told.get(wire_name)


def _check_same(experiment: BaseExperiment, told: Mapping[str, Any]) -> None:
    assert experiment.experiment_type_id == told["experimentTypeId"]
    _check_same_members(experiment, told, "Experiment")
    tags = told.get("tags")
    stored = (told.get("templateHistory") or {}).get("params") or {}
    for wire_name, schema in (member for request in KINDS_OF_BODY for member in members(request).items()):
        name = python_name(wire_name, schema)
        found = [stored[known] for known in (snake_case(wire_name), wire_name) if stored.get(known) is not None]
        if found and wire_name not in SCHEMAS["Experiment"]["required"] and hasattr(experiment, name):
            assert getattr(experiment, name) == found[0]
        elif name == "tags":
            assert experiment.tags == (None if tags is None else [tag["name"] for tag in tags])
