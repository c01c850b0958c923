"""Whether a request is as the contract says. Pure: raw parts in, typed values or problems out."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gradient_server.api.contract import BodyKind, Operation, Parameter
from gradient_server.api.json_object import NotAnObject, json_object

MISSING = "Missing data for required field."
_NOT_BASE64 = "It must be UTF-8 text in base64."
_INTEGER = re.compile(r"-?[0-9]{1,4000}", re.ASCII)  # Python refuses to read longer ones.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
Problems = dict[str, list[str]]


class InvalidRequest(Exception):
    """A request is not as the contract says.

    :param problems: texts by the name of the member or parameter, or one text about the whole
    """

    def __init__(self, problems: Problems | str) -> None:
        super().__init__(problems)
        self.problems = problems


def checked_parameters(
    operation: Operation, path: Mapping[str, str], query: Iterable[tuple[str, str]], headers: Mapping[str, str]
) -> dict[str, Any]:
    """Return the values of the declared parameters by their names; others are let be.

    :raises InvalidRequest: one or more are missing or wrong
    """
    values: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    pairs = list(query)
    for parameter in operation.parameters:
        given = _given(parameter, path, pairs, headers)
        if not given:
            if parameter.required:
                problems[parameter.name] = [MISSING]
            elif "default" in parameter.schema:
                values[parameter.name] = parameter.schema["default"]
            continue
        if len(given) > 1:
            problems[parameter.name] = ["Give it once."]
            continue
        value = given[0]
        texts = [error.message for error in parameter.validator.iter_errors(value)]
        if texts:
            problems[parameter.name] = texts
        values[parameter.name] = value
    if problems:
        raise InvalidRequest(problems)
    return values


def _given(
    parameter: Parameter, path: Mapping[str, str], query: list[tuple[str, str]], headers: Mapping[str, str]
) -> list[Any]:
    if parameter.schema["type"] == "object":
        pattern = re.compile(re.escape(parameter.name) + r"\[([^\]]*)\]")
        members = [(found[1], value) for name, value in query if (found := pattern.fullmatch(name))]
        # Given as often as the member that is given most often.
        times = max(Counter(name for name, _ in members).values(), default=0)
        return [dict(members)] * times
    match parameter.place:
        case "path":
            texts = [path[parameter.name]]
        case "header":
            texts = [headers[parameter.name]] if parameter.name in headers else []
        case _:
            texts = [value for name, value in query if name == parameter.name]
    return [_typed(text, parameter.schema["type"]) for text in texts]


def _typed(text: str, kind: str) -> Any:
    """Read what stands in an address or a header as JSON would write it; what is no number stays text."""
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "number" and _NUMBER.fullmatch(text):
        return float(text)
    return text


def checked_body(operation: Operation, raw: bytes) -> dict[str, Any]:
    """Return the members that the contract knows, with what comes in base64 as text.

    :raises InvalidRequest: it is no JSON object, or not one of the kinds that the operation takes
    """
    try:
        body = json_object(raw)
    except NotAnObject as error:
        raise InvalidRequest(str(error)) from None
    kind, problems = _meant(operation.body_kinds, body)
    if problems:
        raise InvalidRequest(problems)
    return {name: _decoded(schema, body[name]) for name, schema in kind.properties.items() if name in body}


def _meant(kinds: tuple[BodyKind, ...], body: Mapping[str, Any]) -> tuple[BodyKind, Problems]:
    """Find the kind of body that was meant: one that admits the type given, and of these the one with least wrong."""
    found = [(kind, _problems(kind, body)) for kind in kinds]
    chosen = min(found, key=lambda pair: ("experimentTypeId" in pair[1], len(pair[1])))
    if all("experimentTypeId" in problems for _, problems in found):
        texts = [MISSING] if "experimentTypeId" not in body else ["There is no such type of experiment."]
        return chosen[0], {"experimentTypeId": texts}
    return chosen


def _problems(kind: BodyKind, body: Mapping[str, Any]) -> Problems:
    problems: Problems = {}
    for error in kind.validator.iter_errors(body):
        if error.kind.name == "required":
            name, text = error.kind.as_dict()["property"], MISSING
        else:
            name, *inside = [str(step) for step in error.instance_path] or ["body"]
            text = error.message + (f" (at {'.'.join(inside)})" if inside else "")
        texts = problems.setdefault(name, [])
        if text not in texts:
            texts.append(text)
    for name, schema in kind.properties.items():
        # What the pattern says of base64 is said better here, and a pattern cannot say that it is UTF-8.
        if _is_base64(schema) and isinstance(body.get(name), str) and _text_of(body[name]) is None:
            problems[name] = [_NOT_BASE64]
    return problems


def _is_base64(schema: Mapping[str, Any]) -> bool:
    return schema.get("contentEncoding") == "base64"


def _text_of(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        return None


def _decoded(schema: Mapping[str, Any], value: Any) -> Any:
    if _is_base64(schema):
        return _text_of(value)
    # To JSON Schema 2.0 is an integer.
    return int(value) if schema.get("type") == "integer" else value
