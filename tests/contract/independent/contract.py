"""The contract as the judges need it: its operations, and a document for each of its servers. Pure."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from ruamel.yaml import YAML

Schema = Mapping[str, Any]

SPEC_PATH = Path(__file__).resolve().parents[3] / "openapi" / "experiments.yaml"
SPEC: dict[str, Any] = YAML(typ="safe").load(SPEC_PATH)
KEY_HEADER: str = next(iter(SPEC["components"]["securitySchemes"].values()))["name"]


@frozen(kw_only=True)
class Operation:
    """One operation: where it is, what it takes, what it answers."""

    id: str
    tag: str
    method: str
    path: str
    prefixes: tuple[str, ...]
    parameters: tuple[Schema, ...]
    body_kinds: Mapping[str, Schema]
    """The kinds of body that it takes, by the names of their schemas."""
    examples: Mapping[int, tuple[str, ...]]
    """The names of the examples of every status that is declared."""

    @property
    def statuses(self) -> tuple[int, ...]:
        """Every status that is declared."""
        return tuple(self.examples)

    def is_at(self, method: str, path: str) -> bool:
        """Say whether a request, its path without a prefix, is one of this operation."""
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(self.path))
        return method == self.method and re.fullmatch(pattern, path) is not None


def document_for(spec: Schema, prefix: str) -> dict[str, Any]:
    """Cut the contract down to what is served below one prefix: Prism pays no heed to servers of single operations."""
    document = copy.deepcopy(dict(spec))
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            if _is_operation(operation) and prefix not in _prefixes(spec, operation):
                del document["paths"][path][method]
            elif _is_operation(operation):
                document["paths"][path][method].pop("servers", None)
    document["paths"] = {
        path: item for path, item in document["paths"].items() if any(map(_is_operation, item.values()))
    }
    document["servers"] = [{"url": prefix or "/"}]
    return document


def properties(kind: Schema) -> dict[str, Schema]:
    """Give the members of one kind of request body."""
    groups = [_resolved(SPEC, part) for part in kind["allOf"]]
    return {name: schema for group in groups for name, schema in group["properties"].items()}


def python_name(wire_name: str) -> str:
    """Write a wire name as the generated client does."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", wire_name).lower()


def _operations(spec: Schema) -> Iterator[Operation]:
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            if _is_operation(operation):
                found = [*item.get("parameters", ()), *operation.get("parameters", ())]
                yield Operation(
                    id=operation["operationId"],
                    tag=operation["tags"][0],
                    method=method.upper(),
                    path=path,
                    prefixes=_prefixes(spec, operation),
                    parameters=tuple(_resolved(spec, parameter) for parameter in found),
                    body_kinds=dict(_body_kinds(spec, operation)),
                    examples={
                        int(status): tuple(_examples(spec, answer)) for status, answer in operation["responses"].items()
                    },
                )


def _is_operation(value: Any) -> bool:
    return isinstance(value, Mapping) and "operationId" in value


def _prefixes(spec: Schema, operation: Schema) -> tuple[str, ...]:
    return tuple(urlsplit(server["url"]).path for server in operation.get("servers", spec["servers"]))


def _body_kinds(spec: Schema, operation: Schema) -> Iterator[tuple[str, Schema]]:
    if "requestBody" in operation:
        schema = _resolved(spec, operation["requestBody"])["content"]["application/json"]["schema"]
        for kind in _resolved(spec, schema)["anyOf"]:
            yield kind["$ref"].rpartition("/")[2], _resolved(spec, kind)


def _examples(spec: Schema, answer: Schema) -> Iterator[str]:
    for content in _resolved(spec, answer).get("content", {}).values():
        yield from content.get("examples", ())


def _resolved(spec: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = spec
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


OPERATIONS = tuple(_operations(SPEC))
PREFIXES = tuple(dict.fromkeys(prefix for operation in OPERATIONS for prefix in operation.prefixes))
