"""What the handwritten layer needs to know of every operation of the contract. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from derive import Schema, resolve, snake_case


def derive_operations(spec: Schema) -> dict[str, Any]:
    """Give the template of the operations its data."""
    operations = list(_operations(spec))
    models = {each["answer"] for each in operations if each["answer"] in spec["components"]["schemas"]}
    return {
        "operations": operations,
        "answer_models": sorted((snake_case(model), model) for model in models),
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
                yield {
                    "id": operation["operationId"],
                    "tag": operation["tags"][0],
                    "module": snake_case(operation["operationId"]),
                    "summary": operation["summary"],
                    "answer": _answer(spec, operation),
                    "flags": [name for name, holds in flags.items() if holds],
                }


def _answer(spec: Schema, operation: Schema) -> str:
    """Name the Python type of a success: a model, or object where a success may have no body."""
    successes = [resolve(spec, found) for status, found in operation["responses"].items() if status < "300"]
    if not all("content" in success for success in successes):
        return "object"
    schema = next(iter(successes[0]["content"].values()))["schema"]
    return str(schema["$ref"].rpartition("/")[2])
