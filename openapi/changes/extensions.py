"""What changes for Python although the wire may stay the same: what the `x-` extensions say."""

from __future__ import annotations

from derive import Schema, python_name

from changes.change import At, Findings

_SHOW_ONLY = frozenset({"x-repr", "x-secret"})
_ELSEWHERE = frozenset({"x-python-name", "x-enum-varnames", "x-enum-texts", "x-enum-aliases", "x-terminal"})


def in_python(wire_name: str, schema: Schema) -> str:
    """Say what a field is called in Python, where that is another name than on the wire."""
    name = python_name(wire_name, schema)
    return "" if name == wire_name else f"; in Python {name}"


def python_rename(old_name: str, old: Schema, new_name: str, new: Schema) -> str:
    """Say what a renamed field was and is called in Python."""
    before, after = python_name(old_name, old), python_name(new_name, new)
    return f"; in Python still {after}" if before == after else f"; in Python {before} is now {after}"


def compare_python_name(old: Schema, new: Schema, at: At, found: Findings) -> None:
    """Report that a field has another name in Python, or that experiments show it now, or no longer."""
    if at.request:
        before, after = python_name(at.member, old), python_name(at.member, new)
    else:
        before, after = old.get("x-python-name", ""), new.get("x-python-name", "")
    if before == after:
        return
    if not before:
        found.add("changed", at, f"{at.noun}, which experiments show now as {after}")
    elif not after:
        found.add("changed", at, f"{at.noun}, which experiments do not show any more", f"{before} is gone")
    else:
        sentence = f"{at.noun}, in Python {after} instead of {before}; the wire stays the same"
        found.add("changed", at, sentence, f"callers who write {before} get an error")


def compare_extensions(old: Schema, new: Schema, at: At, found: Findings) -> None:
    """Report all other extensions that changed, apart from those of enumerations."""
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if not key.startswith("x-") or key in _ELSEWHERE or before == after:
            continue
        if before is None or key in _SHOW_ONLY:
            breaks = ""
        elif isinstance(before, list):
            gone = [value for value in before if value not in (after or ())]
            breaks = f"{', '.join(map(str, gone))} counts no longer" if gone else ""
        else:
            breaks = f"what was {before} has another name or meaning"
        found.add("changed", at, instead(key, before, after), breaks)


def instead(key: str, before: object, after: object) -> str:
    """Say what a keyword was and is."""
    if before is None:
        return f"{key} {after} is new"
    return f"{key} {before} is gone" if after is None else f"{key} {after} instead of {before}"
