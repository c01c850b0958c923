"""The members of an object: which came, went, got another name, are required now or no longer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from derive import Schema

from changes.change import At, Findings
from changes.extensions import compare_python_name, in_python, python_rename

_NOT_HEARD = "an old client still sends the old name, which nobody reads any more"
_NAMING = frozenset({"x-python-name", "x-stored-as"})


@dataclass(frozen=True)
class Field:
    """A member of an object: the schema that declares it, perhaps a group of `allOf`, and whether it must be there."""

    owner: str
    schema: Schema
    required: bool


class FieldComparison:
    """Compare the members of objects.

    :param Findings found: where changes are put
    :param visit: compares the schemas of a member that both have
    """

    def __init__(self, found: Findings, visit: Callable[[Schema, Schema, At], None]) -> None:
        self._found = found
        self._visit = visit
        self._added: defaultdict[At, dict[str, Field]] = defaultdict(dict)
        self._removed: defaultdict[At, dict[str, Field]] = defaultdict(dict)

    def visit(self, old: Mapping[str, Field], new: Mapping[str, Field], root: At) -> None:
        """Compare the members of one object."""
        for before, after in _renamings(old, new):
            at = _field_at(old[before].owner, before, root)
            python = python_rename(before, old[before].schema, after, new[after].schema)
            breaks = _NOT_HEARD if root.request else "callers who read it miss it"
            self._found.add("renamed", at, f"{at.noun}, now called {after}{python}", breaks)
            self._compare_required(old[before], new[after], _field_at(root.owner, after, root))
            old = {name: field for name, field in old.items() if name != before}
            new = {name: field for name, field in new.items() if name != after}
        for name in old.keys() - new.keys():
            self._removed[_field_at(old[name].owner, name, root)][root.where] = old[name]
        for name in new.keys() - old.keys():
            self._added[_field_at(new[name].owner, name, root)][root.where] = new[name]
        for name in sorted(old.keys() & new.keys()):
            at = _field_at(new[name].owner, name, root)
            self._compare_required(old[name], new[name], _field_at(root.owner, name, root))
            compare_python_name(old[name].schema, new[name].schema, at, self._found)
            self._visit(old[name].schema, new[name].schema, at)

    def _compare_required(self, old: Field, new: Field, at: At) -> None:
        if new.required and not old.required:
            breaks = "callers who do not give it are refused" if at.request else ""
            self._found.add("changed", at, f"{at.noun}, now required", breaks)
        elif old.required and not new.required:
            breaks = "" if at.request else "callers rely on it being there"
            self._found.add("changed", at, f"{at.noun}, no longer required", breaks)

    def finish(self) -> None:
        """Report the fields that came and went; only now is it known where each of them is required."""
        for at, roots in self._added.items():
            field = next(iter(roots.values()))
            refused = "callers who do not give it are refused" if at.request else ""
            sentence, required = _presence(at, roots)
            breaks = refused if required else ""
            self._found.add("added", at, f"{sentence}{in_python(at.member, field.schema)}", breaks)
        for at, roots in self._removed.items():
            field = next(iter(roots.values()))
            breaks = "callers who give it are refused by the client" if at.request else "callers who read it miss it"
            self._found.add("removed", at, f"{_presence(at, roots)[0]}{in_python(at.member, field.schema)}", breaks)


def fields_of(parts: Sequence[tuple[str, Schema]]) -> dict[str, Field]:
    """Put the members of an object together from the parts that declare them."""
    required = {name for _, schema in parts for name in schema.get("required", ())}
    return {
        name: Field(owner, schema, name in required)
        for owner, part in parts
        for name, schema in part.get("properties", {}).items()
    }


def _field_at(owner: str, name: str, root: At) -> At:
    # An object inside a field has no name of its own: its members are found by the way to it.
    inner = f"{root.name}.{name}" if root.name and owner == root.owner else name
    return At(owner, inner, "request field" if root.request else "response field", root.request)


def _renamings(old: Mapping[str, Field], new: Mapping[str, Field]) -> Iterator[tuple[str, str]]:
    """Find fields that are the same under another name, where there is no doubt which became which."""
    gone, fresh = (
        [name for name in sorted(there) if name not in elsewhere] for there, elsewhere in ((old, new), (new, old))
    )
    for before in gone:
        after = [name for name in fresh if _same_field(old[before], new[name])]
        if len(after) == 1 and sum(_same_field(old[name], new[after[0]]) for name in gone) == 1:
            yield before, after[0]


def _same_field(old: Field, new: Field) -> bool:
    schemas = [{key: value for key, value in field.schema.items() if key not in _NAMING} for field in (old, new)]
    return old.owner == new.owner and schemas[0] == schemas[1]


def _presence(at: At, roots: Mapping[str, Field]) -> tuple[str, bool]:
    """Say of a field whether it is required, and in which of the schemas that have it."""
    required = sorted(root for root, field in roots.items() if field.required)
    if not at.request or not required:
        return f"optional {at.noun}" if at.request else at.noun, False
    if len(required) == len(roots):
        return f"required {at.noun}", True
    return f"{at.noun}, required in {', '.join(required)}", True
