"""The data of the templates: what the client derives from the contract beyond models and endpoints. No I/O."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_JSON_TYPES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    list: "array",
}
_BYTES = "application/octet-stream"
_PYTHON_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
    "object": "dict",
    "array": "list",
}


def derive(spec: Schema) -> dict[str, Any]:
    """Return the data of the added modules."""
    schemas = spec["components"]["schemas"]
    return {
        "experiments_url": server_url(spec["servers"][0]),
        "logs_url": server_url(servers_of("logs", spec)[0]),
        "api_url": server_url(servers_of("projects", spec)[0]),
        "api_key_header": key_scheme(spec)["name"],
        "end_of_log": schemas["LogRow"]["properties"]["message"]["x-end"],
        "max_workspace_bytes": schemas["NewWorkspace"]["properties"]["size"]["maximum"],
        "max_workspace_files": schemas["NewWorkspace"]["properties"]["files"]["maximum"],
        "max_part_bytes": _max_bytes(spec, "uploadPart"),
        "terminal_states": tuple(schemas["ExperimentState"]["x-terminal"]),
        "constants": [_constants(schema) for schema in schemas.values() if "x-constants" in schema],
        "requests": [_request(spec, name) for name, schema in schemas.items() if "x-parameters" in schema],
        "views": [*views(spec), *_class_views(spec)],
        "stored_parameters": _stored_parameters(spec),
        "log_row_fields": _log_row_fields(spec, schemas["LogRow"]),
    }


def servers_of(tag: str, spec: Schema) -> list[Schema]:
    """Return the servers that the operations with a tag have for themselves."""
    tagged = (each for each in operations(spec) if tag in each.get("tags", ()))
    return [server for operation in tagged for server in operation.get("servers", ())]


def key_scheme(spec: Schema) -> Schema:
    """Return the security scheme that all operations require; empty: they require none, or several."""
    names = [name for requirement in spec.get("security", ())[:1] for name in requirement]
    scheme: Schema = spec["components"]["securitySchemes"][names[0]] if len(names) == 1 else {}
    return scheme


def server_url(server: Schema) -> str:
    """Return the URL of a server, in which variables have their defaults."""
    url: str = server["url"]
    for name, variable in server.get("variables", {}).items():
        url = url.replace(f"{{{name}}}", variable["default"])
    return url


def low_level(spec: Schema) -> dict[str, Any]:
    """Return the contract as openapi-python-client should see it.

    What is marked `x-large` in a response may be any JSON, enumerations that are open to other values are plain
    numbers, texts with a format are plain texts, which models leave as they are, no title is the name of a class, each
    request is one object, JSON in a parameter is text, and schemas that no operation uses any more are left out.
    """
    result: dict[str, Any] = json.loads(json.dumps(spec), object_hook=_without_format_and_title)
    result["info"] = spec["info"]
    schemas = result["components"]["schemas"]
    for parameter in result["components"]["parameters"].values():
        if parameter.pop("content", None):
            parameter["schema"] = {"type": "string"}
    for response in (response for operation in operations(result) for response in operation["responses"].values()):
        for content in resolve(result, response).get("content", {}).values():
            content["schema"] = _without_large(result, content["schema"])
    for name, schema in schemas.items():
        plain = [part for part in schema.get("anyOf", ()) if "enum" not in resolve(result, part)]
        if len(plain) == 1 < len(schema["anyOf"]):
            schemas[name] = {"description": schema.get("description", ""), **plain[0]}
        if "allOf" in schema:
            schemas[name] = _one_object(result, schema)
    used = _used(result, result["paths"])
    result["components"]["schemas"] = {name: schema for name, schema in schemas.items() if name in used}
    return result


def operations(spec: Schema) -> Iterator[dict[str, Any]]:
    """Return the operations of the contract, in its order."""
    for path in spec["paths"].values():
        yield from (each for each in path.values() if isinstance(each, dict) and "responses" in each)


def _without_format_and_title(node: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without its format and title, but for bodies of bytes; fields that are called so stay."""
    if _BYTES in node:
        node[_BYTES]["schema"]["format"] = "binary"
    return {key: value for key, value in node.items() if key not in ("format", "title") or isinstance(value, dict)}


