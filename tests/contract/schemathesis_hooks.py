"""Hooks for what schemathesis cannot know: formats of the contract, hosts of single operations, idempotency keys."""

import base64
import contextlib
import itertools
import json
from importlib.resources import files
from urllib.parse import urlencode, urlsplit

import schemathesis
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

KEY = json.loads((files("gradient_api") / "experiments.json").read_text(encoding="utf-8"))["components"]["parameters"][
    "IdempotencyKey"
]
KEY_SCHEMA = Draft202012Validator(KEY["schema"])
NUMBERS = itertools.count(1)

LONGEST_WAIT = 0.01
LONGEST_QUERY = 12_000
"""A head of more than 16 KiB is a 431 whatever is in it, which tests/server/api/test_protocol.py shows."""

schemathesis.openapi.format(
    "base64-text", st.text(min_size=1).map(lambda text: base64.b64encode(text.encode("utf-8")).decode("ascii"))
)


@schemathesis.hook
def before_init_operation(context: schemathesis.HookContext, operation: schemathesis.schemas.APIOperation) -> None:
    """Keep the path of a host that an operation has for itself: `--url` would put that of all others in its place."""
    own = operation.definition.raw.get("servers")
    if own and operation.base_url:
        operation.base_url = urlsplit(operation.base_url)._replace(path=urlsplit(own[0]["url"]).path).geturl()


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out URLs that are too long for any server, as those with a hundred long tags."""
    return len(urlencode(case.query or {}, doseq=True)) <= LONGEST_QUERY


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict) -> None:
    """Make generated keys new, as what comes again is to be tried; and wait for a moment where a minute is allowed."""
    given = (case.headers or {}).get(KEY["name"])
    if case.meta and KEY_SCHEMA.is_valid(given):
        case.headers[KEY["name"]] = f"{next(NUMBERS)}-{given}"[: KEY["schema"]["maxLength"]]
    wait = (case.query or {}).get("wait")
    with contextlib.suppress(TypeError, ValueError):
        if LONGEST_WAIT < float(wait) <= 60:
            case.query["wait"] = LONGEST_WAIT
