"""The operations of the contract with compiled validators, read from the packaged OpenAPI document."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from jsonschema_rs import Draft202012Validator

Schema = Mapping[str, Any]


@frozen(kw_only=True)
class Parameter:
    """A parameter in the query, the path or a header.

    :param bool is_json: whether the value is given as JSON text
    """

    name: str
    location: str
    required: bool
    schema: Schema
    validator: Draft202012Validator
    is_json: bool


@frozen(kw_only=True)
class BodySchema:
    """One of the schemas that a request body can match.

    :param properties: the schemas of the declared properties, without references; empty: the body is free-form
    """

    properties: Mapping[str, Schema]
    validator: Draft202012Validator


@frozen(kw_only=True)
class RequestBody:
    """The body of an operation.

    :param schemas: the alternatives of an `anyOf`, or the one schema
    :param int max_bytes: the most bytes that are accepted; None: as many as of any body
    :param discriminator: the property with fixed values in every alternative, by which one is chosen; None: no property
    """

    required: bool
    media_type: str
    schemas: tuple[BodySchema, ...]
    discriminator: str | None
    max_bytes: int | None

    @property
    def is_json(self) -> bool:
        """Whether it is JSON; otherwise handlers get the bytes."""
        return self.media_type == "application/json"


@frozen(kw_only=True)
class Operation:
    """One operation: its address, its request and its responses.

    :param tags: what it is about
    :param prefixes: the paths of its servers, each of which the path of the operation is added to
    :param body: the request body; None: it takes none
    :param responses: validators of response bodies by status, range of statuses or `default`, and by media type
    """

    id: str
    method: str
    path: str
    tags: tuple[str, ...]
    prefixes: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    body: RequestBody | None
    responses: Mapping[str, Mapping[str, Draft202012Validator]]

    @property
    def handler_name(self) -> str:
        """The name of the method that implements it: the operation id in snake case."""
        return snake_case(self.id)

    def response_validators(self, status: int) -> Mapping[str, Draft202012Validator] | None:
        """Return the validators of a response body by media type; None: the operation has no such status."""
        keys = (str(status), f"{status // 100}XX", "default")
        return next((self.responses[key] for key in keys if key in self.responses), None)


class Contract:
    """All operations of an OpenAPI document, and the header that carries the API key."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        (scheme,) = self._spec["security"][0]
        self.key_header: str = self._spec["components"]["securitySchemes"][scheme]["name"]
        self.operations = tuple(self._operations())

    def _operations(self) -> Iterator[Operation]:
        paths: dict[str, dict[str, Any]] = self._spec["paths"]
        for path, item in paths.items():
            for method, operation in item.items():
                if "operationId" not in operation:
                    continue
                parameters = (*item.get("parameters", []), *operation.get("parameters", []))
                servers: list[dict[str, str]] = operation.get("servers", self._spec["servers"])
                yield Operation(
                    id=operation["operationId"],
                    method=method.upper(),
                    path=path,
                    tags=tuple(operation.get("tags", ())),
                    prefixes=tuple(urlsplit(server["url"]).path.rstrip("/") for server in servers),
                    parameters=tuple(map(self._parameter, parameters)),
                    body=self._body(operation["requestBody"]) if "requestBody" in operation else None,
                    responses={key: self._response(found) for key, found in operation["responses"].items()},
                )

    def _parameter(self, parameter: Schema) -> Parameter:
        parameter = self._resolve(parameter)
        is_json = "content" in parameter
        schema = parameter["content"]["application/json"]["schema"] if is_json else parameter["schema"]
        return Parameter(
            name=parameter["name"],
            location=parameter["in"],
            required=parameter.get("required", False),
            schema=self._resolve(schema),
            validator=self._validator(schema),
            is_json=is_json,
        )

    def _body(self, body: Schema) -> RequestBody:
        body = self._resolve(body)
        media_type, content = next(iter(body["content"].items()))
        schema = dict(self._resolve(content["schema"]))
        # Alternatives are validated one by one: the problems of the one that was meant are clearer than "none matches".
        alternatives = [{"allOf": [schema, found]} for found in schema.pop("anyOf", [])] or [schema]
        schemas = tuple(
            BodySchema(properties=self._properties(found), validator=self._validator(found)) for found in alternatives
        )
        return RequestBody(
            required=body.get("required", False),
            media_type=media_type,
            schemas=schemas,
            discriminator=_discriminator(schemas),
            max_bytes=schema.get("maxLength"),
        )

    def _properties(self, schema: Schema) -> dict[str, Schema]:
        schema = self._resolve(schema)
        parts = [part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, [])]
        properties = {name: found for part in parts for name, found in self._properties(part).items()}
        return properties | {name: self._resolve(found) for name, found in schema.get("properties", {}).items()}

    def _response(self, response: Schema) -> dict[str, Draft202012Validator]:
        content = self._resolve(response).get("content", {})
        return {media_type: self._validator(found["schema"]) for media_type, found in content.items()}

    def _resolve(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            found: Any = self._spec
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema

    def _validator(self, schema: Schema) -> Draft202012Validator:
        # Masked, so that no secret of a request gets into an error.
        whole = {"allOf": [schema], "components": {"schemas": self._spec["components"]["schemas"]}}
        return Draft202012Validator(whole, mask="the value")


@functools.cache
def packaged_contract() -> Contract:
    """Return the contract that the generated client was made from; it is loaded once."""
    return Contract(json.loads((files("gradient_api") / "experiments.json").read_text(encoding="utf-8")))


@functools.cache
def snake_case(name: str) -> str:
    """Return a camel-case name of the contract in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def fixed_values(schema: Schema) -> list[Any]:
    """Return the values that a `const` or an `enum` allows; empty: the schema has neither."""
    return [schema["const"]] if "const" in schema else list(schema.get("enum", []))


def _discriminator(schemas: tuple[BodySchema, ...]) -> str | None:
    """Return the property that has fixed values in every schema, which differ between schemas."""
    for name in schemas[0].properties:
        values = [fixed_values(schema.properties.get(name, {})) for schema in schemas]
        if all(values) and any(found != values[0] for found in values):
            return name
    return None
