"""Lint the contract: it must say more than OpenAPI asks for, so that the client can be derived from it. No I/O."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from derive import (
    Schema,
    example_of,
    key_scheme,
    operations,
    python_name,
    resolve,
    servers_of,
    snake_case,
    value_kinds,
    views,
)
from openapi_python_client.strings import PythonIdentifier

_WORDS = ("x-enum-varnames", "x-enum-texts", "x-enum-aliases")
_DERIVED = ("x-constants", "x-parameters", "x-experiment", "x-class")


def problems(spec: Schema) -> list[str]:
    """Return what is missing or inconsistent, each as a sentence that names the place."""
    found = [*_of_hosts(spec), *_of_operations(spec)]
    schemas = spec["components"]["schemas"]
    for name, schema in schemas.items():
        if "description" not in schema and any(key in schema for key in _DERIVED):
            found.append(f"{name} needs a description; it becomes documentation.")
        found += _of_enumeration(name, schema)
        if "x-parameters" in schema or "x-experiment" in schema:
            found += _of_request(spec, name, schema)
    classes = [name for name, schema in schemas.items() if "x-class" in schema]
    for owner in ("Experiment", "LogRow", *classes):
        for wire, member in schemas[owner]["properties"].items():
            if owner != "LogRow" and "x-python-name" not in member:
                continue  # It is not shown.
            if owner != "LogRow" and "description" not in member:
                found.append(f"{owner}: {wire} needs a description; it becomes documentation.")
            found += _of_name(f"{owner}: {wire}", python_name(wire, member))
            if len(value_kinds(spec, member)) != 1:
                found.append(f"{owner}: {wire} needs one type; null may be another.")
    return list(dict.fromkeys(found or _of_classes(spec)))


def _of_hosts(spec: Schema) -> Iterator[str]:
    if key_scheme(spec).get("in") != "header":
        yield "security: the first requirement must be one key in a header, which is how the client sends it."
    for tag in ("logs", "projects"):
        if not servers_of(tag, spec):
            yield f"No operation that is tagged `{tag}` has servers; the client reads {tag} from the first of them."


def _of_operations(spec: Schema) -> Iterator[str]:
    for path, item in spec["paths"].items():
        if "$ref" in item:
            yield f"{path} is a reference to another path, which is not followed; write its operations here."
        for method, operation in item.items():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            where = f"{method.upper()} {path}"
            name = operation.get("operationId", "")
            if not name:
                yield f"{where} needs an operationId; functions are called after it."
            elif PythonIdentifier(name, "field_") != snake_case(name):
                names = f"{PythonIdentifier(name, 'field_')} in the client and {snake_case(name)} in the server"
                yield f"{where}: {name} would be called {names}; write the operationId in camel case, such as readGpu."
            for status, response in operation["responses"].items():
                for content in resolve(spec, response).get("content", {}).values():
                    if not content.get("examples"):
                        yield f"{where}: the response {status} needs an example, which the contract tests use."
    functions = [snake_case(operation.get("operationId", "")) for operation in operations(spec)]
    yield from (f"Several operations are called {name} in Python." for name in _repeated(functions) if name)


def _of_enumeration(name: str, schema: Schema) -> Iterator[str]:
    for key in ("x-enum-varnames", "x-enum-texts") if "x-constants" in schema else ():
        if key not in schema:
            yield f"{name}: x-constants needs {key}."
    for key in _WORDS:
        if key in schema and len(schema[key]) != len(schema.get("enum", ())):
            yield f"{name}: {key} has {len(schema[key])} entries for {len(schema.get('enum', ()))} values of enum."
    for key in ("enum", *_WORDS):
        yield from (f"{name}: {key} has {value} more than once." for value in _repeated(schema.get(key, ())))
    for word in schema.get("x-enum-varnames", ()):
        if not re.fullmatch("[A-Z][A-Z0-9_]*", word):
            yield f"{name}: {word} of x-enum-varnames is not in capitals, as the names of constants are."


def _of_request(spec: Schema, name: str, schema: Schema) -> Iterator[str]:
    parts = schema.get("allOf", [schema])
    groups = [(part.get("$ref", name).rpartition("/")[2], resolve(spec, part)) for part in parts]
    fields = {wire: field for _, group in groups for wire, field in group.get("properties", {}).items()}
    for owner, group in groups:
        for wire, field in group.get("properties", {}).items():
            yield from _of_field(f"{owner}: {wire}", wire, field)
        yield from (f"{name}: {wire} is required, but no such field is there." for wire in _missing(group, fields))
    if "x-parameters" in schema:
        required = {wire for _, group in groups for wire in group.get("required", ())}
        for wire in sorted(required - example_of(spec, name).keys()):
            yield f"{name}: {wire} is required, but the example of that name lacks it; it becomes help()."
    taken = _repeated(python_name(wire, field) for wire, field in fields.items())
    yield from (f"{name}: several fields are called {one} in Python." for one in taken)


def _of_field(where: str, wire_name: str, field: Schema) -> Iterator[str]:
    if "description" not in field:
        yield f"{where} needs a description; it becomes help()."
    if not isinstance(field.get("type"), str):
        yield f"{where} needs a type, a single one; x-also-given-as allows callers another."
    yield from _of_enumeration(where, field)
    yield from _of_name(where, python_name(wire_name, field))


def _of_name(where: str, name: str) -> Iterator[str]:
    if not re.fullmatch("[a-zA-Z][a-zA-Z0-9_]*", name) or keyword.iskeyword(name) or name == "self":
        yield f"{where} would be {name!r} in Python, which cannot be a name; give it an x-python-name."


def _of_classes(spec: Schema) -> Iterator[str]:
    for view in views(spec):
        for name in _repeated(field["name"] for field in view["fields"]):
            yield f"Experiments would have several attributes called {name}; give one an x-python-name."


def _missing(group: Schema, fields: Schema) -> Iterator[str]:
    named = [*group.get("required", ()), *group.get("dependentRequired", {})]
    named += [other for others in group.get("dependentRequired", {}).values() for other in others]
    yield from (wire for wire in named if wire not in fields)


def _repeated(values: Iterable[object]) -> list[object]:
    return [value for value, times in Counter(values).items() if times > 1]
