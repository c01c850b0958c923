"""Two schemas: what they are put together from, and their alternatives.

Direction decides: a request may allow more than before but not less; an answer may promise more but not less.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from derive import Schema, resolve

from changes.change import At, Findings
from changes.extensions import compare_extensions
from changes.fields import FieldComparison, fields_of
from changes.keywords import compare_keywords, kinds_of
from changes.wording import TEXTS, without_texts

_SHAPE = frozenset({"$ref", "allOf", "anyOf", "oneOf", "properties", "required"})


class SchemaComparison:
    """Compare the schemas of two contracts, each pair once for each direction.

    :param old: the contract that callers know
    :param new: the contract that is to be
    :param Findings found: where changes are put
    """

    def __init__(self, old: Schema, new: Schema, found: Findings) -> None:
        self._old = old
        self._new = new
        self._found = found
        self._seen: set[object] = set()
        self._fields = FieldComparison(found, self.visit)
        self._same_groups = _renamed_schemas(old["components"]["schemas"], new["components"]["schemas"])

    def visit(self, old: Schema, new: Schema, at: At, *, is_open: bool = False) -> None:
        """Compare two schemas; `is_open`: what they do not list is allowed beside them."""
        old_name, new_name = _component(old), _component(new)
        if new_name and (old_name == new_name or self._renamed(old_name, new_name)):
            at = At(new_name, "", "schema", at.request)
        if old_name or new_name:
            key = (old_name, new_name, at, is_open)
            if key in self._seen:
                return
            self._seen.add(key)
        old_ways, new_ways = _alternatives(self._old, old), _alternatives(self._new, new)
        if old_ways or new_ways:
            self._compare_alternatives(old_ways or [old], new_ways or [new], at)
        if bool(old_ways) == bool(new_ways):
            self._compare_parts(old, new, at, is_open=is_open)
        else:
            compare_extensions(old, new, at, self._found)

    def finish(self) -> None:
        """Report the fields that came and went; only now is it known where each of them is required."""
        self._fields.finish()

    def _renamed(self, old_name: str, new_name: str) -> bool:
        """Whether a schema has another name now; a field that refers to another schema than before is no renaming."""
        old_schemas, new_schemas = self._old["components"]["schemas"], self._new["components"]["schemas"]
        if not old_name or old_name in new_schemas or new_name in old_schemas:
            return False
        self._report_rename(old_name, new_name)
        return True

    def _report_rename(self, old_name: str, new_name: str) -> None:
        sentence = f"schema, now {new_name}; the wire stays the same"
        at = At(old_name, "", "schema", request=False)
        self._found.add("renamed", at, sentence, f"gradient_api.models.{old_name} is gone")

    def _compare_alternatives(self, old_ways: Sequence[Schema], new_ways: Sequence[Schema], at: At) -> None:
        old_keys, new_keys = [_alternative_key(way) for way in old_ways], [_alternative_key(way) for way in new_ways]
        gone = [place for place, key in enumerate(old_keys) if key not in new_keys]
        fresh = [place for place, key in enumerate(new_keys) if key not in old_keys]
        pairs = [(place, new_keys.index(key)) for place, key in enumerate(old_keys) if key in new_keys]
        if len(gone) == len(fresh) == 1:
            pairs.append((gone.pop(), fresh.pop()))
        for old_place, new_place in pairs:
            # Old clients read by the old contract; the new server reads by the new one.
            known = (self._new, new_ways, new_place) if at.request else (self._old, old_ways, old_place)
            self.visit(old_ways[old_place], new_ways[new_place], at, is_open=_is_open(*known))
        for place in gone:
            one = At(at.where, _label(old_ways[place]), "alternative", at.request)
            self._found.add("removed", one, "alternative", "such values are refused" if at.request else "")
        for place in fresh:
            one = At(at.where, _label(new_ways[place]), "alternative", at.request)
            self._found.add("added", one, "alternative", "" if at.request else "old clients cannot read it")

    def _compare_parts(self, old: Schema, new: Schema, at: At, *, is_open: bool) -> None:
        """Compare the keywords of a schema and of each of its groups, then its fields."""
        old_parts = [(self._group(owner), part) for owner, part in _parts(self._old, old, at.owner)]
        new_parts = list(_parts(self._new, new, at.owner))
        old_keywords, new_keywords = _keywords(old_parts), _keywords(new_parts)
        for owner in sorted(old_keywords.keys() | new_keywords.keys()):
            here = at if owner == at.owner else At(owner, "", "schema", at.request)
            before, after = old_keywords.get(owner, {}), new_keywords.get(owner, {})
            compare_extensions(before, after, here, self._found)
            compare_keywords(before, after, here, self._found, self.visit, is_open=is_open)
        self._fields.visit(fields_of(old_parts), fields_of(new_parts), at)

    def _group(self, old_name: str) -> str:
        """Give the name that a group has now."""
        if old_name in self._same_groups:
            self._report_rename(old_name, self._same_groups[old_name])
        return self._same_groups.get(old_name, old_name)


def _component(schema: Schema) -> str:
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else ""


def _alternatives(spec: Schema, schema: Schema) -> list[Schema]:
    whole = resolve(spec, schema)
    return whole.get("anyOf") or whole.get("oneOf") or []


def _alternative_key(schema: Schema) -> str:
    plain = {key: value for key, value in without_texts(schema).items() if not key.startswith("x-")}
    return _component(schema) or json.dumps(plain, sort_keys=True)


def _label(schema: Schema) -> str:
    return _component(schema) or " or ".join(kinds_of(schema) or ["a value"])


def _is_open(spec: Schema, ways: Sequence[Schema], place: int) -> bool:
    """Whether another alternative allows every value of the same type: `anyOf: [State, integer]`."""
    kinds = kinds_of(resolve(spec, ways[place]))
    others = [without_texts(resolve(spec, way)) for number, way in enumerate(ways) if number != place]
    return any(other.keys() == {"type"} and set(kinds) <= set(kinds_of(other)) for other in others if kinds)


def _parts(spec: Schema, schema: Schema, owner: str) -> Iterator[tuple[str, Schema]]:
    """Give a schema and the groups it is put together from, each with the name of the schema it stands in."""
    yield owner, {key: value for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        schema = resolve(spec, schema)
        yield owner, schema
    for part in schema.get("allOf", ()):
        yield from _parts(spec, part, _component(part) or owner)


def _renamed_schemas(old: Schema, new: Schema) -> dict[str, str]:
    """Find the schemas that are the same under another name, where there is no doubt."""
    names: dict[str, str] = {}
    for before in old.keys() - new.keys():
        after = [name for name in new.keys() - old.keys() if new[name] == old[before]]
        if len(after) == 1 and sum(old[name] == old[before] for name in old) == 1:
            names[before] = after[0]
    return names


def _keywords(parts: Sequence[tuple[str, Schema]]) -> dict[str, dict[str, Any]]:
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for owner, schema in parts:
        found[owner] |= {key: value for key, value in schema.items() if key not in _SHAPE and key not in TEXTS}
    return found
