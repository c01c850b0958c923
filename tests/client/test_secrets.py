"""API keys and passwords are sent, and appear nowhere else: not in errors, tracebacks or logs, nor when printed."""

import copy
import logging
import os
import pickle
import signal
import sys
import threading

import httpx
import pytest
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS

from gradient import ExperimentsClient, GradientSdkError, NotFoundError
from tests.client.flaky import FlakyServer, cut, drop, half, hang, page, status
from tests.tracebacks import everything_shown

SINGLE_NODE_SECRETS, MULTI_NODE_SECRETS = (
    {parameter.name: f"sesame-{parameter.name}" for parameter in accepted.parameters if parameter.secret}
    for accepted in (SINGLE_NODE_PARAMETERS, MULTI_NODE_PARAMETERS)
)
CALLS = {
    "create_single_node": lambda client, single, multi: client.create_single_node(**single, **SINGLE_NODE_SECRETS),
    "run_single_node": lambda client, single, multi: client.run_single_node(**single, **SINGLE_NODE_SECRETS),
    "create_multi_node": lambda client, single, multi: client.create_multi_node(**multi, **MULTI_NODE_SECRETS),
    "run_multi_node": lambda client, single, multi: client.run_multi_node(**multi, **MULTI_NODE_SECRETS),
    "start": lambda client, single, multi: client.start("es1"),
    "stop": lambda client, single, multi: client.stop("es1"),
    "delete": lambda client, single, multi: client.delete("es1"),
    "get": lambda client, single, multi: client.get("es1"),
    "list": lambda client, single, multi: client.list(),
    "iter_experiments": lambda client, single, multi: list(client.iter_experiments()),
    "state": lambda client, single, multi: client.state("es1"),
    "logs": lambda client, single, multi: client.logs("es1"),
    "yield_logs": lambda client, single, multi: list(client.yield_logs("es1", timeout=0.05)),
    "wait": lambda client, single, multi: client.wait("es1", timeout=0.05),
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


@pytest.fixture
def flaky():
    server = FlakyServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def http_client():
    with httpx.Client() as client:
        yield client


@pytest.fixture
def client(flaky, http_client):
    chosen = {"base_url": flaky.url, "logs_url": flaky.url, "max_attempts": 1, "http_client": http_client}
    with ExperimentsClient("sesame-key", **chosen) as client:
        yield client


def test_every_public_method_is_in_the_table():
    public = {name for name, value in vars(ExperimentsClient).items() if name[0] != "_" and callable(value)}
    assert public - {"get_logs"} == set(CALLS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_failures_show_no_secret(flaky, client, single_node, multi_node, caplog, call):
    """Neither the error, nor a copy of it, nor a traceback with local variables, nor the log."""
    hurried = client.with_options(timeout=0.05)
    with caplog.at_level(logging.DEBUG):
        for name, fault in FAULTS.items():
            flaky.plan = [fault] * 10
            try:
                call(hurried, single_node, multi_node)
            except GradientSdkError as error:
                for seen in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
                    assert "sesame" not in everything_shown(seen), name
    client.close()
    with pytest.raises(GradientSdkError, match="closed") as caught:
        call(client, single_node, multi_node)
    assert "sesame" not in everything_shown(caught.value)
    assert "sesame" not in "\n".join(record.getMessage() + repr(record.args) for record in caplog.records)


@pytest.mark.parametrize("wrong", [{"ports": []}, {"port": 1}], ids=["value", "keyword"])
def test_errors_of_arguments_show_no_secret(client, single_node, wrong):
    with pytest.raises((GradientSdkError, TypeError)) as caught:
        client.create_single_node(**single_node, **SINGLE_NODE_SECRETS, **wrong)
    assert "sesame" not in everything_shown(caught.value)


@pytest.mark.parametrize("event", ["request", "response"])
def test_errors_of_hooks_are_raised_as_they_are_and_show_no_secret(flaky, single_node, multi_node, event):
    def hook(message):
        try:
            raise KeyError("first")
        except KeyError:
            raise ZeroDivisionError("of a hook") from None

    with (
        httpx.Client(event_hooks={event: [hook]}) as own,
        ExperimentsClient("sesame-key", base_url=flaky.url, logs_url=flaky.url, http_client=own) as client,
    ):
        for name, call in CALLS.items():
            with pytest.raises(ZeroDivisionError) as caught:
                call(client, single_node, multi_node)
            assert "sesame" not in everything_shown(caught.value), name
            assert caught.traceback[-1].name == "hook"


def test_ctrl_c_during_a_create_shows_no_secret(flaky, client, single_node):
    def interrupt(handler):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        hang(handler)

    flaky.plan = [interrupt]
    with pytest.raises(KeyboardInterrupt) as caught:
        client.create_single_node(**single_node, **SINGLE_NODE_SECRETS)
    assert "sesame" not in everything_shown(caught.value)


PASSWORDS = {"registry_password": 'sesame-"registry/ä', "workspace_password": "error", "workspace_username": "20261126"}


def in_a_header(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header X-API-Key sesame-key\r\n\r\n")
    handler.close_connection = True


ECHOES = {
    "the key": status(403, {"error": "Incorrect API key provided: sesame-key", "details": {"key": "sesame-key"}}),
    "a whole request": status(400, b"POST / HTTP/1.1\r\nX-API-Key: sesame-key\r\n"),
    "a password": status(422, {"details": {"registryPassword": ["'sesame-\"registry/ä' is too long"]}}),
    "an address with a password": status(400, {"error": "cannot clone https://me:sesame@example.com/r.git"}),
    "in depth": status(400, {"details": {"workspace": [{"url": "https://sesame@example.com/r.git"}]}}),
    "in headers": status(503, b"", X_Request_Id="sesame-key-1"),
    "as other JSON writers do": status(
        422, '{"details": {"registryPassword": ["sesame-\\"registry\\/ä is too long"]}}'.encode()
    ),
    "as a number": status(422, {"details": {"workspaceUsername": [20261126, "or so"]}}),
    "as a name": status(422, {"details": {'sesame-"registry/ä': ["is too long"]}}),
    "in a redirect": status(302, b"", Location="https://me:sesame@elsewhere.invalid/?key=sesame-key"),
}
MALFORMED = {
    "an object": status(200, {"handle": {"registryPassword": PASSWORDS["registry_password"]}, "message": "success"}),
    "all of it": status(200, {**PASSWORDS, "key": "sesame-key"}),
    "a list": status(200, ["sesame-key"]),
    "in a malformed header": in_a_header,
}


@pytest.mark.parametrize("echo", [*ECHOES.values(), *MALFORMED.values()], ids=[*ECHOES, *MALFORMED])
def test_a_secret_that_the_server_repeats_is_masked(flaky, client, single_node, echo):
    flaky.plan = [echo]
    with pytest.raises(GradientSdkError) as caught:
        client.create_single_node(**single_node, **PASSWORDS)
    shown = everything_shown(caught.value)
    assert "sesame" not in shown
    assert "20261126" not in shown
    assert "********" in str(vars(caught.value)) or echo in MALFORMED.values()


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
    _, _, headers, body = flaky.requests[0]
    assert headers["x-api-key"] == "sesame-key"
    assert all(secret.encode() in body for secret in SINGLE_NODE_SECRETS.values())


def test_a_client_shows_no_key(client):
    assert "sesame" not in repr(client) + str(client) + repr(vars(client))


def test_a_client_cannot_be_pickled_and_copies_share_its_connections(client):
    with pytest.raises(TypeError, match="make one where it is needed"):
        pickle.dumps(client)
    for twin in (copy.copy(client), copy.deepcopy(client)):
        assert twin.get("es1").id == "es1"


@pytest.mark.parametrize("follow_redirects", [False, True])
def test_a_redirect_is_an_error_that_names_the_target_and_the_key_does_not_go_there(flaky, follow_redirects):
    elsewhere = FlakyServer()
    flaky.plan = [status(307, b"", Location=f"{elsewhere.url}/v2/experiments/es1/?limit=1")]
    with (
        httpx.Client(follow_redirects=follow_redirects) as own,
        ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own) as client,
        pytest.raises(GradientSdkError, match="the server redirects to") as caught,
    ):
        client.get("es1")
    assert f"give the client the address {elsewhere.url}/v2\n" in str(caught.value)
    assert elsewhere.requests == []
    elsewhere.close()


def test_a_hook_that_raises_for_a_status_changes_nothing(flaky):
    """The error is that of this package, and transient statuses are retried."""
    flaky.plan = [status(503), status(404, {"error": "Gone"})]
    with (
        httpx.Client(event_hooks={"response": [httpx.Response.raise_for_status]}) as own,
        ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own, max_attempts=3) as client,
        pytest.raises(NotFoundError),
    ):
        client.get("es1")
    assert len(flaky.requests) == 2


def test_a_closed_client_says_so(flaky):
    """Whether this client was closed or a copy of it, or the http_client; closing twice is no error."""
    client = ExperimentsClient("sesame-key", base_url=flaky.url)
    twin = client.with_options(timeout=1)
    client.close()
    client.close()
    for closed in (client, twin):
        with pytest.raises(GradientSdkError, match="This client is closed"):
            closed.get("es1")
    own = httpx.Client()
    with ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own) as client:
        assert client.get("es1").id == "es1"
        own.close()
        with pytest.raises(GradientSdkError, match="The http_client of this client is closed"):
            client.get("es1")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")  # from Python 3.12 on
class TestFork:
    def child_of(self, action):
        """Return the exit code of a forked process: 0 if an action succeeds there."""
        child = os.fork()
        if not child:
            code = 1
            try:
                code = 0 if action() else 2
            finally:
                os._exit(code)
        return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_a_forked_process_refuses_an_http_client_of_the_user(self, flaky, client):
        client.get("es1")

        def refuses():
            with pytest.raises(GradientSdkError, match="make both after forking") as caught:
                client.get("es1")
            return "sesame" not in everything_shown(caught.value)

        assert self.child_of(refuses)() == 0
        assert client.get("es1").id == "es1"

    def test_a_forked_process_opens_connections_of_its_own(self, flaky):
        """Parent and child go on with the same client, and neither can read the responses of the other."""
        with ExperimentsClient("sesame-key", base_url=flaky.url) as client:
            client.get("es1")
            wait = self.child_of(lambda: client.get("es1").id == "es1")
            assert client.get("es1").id == "es1"
            assert wait() == 0
        assert sorted(peer == flaky.peers[0] for peer in flaky.peers) == [False, True, True]
        assert sys.exc_info() == (None, None, None)
