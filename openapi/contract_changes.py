"""Changes between two versions of the contract, where they are, and whether old callers break. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from derive import Schema, resolve, server_url
from openapi_python_client.strings import PythonIdentifier
from schema_changes import BY_HAND, REFUSED, At, Change, Findings, SchemaComparison, renamings, without_texts

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_COMPARED = {
    "contract": {"info", "tags", "servers", "security", "paths", "components"},
    "operation": {"operationId", "tags", "parameters", "requestBody", "responses", "servers"},
    "parameter": {"name", "in", "required", "schema"},
    "media type": {"schema"},
    "status": {"content"},
}
"""The keys that have comparisons of their own; of all others it is only said that they changed."""


@dataclass(frozen=True)
class Operation:
    """One operation, with the parameters that it has from its path."""

    method: str
    path: str
    content: Schema
    shared: Sequence[Schema]

    @property
    def name(self) -> str:
        """The id, or the address where there is none."""
        return str(self.content.get("operationId", self.address))

    @property
    def address(self) -> str:
        """The method and the path."""
        return f"{self.method} {self.path}"

    @property
    def key(self) -> str:
        """The address, whatever its variables are called."""
        return f"{self.method} {re.sub(r'{.*?}', '{}', self.path)}"

    @property
    def function(self) -> str:
        """The module of the generated function."""
        tag = next(iter(self.content.get("tags", ())), "default")
        return f"gradient_api.api.{PythonIdentifier(tag, 'tag')}.{PythonIdentifier(self.name, 'field_')}"


def compare(old: Schema, new: Schema) -> list[Change]:
    """Return what changed, each change once, in an order that depends on nothing but the changes.

    :param old: the contract that callers know
    :param new: the contract that is to be
    """
    found = Findings()
    _Comparison(old, new, found).run()
    changes = found.changes()
    if not changes and without_texts(_bare(old)) != without_texts(_bare(new)):
        sentence = "written in another way; nothing that this comparison knows is different"
        return [Change("changed", "contract", "", ("the contract",), sentence)]
    return changes


def _bare(spec: Schema) -> Schema:
    return {key: value for key, value in spec.items() if key not in ("info", "tags")}


class _Comparison:
    def __init__(self, old: Schema, new: Schema, found: Findings) -> None:
        self._old = old
        self._new = new
        self._found = found
        self._schemas = SchemaComparison(old, new, found)

    def run(self) -> None:
        """Compare the operations of both contracts, and what is around them."""
        old, new = self._old, self._new
        everywhere = At("all operations", "", "contract", request=True)
        self._compare_servers(old, new, everywhere)
        if old.get("security") != new.get("security"):
            needed, enough = old.get("security") or [{}], new.get("security") or [{}]
            has_access = {} in enough or all(one in enough for one in needed)
            breaks = "" if has_access else "old callers may have no access"
            self._found.add("changed", everywhere, "security is not what it was", breaks)
        before, after = (without_texts(spec["components"].get("securitySchemes", {})) for spec in (old, new))
        for name in sorted(before.keys() & after.keys()):
            if before[name] != after[name]:
                at = At(f"securitySchemes {name}", "", "contract", request=True)
                self._found.add("changed", at, "the key is given in another way", "old clients give it in the old way")
        self._compare_rest(old, new, everywhere)
        for operation, other in self._paired():
            self._compare_operation(operation, other)
        self._schemas.finish()

    def _paired(self) -> Iterator[tuple[Operation, Operation]]:
        """Return the operations that both contracts have, and add those that came, went or moved."""
        old, new = _operations(self._old), _operations(self._new)
        gone = {operation.name: operation for key, operation in old.items() if key not in new}
        fresh = {operation.name: operation for key, operation in new.items() if key not in old}
        for name, operation in gone.items():
            at = At(operation.address, "", "operation", request=True)
            if name in fresh:
                sentence = f"operation {name}, now {fresh[name].address}"
                self._found.add("renamed", at, sentence, "old clients call the old address")
                yield operation, fresh.pop(name)
            else:
                sentence = f"operation {name}; in Python {operation.function}"
                self._found.add("removed", at, sentence, "calls of it fail")
        for name, operation in fresh.items():
            at = At(operation.address, "", "operation", request=True)
            self._found.add("added", at, f"operation {name}; in Python {operation.function}")
        yield from ((old[key], new[key]) for key in old if key in new)

    def _compare_operation(self, old: Operation, new: Operation) -> None:
        at = At(new.name, "", "operation", request=True)
        if old.function != new.function:
            sentence = f"in Python {new.function} instead of {old.function}; the wire stays the same"
            self._found.add("changed", at, sentence, f"{old.function} is gone")
        if "servers" in {**old.content, **new.content}:
            self._compare_servers({**self._old, **old.content}, {**self._new, **new.content}, at)
        self._compare_parameters(old, new)
        self._compare_body(old.content.get("requestBody"), new.content.get("requestBody"), at)
        self._compare_responses(old.content["responses"], new.content["responses"], at)
        self._compare_rest(old.content, new.content, at)

    def _compare_servers(self, old: Schema, new: Schema, at: At) -> None:
        before, after = ([server_url(server) for server in spec.get("servers", ())] for spec in (old, new))
        owner = At(at.owner, "", "server", request=True)
        self._found.members(dict.fromkeys(before), dict.fromkeys(after), owner, "server", "old clients call it", "")
        if before[:1] != after[:1] and before[:1] and before[0] in after:
            sentence = f"default server {after[0]} instead of {before[0]}"
            self._found.add("changed", at, sentence, "who gives no address calls another server")

    def _compare_parameters(self, old: Operation, new: Operation) -> None:
        before, after = _parameters(self._old, old), _parameters(self._new, new)
        for was, now in list(renamings(before, after, _same_parameter)):
            at = At(new.name, was[1], f"{was[0]} parameter", request=True)
            self._found.add("renamed", at, f"{at.noun}, now {now[1]}", "callers who write the old name get an error")
            del before[was], after[now]
        for key in before.keys() - after.keys():
            at = At(new.name, key[1], f"{key[0]} parameter", request=True)
            sentence = _presence(before[key][1], at)
            self._found.add("removed", at, sentence, "callers who give it are not heard, or get an error")
        for key in after.keys() - before.keys():
            at = At(new.name, key[1], f"{key[0]} parameter", request=True)
            breaks = REFUSED if after[key][1].get("required") else ""
            self._found.add("added", at, _presence(after[key][1], at), breaks)
        for key in before.keys() & after.keys():
            # The same parameter of many operations is one change.
            (shared, old_one), (other, new_one) = before[key], after[key]
            is_shared = shared and shared == other
            owner, name = (f"parameter {shared}", "") if is_shared else (new.name, key[1])
            at = At(owner, name, f"{key[0]} parameter", request=True)
            self._found.required(old_one.get("required", False), new_one.get("required", False), at)
            self._schemas.visit(old_one.get("schema", {}), new_one.get("schema", {}), at)
            self._compare_rest(old_one, new_one, at, "parameter")

    def _compare_body(self, old: Schema | None, new: Schema | None, at: At) -> None:
        at = At(at.owner, "body", "request body", request=True)
        if old is not None and new is not None:
            old, new = resolve(self._old, old), resolve(self._new, new)
            self._found.required(old.get("required", False), new.get("required", False), at)
            self._compare_content(old.get("content", {}), new.get("content", {}), at)
        elif new is not None:
            required = resolve(self._new, new).get("required", False)
            self._found.add("added", at, at.noun, "old callers send none" if required else "")
        elif old is not None:
            self._found.add("removed", at, at.noun, "what old callers send is refused, or not heard")

    def _compare_responses(self, old: Schema, new: Schema, at: At) -> None:
        at = At(at.owner, "", "status", request=False)
        for is_success in (True, False):
            before, after = (
                {status: resolve(spec, one) for status, one in responses.items() if _is_success(status) == is_success}
                for spec, responses in ((self._old, old), (self._new, new))
            )
            reasons = ("callers wait for it", "old clients do not know what it means") if is_success else ("", "")
            for status in self._found.members(before, after, at, "status", *reasons):
                one = At(at.owner, status, "status", request=False)
                self._compare_content(before[status].get("content", {}), after[status].get("content", {}), one)
                self._compare_rest(before[status], after[status], one)

    def _compare_content(self, old: Schema, new: Schema, at: At) -> None:
        lost = "old clients send it" if at.request else "old clients read it"
        for media in self._found.members(old, new, at, "media type", lost, ""):
            self._schemas.visit(old[media].get("schema", {}), new[media].get("schema", {}), at)
            self._compare_rest(old[media], new[media], at, "media type")

    def _compare_rest(self, old: Schema, new: Schema, at: At, kind: str = "") -> None:
        """Add what this comparison does not know, so that it does not pass unseen."""
        known = _COMPARED[kind or at.noun]
        before, after = (
            {key: value for key, value in without_texts(part).items() if key not in known} for part in (old, new)
        )
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                self._found.add("changed", at, f"{key} is not what it was", "" if key == "deprecated" else BY_HAND)


def _operations(spec: Schema) -> dict[str, Operation]:
    found = (
        Operation(method.upper(), path, content, item.get("parameters", ()))
        for path, item in spec["paths"].items()
        for method, content in item.items()
        if method in _METHODS
    )
    return {operation.key: operation for operation in found}


def _parameters(spec: Schema, operation: Operation) -> dict[tuple[str, str], tuple[str, Schema]]:
    """Return the parameters by place and name, each with the name of the shared one that it is."""
    found = {}
    for written in (*operation.shared, *operation.content.get("parameters", ())):
        parameter = resolve(spec, written)
        found[parameter["in"], parameter["name"]] = (written.get("$ref", "").rpartition("/")[2], parameter)
    return found


def _presence(parameter: Schema, at: At) -> str:
    return f"{'required' if parameter.get('required') else 'optional'} {at.noun}"


def _same_parameter(one: tuple[str, Schema], other: tuple[str, Schema]) -> bool:
    return {**one[1], "name": ""} == {**other[1], "name": ""}


def _is_success(status: str) -> bool:
    return status[0] in "123"
