"""Requests that are not as the contract says: the historical error body with the right status, whatever is sent."""

import base64
import json

import pytest
from gradient_api.constants import API_KEY_HEADER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXPERIMENTS = "/experiments/v1/experiments/"
CREATE = [EXPERIMENTS, EXPERIMENTS + "run/"]
MISSING = "Missing data for required field."
# The examples of a property share a server and a connection: what one of them leaves behind must not matter.
ONE_SERVER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def sound(ask, caplog):
    """After every test the server works, and has nothing to complain about."""
    yield
    ask.connection.close()
    assert ask("GET", EXPERIMENTS).status == 200
    assert caplog.get_records("call") == []


def assert_error(answered, status, *names):
    """The body has the historical members, and names the members of the request that are wrong."""
    assert answered.status == status, answered
    assert set(answered.body) == {"error", "details"}, answered
    assert isinstance(answered.body["error"], str)
    assert "Traceback" not in json.dumps(answered.body)
    if names:
        assert set(answered.body["details"]) == set(names), answered
        for texts in answered.body["details"].values():
            assert texts
            assert all(isinstance(text, str) for text in texts)


BODIES = {
    "empty": b"",
    "blank": b" \n",
    "cut off": b'{"name": "n"',
    "more after it": b"{} {}",
    "single quotes": b"{'name': 'n'}",
    "no object": b"[]",
    "a text": b'"text"',
    "a number": b"1",
    "null": b"null",
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "invalid UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "n"}'.encode("utf-16"),
    "a lone surrogate": rb'{"name": "\ud800"}',
    "a lone surrogate in a name": rb'{"\udfff": 1}',
    "an unescaped newline": b'{"name": "\n"}',
    "a number without end": b'{"name": ' + b"9" * 5000 + b"}",
    "a list without end": b"[" * 100_000,
    "an object without end": b'{"a":' * 100_000,
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("path", CREATE)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_json_object(ask, path, body):
    """One text says so; there is no member to name."""
    answered = ask("POST", path, body)
    assert_error(answered, 400)
    assert isinstance(answered.body["details"], str)


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "json", "é".encode()])
def test_a_body_of_another_type(ask, single_node_body, kind):
    """Only JSON is taken, and only where it is called so."""
    ask.connection.putrequest("POST", EXPERIMENTS)
    body = json.dumps(single_node_body).encode()
    headers = {"X-API-Key": ask.key, "Content-Length": str(len(body))}
    for name, value in {**headers, **({} if kind is None else {"Content-Type": kind})}.items():
        ask.connection.putheader(name, value)
    ask.connection.endheaders(body)
    assert_error(ask.read(), 415)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
def test_json_by_other_names(ask, single_node_body, kind):
    """Parameters and case of the type do not matter."""
    assert ask("POST", EXPERIMENTS, single_node_body, {"Content-Type": kind}).status == 200


