"""An enumeration: its values, and their names and words in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from derive import Schema

from changes.change import At, Findings

_WORDS = {
    "x-enum-varnames": "the name {old} is gone",
    "x-enum-texts": "scripts that compare it with {old} go wrong",
    "x-enum-aliases": "callers who give {old} are refused",
}


def compare_values(old: Schema, new: Schema, at: At, found: Findings, *, is_open: bool) -> None:
    """Compare the values that are allowed; `is_open`: others are allowed beside them."""
    before, after = _values(old), _values(new)
    if before is None and after is not None:
        found.add("changed", at, f"only {_listed(after)} allowed", "other values are refused" if at.request else "")
        return
    if after is None:
        if before is not None:
            breaks = "" if at.request or is_open else "old clients cannot read other values"
            found.add("changed", at, f"any value allowed, not only {_listed(before)}", breaks)
        return
    before = before or []
    for value in before:
        if value in after:
            _compare_words(old, new, value, at, found)
        else:
            found.add("removed", _value_at(at, value), f"enum value{_name(old, value)}", _loss(old, value, at, is_open))
    for value in after:
        if value not in before:
            breaks = "" if at.request or is_open else "old clients cannot read it"
            if value in new.get("x-terminal", ()):
                breaks = "old clients do not know that it is an end, and wait on"
            found.add("added", _value_at(at, value), f"enum value{_name(new, value)}", breaks)


def _compare_words(old: Schema, new: Schema, value: Any, at: At, found: Findings) -> None:
    for key, reason in _WORDS.items():
        before, after = _word(old, key, value), _word(new, key, value)
        if before != after:
            sentence = f"enum value, {key} {after or 'none'} instead of {before or 'none'}"
            found.add("changed", _value_at(at, value), sentence, reason.format(old=before) if before else "")
    ended, ends = (value in schema.get("x-terminal", ()) for schema in (old, new))
    if ended != ends:
        sentence = f"enum value, which {'ends' if ends else 'no longer ends'} an experiment"
        found.add("changed", _value_at(at, value), sentence, f"old clients {'wait on' if ends else 'stop waiting'}")


def _loss(old: Schema, value: Any, at: At, is_open: bool) -> str:
    if at.request and not is_open:
        return "callers who give it are refused"
    return f"{_name(old, value).removeprefix(', ')} is gone" if "x-constants" in old else ""


def _name(schema: Schema, value: Any) -> str:
    name = _word(schema, "x-enum-varnames", value)
    owner = f"constants.{schema['x-constants']}." if "x-constants" in schema else ""
    return f", {owner}{name}" if name else ""


def _word(schema: Schema, key: str, value: Any) -> str:
    return str(dict(zip(_values(schema) or (), schema.get(key, ()), strict=False)).get(value, ""))


def _values(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _value_at(at: At, value: Any) -> At:
    return At(at.where, str(value), "enum value", at.request)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values))