def _without_large(spec: Schema, schema: Any) -> Any:
    """Return the schema of a response in which everything that is marked `x-large` may be any JSON."""
    if isinstance(schema, list):
        return [_without_large(spec, part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = resolve(spec, schema)
    if found.get("x-large"):
        return {}
    inner = {key: _without_large(spec, value) for key, value in found.items()}
    if inner != found and "$ref" in schema:
        spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]] = inner
    return schema if "$ref" in schema else inner


def _one_object(spec: Schema, request: Schema) -> dict[str, Any]:
    dependent = {
        key: value for part in _groups(spec, request) for key, value in part.get("dependentRequired", {}).items()
    }
    return {
        "type": "object",
        "description": request["description"],
        "properties": _properties(spec, request),
        "required": _required(spec, request),
        "dependentRequired": dependent,
    }


def _used(spec: Schema, node: Any) -> set[str]:
    """Return the names of the schemas that a part of the contract refers to, also by way of others."""
    found: set[str] = set()
    waiting, seen = [node], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            reference = part.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                waiting.append(resolve(spec, part))
                if reference.startswith("#/components/schemas/"):
                    found.add(reference.rpartition("/")[2])
        waiting += part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ()
    return found


def snake_case(name: str) -> str:
    """Return the Python name of a wire name: `workspaceUrl` into `workspace_url`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def python_type(schema: Schema, *, given: bool) -> str:
    """Return the Python type of a value: as a caller may give it, or as an experiment object shows it."""
    if given and "x-python-type" in schema:
        return str(schema["x-python-type"])
    if given and ("x-enum-aliases" in schema or "x-also-given-as" in schema):
        return "int | str"
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " | ".join(_python_type_of(kind, schema, given=given) for kind in kinds)


def _python_type_of(kind: str, schema: Schema, *, given: bool) -> str:
    if kind == "object":
        members = schema.get("additionalProperties")
        inner = python_type(members, given=given) if isinstance(members, Mapping) and "type" in members else "object"
        return f"{'Mapping' if given else 'dict'}[str, {inner}]"
    if kind == "array":
        inner = python_type(schema["items"], given=given) if "type" in schema.get("items", {}) else "object"
        return f"{'Sequence' if given else 'list'}[{inner}]"
    return _PYTHON_TYPES[kind]


def _max_bytes(spec: Schema, operation_id: str) -> int:
    """Return how many bytes the body of an operation may have."""
    (body,) = (each["requestBody"] for each in operations(spec) if each["operationId"] == operation_id)
    limit: int = body["content"]["application/octet-stream"]["schema"]["maxLength"]
    return limit


def _constants(schema: Schema) -> dict[str, Any]:
    name = schema["x-constants"]
    return {
        "name": name,
        "noun": snake_case(name).rpartition("_")[2],
        "texts_name": f"_{snake_case(name).upper()}_TEXTS",
        "description": _description(schema),
        "members": list(zip(schema["x-enum-varnames"], schema["enum"], strict=True)),
        "texts": list(zip(schema["enum"], schema["x-enum-texts"], strict=True)),
    }


def resolve(spec: Schema, schema: Schema) -> Schema:
    """Return a schema with its references followed."""
    while "$ref" in schema:
        found: Any = spec
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def value_kinds(spec: Schema, schema: Schema) -> list[str]:
    """Return the JSON types of the values that a schema allows, but null; empty: it does not name them."""
    schema = resolve(spec, schema)
    found = _listed(schema.get("type", ()))
    if not found:
        values = [schema["const"]] if "const" in schema else schema.get("enum", ())
        found = [_JSON_TYPES[type(value)] for value in values]
    for key in ("allOf", "anyOf", "oneOf"):
        found = found or [kind for part in schema.get(key, ()) for kind in value_kinds(spec, part)]
    return [kind for kind in dict.fromkeys(found) if kind != "null"]


def _description(schema: Schema) -> str:
    """Return a description on one line, as documentation of a parameter has it."""
    return " ".join(schema["description"].split())


def _groups(spec: Schema, request: Schema) -> list[Schema]:
    return [resolve(spec, part) for part in request.get("allOf", [request])]


def _properties(spec: Schema, request: Schema) -> dict[str, Schema]:
    return {name: value for group in _groups(spec, request) for name, value in group["properties"].items()}


def _required(spec: Schema, request: Schema) -> list[str]:
    return [name for group in _groups(spec, request) for name in group.get("required", ())]


def python_name(wire_name: str, schema: Schema) -> str:
    """Return the Python name of a field: from the contract, or from its wire name."""
    name: str = schema.get("x-python-name", snake_case(wire_name))
    return name


def _request(spec: Schema, name: str) -> dict[str, Any]:
    """Return the keyword arguments of one request, the required ones first and in the order of `required`."""
    request = spec["components"]["schemas"][name]
    properties = _properties(spec, request)
    required = _required(spec, request)
    order = [*required, *(wire_name for wire_name in properties if wire_name not in required)]
    return {
        "schema": name,
        "parameters_name": request["x-parameters"],
        "constant": snake_case(request["x-parameters"]).upper(),
        "call": _call(request),
        "description": _description(request),
        "example": {
            python_name(wire, properties[wire]): _as_given(properties[wire], example_of(spec, name)[wire])
            for wire in required
            if "const" not in properties[wire]
        },
        "fixed": {wire: value["const"] for wire, value in properties.items() if "const" in value},
        "dependent": {
            python_name(wire, properties[wire]): tuple(python_name(other, properties[other]) for other in others)
            for group in _groups(spec, request)
            for wire, others in group.get("dependentRequired", {}).items()
        },
        "parameters": [
            _parameter(wire_name, properties[wire_name], required=wire_name in required)
            for wire_name in order
            if "const" not in properties[wire_name]
        ]
        + [
            {**_parameter(wire_name, schema, required=False), "is_sent": False}
            for group in _groups(spec, request)
            for wire_name, schema in group.get("x-keywords", {}).items()
        ],
    }


def _call(request: Schema) -> str:
    """Return the call of a method that takes the keyword arguments, for an example."""
    noun = snake_case(request["x-parameters"]).removesuffix("_parameters")
    if "x-experiment" in request:
        return f"experiment_id = client.create_{noun}(**parameters)"
    return f"{noun}_id = {noun}s.create(**parameters)"


def example_of(spec: Schema, name: str) -> Schema:
    """Return the example body of a request; empty: there is none."""
    value: Schema = spec["components"].get("examples", {}).get(name, {}).get("value", {})
    return value


def _as_given(schema: Schema, value: Any) -> Any:
    """Return what a caller gives for a value of a request."""
    if schema.get("contentEncoding") == "base64":
        return base64.b64decode(value).decode()
    return dict(zip(schema.get("enum", ()), schema.get("x-enum-aliases", ()), strict=False)).get(value, value)


def _parameter(wire_name: str, schema: Schema, *, required: bool) -> dict[str, Any]:
    parameter: dict[str, Any] = {
        "name": python_name(wire_name, schema),
        "wire_name": wire_name,
        "json_type": schema["type"],
        "python_type": python_type(schema, given=True),
        "documented_type": "str" if "x-enum-aliases" in schema else _PYTHON_TYPES[schema["type"]],
        "description": _description(schema),
    }
    aliases = dict(zip(schema.get("x-enum-aliases", ()), schema.get("enum", ()), strict=False))
    members = schema.get("additionalProperties", schema.get("items", {}))
    optional = {
        "required": required,
        "base64": schema.get("contentEncoding") == "base64",
        "secret": schema.get("x-secret", False),
        "min_length": schema.get("minLength"),
        "max_length": schema.get("maxLength"),
        "max_items": schema.get("maxItems"),
        "minimum": schema.get("minimum"),
        "maximum": schema.get("maximum"),
        "choices": tuple(schema.get("enum", ())),
        "aliases": aliases,
        "also_given_as": schema.get("x-also-given-as"),
        "member_types": tuple(_listed(members.get("type", ()))) if isinstance(members, Mapping) else (),
        "member_max_length": members.get("maxLength") if isinstance(members, Mapping) else None,
        "member_pattern": members.get("pattern") if isinstance(members, Mapping) else None,
    }
    return parameter | {key: value for key, value in optional.items() if value not in (None, False, (), {})}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def views(spec: Schema) -> Iterator[dict[str, Any]]:
    """Yield the experiment classes: what all have, then each class named by `x-experiment`."""
    schemas = spec["components"]["schemas"]
    requests = [schema for schema in schemas.values() if "x-experiment" in schema]
    common = _groups(spec, requests[0])[0]
    inline = _groups(spec, requests[0])[-1]
    answer = schemas["Experiment"]
    head = [*_stored(spec, common, answer), *_outer(spec, answer)]
    tail = list(_stored(spec, inline, answer))
    yield _view("BaseExperiment", "What every experiment has.", None, head, [], tail, set())
    for name in dict.fromkeys(request["x-experiment"] for request in requests):
        same = [request for request in requests if request["x-experiment"] == name]
        groups: list[Schema] = []
        for request in same:
            groups += [group for group in _groups(spec, request)[1:-1] if group not in groups]
        specific = [field for group in groups for field in _stored(spec, group, answer)]
        types = {number for request in same for number in _type_ids(spec, request)}
        yield _view(name, _description(same[0]), "BaseExperiment", head, specific, tail, types)


def _class_views(spec: Schema) -> Iterator[dict[str, Any]]:
    """Yield the other classes that show answers: those named by `x-class`."""
    for schema in spec["components"]["schemas"].values():
        if name := schema.get("x-class"):
            yield _view(name, _description(schema), None, list(_outer(spec, schema)), [], [], None)


def _stored_parameters(spec: Schema) -> tuple[str, ...]:
    """Return the names that lead from an experiment to the parameters that it was created with."""
    for outer, member in spec["components"]["schemas"]["Experiment"]["properties"].items():
        for part in (resolve(spec, part) for part in member.get("anyOf", ())):
            for inner, schema in part.get("properties", {}).items():
                if schema.get("x-stored-parameters"):
                    return outer, inner
    raise ValueError("no member of Experiment has x-stored-parameters")


def _log_row_fields(spec: Schema, row: Schema) -> list[dict[str, Any]]:
    return [
        {
            "name": python_name(wire_name, schema),
            "json_type": value_kinds(spec, schema)[0],
            "outer_name": wire_name,
            "required": wire_name in row["required"],
        }
        for wire_name, schema in row["properties"].items()
    ]


def _type_ids(spec: Schema, request: Schema) -> list[int]:
    schema = _properties(spec, request)["experimentTypeId"]
    return [schema["const"]] if "const" in schema else schema["enum"]


def _view(
    name: str,
    description: str,
    base: str | None,
    head: list[dict[str, Any]],
    specific: list[dict[str, Any]],
    tail: list[dict[str, Any]],
    type_ids: set[int] | None,
) -> dict[str, Any]:
    declared = specific if base else [*head, *tail]
    keys = "name json_type stored_names outer_name member required min_length shown secret"
    return {
        "name": name,
        "description": description,
        "base": base,
        "type_ids": None if type_ids is None else tuple(sorted(type_ids)),
        "own": declared,
        "fields": [{key: field[key] for key in keys.split() if key in field} for field in (*head, *specific, *tail)],
    }


def _stored(spec: Schema, group: Schema, answer: Schema) -> Iterator[dict[str, Any]]:
    """Yield the fields of a group of parameters, with the names that servers stored them under."""
    for wire_name, schema in group["properties"].items():
        names = [snake_case(wire_name), wire_name]
        if "x-stored-prefix" in group:
            names.append(group["x-stored-prefix"] + snake_case(wire_name))
        names += schema.get("x-stored-as", ())
        yield _field(spec, wire_name, schema, answer, tuple(dict.fromkeys(names)))


def _outer(spec: Schema, answer: Schema) -> Iterator[dict[str, Any]]:
    for wire_name, schema in answer["properties"].items():
        if "x-python-name" in schema:
            yield _field(spec, wire_name, schema, answer, ())


def _field(spec: Schema, wire_name: str, schema: Schema, answer: Schema, stored: tuple[str, ...]) -> dict[str, Any]:
    (json_type,) = value_kinds(spec, schema)
    always = wire_name in answer["required"]
    kind = python_type({**resolve(spec, schema), **schema, "type": json_type}, given=False)
    field: dict[str, Any] = {
        "name": python_name(wire_name, schema),
        "json_type": json_type,
        "python_type": kind if always else f"{kind} | None",
        "documented_type": _PYTHON_TYPES[json_type],
        "description": _description(schema),
    }
    if always:
        field["required"] = True
        if "minLength" in schema:
            field["min_length"] = schema["minLength"]
    if stored and not always:  # What every answer says, the parameters cannot say otherwise.
        field["stored_names"] = stored
    if wire_name in answer["properties"]:
        field["outer_name"] = wire_name
        if member := answer["properties"][wire_name].get("x-member"):
            field["member"] = member
    if "x-repr" in schema:
        field["shown"] = schema["x-repr"]
    if schema.get("x-secret"):
        field["secret"] = True
    return field
