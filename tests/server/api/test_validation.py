"""Requests and responses that the contract does not allow: as decisions, and what a client is answered."""

import base64
import contextlib
import json
import select
import time

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradient_server.api.contract import packaged_contract
from gradient_server.api.validation import InvalidRequestError, validate_body, validate_parameters
from gradient_server.app import application
from gradient_server.clock import Clock
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.store import Store
from tests.server.api.conftest import EXPERIMENTS, call

JSON_TYPE = {"Content-Type": "application/json"}
MISSING = "Missing data for required field."
OPERATIONS = {operation.id: operation for operation in packaged_contract().operations}
NEW_EXPERIMENT = OPERATIONS["createExperiment"].body
# The examples of a property share a server and a connection: what one of them leaves behind must not matter.
ONE_SERVER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def problems_of(body):
    """The problems of a request body; bytes are taken as they are."""
    with pytest.raises(InvalidRequestError) as caught:
        validate_body(NEW_EXPERIMENT, body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value.problems


# --- bodies: JSON

NOT_JSON_OBJECTS = {
    "empty": b"",
    "cut off": b'{"name": "n"',
    "followed by more": b"{} {}",
    "an array": b"[]",
    "null": b"null",
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "invalid UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "n"}'.encode("utf-16"),
    "a lone surrogate": rb'{"name": "\ud800"}',
    "a lone surrogate in a name": rb'{"\udfff": 1}',
    "a number of 5,000 digits": b'{"name": ' + b"9" * 5000 + b"}",
    "a number of 501 digits": b'{"name": -' + b"9" * 501 + b"}",
    "an infinite float": b'{"name": 1e999}',
    "nested arrays": b"[" * 100_000,
    "65 levels": b'{"a":' * 64 + b"1" + b"}" * 64,
    "65 levels of arrays": b'{"a":' + b"[" * 63 + b"1" + b"]" * 63 + b"}",
    "10,001 values": b'{"a": [' + b"0," * 9_998 + b"0]}",
    "10,001 values at several depths": b'{"a": [' + b"[0]," * 4_999 + b"0]}",
}


@pytest.mark.parametrize("body", NOT_JSON_OBJECTS.values(), ids=NOT_JSON_OBJECTS)
def test_a_body_that_is_no_json_object_gets_one_text(body):
    assert isinstance(problems_of(body), str)


@given(body=st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_rejected(body):
    assert problems_of(body)


@pytest.mark.parametrize("raw", [b"1" * 500, b"1e-999", b"123456789.5e300", b'{"a":' * 61 + b"1" + b"}" * 61])
def test_large_numbers_and_nested_values_can_be_read_again(ask, single_node_body, raw):
    for field in ("experimentEnv", "unknown"):
        body = json.dumps({**single_node_body, field: {"A": "HERE"}}).encode().replace(b'"HERE"', raw)
        created = ask("POST", EXPERIMENTS, body)
        if (field, raw[:1]) == ("experimentEnv", b"{"):
            created.assert_error(400, "experimentEnv")
        else:
            assert ask("GET", f"{EXPERIMENTS}{created.body['handle']}/").status == 200


def test_a_body_of_10_000_values_is_accepted(single_node_body):
    variables = {f"A{number}": number for number in range(10_000 - 1 - len(single_node_body))}
    body = json.dumps({**single_node_body, "experimentEnv": variables}).encode()
    assert validate_body(NEW_EXPERIMENT, body)["experimentEnv"] == variables


HOSTILE_VALUES = {
    "values of a wrong type": {f"A{number}": [] for number in range(9_000)},
    "values of wrong types": {f"A{number}": [{}, []][number % 2] for number in range(4_000)},
    "a wrong value with a long name": {"A" * 900_000: []},
    "large numbers": {f"A{number}": int("9" * 500) for number in range(2_000)} | {"AB": []},
    "nested values": {"A": [[[[]] * 2_000]]},
}


@pytest.mark.parametrize("variables", HOSTILE_VALUES.values(), ids=HOSTILE_VALUES)
def test_the_first_problems_of_many_are_named_in_a_short_time(single_node_body, variables):
    body = json.dumps({**single_node_body, "experimentEnv": variables, "name": None}).encode()
    began = time.process_time()
    problems = problems_of(body)
    assert time.process_time() - began < 1.5  # a fifth of it, mostly
    assert set(problems) == {"experimentEnv", "name"}
    assert len(json.dumps(problems)) < 2_000
    assert "(at A" in problems["experimentEnv"][0]


@pytest.mark.parametrize(("number", "more"), [(5, None), (6, "There are 1 more problems."), (1_234, "1,229 more")])
def test_five_problems_of_a_field_are_named_and_the_others_counted(single_node_body, number, more):
    texts = problems_of({**single_node_body, "experimentEnv": {f"A{place}": [] for place in range(number)}})[
        "experimentEnv"
    ]
    assert [text.partition(" (at ")[2] for text in texts[:5]] == [f"A{place})" for place in range(5)]
    assert (len(texts), more is None or more in texts[-1]) == (5 + (more is not None), True)


def test_of_many_problems_with_parameters_the_first_are_named(ask):
    query = "&".join(f"projectHandle[x{number}]=p" for number in range(500))
    response = ask("GET", f"{EXPERIMENTS}?{query}")
    response.assert_error(400, "projectHandle")
    assert len(response.body["details"]["projectHandle"]) == 6


@pytest.mark.usefixtures("server_stays_healthy")
def test_a_large_body_does_not_keep_others_waiting(ask, connect_raw, single_node_body):
    variables = {f"A{number}": [] for number in range(9_000)}
    body = json.dumps({**single_node_body, "experimentEnv": variables}).encode()
    with contextlib.closing(connect_raw()) as sender:
        sender.connection.request("POST", EXPERIMENTS, body, {"X-API-Key": sender.key, **JSON_TYPE})
        answered = 0
        while not select.select([sender.connection.sock], [], [], 0)[0]:
            assert ask("GET", EXPERIMENTS + "?limit=0").status == 200
            answered += 1
        assert answered > 4  # if others had to wait, it would be 2 or 3
        sender.read().assert_error(400, "experimentEnv")


@pytest.mark.parametrize("text", ["NUL \0", "\U0001f600\u2028\u202e\ufeff\x7f\x1b[0m", "n" * 100_000])
def test_unusual_text_is_returned_unchanged(ask, single_node_body, text):
    handle = ask("POST", EXPERIMENTS, {**single_node_body, "name": text, "experimentEnv": {text: text}}).body["handle"]
    params = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]["templateHistory"]["params"]
    assert (params["name"], params["experiment_env"]) == (text, {text: text})


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *((kind, 415) for kind in (None, "", "text/plain", "json", "é".encode())),
        *((kind, 200) for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json;")),
    ],
)
def test_a_body_is_accepted_if_its_media_type_is_json(ask, single_node_body, kind, status):
    assert ask("POST", EXPERIMENTS, single_node_body, {"Content-Type": kind}).status == status


