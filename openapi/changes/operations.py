"""One operation: its name in Python, its parameters, its bodies and its statuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from derive import Schema, resolve, snake_case

from changes.change import At, Findings
from changes.keywords import BY_HAND
from changes.schemas import SchemaComparison
from changes.wording import without_texts

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_PARTS = {"operationId", "tags", "parameters", "requestBody", "responses", "servers", "security"}


@dataclass(frozen=True)
class Operation:
    """One operation, with what its path says about it too."""

    method: str
    path: str
    content: Schema
    shared: Sequence[Schema]

    @property
    def name(self) -> str:
        """The id, or the address where it has none."""
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
        return f"gradient_api.api.{snake_case(tag)}.{snake_case(self.name)}"


class OperationComparison:
    """Compare operations of two contracts.

    :param old: the contract that callers know
    :param new: the contract that is to be
    :param SchemaComparison schemas: compares what is sent and answered
    :param Findings found: where changes are put
    """

    def __init__(self, old: Schema, new: Schema, schemas: SchemaComparison, found: Findings) -> None:
        self._old = old
        self._new = new
        self._schemas = schemas
        self._found = found

    def visit(self, old: Operation, new: Operation) -> None:
        """Compare one operation with itself."""
        at = At(new.name, "", "operation", request=True)
        if old.function != new.function:
            sentence = f"in Python {new.function} instead of {old.function}; the wire stays the same"
            self._found.add("changed", at, sentence, f"{old.function} is gone")
        self._compare_parameters(old, new)
        self._compare_body(old.content.get("requestBody"), new.content.get("requestBody"), at)
        self._compare_responses(old.content["responses"], new.content["responses"], new.name)
        self._compare_rest(old.content, new.content, _PARTS, at)

    def _compare_parameters(self, old: Operation, new: Operation) -> None:
        before, after = _parameters(self._old, old), _parameters(self._new, new)
        gone, fresh = [key for key in before if key not in after], [key for key in after if key not in before]
        for key in gone:
            at = At(new.name, key[1], f"{key[0]} parameter", request=True)
            twins = [other for other in fresh if _same_parameter(before[key][1], after[other][1])]
            if len(twins) == 1 and sum(_same_parameter(before[key][1], before[other][1]) for other in gone) == 1:
                fresh.remove(twins[0])
                breaks = "callers who write the old name get an error"
                self._found.add("renamed", at, f"{at.noun}, now {twins[0][1]}", breaks)
            else:
                breaks = "callers who give it are not heard, or get an error"
                self._found.add("removed", at, _presence(before[key][1], at), breaks)
        for key in fresh:
            at = At(new.name, key[1], f"{key[0]} parameter", request=True)
            breaks = "callers who do not give it are refused" if after[key][1].get("required") else ""
            self._found.add("added", at, _presence(after[key][1], at), breaks)
        for key in before:
            if key in after:
                # The same parameter of many operations is one change.
                same = before[key][0] and before[key][0] == after[key][0]
                owner = f"parameter {before[key][0]}" if same else new.name
                name = "" if same else key[1]
                self._compare_parameter(
                    before[key][1], after[key][1], At(owner, name, f"{key[0]} parameter", request=True)
                )

    def _compare_parameter(self, old: Schema, new: Schema, at: At) -> None:
        before, after = old.get("required", False), new.get("required", False)
        if before != after:
            breaks = "callers who do not give it are refused" if after else ""
            self._found.add("changed", at, f"{at.noun}, {'now' if after else 'no longer'} required", breaks)
        self._schemas.visit(old.get("schema", {}), new.get("schema", {}), at)
        self._compare_rest(old, new, {"name", "in", "required", "schema"}, at)

    def _compare_body(self, old: Schema | None, new: Schema | None, at: At) -> None:
        if old is None or new is None:
            if new is not None:
                required = resolve(self._new, new).get("required", False)
                breaks = "old callers send none" if required else ""
                self._found.add("added", At(at.owner, "body", "body", request=True), "request body", breaks)
            elif old is not None:
                breaks = "what old callers send is refused, or not heard"
                self._found.add("removed", At(at.owner, "body", "body", request=True), "request body", breaks)
            return
        old, new = resolve(self._old, old), resolve(self._new, new)
        before, after = old.get("required", False), new.get("required", False)
        if before != after:
            breaks = "callers who send none are refused" if after else ""
            self._found.add("changed", at, f"request body {'now' if after else 'no longer'} required", breaks)
        self._compare_content(old.get("content", {}), new.get("content", {}), At(at.owner, "body", "body", True))

    def _compare_content(self, old: Schema, new: Schema, at: At) -> None:
        for media in old.keys() - new.keys():
            breaks = "old clients send it" if at.request else "old clients read it"
            self._found.add("removed", At(at.where, media, "media type", at.request), "media type", breaks)
        for media in new.keys() - old.keys():
            self._found.add("added", At(at.where, media, "media type", at.request), "media type")
        for media in sorted(old.keys() & new.keys()):
            self._schemas.visit(old[media].get("schema", {}), new[media].get("schema", {}), at)
            self._compare_rest(old[media], new[media], {"schema"}, at)

    def _compare_responses(self, old: Schema, new: Schema, owner: str) -> None:
        for status in old.keys() - new.keys():
            breaks = "callers wait for it" if _is_success(status) else ""
            self._found.add("removed", At(owner, status, "status", request=False), "status", breaks)
        for status in new.keys() - old.keys():
            breaks = "old clients do not know what it means" if _is_success(status) else ""
            self._found.add("added", At(owner, status, "status", request=False), "status", breaks)
        for status in sorted(old.keys() & new.keys()):
            at = At(owner, status, "status", request=False)
            before, after = resolve(self._old, old[status]), resolve(self._new, new[status])
            self._compare_content(before.get("content", {}), after.get("content", {}), at)
            self._compare_headers(before.get("headers", {}), after.get("headers", {}), at)
            self._compare_rest(before, after, {"content", "headers"}, at)

    def _compare_headers(self, old: Schema, new: Schema, at: At) -> None:
        for name in old.keys() - new.keys():
            header = At(at.where, name, "header", request=False)
            self._found.add("removed", header, "response header", "callers who read it miss it")
        for name in new.keys() - old.keys():
            self._found.add("added", At(at.where, name, "header", request=False), "response header")
        for name in sorted(old.keys() & new.keys()):
            before, after = resolve(self._old, old[name]), resolve(self._new, new[name])
            inner = At(at.where, name, "header", request=False)
            self._schemas.visit(before.get("schema", {}), after.get("schema", {}), inner)

    def _compare_rest(self, old: Schema, new: Schema, known: set[str], at: At) -> None:
        """Report what this comparison does not know, so that it does not pass unseen."""
        before, after = (
            {key: value for key, value in without_texts(part).items() if key not in known} for part in (old, new)
        )
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                self._found.add("changed", at, f"{key} is not what it was", "" if key == "deprecated" else BY_HAND)


def operations_of(spec: Schema) -> dict[str, Operation]:
    """Give the operations of a contract by their keys."""
    operations = [
        Operation(method.upper(), path, content, item.get("parameters", ()))
        for path, item in spec["paths"].items()
        for method, content in item.items()
        if method in _METHODS
    ]
    return {operation.key: operation for operation in operations}


def _parameters(spec: Schema, operation: Operation) -> dict[tuple[str, str], tuple[str, Schema]]:
    """Give the parameters by place and name, each with the name of the shared one that it is."""
    found = {}
    for written in (*operation.shared, *operation.content.get("parameters", ())):
        parameter = resolve(spec, written)
        found[parameter["in"], parameter["name"]] = (written.get("$ref", "").rpartition("/")[2], parameter)
    return found


def _presence(parameter: Schema, at: At) -> str:
    return f"{'required' if parameter.get('required') else 'optional'} {at.noun}"


def _same_parameter(one: Schema, other: Schema) -> bool:
    return {**one, "name": ""} == {**other, "name": ""}


def _is_success(status: str) -> bool:
    return status[0] in "123"
