"""Values that a schema of the contract allows, made by schemathesis.

It makes requests. So that it makes answers and keywords too, the schema that is wanted is put into a small contract of
its own, as the body of its only request; the library that once made values straight from schemas does not work with
the hypothesis that is used here.
"""

import functools
import json
from typing import Any

import schemathesis
from hypothesis import strategies as st

from judging.contract import KINDS_OF_BODY, SCHEMAS, Schema, members, snake_case


def values(schema: Schema) -> st.SearchStrategy[Any]:
    """Return a strategy for values that a schema allows, with members that it does not name where it lets them be."""
    return _values(json.dumps(schema))


@functools.cache
def _values(schema: str) -> st.SearchStrategy[Any]:
    contract = {
        "openapi": "3.1.0",
        "info": {"title": "One schema", "version": "1"},
        "paths": {
            "/": {
                "post": {
                    "requestBody": {"required": True, "content": {"application/json": {"schema": json.loads(schema)}}},
                    "responses": {"204": {"description": "Nothing."}},
                }
            }
        },
        "components": {"schemas": SCHEMAS | _told()},
    }
    return schemathesis.openapi.from_dict(contract)["/"]["POST"].as_strategy().map(lambda case: case.body)


def _told() -> dict[str, Schema]:
    """Return schemas of experiments with stored parameters under the names that the client reads.

    The contract leaves both open; what is made at random would seldom be there, and have names that mean nothing.
    """
    experiment, history = SCHEMAS["Experiment"], SCHEMAS["TemplateHistory"]
    stored = {
        name: {"type": schema["type"], "items": {"type": "string"}}
        for request in KINDS_OF_BODY
        for wire_name, schema in members(request).items()
        for name in (wire_name, snake_case(wire_name))
    }
    params = history["properties"]["params"] | {"properties": stored}
    return {
        "Experiment": experiment | {"required": [*experiment["required"], "templateHistory"]},
        "TemplateHistory": history | {"properties": history["properties"] | {"params": params}, "required": ["params"]},
    }
