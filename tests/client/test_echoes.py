"""Servers that repeat what they were sent, or say what was stored: people do not see the secrets in it."""

import httpx
import pytest

from gradient import ExperimentFailedError, ExperimentsClient, GradientSdkError, LogRow, SingleNodeExperiment
from gradient_ext.redaction import redact
from tests.client.exposure import everything_about
from tests.client.flaky import FlakyServer, status


@pytest.fixture(scope="module")
def flaky():
    server = FlakyServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def secretive(flaky):
    with httpx.Client() as own:
        yield ExperimentsClient("sesame-key", base_url=flaky.url, logs_url=flaky.url, max_attempts=1, http_client=own)


PASSWORDS = {"registry_password": 'sesame-"registry/ä', "workspace_password": "error", "workspace_username": "20261126"}
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


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_what_a_server_repeats(flaky, secretive, single_node, echo):
    """It is redacted in the error, and all that the error carries."""
    flaky.plan = [echo]
    with pytest.raises(GradientSdkError) as caught:
        secretive.create_single_node(**single_node, **PASSWORDS)
    assert_discreet(caught.value)
    assert "********" in everything_about(caught.value)


def assert_discreet(error):
    said = everything_about(error)
    assert "sesame" not in said
    assert "20261126" not in said


def in_a_header(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header X-API-Key sesame-key\r\n\r\n")
    handler.close_connection = True


MALFORMED = {
    "an object": status(200, {"handle": {"registryPassword": PASSWORDS["registry_password"]}, "message": "success"}),
    "all of it": status(200, {**PASSWORDS, "key": "sesame-key"}),
    "a list": status(200, ["sesame-key"]),
    "in a header": in_a_header,
}


@pytest.mark.parametrize("answer", MALFORMED.values(), ids=MALFORMED)
def test_what_a_broken_answer_repeats(flaky, secretive, single_node, answer):
    """It is not in the error that says what is wrong with the answer, in whole or in part."""
    flaky.plan = [answer]
    with pytest.raises(GradientSdkError) as caught:
        secretive.create_single_node(**single_node, **PASSWORDS)
    assert_discreet(caught.value)


def test_the_key_where_a_number_belongs(flaky, secretive):
    """The error says that it is no number, and not what it is."""
    flaky.plan = [status(200, {"data": {"handle": "es1", "experimentTypeId": 1, "state": "sesame-key"}})]
    with pytest.raises(GradientSdkError, match="state is a string instead of a value of type integer") as caught:
        secretive.get("es1")
    assert_discreet(caught.value)


def test_secrets_that_begin_alike():
    """The shorter one does not leave the rest of the longer one behind."""
    assert redact("sesame-open", ["sesame", "sesame-open"]) == "********"


def test_what_would_move_a_terminal(flaky, secretive):
    """It is written as Python writes it, in the words of a server and in the rows of an experiment that has failed."""
    hostile = "\x1b]0;gone\x07 one\r\n\x1b[2J"
    flaky.plan = [status(400, {"error": hostile})]
    with pytest.raises(GradientSdkError, match=r"\\x1b\]0;gone\\x07 one\n\\x1b\[2J") as caught:
        secretive.list()
    experiment = SingleNodeExperiment(id="es1", state=7, experiment_type_id=1, experiment_error=hostile)
    failed = ExperimentFailedError(experiment, "es1", 7, [LogRow(1, hostile, "")])
    assert str(failed).count(r"\x1b[2J") == 2
    for error in (caught.value, failed):
        assert "\x1b" not in str(error)
        assert "\r" not in str(error)


def test_short_secrets_do_not_shred_what_is_said(flaky, secretive, single_node):
    """They stand in other words, too."""
    flaky.plan = [status(400, {"error": "Experiment data error"})]
    with pytest.raises(GradientSdkError, match="Experiment data error"):
        secretive.create_single_node(**single_node, registry_password="data")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:sesame@h/r.git", "https://me:********@h/r.git"),
        ("https://me:p@sesame@h/r.git", "https://me:********@h/r.git"),
        ("https://sesame@h/r.git", "https://********@h/r.git"),
        ('https://me:se"same@h/r.git', "https://me:********@h/r.git"),
        ("HTTPS://sesame:@h/r.git", "HTTPS://********@h/r.git"),
        ("https://sesame:x-oauth-basic@h/r.git", "https://********@h/r.git"),
        ("git+https://:sesame@h/r.git", "git+https://:********@h/r.git"),
        ("ssh://git@h:22/r.git", "ssh://git@h:22/r.git"),
        ("git@h:me/r.git", "git@h:me/r.git"),
        ("https://h:8080/me@x", "https://h:8080/me@x"),
        ('{"a":"https://h:80","b":"me@x"}', '{"a":"https://h:80","b":"me@x"}'),
    ],
)
def test_addresses(address, shown):
    """Passwords are hidden, and tokens that stand in the place of the user."""
    assert redact(address) == shown
    experiment = SingleNodeExperiment(id="es1", state=7, experiment_type_id=1, workspace_url=address)
    assert repr(shown) in repr(experiment)


def test_the_reason_of_a_failure():
    """Neither the words of the server nor the last rows show the password of an address when it is told."""
    said = "cannot clone https://me:sesame@h/r.git"
    experiment = SingleNodeExperiment(id="es1", state=7, experiment_type_id=1, experiment_error=said)
    error = ExperimentFailedError(experiment, "es1", 7, [LogRow(1, said, "")])
    assert str(error).count("https://me:********@h/r.git") == 2
    assert "sesame" not in str(error) + repr(error)
    assert "es1" in repr(error)
