"""Keyword dictionaries made from the request schemas of the contract: right ones with what must arrive, and wrong ones.

A right one is a body that the schema allows, read backwards: what the contract calls by a wire name is given by its
Python name, and must come back as that body. Commands are given and compared as text.
"""

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator

from judging.contract import Schema, members, required
from judging.generated import values

ACCEPTED = {accepted.schema: accepted for accepted in (SINGLE_NODE_PARAMETERS, MULTI_NODE_PARAMETERS)}
NAMES = {
    request: {parameter.wire_name: parameter.name for parameter in accepted.parameters if parameter.is_sent}
    for request, accepted in ACCEPTED.items()
}
MISSING = object()
SIMPLE: dict[str, Any] = {"string": "text é", "integer": 2, "boolean": True, "object": {"A": "b", "C": None, "D": 0.5}}
SIMPLE["array"] = ["text é"]
ODD = ("", "text", 0, -1, -2, 1.5, True, [], ["text"], {}, {"A": []}, {"A": {"B": 1}}, {"A": float("nan")}, "\udc80")
ODD += ([""], ["a\nb"], ["\x1b[31m"], ["x" * 101], ["x"] * 101, [1], ["\udc80"], "x" * 10_004)


@frozen
class Given:
    """Keywords of a call, and what must arrive for them: members by wire names, commands as text."""

    keywords: Mapping[str, Any]
    plain: Mapping[str, Any]


def everything(request: str) -> Given:
    """Return every keyword at once."""
    plain = {wire: schema.get("enum", [SIMPLE[schema["type"]]])[0] for wire, schema in _open(request).items()}
    return Given({NAMES[request][wire]: value for wire, value in plain.items()}, _fixed(request) | plain)


@st.composite
def given_keywords(draw: st.DrawFn, request: str) -> Given:
    """Draw keywords that the contract allows."""
    body = draw(values({"$ref": f"#/components/schemas/{request}"}))
    keywords, plain = {}, _fixed(request)
    for wire, schema in _open(request).items():
        if wire in body:
            # To JSON Schema 2.0 is an integer, to Python it is none.
            value = int(body[wire]) if schema["type"] == "integer" else body[wire]
            keywords[NAMES[request][wire]], plain[wire] = draw(_ways_to_give(value, schema))
    return Given(keywords, plain)


def _ways_to_give(value: Any, schema: Schema) -> st.SearchStrategy[tuple[Any, Any]]:
    ways = st.just((value, value))
    if schema.get("x-also-given-as") == "integer":
        ways |= st.integers(1, 65535).map(lambda number: (number, str(number)))
    if "x-enum-aliases" in schema:
        word = schema["x-enum-aliases"][schema["enum"].index(value)]
        ways |= st.sampled_from([(word, value), (word.lower(), value)])
    return ways


def arrived(body: Mapping[str, Any], request: str) -> dict[str, Any]:
    """Return a body that was sent, with commands as text.

    :raises ValueError: a command is not base64 of UTF-8
    """
    encoded = {wire for wire, schema in members(request).items() if schema.get("contentEncoding") == "base64"}
    return {
        wire: base64.b64decode(value, validate=True).decode("utf-8") if wire in encoded else value
        for wire, value in body.items()
    }


def mistakes(request: str) -> Iterator[tuple[str, Any]]:
    """Yield each keyword with each value that the contract does not allow, and each required one as missing."""
    for wire, schema in _open(request).items():
        name = NAMES[request][wire]
        if wire in required(request):
            yield name, MISSING
        yield from ((name, odd) for odd in wrong_values(schema))


def wrong_values(schema: Schema) -> Iterator[Any]:
    """Yield values that a schema does not allow, and those that JSON in UTF-8 cannot hold."""
    allowed = OAS31Validator(schema)
    also = OAS31Validator({"type": schema.get("x-also-given-as", [])})
    for odd in ODD:
        if not _can_be_said(odd):
            yield from [odd] if allowed.is_valid(odd) else []
        elif not allowed.is_valid(odd) and not also.is_valid(odd):
            yield odd


def _can_be_said(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except ValueError:
        return False
    return True


def _open(request: str) -> dict[str, Schema]:
    """Return the members that a caller can choose."""
    return {wire: schema for wire, schema in members(request).items() if "const" not in schema}


def _fixed(request: str) -> dict[str, Any]:
    return {wire: schema["const"] for wire, schema in members(request).items() if "const" in schema}
