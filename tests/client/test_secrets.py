"""API keys and passwords are sent, and appear nowhere else: not in errors, tracebacks or logs, nor when printed."""

import copy
import logging
import pickle
import signal
import threading

import httpx
import pytest
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS

from gradient import ExperimentsClient, GradientSdkError
from tests.conftest import METHODS, call_method
from tests.fake_servers import cut, drop, half, hang, page, raw, status
from tests.tracebacks import everything_shown

SINGLE_NODE_SECRETS, MULTI_NODE_SECRETS = (
    {parameter.name: f"sesame-{parameter.name}" for parameter in accepted.parameters if parameter.secret}
    for accepted in (SINGLE_NODE_PARAMETERS, MULTI_NODE_PARAMETERS)
)
SECRETS = {
    "create_single_node": SINGLE_NODE_SECRETS,
    "run_single_node": SINGLE_NODE_SECRETS,
    "create_multi_node": MULTI_NODE_SECRETS,
    "run_multi_node": MULTI_NODE_SECRETS,
}
FAULTS = {
    "no response": drop,
    "a cut response": cut,
    "half a document": half,
    "a web page": page,
    "silence": hang,
    "forbidden": status(403, {"error": "Forbidden"}),
    "a bad gateway": status(502, b"<html>"),
    "a redirect": status(307, b"", Location="http://elsewhere.invalid/"),
    "no gzip": status(200, b"{}", Content_Encoding="gzip"),
    "an invalid length": status(200, b"{}", Content_Length="many"),
}


def check_hidden(error):
    """Check an error, a copy of it, and one that comes from another process."""
    for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert "sesame" not in everything_shown(each)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_fails_the_error_its_traceback_and_the_log_show_no_secret(flaky, client, caplog, fault):
    flaky.plan = [fault] * 2
    hurried = client.with_options(timeout=0.3, max_attempts=1)
    with caplog.at_level(logging.DEBUG):
        for name in ("create_single_node", "get"):
            with pytest.raises(GradientSdkError) as caught:
                call_method(hurried, name, **SECRETS.get(name, {}))
            check_hidden(caught.value)
    assert "sesame" not in "\n".join(record.getMessage() + repr(record.args) for record in caplog.records)


@pytest.mark.parametrize("name", METHODS)
def test_whichever_method_fails_its_error_and_traceback_show_no_secret(flaky, client, name):
    flaky.plan = [drop] * 100
    with pytest.raises(GradientSdkError) as caught:
        call_method(client.with_options(max_attempts=1, patience=0.001), name, **SECRETS.get(name, {}))
    check_hidden(caught.value)
    client.close()
    with pytest.raises(GradientSdkError, match="closed") as caught:
        call_method(client, name, **SECRETS.get(name, {}))
    check_hidden(caught.value)


@pytest.mark.parametrize("wrong", [{"ports": []}, {"port": 1}], ids=["value", "keyword"])
def test_errors_of_arguments_show_no_secret(flaky, client, single_node, wrong):
    with pytest.raises((GradientSdkError, TypeError)) as caught:
        client.create_single_node(**single_node, **SINGLE_NODE_SECRETS, **wrong)
    assert "sesame" not in everything_shown(caught.value)


@pytest.mark.parametrize("event", ["request", "response"])
@pytest.mark.parametrize("name", METHODS)
def test_an_error_of_a_hook_is_raised_as_it_is_and_shows_no_secret(flaky, name, event):
    def hook(message):
        try:
            raise KeyError("first")
        except KeyError:
            raise ZeroDivisionError("of a hook") from None

    urls = {"base_url": flaky.url, "logs_url": flaky.url}
    with (
        httpx.Client(event_hooks={event: [hook]}) as own,
        ExperimentsClient("sesame-key", **urls, http_client=own) as client,
        pytest.raises(ZeroDivisionError) as caught,
    ):
        call_method(client, name, **SECRETS.get(name, {}))
    assert "sesame" not in everything_shown(caught.value)
    assert caught.traceback[-1].name == "hook"