@ONE_SERVER
@given(changes=st.dictionaries(st.sampled_from(["name", "experimentEnv", "ports", "fooCount", "é"]), ANY_JSON))
@pytest.mark.usefixtures("server_stays_healthy")
def test_an_experiment_with_any_json_is_rejected_or_can_be_read(ask, single_node_body, changes):
    created = ask("POST", EXPERIMENTS, {**single_node_body, **changes})
    if created.status == 200:
        assert ask("GET", f"{EXPERIMENTS}{created.body['handle']}/").status == 200
    else:
        created.assert_error(400, *(set(created.body["details"]) & set(changes)))


# --- bodies: fields


def fields_of(contract, name):
    """The fields of one kind of experiment, and which of them are required."""
    schemas = contract["components"]["schemas"]
    properties, required = {}, []
    for part in schemas[name]["allOf"]:
        group = schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        properties |= group["properties"]
        required += group.get("required", [])
    return properties, required


def kinds_of(contract):
    schemas = contract["components"]["schemas"]["NewExperiment"]["anyOf"]
    examples = contract["components"]["examples"]
    return [(name := kind["$ref"].rsplit("/", 1)[1], examples[name]["value"]) for kind in schemas]


def invalid_values(schema):
    """Values that a field cannot have, by its type and its bounds."""
    by_type = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}, "null": None}
    valid = {"integer": {"integer"}, "number": {"integer", "number"}}.get(schema["type"], {schema["type"]})
    yield from (value for kind, value in by_type.items() if kind not in valid)
    if schema["type"] == "integer":
        yield from (1.5, -(10**30), "1")
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if "maximum" in schema:
        yield from (schema["maximum"] + 1, 10**30, 1e300)
    if schema.get("minLength"):
        yield ""
    if schema.get("contentEncoding") == "base64":
        yield from ("python mnist.py", "YQ", "YQ==\n", "é", "_-8=", base64.b64encode(b"\xff").decode())
    if "additionalProperties" in schema:
        yield from ({"A": []}, {"A": {"B": 1}})


