"""JSON values: narrow their types for type checkers, and coerce them to the types of the contract."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

EXACT_TYPES: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
"""The JSON types whose Python values need no coercion. "number" is missing: a float may be infinite."""


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a decoded JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[object]]:
    """Whether a decoded JSON value is an array."""
    return isinstance(value, list)


def as_object(value: object) -> dict[str, object]:
    """Return a decoded JSON value that has to be an object.

    :raises TypeError: it is something else
    """
    if not is_object(value):
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    return value


def as_array(value: object) -> list[object]:
    """Return a decoded JSON value that has to be an array.

    :raises TypeError: it is something else
    """
    if not is_array(value):
        raise TypeError(f"an array was expected, not {type(value).__name__}")
    return value


def is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Whether a value can be encoded as an object; its keys have not been checked."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Whether a value can be encoded as an array. Other sequences are text and bytes, mostly by mistake."""
    return isinstance(value, list | tuple)


def coerce(json_type: str, value: object) -> Any:
    """Return a value as the JSON type of the contract, or None if it cannot be converted without loss.

    Historical servers stored numbers as text and text as numbers.

    >>> coerce("integer", "2"), coerce("integer", 2.0), coerce("integer", True), coerce("string", 5000)
    (2, 2, None, '5000')
    """
    if type(value) is EXACT_TYPES.get(json_type):
        return value
    if isinstance(value, bool):
        return None  # In Python, a bool is an int; in JSON, it is no number.
    match json_type, value:
        case "integer", int():
            return int(value)
        case _, float() if not math.isfinite(value):
            return None
        case "string", str():
            return value
        case "string", int() | float():
            return str(value)
        case "integer", float() if value.is_integer():
            return int(value)  # In JSON Schema, 2.0 is an integer.
        case "integer", str() if re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            return int(value)
        case "number", int() | float():
            return value
        case "object", _ if is_object(value):
            return value
        case "array", _ if is_array(value):
            return value
        case _:
            return None


def texts(values: object, member: str | None = None) -> list[str] | None:
    """Return the texts of an array, or None if it is none; what is neither a text nor a number is left out.

    :param values: the value
    :param str member: the member of objects that holds the text; other values are texts themselves

    >>> texts([{"name": "a"}, "b", None], "name")
    ['a', 'b']
    """
    if not is_array(values):
        return None
    found = (coerce("string", each.get(member or "") if is_object(each) else each) for each in values)
    return [text for text in found if text is not None]


def require(json_type: str, value: object, name: str, *, min_length: int = 0) -> Any:
    """Return a value that every response must have, as the JSON type of the contract.

    :param str json_type: the type
    :param value: the value
    :param str name: its name in the contract, for the error
    :param int min_length: the minimal length of a text

    :raises ValueError: it is missing, too short, or of another type
    """
    found = coerce(json_type, value)
    if found is None or (isinstance(found, str) and len(found) < min_length):
        raise ValueError(f"{name} is {_kind(value)} instead of a value of type {json_type}")
    return found


def _kind(value: object) -> str:
    """Describe a value without its content, which may be secret."""
    match value:
        case None:
            return "null"
        case "":
            return "an empty string"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case _:
            return "an object" if is_object(value) else "an array"
