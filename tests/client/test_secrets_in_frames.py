"""Whatever interrupts a call, and whoever raised it: no frame that it went through still holds a key or a password."""

import copy
import pickle
import signal
import sys
import threading
import types

import httpx
import pytest
from gradient_api.parameters import MULTI_NODE_PARAMETERS, SINGLE_NODE_PARAMETERS

from gradient import ExperimentsClient, GradientSdkError, NotFoundError
from gradient_ext.redaction import without_frames_of
from tests.client.exposure import everything_about
from tests.client.flaky import FlakyServer, cut, drop, half, hang, page, status


@pytest.fixture
def flaky():
    server = FlakyServer()
    yield server
    server.close()


def client_of(flaky, **options):
    chosen = {"base_url": flaky.url, "logs_url": flaky.url, "max_attempts": 1, "timeout": 0.05, **options}
    return ExperimentsClient("sesame-key", **chosen)


def secrets_of(accepted):
    return {parameter.name: f"sesame-{parameter.name}" for parameter in accepted.parameters if parameter.secret}


OF_ONE, OF_MANY = secrets_of(SINGLE_NODE_PARAMETERS), secrets_of(MULTI_NODE_PARAMETERS)

CALLS = {
    "create_single_node": lambda client, one, many: client.create_single_node(**one, **OF_ONE),
    "run_single_node": lambda client, one, many: client.run_single_node(**one, **OF_ONE),
    "create_multi_node": lambda client, one, many: client.create_multi_node(**many, **OF_MANY),
    "run_multi_node": lambda client, one, many: client.run_multi_node(**many, **OF_MANY),
    "start": lambda client, one, many: client.start("es1"),
    "stop": lambda client, one, many: client.stop("es1"),
    "delete": lambda client, one, many: client.delete("es1"),
    "get": lambda client, one, many: client.get("es1"),
    "list": lambda client, one, many: client.list(),
    "iter_experiments": lambda client, one, many: list(client.iter_experiments()),
    "state": lambda client, one, many: client.state("es1"),
    "logs": lambda client, one, many: client.logs("es1"),
    "yield_logs": lambda client, one, many: list(client.yield_logs("es1", timeout=0.05)),
    "wait": lambda client, one, many: client.wait("es1", timeout=0.05),
}
FAULTS = {
    "no answer": drop,
    "a cut answer": cut,
    "half a document": half,
    "a web page": page,
    "nothing at all": hang,
    "forbidden": status(403, {"error": "Forbidden"}),
    "a bad gateway": status(502, b"<html>"),
    "a redirect": status(307, b"", Location="http://elsewhere.invalid/"),
    "no gzip": status(200, b"{}", Content_Encoding="gzip"),
    "no length": status(200, b"{}", Content_Length="many"),
}


def test_every_method_is_tried():
    """What is public and sends something is in the table."""
    public = {name for name, value in vars(ExperimentsClient).items() if name[0] != "_" and callable(value)}
    assert public - {"get_logs"} == set(CALLS)


@pytest.fixture(scope="module")
def own():
    """One for all: making one takes longer than a call."""
    with httpx.Client() as client:
        yield client


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_failures_of_every_kind(flaky, own, single_node, multi_node, call):
    """Of every method; also after the error has been copied or has been in another process."""
    with client_of(flaky, http_client=own) as client:
        for name, fault in FAULTS.items():
            flaky.plan = [fault] * 10
            try:
                call(client, single_node, multi_node)
            except GradientSdkError as error:
                for seen in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
                    assert "sesame" not in everything_about(seen), name
    with pytest.raises(GradientSdkError, match="closed") as caught:
        call(client, single_node, multi_node)
    assert "sesame" not in everything_about(caught.value)


@pytest.mark.parametrize("moment", ["request", "response"])
def test_hooks_that_raise(flaky, single_node, multi_node, moment):
    """Their error comes as it is, with the frame that raised it, and without those of the senders."""

    def hook(message):
        try:
            raise KeyError("first")
        except KeyError:
            raise ZeroDivisionError("of a hook") from None

    with httpx.Client(event_hooks={moment: [hook]}) as own, client_of(flaky, http_client=own) as client:
        for name, call in CALLS.items():
            with pytest.raises(ZeroDivisionError) as caught:
                call(client, single_node, multi_node)
            assert "sesame" not in everything_about(caught.value), name
            assert caught.traceback[-1].name == "hook"


def test_ctrl_c(flaky, single_node):
    """In the middle of a create, while the server is silent."""

    def interrupt(handler):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        hang(handler)

    flaky.plan = [interrupt]
    with client_of(flaky, timeout=5) as client, pytest.raises(KeyboardInterrupt) as caught:
        client.create_single_node(**single_node, **OF_ONE)
    assert "sesame" not in everything_about(caught.value)


def test_a_hook_that_checks_the_status(flaky):
    """Its error becomes the one of this package that it would be without the hook, and is tried again or not."""
    flaky.plan = [status(503), status(404, {"error": "Gone"})]
    with (
        httpx.Client(event_hooks={"response": [httpx.Response.raise_for_status]}) as own,
        client_of(flaky, http_client=own, max_attempts=3) as client,
        pytest.raises(NotFoundError),
    ):
        client.get("es1")
    assert len(flaky.requests) == 2


def test_closed_clients(flaky):
    """They say so, whether this client was closed or the user's own, or a copy; closing twice is fine."""
    client = client_of(flaky)
    twin = client.with_options(timeout=1)
    client.close()
    client.close()
    for closed in (client, twin):
        with pytest.raises(GradientSdkError, match="This client is closed"):
            closed.get("es1")
    own = httpx.Client()
    client = client_of(flaky, http_client=own)
    assert client.get("es1").id == "es1"
    own.close()
    with pytest.raises(GradientSdkError, match="The http_client of this client is closed"):
        client.get("es1")
    client.close()


def test_an_error_at_an_instruction_without_a_line():
    """Ctrl-C may come at one; it stays what it is."""

    def running():
        with threading.Lock():
            return sys._getframe()

    frame = running()
    place = next(2 * number for number, (line, *_) in enumerate(frame.f_code.co_positions()) if line is None)
    error = KeyboardInterrupt().with_traceback(types.TracebackType(None, frame, place, -1))
    assert error.__traceback__.tb_lineno is None
    assert without_frames_of({"httpx"}, error) is error
    assert error.__traceback__.tb_frame is frame