def members(contract, name):
    """The members of a kind of request body, and which of them are required."""
    schemas = contract["components"]["schemas"]
    properties, required = {}, []
    for part in schemas[name]["allOf"]:
        group = schemas[part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        properties |= group["properties"]
        required += group.get("required", [])
    return properties, required


def kinds(contract):
    schemas = contract["components"]["schemas"]["NewExperiment"]["anyOf"]
    examples = contract["components"]["examples"]
    return [(name := kind["$ref"].rsplit("/", 1)[1], examples[name]["value"]) for kind in schemas]


def wrong_values(schema):
    """Values that a member cannot have, by its type and its bounds."""
    of_a_type = {
        "string": "text",
        "integer": 1,
        "number": 1.5,
        "boolean": True,
        "array": [],
        "object": {},
        "null": None,
    }
    fitting = {"integer": {"integer"}, "number": {"integer", "number"}}.get(schema["type"], {schema["type"]})
    yield from (value for kind, value in of_a_type.items() if kind not in fitting)
    if schema["type"] == "integer":
        yield from (1.5, -(10**30), "1")
    if "minimum" in schema:
        yield schema["minimum"] - 1
    if schema.get("minLength"):
        yield ""
    if schema.get("contentEncoding") == "base64":
        yield from ("python mnist.py", "YQ", "YQ==\n", "é", "_-8=", base64.b64encode(b"\xff").decode())
    if "additionalProperties" in schema:
        yield from ({"A": []}, {"A": {"B": 1}})


def test_every_member_of_a_body_with_a_wrong_value(ask, contract):
    """For each kind of experiment and each of its members: the answer names it, and nothing else."""
    tried = 0
    for kind, example in kinds(contract):
        properties, _ = members(contract, kind)
        for name, schema in properties.items():
            for value in wrong_values(schema):
                # With a model type, as a path needs one.
                assert_error(ask("POST", EXPERIMENTS, {**example, "modelType": "Custom", name: value}), 400, name)
                tried += 1
    assert tried > 300


def test_every_required_member_missing(ask, contract):
    """One at a time, and all at once, except for the type, which says what is required."""
    for kind, example in kinds(contract):
        _, required = members(contract, kind)
        for name in required:
            body = {member: value for member, value in example.items() if member != name}
            answered = ask("POST", EXPERIMENTS, body)
            assert_error(answered, 400, name)
            assert answered.body["details"][name] == [MISSING]
    for number, kind in [(1, "SingleNodeRequest"), (2, "MultiNodeRequest")]:
        _, required = members(contract, kind)
        assert_error(
            ask("POST", EXPERIMENTS, {"experimentTypeId": number}), 400, *(set(required) - {"experimentTypeId"})
        )


@pytest.mark.parametrize("number", [0, 4, 9, -1, 10**30, "1", None, True, 1.5, [1]])
def test_an_unknown_type_of_experiment(ask, single_node_body, number):
    """Is the one thing that is named."""
    answered = ask("POST", EXPERIMENTS, {**single_node_body, "experimentTypeId": number})
    assert_error(answered, 400, "experimentTypeId")


def test_a_model_path_without_a_type(ask, single_node_body):
    """Needs the type, which is what the answer names."""
    del single_node_body["modelType"]
    answered = ask("POST", EXPERIMENTS, single_node_body)
    assert answered.status == 400
    assert "modelType" in json.dumps(answered.body)


def test_secrets_are_not_repeated(ask, single_node_body):
    """No error shows the value of a member; it might be a password."""
    answered = ask("POST", EXPERIMENTS, {**single_node_body, "registryPassword": ["swordfish"], "command": "swordfish"})
    assert_error(answered, 400, "registryPassword", "command")
    assert "swordfish" not in json.dumps(answered.body)


@pytest.mark.parametrize(
    "extra",
    [
        {"unknown": {"a": [1, None, "é"]}},
        {"fooCount": "many", "barCount": None, "bazCount": -1, "Count": [], "quxCount": 1.5},
        {"parameterServerCount": 10**9},
        {"name": "NUL \u0000 and \U0001f600 and \u2028"},
        {"": "", "__class__": 1, "a b": 2},
    ],
    ids=["unknown", "looks like a count", "a count of another kind", "odd characters", "odd names"],
)
def test_what_is_not_described_is_let_be(ask, single_node_body, extra):
    """Members that the contract does not know are kept, and shown by whoever reads the experiment."""
    created = ask("POST", EXPERIMENTS, {**single_node_body, **extra})
    assert created.status == 200, created
    answered = ask("GET", f"{EXPERIMENTS}{created.body['handle']}/")
    assert answered.status == 200
    params = answered.body["data"]["templateHistory"]["params"]
    assert all(value in params.values() for value in extra.values())
    assert ask("GET", EXPERIMENTS).body["data"] == [answered.body["data"]]


@pytest.mark.parametrize(
    "raw",
    [b"1e999", b"-1e999", b"1" * 400, b"-" + b"1" * 4000, b"1e-999", b"0." + b"1" * 5000, b"1E400", b"123456789.5e300"],
    ids=lambda raw: raw[:8].decode(),
)
@pytest.mark.parametrize("place", ["experimentEnv", "unknown"])
def test_numbers_beyond_all_bounds(ask, single_node_body, place, raw):
    """Are refused, or kept and shown as what they are; never infinite, which JSON cannot say."""
    body = json.dumps({**single_node_body, place: {"A": "HERE"}}).encode().replace(b'"HERE"', raw)
    created = ask("POST", EXPERIMENTS, body)
    if created.status == 200:
        assert ask("GET", f"{EXPERIMENTS}{created.body['handle']}/").status == 200
        assert ask("GET", EXPERIMENTS).status == 200
    else:
        assert_error(created, 400)


@pytest.mark.parametrize("depth", [50, 100, 200, 250, 300, 500, 900, 950, 980, 990, 1000, 2000])
@pytest.mark.parametrize("place", ["unknown", "name", "experimentEnv"])
def test_deep_nesting(ask, single_node_body, place, depth):
    """Is refused, or kept and shown; there is no depth at which something breaks."""
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    body = json.dumps({**single_node_body, place: "HERE"}).encode().replace(b'"HERE"', deep)
    created = ask("POST", EXPERIMENTS, body)
    if created.status == 200:
        assert ask("GET", f"{EXPERIMENTS}{created.body['handle']}/").status == 200
    else:
        assert_error(created, 400)


@pytest.mark.parametrize("count", [10**6, 10**9, 10**18, 10**30])
def test_more_nodes_than_there_are(ask, contract, count):
    """An experiment of any number of nodes is refused or works, and takes no time."""
    body = {**contract["components"]["examples"]["MultiNodeRequest"]["value"], "workerCount": count}
    created = ask("POST", EXPERIMENTS + "run/", body)
    if created.status == 200:
        assert ask("GET", f"/jobs/logs?experimentId={created.body['handle']}").status in (200, 204)
    else:
        assert_error(created, 400, "workerCount")


def test_whole_numbers_may_be_written_with_a_point(ask, contract):
    """JSON does not tell 2.0 from 2, and the contract does not either."""
    example = contract["components"]["examples"]["MultiNodeRequest"]["value"]
    created = ask("POST", EXPERIMENTS, {**example, "workerCount": 2.0, "experimentTypeId": 2.0})
    data = ask("GET", f"{EXPERIMENTS}{created.body['handle']}/").body["data"]
    assert json.dumps(data["experimentTypeId"]) == "2"
    assert json.dumps(data["templateHistory"]["params"]["worker_count"]) == "2"


@ONE_SERVER
@given(body=ANY_JSON)
def test_any_json(ask, body):
    """Whatever JSON is posted, the answer is an error in the historical form."""
    assert_error(ask("POST", EXPERIMENTS, json.dumps(body).encode()), 400)


@ONE_SERVER
@given(changes=st.dictionaries(st.sampled_from(["name", "experimentEnv", "ports", "fooCount", "é"]), ANY_JSON))
def test_any_json_in_a_sound_body(ask, single_node_body, changes):
    """Whatever a member is given, the experiment is refused, or can be read."""
    created = ask("POST", EXPERIMENTS, {**single_node_body, **changes})
    if created.status == 200:
        assert ask("GET", f"{EXPERIMENTS}{created.body['handle']}/").status == 200
    else:
        assert_error(created, 400, *(set(created.body["details"]) & set(changes)))


@ONE_SERVER
@given(body=st.binary())
def test_any_bytes(ask, body):
    """Whatever bytes are posted, too."""
    assert_error(ask("POST", EXPERIMENTS, body), 400)


def query_parameters(contract):
    """Every operation that has parameters in its query: its address, and what the parameters are."""
    for path, item in contract["paths"].items():
        for operation in [item.get("get", {})]:
            found = [
                contract["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[1]]
                for parameter in operation.get("parameters", [])
            ]
            if queried := [parameter for parameter in found if parameter["in"] == "query"]:
                yield path, queried


NO_NUMBERS = ["", "x", "1.5", "1e3", "0x1", "%201", "+1", "--1", "%D9%A3", "1%00", "9" * 19, "9" * 5000, "NaN", "null"]


def test_every_parameter_of_a_query_with_a_wrong_value(ask, contract, single_node_body):
    """For each operation and each numeric parameter, each value that is none; the answer names the parameter."""
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    tried = 0
    for path, parameters in query_parameters(contract):
        base = (
            path.format(handle=handle) if path.startswith("/jobs") else "/experiments/v1" + path.format(handle=handle)
        )
        rest = f"experimentId={handle}&" if path.startswith("/jobs") else ""
        for parameter in parameters:
            schema, name = parameter["schema"], parameter["name"]
            if schema["type"] not in ("integer", "number"):
                continue
            wrong = [*NO_NUMBERS, str(schema["minimum"] - 1)]
            wrong += [str(schema["maximum"] + 1)] if "maximum" in schema else []
            for value in [value for value in wrong if not (schema["type"] == "number" and value == "1.5")]:
                assert_error(ask("GET", f"{base}?{rest}{name}={value}"), 400, name)
                tried += 1
            assert_error(ask("GET", f"{base}?{rest}{name}=1&{name}=1"), 400, name)
    assert tried > 70


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("projectHandle[]=p", "projectHandle"),
        ("projectHandle[x]=p", "projectHandle"),
        ("projectHandle[-1]=p", "projectHandle"),
        ("projectHandle[%D9%A3]=p", "projectHandle"),
        ("projectHandle[0]=", "projectHandle"),
        ("projectHandle[0]=p&projectHandle[0]=q", "projectHandle"),
    ],
)
def test_a_filter_that_cannot_be(ask, query, name):
    """The projects are numbered, each once."""
    assert_error(ask("GET", f"{EXPERIMENTS}?{query}"), 400, name)


