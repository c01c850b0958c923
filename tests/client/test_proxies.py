"""Proxies that the environment names, and hosts that cannot be."""

import socket
import threading

import pytest

from gradient import ExperimentsClient, RequestFailedError, ResourceFetchingError
from tests.client.blocking import KINDS, client_of

PROXY_AUTHENTICATION_REQUIRED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that answers every request with 407, and the request lines that it received."""
    received = []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                received.append(connection.recv(65536).split(b"\r\n")[0].decode())
                connection.sendall(PROXY_AUTHENTICATION_REQUIRED)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("no_proxy", "")
    yield received
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_on_this_machine_is_never_reached_through_a_proxy(proxy, gradient_server, kind):
    """The API key of a local server would leave the machine, unencrypted."""
    with client_of(kind, gradient_server.api_key, base_url=gradient_server.experiments_url) as client:
        assert client.list() == []
    assert proxy == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scheme", "error"), [("http", ResourceFetchingError), ("https", RequestFailedError)])
@pytest.mark.filterwarnings("ignore:The API key goes to")
def test_a_proxy_that_wants_credentials_is_not_asked_again(proxy, kind, scheme, error):
    """407 is final. Through a tunnel, the error says that it was the proxy."""
    with client_of(kind, "a-key", base_url=f"{scheme}://experiments.invalid") as client, pytest.raises(error) as caught:
        client.get("es1")
    assert not caught.value.retryable
    assert "407" in str(caught.value)
    assert scheme == "http" or "the proxy refused the connection" in str(caught.value)
    assert len(proxy) == 1


@pytest.mark.parametrize("host", ["region..example.com", ".example.com", "a" * 64 + ".example.com", "xn--"])
@pytest.mark.filterwarnings("ignore:The API key goes to")
def test_a_host_name_that_cannot_be_is_an_error_of_this_package(host):
    with ExperimentsClient("a-key", base_url=f"http://{host}") as client:
        with pytest.raises(RequestFailedError, match="host") as caught:
            client.get("es1")
        assert not caught.value.retryable
