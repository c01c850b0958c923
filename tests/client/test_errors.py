"""An error response on a real socket."""

import pytest

from gradient import ConflictError, ExperimentsClient
from tests.client.flaky import FlakyServer, status


def test_an_error_carries_the_request_and_the_response():
    server = FlakyServer()
    server.plan = [status(409, {"details": {"handle": "es1"}, "error": "Said so"}, X_Request_Id="r-7")]
    try:
        with ExperimentsClient("sesame", base_url=server.url) as client, pytest.raises(ConflictError) as caught:
            client.start("es1")
    finally:
        server.close()
    error = caught.value
    assert (error.status, error.method, error.url) == (409, "PUT", f"{server.url}/experiments/es1/start/")
    assert (error.request_id, error.details, error.words) == ("r-7", {"handle": "es1"}, ("handle: es1", "Said so"))
    assert str(error).startswith("Failed to start experiment: handle: es1\nSaid so\n(status 409 ")