@pytest.mark.parametrize("number", ["1", "007", "9" * 20, "9" * 5000])
def test_the_numbers_of_a_filter_may_be_large(ask, number):
    """They only say in which order the projects come."""
    answered = ask("GET", f"{EXPERIMENTS}?projectHandle[{number}]=second&projectHandle[0]=first")
    assert [group["meta"]["itemGroup"]["value"] for group in answered.body["data"]] == ["first", "second"]


def test_unknown_parameters_are_let_be(ask):
    """A parameter that the contract does not have changes nothing."""
    plain = ask("GET", EXPERIMENTS)
    for query in ("?unknown=1", "?limit=20&tag=a&tag=b", "?&&=&;", "?%FF=%FF", "?" + "a=1&" * 2000):
        answered = ask("GET", EXPERIMENTS + query)
        assert (answered.status, answered.body["data"]) == (200, plain.body["data"])


@pytest.mark.parametrize("key", ["", "é".encode(), "x" * 256, "a b", "a\tb"])
def test_an_idempotency_key_that_cannot_be(ask, single_node_body, key):
    """Is named as the header that it is."""
    assert_error(ask("POST", EXPERIMENTS, single_node_body, {"Idempotency-Key": key}), 400, "Idempotency-Key")


WRONG_KEYS = [None, "", "wrong", "GRADIENT-LOCAL", "gradient-local-", "é".encode("latin-1"), "é".encode(), b"\xff\xfe"]


