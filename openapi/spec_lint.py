"""Lint the contract: it must say more than OpenAPI asks for, so that the client can be derived from it. No I/O."""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Iterator

from derive import Schema, example_of, python_name, resolve

_WORDS = ("x-enum-varnames", "x-enum-texts", "x-enum-aliases")


def problems(spec: Schema) -> list[str]:
    """Return what is missing or inconsistent, each as a sentence that names the place."""
    found = [*_of_operations(spec)]
    for name, schema in spec["components"]["schemas"].items():
        found += _of_enumeration(name, schema)
        if "x-parameters" in schema or "x-experiment" in schema:
            found += _of_request(spec, name, schema)
    for wire_name, schema in spec["components"]["schemas"]["Experiment"]["properties"].items():
        if "x-python-name" in schema and "description" not in schema:
            found.append(f"Experiment: {wire_name} needs a description; it becomes documentation.")
    return list(dict.fromkeys(found))


def _of_operations(spec: Schema) -> Iterator[str]:
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            where = f"{method.upper()} {path}"
            if "operationId" not in operation:
                yield f"{where} needs an operationId; functions are called after it."
            for status, response in operation["responses"].items():
                for content in resolve(spec, response).get("content", {}).values():
                    if not content.get("examples"):
                        yield f"{where}: the response {status} needs an example, which the contract tests use."


def _of_enumeration(name: str, schema: Schema) -> Iterator[str]:
    for key in _WORDS:
        if key in schema and len(schema[key]) != len(schema["enum"]):
            yield f"{name}: {key} has {len(schema[key])} entries for {len(schema['enum'])} values of enum."


def _of_request(spec: Schema, name: str, schema: Schema) -> Iterator[str]:
    groups = [(part.get("$ref", name).rpartition("/")[2], resolve(spec, part)) for part in schema.get("allOf", ())]
    fields = {wire: field for _, group in groups for wire, field in group.get("properties", {}).items()}
    for owner, group in groups:
        for wire, field in group.get("properties", {}).items():
            yield from _of_field(f"{owner}: {wire}", wire, field)
        yield from (f"{name}: {wire} is required, but no such field is there." for wire in _missing(group, fields))
    if "x-parameters" in schema:
        required = {wire for _, group in groups for wire in group.get("required", ())}
        for wire in sorted(required - example_of(spec, name).keys()):
            yield f"{name}: {wire} is required, but the example of that name lacks it; it becomes help()."
    taken = Counter(python_name(wire, field) for wire, field in fields.items())
    yield from (f"{name}: several fields are called {one} in Python." for one, times in taken.items() if times > 1)


def _of_field(where: str, wire_name: str, field: Schema) -> Iterator[str]:
    if "description" not in field:
        yield f"{where} needs a description; it becomes help()."
    if not isinstance(field.get("type"), str):
        yield f"{where} needs a type, a single one; x-also-given-as allows callers another."
    yield from _of_enumeration(where, field)
    name = python_name(wire_name, field)
    if not name.isidentifier() or keyword.iskeyword(name):
        yield f"{where} would be {name!r} in Python, which cannot be a name; give it an x-python-name."


def _missing(group: Schema, fields: Schema) -> Iterator[str]:
    named = [*group.get("required", ()), *group.get("dependentRequired", {})]
    named += [other for others in group.get("dependentRequired", {}).values() for other in others]
    yield from (wire for wire in named if wire not in fields)