def test_every_field_with_an_invalid_value_is_named(contract):
    tried = 0
    for kind, example in kinds_of(contract):
        properties, _ = fields_of(contract, kind)
        for name, schema in properties.items():
            for value in invalid_values(schema):
                # With a model type, as a path needs one.
                assert set(problems_of({**example, "modelType": "Custom", name: value})) == {name}
                tried += 1
    assert tried > 300


def test_every_missing_required_field_is_named(contract):
    for kind, example in kinds_of(contract):
        _, required = fields_of(contract, kind)
        for name in required:
            assert problems_of({field: value for field, value in example.items() if field != name}) == {name: [MISSING]}
    for number, kind in [(1, "SingleNodeRequest"), (2, "MultiNodeRequest")]:
        _, required = fields_of(contract, kind)
        assert set(problems_of({"experimentTypeId": number})) == {*required} - {"experimentTypeId"}


@pytest.mark.parametrize("number", [0, 4, 9, -1, 10**30, "1", None, True, 1.5, [1]])
def test_an_unknown_type_of_experiment_is_the_only_problem(single_node_body, number):
    problems = problems_of({**single_node_body, "experimentTypeId": number})
    assert problems == {"experimentTypeId": ["It must be one of 1, 2, 3."]}


def test_an_invalid_body_is_answered_with_the_problems_and_without_values(ask, single_node_body):
    response = ask("POST", EXPERIMENTS, {**single_node_body, "registryPassword": ["swordfish"], "command": "swordfish"})
    response.assert_error(400, "registryPassword", "command")
    assert "swordfish" not in json.dumps(response.body)


@pytest.mark.parametrize(
    "extra",
    [
        {"unknown": {"a": [1, None, "é"]}},
        {"project_handle": "other", "state": 5, "id": 1, "handle": "es1"},
        {"fooCount": "many", "barCount": None, "bazCount": -1, "Count": [], "quxCount": 1.5},
        {"parameterServerCount": 10**9, "workerCommand": "no base64"},
        {"": "", "__class__": 1, "a b": 2, "\0": 3},
    ],
    ids=["unknown", "names of responses", "looks like a count", "of another kind", "odd names"],
)
def test_unknown_fields_are_dropped(single_node_body, extra):
    plain, with_extra = (
        validate_body(NEW_EXPERIMENT, json.dumps(body).encode())
        for body in (single_node_body, {**single_node_body, **extra})
    )
    assert with_extra == plain


def test_a_body_may_begin_with_a_byte_order_mark(single_node_body):
    """As some editors write files that are sent."""
    raw = json.dumps(single_node_body).encode()
    assert validate_body(NEW_EXPERIMENT, b"\xef\xbb\xbf" + raw) == validate_body(NEW_EXPERIMENT, raw)


def test_integers_may_be_written_with_a_point(contract):
    example = contract["components"]["examples"]["MultiNodeRequest"]["value"]
    body = validate_body(NEW_EXPERIMENT, json.dumps({**example, "workerCount": 2.0, "experimentTypeId": 2.0}).encode())
    assert json.dumps([body["workerCount"], body["experimentTypeId"]]) == "[2, 2]"


# --- parameters

NOT_NUMBERS = ["", "x", "1.5", "1e3", "0x1", " 1", "+1", "--1", "\u0663", "1\0", "1e999", "9" * 5000, "NaN", "null"]


def invalid_texts(schema):
    yield from (text for text in NOT_NUMBERS if schema["type"] == "integer" or text not in ("1.5", "1e3"))
    if "minimum" in schema:
        yield str(schema["minimum"] - 1)
    if "maximum" in schema:
        yield str(schema["maximum"] + 1)


def test_every_numeric_parameter_with_an_invalid_value_is_named():
    tried = 0
    for operation in OPERATIONS.values():
        for parameter in operation.parameters:
            if parameter.schema["type"] not in ("integer", "number"):
                continue
            name, others = parameter.name, [("experimentId", "es1"), ("name", "model/weights.pt")]
            for texts in [*([text] for text in invalid_texts(parameter.schema)), ["1", "1"]]:
                query = [*others, *((name, text) for text in texts)]
                with pytest.raises(InvalidRequestError) as caught:
                    validate_parameters(operation, {"handle": "es1"}, query, {})
                assert list(caught.value.problems) == [name]
                tried += 1
            values = validate_parameters(operation, {"handle": "es1"}, [*others, (name, "1")], {})
            assert values[name] == 1
    assert tried > 70