@pytest.mark.parametrize("key", WRONG_KEYS)
def test_a_wrong_key(ask, single_node_body, key):
    """403 in JSON where experiments are, whatever is asked; 401 in plain text where logs are."""
    for method, path, body in [
        ("GET", "", None),
        ("GET", "?limit=x", None),
        ("POST", "", single_node_body),
        ("POST", "run/", b"no JSON"),
        ("GET", "esnothing/", None),
        ("DELETE", "esnothing/", None),
        ("PUT", "esnothing/start/", None),
        ("PUT", "esnothing/stop/", None),
        ("GET", "esnothing/state/", None),
    ]:
        answered = ask(method, EXPERIMENTS + path, body, {API_KEY_HEADER: key})
        assert answered.status == 403
        assert answered.body == {"details": "Incorrect API Key provided", "error": "Forbidden"}
    answered = ask("GET", "/jobs/logs?experimentId=esnothing", None, {API_KEY_HEADER: key})
    assert (answered.status, answered.body) == (401, "Authentication failed")


@pytest.mark.parametrize(
    "handle",
    [
        "esnothing",
        "..",
        ".",
        "%2E%2E",
        "%00",
        "a%2Fb",
        "%2F",
        "%FF",
        "%",
        "%zz",
        "{handle}",
        "a" * 50_000,
        "'--",
        "run",
        "%C3%A9",
    ],
    ids=lambda handle: handle[:12],
)
def test_unknown_ids(ask, handle):
    """Are not found, however they look."""
    for method, path in [
        ("GET", "{}/"),
        ("DELETE", "{}/"),
        ("PUT", "{}/start/"),
        ("PUT", "{}/stop/"),
        ("GET", "{}/state/"),
    ]:
        if (handle, path) == ("run", "{}/"):
            continue  # this is where experiments are run
        assert_error(ask(method, EXPERIMENTS + path.format(handle)), 404)
    assert_error(ask("GET", f"/jobs/logs?experimentId={handle}"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/experiments",
        "/experiments/v3/experiments/",
        "/experiments/v1/experiments",
        "/experiments/v1/experiments/run",
        "/experiments/v1/experiments/esnothing",
        "/experiments/v1/experiments/esnothing/state",
        "/experiments/v1/experiments/esnothing/pause/",
        "/experiments/v1/experiments//",
        "//experiments/v1/experiments/",
        "/experiments/v1/../v1/experiments/",
        "/experiments/v1%2Fexperiments%3F",
        "/jobs/logs/",
        "/Jobs/Logs?experimentId=esnothing",
        "/favicon.ico",
        "*",
        "experiments",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "BREW"])
def test_unknown_addresses(ask, method, path):
    """404, also where only the slash at the end is missing, and for any method."""
    assert_error(ask(method, path, b"{}"), 404)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PATCH", "BREW", "get", "PROPFIND", "X" * 1000])
@pytest.mark.parametrize("path", [EXPERIMENTS, EXPERIMENTS + "run/", EXPERIMENTS + "esnothing/", "/jobs/logs"])
def test_methods_that_an_address_does_not_have(ask, contract, method, path):
    """405, and the answer says which ones there are; it has no body for HEAD."""
    answered = ask(method, path)
    item = next(
        item
        for template, item in contract["paths"].items()
        if path.removeprefix("/experiments/v1") == template.format(handle="esnothing")
    )
    allowed = {name.upper() for name, operation in item.items() if "operationId" in operation}
    assert set(answered.headers["Allow"].split(", ")) == allowed
    if method == "HEAD":
        assert (answered.status, answered.body) == (405, "")
    else:
        assert_error(answered, 405)
