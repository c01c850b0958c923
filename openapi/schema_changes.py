"""Changes between two schemas: types, limits, enumerations, members, and what the `x-` extensions mean for Python.

The direction decides what breaks: a request may allow more than before but not less; a response may promise more but
not less. Where opinions differ, this was decided:

- Another default of a request breaks, and so does none: callers who leave the field out get something else. A default
  that is new says what held before.
- `oneOf` instead of `anyOf` breaks in a request: a value that matches several alternatives is refused.
- A response may lose an alternative or a value of an open enumeration: old clients can read what remains.
- A constant or a word that another value has already breaks: callers who compare with it find both.
- How experiments are printed (`x-repr`, `x-secret`) is not the API, and titles are for people: they name nothing.
- A further key that can be given instead of the old one is harmless; one that is needed beside it breaks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from derive import Schema, python_name, resolve

Kind = Literal["added", "removed", "renamed", "changed"]
Item = TypeVar("Item")

BY_HAND = "nobody can tell but you: this comparison does not know it"
REFUSED = "callers who do not give it are refused"
TEXTS = frozenset({"$comment", "description", "example", "examples", "externalDocs", "links", "summary", "title"})
"""The keys that are for people only: they can change without changing the API."""

_MAPS_OF_NAMES = frozenset(
    {
        *("content", "headers", "parameters", "paths", "properties", "requestBodies", "responses", "schemas"),
        *("securitySchemes", "dependentRequired", "patternProperties", "$defs"),
    }
)
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems", "contentMediaType")
_HARMLESS = ("deprecated", "x-repr", "x-secret")
_INNER = {"items": "[]", "additionalProperties": ".*", "propertyNames": ".(names)"}
_WORDS = {
    "x-enum-varnames": "the name {old} is gone",
    "x-enum-texts": "scripts that compare it with {old} go wrong",
    "x-enum-aliases": "callers who give {old} are refused",
}
_SHAPE = frozenset({"$ref", "allOf", "anyOf", "oneOf", "properties", "required"})
_ELSEWHERE = frozenset({"type", "enum", "const", "x-python-name", "x-terminal", *_INNER, *_WORDS})
_NAMING = frozenset({"x-python-name", "x-stored-as"})


@dataclass(frozen=True)
class At:
    """A place in the contract: an operation or a schema, what in it, what that is, and whether callers write it."""

    owner: str
    name: str
    noun: str
    request: bool

    @property
    def where(self) -> str:
        """The place as a person would call it."""
        return f"{self.name} of {self.owner}" if self.name else self.owner

    def inside(self, suffix: str) -> At:
        """Return the place inside a value: the items of an array, or the members of an object."""
        return replace(self, name=f"{self.name}{suffix}" if self.name else suffix.lstrip("."))


@dataclass(frozen=True)
class Change:
    """One change in all places that share it, and the reason why old callers break, if they do."""

    kind: Kind
    subject: str
    name: str
    places: tuple[str, ...]
    sentence: str
    breaks: str = ""

    @property
    def where(self) -> str:
        """The places as a person would call them."""
        places = ", ".join(self.places)
        return f"{self.name} of {places}" if self.name else places


class Findings:
    """The changes found so far; the same one, found on several ways or in several places, is one."""

    def __init__(self) -> None:
        self._places: defaultdict[Change, set[str]] = defaultdict(set)

    def add(self, kind: Kind, at: At, sentence: str, breaks: str = "") -> None:
        """Add one change."""
        self._places[Change(kind, at.noun, at.name, (), sentence, breaks)].add(at.owner)

    def required(self, before: bool, after: bool, at: At) -> None:
        """Add that something has to be there now, or need not be there any more."""
        if before != after:
            breaks = {(True, True): REFUSED, (False, False): "callers rely on it being there"}.get(
                (after, at.request), ""
            )
            self.add("changed", at, f"{at.noun}, {'now' if after else 'no longer'} required", breaks)

    def members(
        self, old: Mapping[str, Any], new: Mapping[str, Any], at: At, noun: str, removed: str, added: str
    ) -> list[str]:
        """Add which named members of a place came and went, and return the names that both have."""
        for name in old.keys() - new.keys():
            self.add("removed", At(at.where, name, noun, at.request), noun, removed)
        for name in new.keys() - old.keys():
            self.add("added", At(at.where, name, noun, at.request), noun, added)
        return sorted(old.keys() & new.keys())

    def changes(self) -> list[Change]:
        """Return all changes, in an order that depends on nothing but the changes."""
        found = [replace(change, places=tuple(sorted(places))) for change, places in self._places.items()]
        # Found on one way where it breaks and on another where it does not: it breaks.
        breaking = {_identity(change) for change in found if change.breaks}
        kept = [change for change in found if change.breaks or _identity(change) not in breaking]
        order = ("added", "removed", "renamed", "changed")
        return sorted(kept, key=lambda change: (order.index(change.kind), change.places, change.name, change.sentence))


def _identity(change: Change) -> tuple[object, ...]:
    return change.kind, change.subject, change.name, change.places


@dataclass(frozen=True)
class _Field:
    """A member of an object: the schema that declares it, perhaps a group of `allOf`, and whether it must be there."""

    owner: str
    schema: Schema
    required: bool


class SchemaComparison:
    """Compares the schemas of two contracts, each pair once for each direction.

    :param old: the contract that callers know
    :param new: the contract that is to be
    :param Findings found: where changes are added
    """

    def __init__(self, old: Schema, new: Schema, found: Findings) -> None:
        self._old = old
        self._new = new
        self._found = found
        self._seen: set[object] = set()
        self._came_and_went: defaultdict[tuple[Kind, At], dict[str, _Field]] = defaultdict(dict)

    def visit(self, old: Schema, new: Schema, at: At, *, is_open: bool = False) -> None:
        """Compare two schemas; `is_open`: what they do not list is allowed beside them."""
        old_name, name = _component(old), _component(new)
        if name and (name == old_name or self._is_renamed(old_name, name)):
            at = At(name, "", "schema", at.request)
        if name or old_name:
            key = (old_name, name, at, is_open)
            if key in self._seen:
                return
            self._seen.add(key)
        old_ways, new_ways = _alternatives(self._old, old), _alternatives(self._new, new)
        if old_ways and new_ways:
            self._compare_choice(old, new, at)
        if old_ways or new_ways:
            self._compare_alternatives(old_ways or [old], new_ways or [new], at)
        if bool(old_ways) == bool(new_ways):
            self._compare_parts(old, new, at, is_open=is_open)
        else:
            self._compare_extensions(old, new, at)

    def finish(self) -> None:
        """Add the fields that came and went; only now is it known where each of them is required."""
        for (kind, at), roots in self._came_and_went.items():
            name = at.name.rpartition(".")[2]
            python = python_name(name, next(iter(roots.values())).schema)
            where = sorted(root for root, field in roots.items() if field.required) if at.request else []
            sentence = f"optional {at.noun}" if at.request else at.noun
            if where:
                everywhere = len(where) == len(roots)
                sentence = f"required {at.noun}" if everywhere else f"{at.noun}, required in {', '.join(where)}"
            breaks = "callers who give it are refused by the client" if at.request else "callers who read it miss it"
            if kind == "added":
                breaks = REFUSED if where else ""
            self._found.add(kind, at, sentence + ("" if python == name else f"; in Python {python}"), breaks)

    def _is_renamed(self, old_name: str, name: str) -> bool:
        """Whether a schema has another name now; if so, add that. A reference to another schema is no renaming."""
        before, after = (spec["components"]["schemas"] for spec in (self._old, self._new))
        if not old_name or old_name in after or name in before:
            return False
        sentence = f"schema, now {name}; the wire stays the same"
        self._found.add(
            "renamed", At(old_name, "", "schema", False), sentence, f"gradient_api.models.{old_name} is gone"
        )
        return True

    def _compare_choice(self, old: Schema, new: Schema, at: At) -> None:
        specs = (self._old, old), (self._new, new)
        before, after = ("anyOf" if "anyOf" in resolve(spec, schema) else "oneOf" for spec, schema in specs)
        if before != after:
            breaks = "values that match several alternatives are refused" if at.request and after == "oneOf" else ""
            self._found.add("changed", at, f"{after} instead of {before}", breaks)

    def _compare_alternatives(self, old_ways: Sequence[Schema], new_ways: Sequence[Schema], at: At) -> None:
        old, new = ({_alternative_key(way): way for way in ways} for ways in (old_ways, new_ways))
        pairs = [(old[key], new[key]) for key in old if key in new]
        gone, fresh = [old[key] for key in old if key not in new], [new[key] for key in new if key not in old]
        if len(gone) == len(fresh) == 1:
            pairs.append((gone.pop(), fresh.pop()))
        for before, after in pairs:
            # Old clients read by the old contract; the new server reads by the new one.
            known = (self._new, new_ways, after) if at.request else (self._old, old_ways, before)
            self.visit(before, after, at, is_open=_is_open(*known))
        for way in gone:
            one = At(at.where, _label(way), "alternative", at.request)
            self._found.add("removed", one, "alternative", "such values are refused" if at.request else "")
        for way in fresh:
            one = At(at.where, _label(way), "alternative", at.request)
            self._found.add("added", one, "alternative", "" if at.request else "old clients cannot read it")

    def _compare_parts(self, old: Schema, new: Schema, at: At, *, is_open: bool) -> None:
        """Compare the keywords of a schema and of each of its groups, then its members."""
        old_parts, new_parts = list(_parts(self._old, old, at.owner)), list(_parts(self._new, new, at.owner))
        old_keywords, new_keywords = _keywords(old_parts), _keywords(new_parts)
        for owner in sorted(old_keywords.keys() | new_keywords.keys()):
            before, after = old_keywords.get(owner), new_keywords.get(owner)
            if (after is None and before in new_keywords.values()) or (
                before is None and after in old_keywords.values()
            ):
                continue  # The group has another name.
            here = at if owner == at.owner else At(owner, "", "schema", at.request)
            self._compare_keywords(before or {}, after or {}, here, is_open=is_open)
        self._compare_fields(_fields(old_parts), _fields(new_parts), at)

    def _compare_keywords(self, old: Schema, new: Schema, at: At, *, is_open: bool) -> None:
        self._compare_extensions(old, new, at)
        if not self._compare_kinds(kinds_of(old), kinds_of(new), at):
            return  # What else is different follows from that.
        self._compare_values(old, new, at, is_open=is_open)
        for key in sorted(old.keys() | new.keys()):
            before, after = old.get(key), new.get(key)
            if before != after and key not in _ELSEWHERE and not key.startswith("x-"):
                self._found.add("changed", at, instead(key, before, after), _loss(key, before, after, at.request))
        for key, suffix in _INNER.items():
            before, after, inner = old.get(key, True), new.get(key, True), at.inside(suffix)
            if isinstance(before, Mapping) or isinstance(after, Mapping):
                # Also where both are equal: they may refer to a schema that is not what it was.
                self.visit(
                    before if isinstance(before, Mapping) else {}, after if isinstance(after, Mapping) else {}, inner
                )
            elif before is not after:
                breaks = "callers who give them are refused" if at.request and after is False else ""
                self._found.add("changed", inner, f"{key} {'allowed now' if after else 'not allowed any more'}", breaks)

    def _compare_extensions(self, old: Schema, new: Schema, at: At) -> None:
        for key in sorted(old.keys() | new.keys()):
            # Of keywords with descriptions, the names count.
            values = (schema.get(key) for schema in (old, new))
            before, after = (sorted(value) if isinstance(value, Mapping) else value for value in values)
            if key.startswith("x-") and key not in _ELSEWHERE and before != after:
                self._found.add("changed", at, instead(key, before, after), _loss(key, before, after, at.request))

    def _compare_kinds(self, old: list[str], new: list[str], at: At) -> bool:
        """Compare JSON types; whether the values of both have anything in common."""
        refused, fresh = _beyond(old, new), _beyond(new, old)
        if refused or fresh:
            breaks = f"old clients do not expect {_values_of(fresh)}" if fresh else ""
            if at.request:
                breaks = f"{_values_of(refused)} are refused" if refused else ""
            self._found.add("changed", at, f"type {listed(new or 'any')} instead of {listed(old or 'any')}", breaks)
        return not (old and new and not set(old) & set(new) and (refused or fresh))

    def _compare_values(self, old: Schema, new: Schema, at: At, *, is_open: bool) -> None:
        """Compare enumerations, with the names and words of their values in Python."""
        before, after = _enumerated(old), _enumerated(new)
        if before is None and after is not None:
            breaks = "other values are refused" if at.request else ""
            self._found.add("changed", at, f"only {listed(after)} allowed", breaks)
            return
        unreadable = "" if at.request or is_open else "old clients cannot read {}"
        if after is None:
            if before is not None:
                sentence = f"any value allowed, not only {listed(before)}"
                self._found.add("changed", at, sentence, unreadable.format("other values"))
            return
        for value in before or ():
            one = At(at.where, str(value), "enum value", at.request)
            if value in after:
                self._compare_words(old, new, value, one)
                continue
            breaks = f"{_constant(old, value)} is gone" if "x-constants" in old else ""
            if at.request and not is_open:
                breaks = "callers who give it are refused"
            self._found.add("removed", one, ", ".join(filter(None, ("enum value", _constant(old, value)))), breaks)
        for value in after:
            if value not in (before or ()):
                ends = value in new.get("x-terminal", ())
                breaks = "old clients do not know that it is an end, and wait on" if ends else unreadable.format("it")
                for word in (_word(new, key, value) for key in _WORDS):
                    if word and any(word in old.get(key, ()) for key in _WORDS):
                        breaks = f"{word} has been the name of another value"
                one = At(at.where, str(value), "enum value", at.request)
                self._found.add("added", one, ", ".join(filter(None, ("enum value", _constant(new, value)))), breaks)

    def _compare_words(self, old: Schema, new: Schema, value: Any, at: At) -> None:
        for key, reason in _WORDS.items():
            before, after = _word(old, key, value), _word(new, key, value)
            if before != after:
                sentence = f"enum value, {key} {after or 'none'} instead of {before or 'none'}"
                self._found.add("changed", at, sentence, reason.format(old=before) if before else "")
        ended, ends = (value in schema.get("x-terminal", ()) for schema in (old, new))
        if ended != ends:
            sentence = f"enum value, which {'ends' if ends else 'no longer ends'} an experiment"
            self._found.add("changed", at, sentence, f"old clients {'wait on' if ends else 'stop waiting'}")

    def _compare_fields(self, old: Mapping[str, _Field], new: Mapping[str, _Field], root: At) -> None:
        for before, after in renamings(old, new, _same_field):
            at = _field_at(old[before].owner, before, root)
            names = python_name(before, old[before].schema), python_name(after, new[after].schema)
            python = f"still {names[1]}" if names[0] == names[1] else f"{names[0]} is now {names[1]}"
            breaks = "callers who read it miss it"
            if root.request:
                breaks = "an old client still sends the old name, which nobody reads any more"
            self._found.add("renamed", at, f"{at.noun}, now called {after}; in Python {python}", breaks)
            self._found.required(old[before].required, new[after].required, _field_at(root.owner, after, root))
            old = {name: field for name, field in old.items() if name != before}
            new = {name: field for name, field in new.items() if name != after}
        for name in old.keys() - new.keys():
            self._came_and_went["removed", _field_at(old[name].owner, name, root)][root.where] = old[name]
        for name in new.keys() - old.keys():
            self._came_and_went["added", _field_at(new[name].owner, name, root)][root.where] = new[name]
        for name in sorted(old.keys() & new.keys()):
            at = _field_at(new[name].owner, name, root)
            self._found.required(old[name].required, new[name].required, _field_at(root.owner, name, root))
            self._compare_python_name(name, old[name].schema, new[name].schema, at)
            self.visit(old[name].schema, new[name].schema, at)

    def _compare_python_name(self, name: str, old: Schema, new: Schema, at: At) -> None:
        default = python_name(name, {}) if at.request else ""
        before, after = old.get("x-python-name", default), new.get("x-python-name", default)
        if before == after:
            return
        sentence = f"{at.noun}, in Python {after} instead of {before}; the wire stays the same"
        breaks = f"callers who write {before} get an error"
        if not before:
            sentence, breaks = f"{at.noun}, which experiments show now as {after}", ""
        elif not after:
            sentence, breaks = f"{at.noun}, which experiments do not show any more", f"{before} is gone"
        self._found.add("changed", at, sentence, breaks)


def kinds_of(schema: Schema) -> list[str]:
    """Return the JSON types that a schema allows; none: all."""
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def listed(values: object) -> str:
    """Return some values, or one, as a person would write them: `a, b or c`."""
    texts = [str(value) for value in values] if isinstance(values, (list, tuple)) else [str(values)]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def instead(key: str, before: object, after: object) -> str:
    """Return the sentence for a keyword that has another value."""
    if before is None:
        return f"{key} {after} is new"
    return f"{key} {before} is gone" if after is None else f"{key} {after} instead of {before}"


def renamings(
    old: Mapping[Any, Item], new: Mapping[Any, Item], same: Callable[[Item, Item], bool]
) -> Iterator[tuple[Any, Any]]:
    """Return the names of what is the same under another name, where there is no doubt which became which."""
    gone, fresh = [name for name in old if name not in new], [name for name in new if name not in old]
    for before in gone:
        after = [name for name in fresh if same(old[before], new[name])]
        if len(after) == 1 and sum(same(old[name], new[after[0]]) for name in gone) == 1:
            yield before, after[0]


def without_texts(node: Any, *, names: bool = False) -> Any:
    """Return a part of a contract without what is for people only; `names`: its keys are names, such as `title`."""
    if isinstance(node, Mapping):
        return {
            key: without_texts(value, names=not names and key in _MAPS_OF_NAMES)
            for key, value in node.items()
            if names or key not in TEXTS
        }
    return [without_texts(item) for item in node] if isinstance(node, list) else node


def texts_changed(old: Any, new: Any, *, names: bool = False) -> int:
    """Return how many descriptions, examples and links both contracts have, and with other words."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return sum(
            old[key] != new[key]
            if key in TEXTS and not names
            else texts_changed(old[key], new[key], names=not names and key in _MAPS_OF_NAMES)
            for key in old.keys() & new.keys()
        )
    if isinstance(old, list) and isinstance(new, list):
        return sum(texts_changed(*pair) for pair in zip(old, new, strict=False))
    return 0


