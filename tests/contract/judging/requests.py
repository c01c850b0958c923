"""Whether what went over the socket is a request of the contract.

The judge is openapi-core: it finds the operation for method, host and path, reads parameters out of path and query in
the style that the contract gives them, and checks the key, the content type and the body with python-jsonschema. None
of this is how the server of this project does it (its own reading, then jsonschema-rs), so that a mistake which client
and server share is seen here. It is the only such judge that needs no further code to understand a request, and since
it asks for Starlette as an extra only, it lives beside the server's.

What openapi-core lets pass, because a server must, is added here: a client sends nothing that the contract does not
name.
"""

import copy
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen
from jsonschema import ValidationError
from jsonschema_path import SchemaPath
from openapi_core import OpenAPI
from openapi_core.datatypes import Parameters, RequestParameters
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.paths.finders import APICallPathFinder
from werkzeug.datastructures import Headers, ImmutableMultiDict

from judging.contract import KEY_HEADER, OPERATIONS, SPEC, Operation, Schema

HOST = "http://recorded"
EXPERIMENTS_PLACE = "/experiments/v1"
PLACES = {"logs": "/where-logs-are", "projects": "/where-projects-are", "tags": "/where-projects-are"}
"""Where the operations of each tag are that have a host of their own."""
HTTPS_OWN_HEADERS = frozenset({"accept", "accept-encoding", "connection", "content-length", "host", "user-agent"})


@frozen(kw_only=True)
class SentRequest:
    """A request as it was recorded, in the terms in which openapi-core asks for one."""

    method: str = field(converter=str.lower)
    target: str
    headers: Headers = field(converter=Headers)
    raw: bytes
    host_url: str = HOST
    parameters: RequestParameters = field(init=False)

    def __attrs_post_init__(self) -> None:
        parameters = RequestParameters(query=ImmutableMultiDict(self.query), header=self.headers)
        object.__setattr__(self, "parameters", parameters)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True, strict_parsing=True, errors="strict")

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "")

    @property
    def body(self) -> bytes | None:
        return self.raw or None


@frozen(kw_only=True)
class Judgement:
    """The operation, parameters and body of a request, and what is wrong with it."""

    complaints: tuple[str, ...]
    operation: Operation | None = None
    parameters: Mapping[str, Any] = field(factory=dict)
    key: str | None = None
    body: Any = None


def judge(request: SentRequest) -> Judgement:
    """Validate a request, and list all that is not as the contract says."""
    operation = operation_of(request.method, request.target)
    if operation is None:
        return Judgement(complaints=(f"there is no {request.method.upper()} {request.path}",))
    read = _READER.unmarshal_request(request)
    return Judgement(
        complaints=(*map(_said, read.errors), *_additional(operation, request)),
        operation=operation,
        parameters=_sent(read.parameters, request),
        key=request.headers.get(KEY_HEADER),
        body=json.loads(request.raw) if request.raw and request.content_type == "application/json" else request.body,
    )


def operation_of(method: str, target: str) -> Operation | None:
    """Return the operation that a request is for, at the place where it has to be."""
    try:
        found = _FINDER.find(method.lower(), HOST + urlsplit(target).path)
    except PathError:
        return None
    return OPERATIONS[(found.operation / "operationId").read_str()]


def _strict() -> dict[str, Any]:
    """Return the contract for the address where requests are recorded, without unnamed members in bodies."""
    strict = copy.deepcopy(dict(SPEC))
    strict["servers"] = [{"url": HOST + EXPERIMENTS_PLACE}]
    for item in strict["paths"].values():
        for operation in item.values():
            if "requestBody" in operation and "application/octet-stream" in operation["requestBody"].get("content", ()):
                # To openapi-core, bytes are no value of the type string.
                operation["requestBody"]["content"]["application/octet-stream"]["schema"] = {}
            if "servers" in operation:
                (tag,) = operation["tags"]
                operation["servers"] = [{"url": HOST + PLACES[tag]}]
    for schema in strict["components"]["schemas"].values():
        if "x-experiment" in schema or "x-parameters" in schema:
            schema["unevaluatedProperties"] = False
    return strict


_READER = OpenAPI.from_dict(_strict())
_FINDER = APICallPathFinder(SchemaPath.from_dict(_strict()))


def _sent(read: Parameters, request: SentRequest) -> dict[str, Any]:
    """Return the parameters that were sent, without the defaults that the reader adds."""
    in_query = {name.partition("[")[0] for name, _ in request.query}
    query = {name: value for name, value in read.query.items() if name in in_query}
    return {**read.path, **query, **{name: value for name, value in read.header.items() if name in request.headers}}


def _said(error: BaseException) -> str:
    """Return the text of the first cause of an error, where openapi-core keeps what exactly is wrong."""
    wrong_values = getattr(error, "schema_errors", None)
    if wrong_values:
        return "; ".join(f"{wrong.json_path}: {wrong.message:.200}" for wrong in _as_meant(wrong_values))
    return _said(error.__cause__) if error.__cause__ else f"{type(error).__name__}: {error}"


def _as_meant(wrong_values: Sequence[ValidationError]) -> Sequence[ValidationError]:
    """Return the problems of a body as the kind with the fewest, if it is none of several kinds."""
    kinds = defaultdict(list)
    for wrong in wrong_values[0].context:
        kinds[wrong.schema_path[0]].append(wrong)
    return min(kinds.values(), key=len, default=wrong_values)


def _additional(operation: Operation, request: SentRequest) -> Iterator[str]:
    """Yield what the contract does not name, and what is not declared as it should be."""
    in_query = [parameter for parameter in operation.parameters if parameter["in"] == "query"]
    names = [name for name, _ in request.query]
    for name in names:
        if not any(_is_named(parameter, name) for parameter in in_query):
            yield f"{operation.id} has no query parameter {name!r}"
    lists = {parameter["name"] for parameter in in_query if parameter.get("schema", {}).get("type") == "array"}
    once = [name for name in names if name not in lists]
    if len(set(once)) < len(once):
        yield f"a query parameter is given twice in {request.target}"
    named = {parameter["name"].lower() for parameter in operation.parameters if parameter["in"] == "header"}
    about_body = {"content-type"} if operation.takes_body else set()
    for name in request.headers.keys():  # noqa: SIM118 - iterating over it gives pairs
        if name.lower() not in HTTPS_OWN_HEADERS | named | {KEY_HEADER.lower()} | about_body:
            yield f"{operation.id} has no header {name!r}"
    # JSON before anything else; errors come as plain text too, from the host of the logs.
    if request.headers.get("Accept", "").partition(",")[0] != "application/json":
        yield f"it accepts {request.headers.get('Accept')!r} instead of JSON"
    # openapi-core says which of these it has to be.
    if operation.takes_body and request.content_type not in ("application/json", "application/octet-stream"):
        yield f"its body is declared as {request.content_type!r}"
    if not operation.takes_body and request.raw:
        yield f"{operation.id} has a body: {request.raw[:60]!r}"


def _is_named(parameter: Schema, name: str) -> bool:
    if parameter.get("style") == "deepObject":
        return re.fullmatch(re.escape(parameter["name"]) + r"\[[^\]]+\]", name) is not None
    return parameter["name"] == name
