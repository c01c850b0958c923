"""Parameters in the query or in headers that are wrong, derived from the contract where it describes them."""

from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"


NO_INTEGERS = ["", "x", "1.5", "1e3", "0x1", "%201", "+1", "--1", "%D9%A3", "1%00", "1e999", "9" * 5000, "NaN", "null"]


def numeric_parameters(contract):
    """Every numeric parameter of a query: the address of its operation, its name, its schema."""
    for path, item in contract["paths"].items():
        operation = item.get("get", {})
        server = operation.get("servers", contract["servers"])[0]["url"]
        for reference in operation.get("parameters", []):
            parameter = contract["components"]["parameters"][reference["$ref"].rsplit("/", 1)[1]]
            if parameter["in"] == "query" and parameter["schema"]["type"] in ("integer", "number"):
                yield urlsplit(server).path + path, parameter["name"], parameter["schema"]


def wrong_values(schema):
    yield from (text for text in NO_INTEGERS if schema["type"] == "integer" or text != "1.5")
    if "minimum" in schema:
        yield str(schema["minimum"] - 1)
    if "maximum" in schema:
        yield str(schema["maximum"] + 1)


def test_every_numeric_parameter_with_a_wrong_value(ask, contract, single_node_body):
    """For each operation, each parameter and each value that it cannot have: the answer names the parameter."""
    handle = ask("POST", EXPERIMENTS, single_node_body).body["handle"]
    tried = 0
    for path, name, schema in numeric_parameters(contract):
        # Only one of the operations asks for the experiment in this way; for the others it is an unknown parameter.
        address = f"{path.format(handle=handle)}?experimentId={handle}&{name}="
        for value in wrong_values(schema):
            ask("GET", address + value).assert_error(400, name)
            tried += 1
        ask("GET", f"{address}1&{name}=1").assert_error(400, name)
        assert ask("GET", address + "1").status in (200, 204)
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
    ask("GET", f"{EXPERIMENTS}?{query}").assert_error(400, name)


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
    ask("POST", EXPERIMENTS, single_node_body, {"Idempotency-Key": key}).assert_error(400, "Idempotency-Key")
