"""Invalid and unusual responses: with members added, left out or replaced, and bodies that are no responses.

A place in a value is a path: the names and numbers that lead to it.
"""

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from openapi_schema_validator import OAS31Validator

from judging.contract import SCHEMAS, Schema, resolved

Path = tuple[str | int, ...]
ODD = (None, True, 0, -1, 1.5, 10**400, float("inf"), float("nan"), "", "12", "text", [], {}, [[]], [{}], {"a": 1})
ODD += ([["handle", "es1"], ["experimentTypeId", 1], ["state", 1]], {"data": []}, {"data": {}})
"""Values that no contract allows where it has something; numbers that JSON does not have are written as in Python."""
STRANGE = (
    b"",
    b" ",
    b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"null",
    b"true",
    b"0",
    b'"text"',
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"data":' * 100_000,
    b'{"data": ' + b"9" * 5_000 + b"}",
    b'{"data": 1e999, "handle": 1e999}',
)
"""Bodies that come in the place of a response."""


def with_extras(value: Any, extra: Any) -> Any:
    """Return a copy with an unknown member in every object, but for those whose members are data."""
    if isinstance(value, list):
        return [with_extras(one, extra) for one in value]
    if isinstance(value, dict):
        known = {name: one if name == "params" else with_extras(one, extra) for name, one in value.items()}
        return known | {"addedLater": extra}
    return value


def optional_places(value: Any, schema: Schema, path: Path = ()) -> Iterator[Path]:
    """Return the members that the contract does not require, but not what is within those that it does not know."""
    schema = _meant(value, schema)
    if isinstance(value, dict):
        for name, one in value.items():
            if name in schema.get("properties", ()):
                yield from optional_places(one, schema["properties"][name], (*path, name))
            if name not in schema.get("required", ()):
                yield (*path, name)
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from optional_places(one, schema.get("items", {}), (*path, number))


def _meant(value: Any, schema: Schema) -> Schema:
    schema = resolved(schema)
    for kind in schema.get("anyOf", ()):
        if OAS31Validator({"allOf": [kind], "components": {"schemas": SCHEMAS}}).is_valid(value):
            return _meant(value, kind)
    return schema


def places(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Return every place in a value, itself included, with what is there."""
    yield path, value
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in steps:
        yield from places(one, (*path, step))


def replaced(value: Any, at: Iterable[Path], new: Any) -> Any:
    """Return a copy with another value at some places."""
    mutated = copy.deepcopy(value)
    for path in _inner_first(at):
        if not path:
            return new
        *way, last = path
        _at(mutated, way)[last] = new
    return mutated


def without(value: Any, at: Iterable[Path]) -> Any:
    """Return a copy without some places."""
    mutated = copy.deepcopy(value)
    for *way, last in _inner_first(at):
        del _at(mutated, way)[last]
    return mutated


def _inner_first(at: Iterable[Path]) -> list[Path]:
    return sorted(at, key=len, reverse=True)


def _at(value: Any, way: Sequence[str | int]) -> Any:
    for step in way:
        value = value[step]
    return value


def as_texts(value: Any) -> Any:
    """Return a copy with every number as text."""
    if isinstance(value, list):
        return [as_texts(one) for one in value]
    if isinstance(value, dict):
        return {name: as_texts(one) for name, one in value.items()}
    return json.dumps(value) if type(value) in (int, float) else value


def as_floats(value: Any) -> Any:
    """Return a copy with every small integer as a float, which is the same in JSON."""
    if isinstance(value, list):
        return [as_floats(one) for one in value]
    if isinstance(value, dict):
        return {name: one if name == "params" else as_floats(one) for name, one in value.items()}
    return float(value) if type(value) is int and abs(value) < 2**53 else value