def _loss(key: str, before: Any, after: Any, request: bool) -> str:
    """Return why old callers break if a keyword has another value."""
    if key in _HARMLESS or (before is None and key.startswith("x-")):
        return ""
    if key in (*_LEAST, *_MOST, *_EXACT):
        wider = after is None or (before is not None and key in _LEAST and after < before)
        wider = wider or (before is not None and key in _MOST and after > before)
        return "values that were allowed are refused" if request and not wider else ""
    if key == "default":
        return "callers who do not give it get something else" if request and before is not None else ""
    if key == "contentEncoding":
        return "old clients write or read it in the other encoding"
    if key == "dependentRequired":
        more = [name for name, others in (after or {}).items() if set(others) - set((before or {}).get(name, ()))]
        return f"callers who give {listed(more)} without what it needs are refused" if request and more else ""
    if not key.startswith("x-"):
        return BY_HAND
    if isinstance(before, list):
        gone = [value for value in before if value not in (after or ())]
        return f"{', '.join(map(str, gone))} counts no longer" if gone else ""
    return f"what was {before} has another name or meaning"


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


def _is_open(spec: Schema, ways: Sequence[Schema], one: Schema) -> bool:
    """Whether another alternative allows every value of the same type: `anyOf: [State, integer]`."""
    kinds = kinds_of(resolve(spec, one))
    others = [without_texts(resolve(spec, way)) for way in ways if way is not one]
    return any(other.keys() == {"type"} and set(kinds) <= set(kinds_of(other)) for other in others if kinds)


