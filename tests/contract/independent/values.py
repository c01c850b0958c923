"""Values that fit the contract, and values that do not. Pure."""

from __future__ import annotations

import base64
from typing import Any

from contract import Schema, properties

ENVIRONMENT = {"STEPS": 100, "RATE": 0.5, "NAME": "mnist", "VERBOSE": True, "NOTHING": None}
"""A value of every type that members of an object may have."""


def full_body(kind: Schema) -> dict[str, Any]:
    """Write a request body with every member that there is."""
    return {name: _on_the_wire(schema) for name, schema in properties(kind).items()}


def fitting(schema: Schema) -> Any:
    """Choose a value, as a caller would give it."""
    for chosen in ("const", "example"):
        if chosen in schema:
            return schema[chosen]
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "text", "integer": 2, "number": 0.5, "boolean": True, "object": ENVIRONMENT}[schema["type"]]


def unfit(parameter: Schema) -> dict[str, str] | None:
    """Write a parameter as its schema forbids, or None where it allows everything."""
    name, schema = parameter["name"], parameter["schema"]
    if schema["type"] in ("integer", "number"):
        return {name: "many"}
    if "propertyNames" in schema:
        return {f"{name}[first]": "prlvf0u05"}
    return {name: "x" * (schema["maxLength"] + 1)} if "maxLength" in schema else None


def _on_the_wire(schema: Schema) -> Any:
    value = fitting(schema)
    return base64.b64encode(value.encode()).decode() if schema.get("contentEncoding") == "base64" else value
