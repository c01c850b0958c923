"""Wrong keys, unknown ids, unknown addresses, and methods that an address does not have."""

import pytest
from gradient_api.constants import API_KEY_HEADER

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"


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
        ask(method, EXPERIMENTS + path.format(handle)).assert_error(404)
    ask("GET", f"/jobs/logs?experimentId={handle}").assert_error(404)


@pytest.mark.parametrize(
    "path",
    [
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
    ask(method, path, b"{}").assert_error(404)


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
        answered.assert_error(405)
