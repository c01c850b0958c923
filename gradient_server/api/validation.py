"""Validation of requests and responses against the contract. No I/O."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, cast

from gradient_server.api.contract import BodySchema, Operation, Parameter, RequestBody, Schema, fixed_values
from gradient_server.api.responses import ApiResponse

MISSING = "Missing data for required field."
MAX_DEPTH = 64
"""How deep a body can be nested; parsers and serializers of JSON fail beyond some hundred levels."""
MAX_VALUES = 10_000
"""How many values a body can have at all depths; a useful one has less than a hundred."""
MAX_DIGITS = 500
"""How many digits a whole number in a body can have: the time that each takes grows with their square."""
MAX_TEXTS = 5
"""How many problems of a property or parameter are named; the others are counted."""
MAX_NAMES = 100
"""How many properties and parameters with problems are named."""
_MAX_QUOTED = 80
"""Characters of a name that an error repeats."""
_NOT_BASE64 = "It must be UTF-8 text in base64."
_TOO_DEEP = f"The body is nested more than {MAX_DEPTH} deep."
_TOO_MANY = f"The body has more than {MAX_VALUES:,} values."
_INTEGER = re.compile(r"-?[0-9]{1,4000}", re.ASCII)  # Python refuses to parse longer ones.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
Problems = dict[str, list[str]]


class InvalidRequestError(Exception):
    """A request that the contract does not allow.

    :param problems: texts by the name of the property or parameter, or one text about the whole; of many problems the
        first ones are kept
    """

    def __init__(self, problems: Problems | str) -> None:
        self.problems = problems if isinstance(problems, str) else _first(problems)
        super().__init__(self.problems)


class InvalidJsonError(ValueError):
    """Bytes are not a JSON object; the text says why, without repeating them."""


def _first(problems: Problems) -> Problems:
    """Return the first problems, so that an error stays short whatever is wrong."""
    found: Problems = {}
    for name, texts in list(problems.items())[:MAX_NAMES]:
        more = len(texts) - MAX_TEXTS
        found[shorten(name)] = texts[:MAX_TEXTS] + ([f"There are {more:,} more problems."] if more > 0 else [])
    return found


def shorten(name: str) -> str:
    """Return the beginning of a name that a client has chosen, for an error."""
    return name if len(name) <= _MAX_QUOTED else f"{name[:_MAX_QUOTED]}..."


# --- parameters


def validate_parameters(
    operation: Operation, path: Mapping[str, str], query: Iterable[tuple[str, str]], headers: Mapping[str, str]
) -> dict[str, Any]:
    """Return the values of the declared parameters by name; unknown parameters are ignored.

    :raises InvalidRequestError: parameters are missing or invalid
    """
    values: dict[str, Any] = {}
    problems: Problems = {}
    pairs = list(query)
    for parameter in operation.parameters:
        given = _given_values(parameter, path, pairs, headers)
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
        try:
            if parameter.is_json:
                value = parse_json_object(value.encode())
            texts = list(dict.fromkeys(error.message for error in parameter.validator.iter_errors(value)))
        except InvalidJsonError as error:
            texts = [str(error).replace("body", "value")]
        if texts:
            problems[parameter.name] = texts
        values[parameter.name] = value
    if problems:
        raise InvalidRequestError(problems)
    return values


def _given_values(
    parameter: Parameter, path: Mapping[str, str], query: list[tuple[str, str]], headers: Mapping[str, str]
) -> list[Any]:
    """Return every value that a request has for a parameter."""
    kind = "string" if parameter.is_json else parameter.schema.get("type")
    if kind == "object":
        pattern = re.compile(re.escape(parameter.name) + r"\[(.*)\]", re.DOTALL)
        members = [(found[1], value) for name, value in query if (found := pattern.fullmatch(name))]
        # As many as there are of the member that is given most often.
        times = max(Counter(name for name, _ in members).values(), default=0)
        return [dict(members)] * times
    match parameter.location:
        case "path":
            texts = [path[parameter.name]]
        case "header":
            texts = [headers[parameter.name]] if parameter.name in headers else []
        case _:
            texts = [value for name, value in query if name == parameter.name]
    if kind == "array" and texts:
        item_kind = parameter.schema.get("items", {}).get("type")
        return [[_parse_value(text, item_kind) for text in texts]]
    return [_parse_value(text, kind) for text in texts]


def _parse_value(text: str, kind: str | None) -> Any:
    """Return the value of a parameter in its JSON type, or as text, which the validator then rejects."""
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "number" and _NUMBER.fullmatch(text):
        return float(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


# --- bodies


def validate_body(body: RequestBody, raw: bytes) -> dict[str, Any]:
    """Return the declared properties of a JSON body, with base64 properties decoded to text.

    :raises InvalidRequestError: the bytes are no JSON object, or match none of the schemas
    """
    if not raw and not body.required:
        return {}
    try:
        given = parse_json_object(raw)
    except InvalidJsonError as error:
        raise InvalidRequestError(str(error)) from None
    schema, problems = _closest_schema(body, given)
    if problems:
        raise InvalidRequestError(problems)
    if not schema.properties:
        return given
    return {name: _decode(found, given[name]) for name, found in schema.properties.items() if name in given}


def _closest_schema(body: RequestBody, given: Mapping[str, Any]) -> tuple[BodySchema, Problems]:
    """Return the schema that was meant, by its discriminator and then by the fewest problems, with the problems."""
    name = body.discriminator
    # Each validation of a large body takes a while.
    meant = [schema for schema in body.schemas if name and given.get(name) in fixed_values(schema.properties[name])]
    candidates = [(schema, _problems(schema, given)) for schema in meant or body.schemas]
    closest = min(candidates, key=lambda found: (name in found[1], len(found[1])))
    if name is not None and all(name in problems for _, problems in candidates):
        return closest[0], {name: [_unknown_discriminator(body, name) if name in given else MISSING]}
    return closest


def _unknown_discriminator(body: RequestBody, name: str) -> str:
    values = dict.fromkeys(value for schema in body.schemas for value in fixed_values(schema.properties[name]))
    return f"It must be one of {', '.join(map(json.dumps, values))}."


def _problems(schema: BodySchema, given: Mapping[str, Any]) -> Problems:
    found: dict[str, dict[str, None]] = {}
    for error in schema.validator.iter_errors(given):
        if error.kind.name == "required":
            name, text = error.kind.as_dict()["property"], MISSING
        else:
            name, *inside = [str(step) for step in error.instance_path] or ["body"]
            text = error.message + (f" (at {'.'.join(map(shorten, inside))})" if inside else "")
        found.setdefault(name, {})[text] = None
    problems = {name: list(texts) for name, texts in found.items()}
    for name, declared in schema.properties.items():
        # Clearer than the pattern for base64, and a pattern cannot say that it is UTF-8.
        if _is_base64(declared) and isinstance(given.get(name), str) and _decode_base64(given[name]) is None:
            problems[name] = [_NOT_BASE64]
    return problems


def _is_base64(schema: Schema) -> bool:
    return schema.get("contentEncoding") == "base64"


def _decode_base64(value: str) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        return None


def _decode(schema: Schema, value: Any) -> Any:
    if _is_base64(schema) and isinstance(value, str):
        return _decode_base64(value)
    # To JSON Schema 2.0 is an integer.
    return int(value) if isinstance(value, float) and schema.get("type") == "integer" else value


# --- JSON


def parse_json_object(raw: bytes) -> dict[str, Any]:
    """Return a JSON object that can be serialized as JSON in UTF-8 again.

    :raises InvalidJsonError: the bytes are not one
    """
    try:
        text = raw.decode("utf-8-sig")
        found: Any = json.loads(text, parse_constant=_reject_constant, parse_float=_finite, parse_int=_integer)
    except UnicodeDecodeError:
        raise InvalidJsonError("The body is not text in UTF-8.") from None
    except json.JSONDecodeError as error:
        text = f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}."
        raise InvalidJsonError(text) from None
    except RecursionError:
        raise InvalidJsonError(_TOO_DEEP) from None
    except ValueError:
        raise InvalidJsonError("The body is not JSON: it has a number that is too large.") from None
    if not isinstance(found, dict):
        raise InvalidJsonError("The body must be a JSON object.")
    body = cast("dict[str, Any]", found)
    _check_bounds(body)
    try:
        json.dumps(body, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidJsonError("The body is not text in UTF-8: half of a surrogate pair is escaped in it.") from None
    return body


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(text: str) -> int:
    if len(text.removeprefix("-")) > MAX_DIGITS:
        raise ValueError(f"it has more than {MAX_DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("JSON has no infinity")
    return value


def _check_bounds(body: object) -> None:
    """Raise an error if a value is nested too deep, or has too many values in it."""
    level, total = [body], 0
    for _ in range(MAX_DEPTH):
        total += len(level)
        if total > MAX_VALUES:
            raise InvalidJsonError(_TOO_MANY)
        level = [child for value in level for child in _children(value)]
    if level:
        raise InvalidJsonError(_TOO_DEEP)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


# --- responses


def response_problem(operation: Operation, response: ApiResponse) -> str | None:
    """Return why the contract does not allow a response; None: it does."""
    media_types = operation.response_validators(response.status)
    if media_types is None:
        return f"it has no status {response.status}"
    if not media_types:
        return None if response.body is None else f"status {response.status} has no body"
    media_type = _media_type(response.body)
    if media_type not in media_types:
        return f"status {response.status} has no body of {media_type}"
    if isinstance(response.body, bytes):
        return None
    errors = media_types[media_type].iter_errors(response.body)
    found = [f"{'.'.join(map(str, error.instance_path)) or 'the body'}: {error.message}" for error in errors]
    return "; ".join(found) or None


def _media_type(body: object) -> str:
    if isinstance(body, bytes):
        return "application/octet-stream"
    return "text/plain" if isinstance(body, str) else "application/json"
