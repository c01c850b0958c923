"""Keys and passwords are sent, and appear nowhere else: not printed, not logged, not in errors or in their frames."""

import copy
import logging
import os
import pickle
import sys
import warnings

import httpx
import pytest

from gradient import ExperimentsClient, GradientSdkError
from tests.client.exposure import everything_about
from tests.client.flaky import FlakyServer, drop, half, status

SECRETS = {
    "registry_username": "sesame-user",
    "registry_password": "sesame-registry",
    "workspace_username": "sesame-user",
    "workspace_password": "sesame-workspace",
    "workspace_url": "https://me:sesame-url@example.com/r.git",
}


@pytest.fixture
def flaky():
    server = FlakyServer()
    yield server
    server.close()


@pytest.fixture
def secretive(flaky):
    with ExperimentsClient("sesame-key", base_url=flaky.url, logs_url=flaky.url, max_attempts=2) as client:
        yield client


CALLS = {
    "create": lambda client, given: client.create_single_node(**given),
    "a wrong value": lambda client, given: client.create_single_node(**given, ports=[]),
    "an unknown keyword": lambda client, given: client.create_single_node(**given, port=1),
    "get": lambda client, given: client.get("es1"),
    "list": lambda client, given: client.list(),
    "logs": lambda client, given: client.logs("es1"),
    "start": lambda client, given: client.start("es1"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("fault", [drop, half, status(403, {"error": "Forbidden"}), status(502, b"<html>")])
def test_nothing_about_an_error_shows_a_secret(flaky, secretive, single_node, caplog, call, fault):
    """Not its text, not what it carries, not the variables of the frames that it went through, not the log."""
    flaky.plan = [fault] * 2
    with caplog.at_level(logging.DEBUG), pytest.raises((GradientSdkError, TypeError)) as caught:
        call(secretive, {**single_node, **SECRETS})
    assert "sesame" not in everything_about(caught.value)
    assert "sesame" not in "\n".join(record.getMessage() + repr(record.args) for record in caplog.records)


def test_what_is_sent_is_whole(flaky, secretive, single_node):
    """Hiding is for people; the server gets everything."""
    secretive.create_single_node(**single_node, **{name: SECRETS[name] for name in SECRETS if name != "workspace_url"})
    _, _, headers, body = flaky.requests[0]
    assert headers["x-api-key"] == "sesame-key"
    assert b"sesame-registry" in body
    assert b"sesame-workspace" in body


def test_nothing_that_is_printed_shows_a_secret(secretive):
    """Neither in one representation nor in another."""
    assert "sesame" not in repr(secretive) + str(secretive) + repr(vars(secretive))


def test_a_client_is_not_pickled(secretive):
    """The key would be in the file; the error says what to do instead. Copies share the connections."""
    with pytest.raises(TypeError, match="make one where it is needed"):
        pickle.dumps(secretive)
    for twin in (copy.copy(secretive), copy.deepcopy(secretive)):
        assert twin.get("es1").id == "es1"


def test_redirects_do_not_lead_the_key_astray(flaky, secretive):
    """They are an error that names the target, also with a client of the user's that follows them."""
    elsewhere = FlakyServer()
    with (
        httpx.Client(follow_redirects=True) as own,
        ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own) as following,
    ):
        for client in (secretive, following):
            flaky.plan = [status(307, b"", Location=f"{elsewhere.url}/v2/experiments/es1/?limit=1")]
            with pytest.raises(GradientSdkError, match="the server redirects to") as caught:
                client.get("es1")
            assert f"give the client the address {elsewhere.url}/v2\n" in str(caught.value)
    assert elsewhere.requests == []
    elsewhere.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_refuses_a_client_of_the_users(flaky):
    """Its connections are shared with the parent, and nobody here may replace them."""
    with httpx.Client() as own, ExperimentsClient("sesame-key", base_url=flaky.url, http_client=own) as client:
        client.get("es1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking while the server's threads run
            child = os.fork()
        if not child:
            code = 1
            try:
                client.get("es1")
            except GradientSdkError as error:
                about = everything_about(error)
                code = 0 if "make both after forking" in about and "sesame" not in about else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.get("es1").id == "es1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_has_connections_of_its_own(flaky, secretive):
    """Parent and child go on with the same client, and neither can read the answers of the other."""
    secretive.get("es1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking while the server's threads run, from 3.12 on
        child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if secretive.get("es1").id == "es1" else 2
        finally:
            os._exit(code)
    assert secretive.get("es1").id == "es1"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    of_the_parent = flaky.peers[0]
    assert sorted(one == of_the_parent for one in flaky.peers) == [False, True, True]
    assert sys.exc_info() == (None, None, None)
