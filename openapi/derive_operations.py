"""What the handwritten layer needs to know of every operation of the contract. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from keyword import iskeyword
from typing import Any

from derive import Schema, python_name, resolve, snake_case

_SIMPLE = frozenset({"string", "integer", "number", "boolean"})
_READ_BY_FIELDS = "Experiment"
"""What is read by `experiment_fields` wherever an answer has it, and need not be decoded to a model before."""


def derive_operations(spec: Schema) -> dict[str, Any]:
    """Give the template of the operations its data."""
    operations = list(_operations(spec))
    models = {each["answer"] for each in operations if each["answer"] in spec["components"]["schemas"]}
    read_as_json = [name for each in operations for name in each["names_within"]]
    return {
        "operations": operations,
        "json_names": [_json_names(spec, name) for name in dict.fromkeys(read_as_json)],
        "answer_models": sorted((snake_case(model), model) for model in models),
        "tables": [each["table"] for each in operations if each["table"]],
    }


def _operations(spec: Schema) -> Iterator[dict[str, Any]]:
    for path in spec["paths"].values():
        for operation in path.values():
            if isinstance(operation, Mapping) and "operationId" in operation:
                found = [*path.get("parameters", ()), *operation.get("parameters", ())]
                names = {resolve(spec, parameter)["name"] for parameter in found}
                flags = {
                    "has_own_host": "servers" in operation,
                    "takes_idempotency_key": "Idempotency-Key" in names,
                    "can_wait": "wait" in names,
                }
                answer = _answer(spec, operation)
                table_status, table = _table(spec, operation)
                within = _names_within(spec, spec["components"]["schemas"].get(answer, {}))
                has_experiments = _READ_BY_FIELDS in within
                yield {
                    "id": operation["operationId"],
                    "tag": operation["tags"][0],
                    "module": snake_case(operation["operationId"]),
                    "summary": operation["summary"],
                    "answer": "dict" if has_experiments else answer,
                    "answer_type": "dict[str, Any]" if has_experiments else answer,
                    "flags": [name for name, holds in flags.items() if holds],
                    "json_status": _success(operation) if has_experiments else table_status,
                    "json_type": "list" if table else "dict",
                    "table": table,
                    "names_within": [answer, *within] if has_experiments else [],
                }


def _success(operation: Schema) -> int:
    return next(int(status) for status in operation["responses"] if status < "300")


def _names_within(spec: Schema, schema: Any) -> list[str]:
    """List the schemas that a schema refers to, and those that they refer to, each once."""
    found: dict[str, None] = {}
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, Mapping):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found[name] = None
                waiting.append(spec["components"]["schemas"][name])
            waiting += part.values()
    return list(found)


def _json_names(spec: Schema, name: str) -> dict[str, Any]:
    members = [(snake_case(member), member) for member in spec["components"]["schemas"][name].get("properties", {})]
    usable = [(name, member) for name, member in members if name.isidentifier() and not iskeyword(name)]
    return {"schema": name, "members": usable}


def _answer(spec: Schema, operation: Schema) -> str:
    """Name the Python type of a success: a model, or object where a success may have no body."""
    successes = [resolve(spec, found) for status, found in operation["responses"].items() if status < "300"]
    if not all("content" in success for success in successes):
        return "object"
    schema = next(iter(successes[0]["content"].values()))["schema"]
    return str(schema["$ref"].rpartition("/")[2])


def _table(spec: Schema, operation: Schema) -> tuple[int | None, dict[str, Any] | None]:
    """Find the success that is an array of objects: its status, and what is simple in the objects."""
    for status, response in operation["responses"].items():
        for content in resolve(spec, response).get("content", {}).values():
            schema = resolve(spec, content["schema"])
            rows = resolve(spec, schema["items"]) if schema.get("type") == "array" else {}
            if status < "300" and rows.get("properties"):
                return int(status), _columns(spec, operation, rows)
    return None, None


def _columns(spec: Schema, operation: Schema, rows: Schema) -> dict[str, Any]:
    members = {name: resolve(spec, member) for name, member in rows["properties"].items()}
    return {
        "constant": f"{snake_case(operation['operationId'])}_columns".upper(),
        "summary": f"What the rows have that `{operation['operationId']}` answers.",
        "columns": [
            {
                "attribute": python_name(name, member),
                "name": name,
                "json_type": _kinds(member)[0],
                "required": name in rows.get("required", ()),
            }
            for name, member in members.items()
            if len(_kinds(member)) == 1 and _kinds(member)[0] in _SIMPLE
        ],
    }


def _kinds(schema: Schema) -> list[str]:
    """List the types of JSON that a member may have, null aside."""
    kinds = schema.get("type", [])
    return [kind for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"]
