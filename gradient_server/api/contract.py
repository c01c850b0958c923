"""The contract as the server needs it: operations with compiled validators, read from the packaged spec."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from jsonschema_rs import Draft202012Validator

Schema = Mapping[str, Any]


@frozen(kw_only=True)
class Parameter:
    """A parameter in the query, the path or a header."""

    name: str
    place: str
    required: bool
    schema: Schema
    validator: Draft202012Validator


@frozen(kw_only=True)
class BodyKind:
    """One of the kinds of body that an operation takes."""

    properties: Mapping[str, Schema]
    validator: Draft202012Validator


@frozen(kw_only=True)
class Operation:
    """One operation: where it is, what it takes and what it answers."""

    id: str
    method: str
    path: str
    prefixes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    body_kinds: tuple[BodyKind, ...]
    answers: Mapping[int, Mapping[str, Draft202012Validator]]


class Contract:
    """All operations of the contract, and the header that carries the key."""

    def __init__(self) -> None:
        self._spec: dict[str, Any] = json.loads(
            (files("gradient_api") / "experiments.json").read_text(encoding="utf-8")
        )
        schemes = self._spec["components"]["securitySchemes"]
        self.key_header: str = next(iter(schemes.values()))["name"]
        self.operations = tuple(self._operations())

    def _operations(self) -> Iterator[Operation]:
        paths: dict[str, dict[str, Any]] = self._spec["paths"]
        for path, item in paths.items():
            for method, operation in item.items():
                if "operationId" in operation:
                    shared = item.get("parameters", [])
                    servers: list[dict[str, str]] = operation.get("servers", self._spec["servers"])
                    yield Operation(
                        id=operation["operationId"],
                        method=method.upper(),
                        path=path,
                        prefixes=tuple(urlsplit(server["url"]).path for server in servers),
                        parameters=tuple(
                            self._parameter(found) for found in (*shared, *operation.get("parameters", []))
                        ),
                        body_kinds=tuple(self._body_kinds(operation)),
                        answers={int(status): self._answer(found) for status, found in operation["responses"].items()},
                    )

    def _parameter(self, found: Schema) -> Parameter:
        found = self._resolved(found)
        schema = found["schema"]
        return Parameter(
            name=found["name"],
            place=found["in"],
            required=found.get("required", False),
            schema=schema,
            validator=self._validator(schema),
        )

    def _body_kinds(self, operation: Schema) -> Iterator[BodyKind]:
        if "requestBody" in operation:
            schema = self._resolved(operation["requestBody"])["content"]["application/json"]["schema"]
            for kind in self._resolved(schema)["anyOf"]:
                yield BodyKind(properties=self._properties(kind), validator=self._validator(kind))

    def _properties(self, kind: Schema) -> dict[str, Schema]:
        groups = [self._resolved(part) for part in self._resolved(kind)["allOf"]]
        return {name: schema for group in groups for name, schema in group["properties"].items()}

    def _answer(self, found: Schema) -> dict[str, Draft202012Validator]:
        content = self._resolved(found).get("content", {})
        return {media_type: self._validator(kind["schema"]) for media_type, kind in content.items()}

    def _resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            found: Any = self._spec
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema

    def _validator(self, schema: Schema) -> Draft202012Validator:
        # Masked, so that no secret of a request gets into an error.
        whole = {"allOf": [schema], "components": {"schemas": self._spec["components"]["schemas"]}}
        return Draft202012Validator(whole, mask="the value")