def _parts(spec: Schema, schema: Schema, owner: str) -> Iterator[tuple[str, Schema]]:
    """Return a schema and the groups it is put together from, each with the name of the schema it stands in."""
    yield owner, {key: value for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        schema = resolve(spec, schema)
        yield owner, schema
    for part in schema.get("allOf", ()):
        yield from _parts(spec, part, _component(part) or owner)


def _keywords(parts: Sequence[tuple[str, Schema]]) -> dict[str, dict[str, Any]]:
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for owner, schema in parts:
        found[owner] |= {key: value for key, value in schema.items() if key not in _SHAPE and key not in TEXTS}
    return found


def _fields(parts: Sequence[tuple[str, Schema]]) -> dict[str, _Field]:
    required = {name for _, schema in parts for name in schema.get("required", ())}
    return {
        name: _Field(owner, schema, name in required)
        for owner, part in parts
        for name, schema in part.get("properties", {}).items()
    }


def _field_at(owner: str, name: str, root: At) -> At:
    # An object inside a field has no name of its own: its members are found by the way to it.
    inner = f"{root.name}.{name}" if root.name and owner == root.owner else name
    return At(owner, inner, "request field" if root.request else "response field", root.request)


def _same_field(old: _Field, new: _Field) -> bool:
    schemas = [{key: value for key, value in field.schema.items() if key not in _NAMING} for field in (old, new)]
    return old.owner == new.owner and schemas[0] == schemas[1]


def _beyond(these: list[str], those: list[str]) -> list[str]:
    """Return the types of `these` that `those` do not have."""
    if not those:
        return []
    if not these:
        return ["another type"]
    return [kind for kind in these if kind not in those and not (kind == "integer" and "number" in those)]


def _values_of(kinds: list[str]) -> str:
    return f"values of {kinds[0]}" if kinds == ["another type"] else f"values of type {listed(kinds)}"


def _enumerated(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _word(schema: Schema, key: str, value: Any) -> str:
    return str(dict(zip(_enumerated(schema) or (), schema.get(key, ()), strict=False)).get(value, ""))


def _constant(schema: Schema, value: Any) -> str:
    name = _word(schema, "x-enum-varnames", value)
    return f"constants.{schema['x-constants']}.{name}" if name and "x-constants" in schema else name
