"""What was read from JSON, or given to become JSON, told apart in a way that type checkers follow. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Say whether a value that was read from JSON is an object; JSON has no other names than texts."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[object]]:
    """Say whether a value that was read from JSON is an array."""
    return isinstance(value, list)


def object_of(value: object) -> dict[str, object]:
    """Take a value that was read from JSON for an object.

    :raises TypeError: it is something else
    """
    if not is_object(value):
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    return value


def array_of(value: object) -> list[object]:
    """Take a value that was read from JSON for an array.

    :raises TypeError: it is something else
    """
    if not is_array(value):
        raise TypeError(f"an array was expected, not {type(value).__name__}")
    return value


def is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Say whether a value of a caller may become an object; its names may be anything yet."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Say whether a value of a caller may become an array; other sequences are texts and bytes, mostly by mistake."""
    return isinstance(value, list | tuple)
