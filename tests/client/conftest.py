"""Both clients against the server that a test uses."""

import pytest
import stamina

from tests.client.blocking import KINDS, client_of
from tests.fake_servers import LiveServer


@pytest.fixture
def live():
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture(params=KINDS)
def kind(request):
    """The kind of client: the tests run with the synchronous and with the asynchronous one."""
    return request.param


@pytest.fixture
def client(request, kind):
    """A client of the server that the test uses: `flaky`, `live`, or the local server."""
    name = next((name for name in ("flaky", "live") if name in request.fixturenames), "gradient_server")
    server = request.getfixturevalue(name)
    with client_of(kind, server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client:
        yield client


@pytest.fixture
def no_backoff():
    """Pauses between attempts take no time; how long they are is tested with the policy."""
    stamina.set_testing(True, attempts=10)
    yield
    stamina.set_testing(False)