@pytest.mark.parametrize(
    ("path", "name", "valid", "invalid"),
    [
        (EXPERIMENTS, "limit", "-1 0 9999999999", "-2 -9999999999 1.0"),
        (EXPERIMENTS, "offset", "0 9999999999", "-1 -0.5 -9999999999"),
        ("/jobs/logs?experimentId=es1", "limit", "1 9999999999", "0 -1"),
        ("/jobs/logs?experimentId=es1", "line", "0 9999999999", "-1 -9999999999"),
        (f"{EXPERIMENTS}es1/state/", "known", "4 9999999999", "four 4.5"),
    ],
)
def test_limits_offsets_and_lines_are_never_negative_and_may_have_many_digits(ask, path, name, valid, invalid):
    join = "&" if "?" in path else "?"
    for text in valid.split():
        assert ask("GET", f"{path}{join}{name}={text}").status == (200 if path == EXPERIMENTS else 404), text
    for text in invalid.split():
        ask("GET", f"{path}{join}{name}={text}").assert_error(400, name)


def test_a_count_of_nodes_has_1_to_1000(contract):
    example = contract["components"]["examples"]["MultiNodeRequest"]["value"]
    for count, is_valid in ((1, True), (1_000, True), (0, False), (-1, False), (1_001, False), (10**10, False)):
        body = {**example, "workerCount": count}
        if is_valid:
            assert validate_body(NEW_EXPERIMENT, json.dumps(body).encode())["workerCount"] == count
        else:
            assert set(problems_of(body)) == {"workerCount"}


@pytest.mark.parametrize(
    ("operation", "name", "least", "most"),
    [
        ("listExperiments", "limit", -1, None),
        ("listExperiments", "offset", 0, None),
        ("getLogs", "line", 0, None),
        ("getLogs", "limit", 1, None),
        ("getLogs", "wait", 0, 60),
        ("getExperimentState", "wait", 0, 60),
    ],
)
def test_a_number_has_the_documented_bounds(operation, name, least, most):
    def value_of(number):
        query = [("experimentId", "es1"), (name, str(number))]
        return validate_parameters(OPERATIONS[operation], {"handle": "es1"}, query, {})[name]

    for allowed in (least, most or 10**9, most or 10**4000 - 1):
        assert value_of(allowed) == allowed
    for refused in (least - 1, *([most + 1] if most else [])):
        with pytest.raises(InvalidRequestError):
            value_of(refused)


def test_a_page_of_a_log_has_2000_rows_from_the_first_one_by_default():
    values = validate_parameters(OPERATIONS["getLogs"], {}, [("experimentId", "es1")], {})
    assert values == {"experimentId": "es1", "line": 0, "limit": 2000}


@pytest.mark.parametrize(
    "text", ["[]=p", "[x]=p", "[-1]=p", "[\u0663]=p", "[0]=", "[0][x]=p", "[a\n][0]=null", "[0]=p&projectHandle[0]=q"]
)
def test_projects_of_a_filter_are_numbered_once_each(text):
    query = [tuple(part.split("=")) for part in f"projectHandle{text}".split("&")]
    with pytest.raises(InvalidRequestError) as caught:
        validate_parameters(OPERATIONS["listExperiments"], {}, query, {})
    assert list(caught.value.problems) == ["projectHandle"]


def test_unknown_parameters_are_ignored(ask):
    query = "?unknown=1&limit=20&tag=a&tag=b&&=&;&%FF=%FF" + "&a=1" * 2000
    assert ask("GET", EXPERIMENTS + query).body == ask("GET", EXPERIMENTS).body


@pytest.mark.parametrize("key", ["", "two words", "a\tb", "é".encode(), "x" * 256])
def test_an_invalid_idempotency_key_is_named_and_nothing_is_done(ask, single_node_body, key):
    ask("POST", EXPERIMENTS, single_node_body, {"Idempotency-Key": key}).assert_error(400, "Idempotency-Key")
    assert ask("GET", EXPERIMENTS).body["data"] == []
    assert ask("POST", EXPERIMENTS, single_node_body, {"Idempotency-Key": "x" * 255}).status == 200


# --- responses


class NamelessStore(Store):
    """A store that makes every list invalid: its experiments have no handles."""

    def newest_first(self):
        return [evolve(found, handle="") for found in super().newest_first()]


@pytest.mark.parametrize("check", [True, False])
def test_an_invalid_response_is_a_500_that_says_why_if_responses_are_checked(check, caplog):
    clock = Clock()
    store = NamelessStore(clock, 0, SimulatedRunner())
    store.add({"projectHandle": "p", "experimentTypeId": 1})
    app = application(store, clock, "key", check_answers=check)
    response = call(app, "GET", EXPERIMENTS)
    assert response.status_code == (500 if check else 200)
    if check:
        for text in (response.text, caplog.text):
            assert "listExperiments" in text
            assert "data.0" in text
    else:
        assert caplog.text == ""
