"""The keywords of one schema: its types, its limits, what is inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from derive import Schema

from changes.change import At, Findings, listed
from changes.enums import compare_values
from changes.extensions import instead

Visit = Callable[[Any, Any, At], None]

_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "contentMediaType")
_INNER = {"items": "[]", "additionalProperties": ".*", "propertyNames": ".(names)"}
_HARMLESS = ("default", "deprecated")
_VALUES = ("type", "enum", "const")
_KNOWN = {*_VALUES, *_LEAST, *_MOST, *_EXACT, *_INNER, *_HARMLESS, "contentEncoding", "dependentRequired"}

BY_HAND = "nobody can tell but you: this comparison does not know it"


def kinds_of(schema: Schema) -> list[str]:
    """List the JSON types that a schema allows; none: all."""
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def compare_keywords(old: Schema, new: Schema, at: At, found: Findings, visit: Visit, *, is_open: bool) -> None:
    """Compare two schemas without their fields and alternatives; `visit` compares what is inside them."""
    if old != new and not _compare_own(old, new, at, found, is_open=is_open):
        return
    for key, suffix in _INNER.items():
        _compare_inner(key, old.get(key, True), new.get(key, True), at.inside(suffix), found, visit)


def _compare_own(old: Schema, new: Schema, at: At, found: Findings, *, is_open: bool) -> bool:
    """Compare what the schemas say of the value itself; false: nothing else of them can be compared."""
    kinds = kinds_of(old), kinds_of(new)
    refused, fresh = _beyond(*kinds), _beyond(*reversed(kinds))
    if refused or fresh:
        _report_kinds(*kinds, refused, fresh, at, found)
        if all(kinds) and not set(kinds[0]) & set(kinds[1]):
            return False  # What else is different follows from that.
    compare_values(old, new, at, found, is_open=is_open)
    for key in (*_LEAST, *_MOST, *_EXACT):
        before, after = old.get(key), new.get(key)
        if before != after:
            breaks = "values that were allowed are refused" if at.request and _narrower(key, before, after) else ""
            found.add("changed", at, instead(key, before, after), breaks)
    for key in _HARMLESS:
        if old.get(key) != new.get(key):
            found.add("changed", at, instead(key, old.get(key), new.get(key)))
    if old.get("contentEncoding") != new.get("contentEncoding"):
        sentence = instead("contentEncoding", old.get("contentEncoding"), new.get("contentEncoding"))
        found.add("changed", at, sentence, "old clients write or read it in the other encoding")
    _compare_dependent(old.get("dependentRequired", {}), new.get("dependentRequired", {}), at, found)
    for key in sorted(old.keys() | new.keys()):
        if key not in _KNOWN and not key.startswith("x-") and old.get(key) != new.get(key):
            found.add("changed", at, f"{key} is not what it was", BY_HAND)
    return True


def _beyond(these: list[str], those: list[str]) -> list[str]:
    """List the types of `these` that `those` do not have."""
    if not those:
        return []
    if not these:
        return ["another type"]
    return [kind for kind in these if kind not in those and not (kind == "integer" and "number" in those)]


def _report_kinds(
    old: list[str], new: list[str], refused: list[str], fresh: list[str], at: At, found: Findings
) -> None:
    sentence = f"type {listed(new or 'any')} instead of {listed(old or 'any')}"
    if at.request:
        breaks = f"values of {_typed(refused)} are refused" if refused else ""
    else:
        breaks = f"old clients do not expect values of {_typed(fresh)}" if fresh else ""
    found.add("changed", at, sentence, breaks)


def _typed(kinds: list[str]) -> str:
    return kinds[0] if kinds == ["another type"] else f"type {listed(kinds)}"


def _narrower(key: str, before: Any, after: Any) -> bool:
    if after is None:
        return False
    if before is None or key in _EXACT:
        return True
    return bool(after > before if key in _LEAST else after < before)


def _compare_dependent(old: Mapping[str, Any], new: Mapping[str, Any], at: At, found: Findings) -> None:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name, []), new.get(name, [])
        if set(before) != set(after):
            now = listed(after) if after else "nothing else"
            breaks = f"callers who give {name} without it are refused" if set(after) - set(before) else ""
            found.add("changed", at, f"{name} needs {now} beside it", breaks if at.request else "")


def _compare_inner(key: str, old: Any, new: Any, at: At, found: Findings, visit: Visit) -> None:
    if isinstance(old, Mapping) or isinstance(new, Mapping):
        # Also where both are equal: they may refer to a schema that is not what it was.
        visit(old if isinstance(old, Mapping) else {}, new if isinstance(new, Mapping) else {}, at)
    elif old is not new:
        _report_closed(key, at, found, closed=new is False)


def _report_closed(key: str, at: At, found: Findings, *, closed: bool) -> None:
    sentence = f"{key} {'not allowed any more' if closed else 'allowed now'}"
    found.add("changed", at, sentence, "callers who give them are refused" if at.request and closed else "")
