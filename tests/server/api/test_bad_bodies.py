"""Bodies that are not JSON, not an object, or JSON of a kind that breaks what reads it."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
CREATE = [EXPERIMENTS, EXPERIMENTS + "run/"]
# The examples of a property share a server and a connection: what one of them leaves behind must not matter.
ONE_SERVER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


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
    answered.assert_error(400)
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
    ask.read().assert_error(415)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
def test_json_by_other_names(ask, single_node_body, kind):
    """Parameters and case of the type do not matter."""
    assert ask("POST", EXPERIMENTS, single_node_body, {"Content-Type": kind}).status == 200


@pytest.mark.parametrize(
    "extra",
    [
        {"unknown": {"a": [1, None, "é"]}},
        {"project_handle": "other", "state": 5, "id": 1, "handle": "es1"},
        {"fooCount": "many", "barCount": None, "bazCount": -1, "Count": [], "quxCount": 1.5},
        {"parameterServerCount": 10**9, "workerCommand": "no base64"},
        {"": "", "__class__": 1, "a b": 2, "\0": 3},
    ],
    ids=["unknown", "names of answers", "looks like a count", "of another kind", "odd names"],
)
def test_what_is_not_described_is_let_be(ask, single_node_body, extra):
    """Members that a kind of experiment does not have are neither refused nor kept, and make no more nodes of one."""
    body = {**single_node_body, "experimentEnv": {"GRADIENT_MOCK_SECONDS": 0, "GRADIENT_MOCK_LOG_LINES": 0}}
    handles = [ask("POST", EXPERIMENTS + "run/", sent).body["handle"] for sent in (body, {**body, **extra})]
    plain, shown = (ask("GET", f"{EXPERIMENTS}{handle}/").body["data"] for handle in handles)
    assert shown["templateHistory"]["params"] == plain["templateHistory"]["params"]
    assert (shown["handle"], shown["state"]) == (handles[1], plain["state"])
    assert len(ask("GET", f"/jobs/logs?experimentId={handles[1]}").body) == 1


@pytest.mark.parametrize("text", ["NUL \0", "\U0001f600", "\u2028 \u202e \ufeff", "\x7f\x1b[0m", "n" * 100_000])
def test_odd_texts(ask, single_node_body, text):
    """Are shown as they were given."""
    handle = ask("POST", EXPERIMENTS, {**single_node_body, "name": text, "experimentEnv": {text: text}}).body["handle"]
    params = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]["templateHistory"]["params"]
    assert (params["name"], params["experiment_env"]) == (text, {text: text})


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
        created.assert_error(400)


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
        created.assert_error(400)


def test_the_most_nodes_that_there_can_be(ask, contract):
    """As many as the contract allows run, and each of them prints."""
    properties = contract["components"]["schemas"]["WorkerFields"]["properties"]
    example = contract["components"]["examples"]["MultiNodeRequest"]["value"]
    wish = {"GRADIENT_MOCK_SECONDS": 0, "GRADIENT_MOCK_LOG_LINES": 0}
    count = properties["workerCount"]["maximum"]
    body = {**example, "workerCount": count, "experimentEnv": wish}
    handle = ask("POST", EXPERIMENTS + "run/", body).body["handle"]
    rows = ask("GET", f"/jobs/logs?experimentId={handle}").body
    assert len({row["jobId"] for row in rows}) == len(rows) == count + body["parameterServerCount"]


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
    ask("POST", EXPERIMENTS, json.dumps(body).encode()).assert_error(400)


@ONE_SERVER
@given(changes=st.dictionaries(st.sampled_from(["name", "experimentEnv", "ports", "fooCount", "é"]), ANY_JSON))
def test_any_json_in_a_sound_body(ask, single_node_body, changes):
    """Whatever a member is given, the experiment is refused, or can be read."""
    created = ask("POST", EXPERIMENTS, {**single_node_body, **changes})
    if created.status == 200:
        assert ask("GET", f"{EXPERIMENTS}{created.body['handle']}/").status == 200
    else:
        created.assert_error(400, *(set(created.body["details"]) & set(changes)))


@ONE_SERVER
@given(body=st.binary())
def test_any_bytes(ask, body):
    """Whatever bytes are posted, too."""
    ask("POST", EXPERIMENTS, body).assert_error(400)
