"""The contract as the tests read it: straight from the document in the package."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from attrs import frozen

Schema = Mapping[str, Any]
Answer = tuple[int, str, bytes]
"""Status, content type and body of a response."""

SPEC: Schema = json.loads((files("gradient_api") / "experiments.json").read_text(encoding="utf-8"))
SCHEMAS: Schema = SPEC["components"]["schemas"]
KEY_HEADER: str = next(iter(SPEC["components"]["securitySchemes"].values()))["name"]
KINDS_OF_BODY = tuple(name for name, schema in SCHEMAS.items() if "x-experiment" in schema)
END_OF_LOG: str = SCHEMAS["LogRow"]["properties"]["message"]["x-end"]


@frozen(kw_only=True)
class Operation:
    """One operation of the contract."""

    id: str
    method: str
    path: str
    parameters: tuple[Schema, ...]
    takes_body: bool
    answers: Mapping[int, Schema]

    @property
    def success(self) -> int:
        """The lowest successful status, which has a body if any has."""
        return min(status for status in self.answers if status < 300)

    def example(self, status: int) -> tuple[int, str, bytes]:
        """Return the first example of a response that the contract has for a status."""
        for content_type, content in self.answers[status].get("content", {}).items():
            value = resolved(next(iter(content["examples"].values())))["value"]
            raw = json.dumps(value).encode() if content_type == "application/json" else value.encode()
            return status, content_type, raw
        return status, "application/json", b""


def resolved(part: Schema) -> Schema:
    """Return a part of the contract with its references followed."""
    while "$ref" in part:
        found: Any = SPEC
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def members(request: str) -> dict[str, Schema]:
    """Return the members of a kind of request body by their wire names."""
    groups = [resolved(group) for group in SCHEMAS[request].get("allOf", [SCHEMAS[request]])]
    return {name: schema for group in groups for name, schema in group["properties"].items()}


def required(request: str) -> set[str]:
    """Return the wire names of the members that a kind of request body must have."""
    return {name for group in SCHEMAS[request]["allOf"] for name in resolved(group).get("required", ())}


def snake_case(wire_name: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", wire_name)


def python_name(wire_name: str, schema: Schema) -> str:
    """Return the Python name of a member."""
    return schema.get("x-python-name") or snake_case(wire_name)


def _operations() -> dict[str, Operation]:
    return {
        operation["operationId"]: Operation(
            id=operation["operationId"],
            method=method.upper(),
            path=path,
            parameters=tuple(map(resolved, (*item.get("parameters", ()), *operation.get("parameters", ())))),
            takes_body="requestBody" in operation,
            answers={int(status): resolved(answer) for status, answer in operation["responses"].items()},
        )
        for path, item in SPEC["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


OPERATIONS = _operations()
