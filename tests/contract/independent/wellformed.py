"""Whether a value is what its type hint promises, down to the attributes of objects. Pure."""

from __future__ import annotations

from collections.abc import Generator
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs


def ill_formed(value: object, hint: Any, place: str = "") -> list[str]:
    """Name the places where a value is not as the hint says."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return []
    if origin in (Union, UnionType):
        return [] if any(not ill_formed(value, one) for one in arguments) else [_wrong(value, hint, place)]
    if origin in (list, Generator) and isinstance(value, list):
        return [text for n, one in enumerate(value) for text in ill_formed(one, arguments[0], f"{place}[{n}]")]
    if origin is dict and isinstance(value, dict):
        return [text for name, one in value.items() for text in ill_formed(one, arguments[1], f"{place}[{name!r}]")]
    if not isinstance(value, _classes(hint)) or (isinstance(value, bool) and hint is not bool):
        return [_wrong(value, hint, place)]
    if isinstance(value, list):  # of a class of its own, which says in its base what its members are
        (members,) = get_args(hint.__orig_bases__[0])
        return ill_formed(list(value), list[members], place)
    if not attrs.has(type(value)):
        return []
    hints = get_type_hints(type(value))
    names = [field.name for field in attrs.fields(type(value))]
    return [text for name in names for text in ill_formed(getattr(value, name), hints[name], f"{place}.{name}")]


def _classes(hint: Any) -> tuple[type, ...]:
    if get_origin(hint):
        return ()
    return {None: (NoneType,), float: (int, float)}.get(hint, (hint,))


def _wrong(value: object, hint: Any, place: str) -> str:
    return f"{place or 'the result'} is {value!r:.80}, not {hint}"