def test_ctrl_c_during_a_create_shows_no_secret(flaky, single_node):
    def interrupt(handler):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        hang(handler)

    flaky.plan = [interrupt]
    with ExperimentsClient("sesame-key", base_url=flaky.url) as client, pytest.raises(KeyboardInterrupt) as caught:
        client.create_single_node(**single_node, **SINGLE_NODE_SECRETS)
    assert "sesame" not in everything_shown(caught.value)


PASSWORDS = {"registry_password": 'sesame-"registry/ä', "workspace_password": "error", "workspace_username": "20261126"}
REPEATED = {
    "the key": status(403, {"error": "Incorrect API key provided: sesame-key", "details": {"key": "sesame-key"}}),
    "a whole request": status(400, b"POST / HTTP/1.1\r\nX-API-Key: sesame-key\r\n"),
    "a password": status(422, {"details": {"registryPassword": ["'sesame-\"registry/ä' is too long"]}}),
    "a password as other JSON writers escape it": status(
        422, '{"details": {"registryPassword": ["sesame-\\"registry\\/ä is too long"]}}'.encode()
    ),
    "a password as a number": status(422, {"details": {"workspaceUsername": [20261126, "or so"]}}),
    "a password as a name": status(422, {"details": {'sesame-"registry/ä': ["is too long"]}}),
    "an address with a password": status(400, {"error": "cannot clone https://me:sesame@example.com/r.git"}),
    "a nested address": status(400, {"details": {"workspace": [{"url": "https://sesame@example.com/r.git"}]}}),
    "a header": status(503, b"", X_Request_Id="sesame-key-1"),
    "a redirect": status(302, b"", Location="https://me:sesame@elsewhere.invalid/?key=sesame-key"),
}
MALFORMED = {
    "an object": status(200, {"handle": {"registryPassword": PASSWORDS["registry_password"]}, "message": "success"}),
    "all of it": status(200, {**PASSWORDS, "key": "sesame-key"}),
    "a list": status(200, ["sesame-key"]),
    "a malformed header": raw(b"HTTP/1.1 200 OK\r\nno header X-API-Key sesame-key\r\n\r\n"),
}


@pytest.mark.parametrize("repeated", [*REPEATED.values(), *MALFORMED.values()], ids=[*REPEATED, *MALFORMED])
def test_a_secret_that_the_server_repeats_is_redacted(flaky, client, single_node, repeated):
    flaky.plan = [repeated]
    with pytest.raises(GradientSdkError) as caught:
        client.with_options(max_attempts=1).create_single_node(**single_node, **PASSWORDS)
    shown = everything_shown(caught.value)
    assert "sesame" not in shown
    assert "20261126" not in shown
    assert "********" in str(vars(caught.value)) or repeated in MALFORMED.values()


def test_a_key_in_place_of_a_number_is_not_shown(flaky, client):
    flaky.plan = [status(200, {"data": {"handle": "es1", "experimentTypeId": 1, "state": "sesame-key"}})]
    with pytest.raises(GradientSdkError, match="state is a string instead of a value of type integer") as caught:
        client.get("es1")
    assert "sesame" not in everything_shown(caught.value)


def test_control_characters_of_a_server_are_escaped(flaky, client):
    flaky.plan = [status(400, {"error": "\x1b]0;gone\x07 one\r\n\x1b[2J"})]
    with pytest.raises(GradientSdkError, match=r"\\x1b\]0;gone\\x07 one\n\\x1b\[2J") as caught:
        client.list()
    assert not {"\x1b", "\r"} & set(str(caught.value))


def test_the_server_gets_the_secrets(flaky, client, single_node):
    client.create_single_node(**single_node, **SINGLE_NODE_SECRETS)
    assert flaky.requests[0].headers["x-api-key"] == "sesame-key"
    assert all(secret.encode() in flaky.requests[0].body for secret in SINGLE_NODE_SECRETS.values())


def test_a_client_shows_no_key(flaky, client):
    assert "sesame" not in repr(client) + str(client) + repr(vars(client))
