"""Single values out of answers: brought to the type that the contract gives them, or refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from gradient_ext.json_types import is_array, is_object
from gradient_ext.network_errors import MalformedResponseError

EXACT_TYPES: Final[Mapping[str, type]] = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
"""The types whose values are of a type of JSON as they are; there is none for numbers, which may be infinite."""


def typed(json_type: str, value: object) -> Any:
    """Bring a value to its type, or give None: numbers and texts have been stored as each other.

    >>> typed("integer", "2"), typed("integer", 2.0), typed("integer", True), typed("string", 5000)
    (2, 2, None, '5000')
    """
    if type(value) is EXACT_TYPES.get(json_type):
        return value
    if isinstance(value, bool):
        return None  # To Python a bool is an int; to JSON it is no number.
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
            return int(value)  # 2.0 is an integer to JSON Schema.
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


def told(json_type: str, value: object, name: str, *, min_length: int = 0) -> Any:
    """Bring a value to its type that every answer has to tell.

    :param str name: what the contract calls it
    :param int min_length: how long a text has to be

    :raises MalformedResponseError: it is missing, or cannot be brought to its type
    """
    known = typed(json_type, value)
    if known is None or (isinstance(known, str) and len(known) < min_length):
        raise MalformedResponseError(f"{name} is {_kind(value)} instead of a value of type {json_type}")
    return known


def _kind(value: object) -> str:
    """Say what a value is; not which: it may be what nobody should see."""
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
