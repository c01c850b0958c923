"""Proxies that the environment names, and invalid host names."""

import pytest

from gradient import ExperimentsClient, RequestFailedError, ResourceFetchingError
from tests.client.blocking import client_of
from tests.fake_servers import status


@pytest.fixture
def proxy(flaky, monkeypatch):
    """A proxy that responds to every request with 407, Proxy Authentication Required."""
    flaky.otherwise = lambda request: status(407)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, flaky.url)
    monkeypatch.setenv("no_proxy", "")
    return flaky


def test_a_server_on_this_machine_is_never_reached_through_a_proxy(proxy, gradient_server, kind):
    """The API key of a local server would leave the machine, unencrypted."""
    with client_of(kind, gradient_server.api_key, base_url=gradient_server.experiments_url) as client:
        assert client.list() == []
    assert proxy.requests == []


@pytest.mark.parametrize(("scheme", "error"), [("http", ResourceFetchingError), ("https", RequestFailedError)])
@pytest.mark.filterwarnings("ignore:The API key goes to")
def test_a_proxy_that_requires_credentials_is_not_tried_again(proxy, kind, scheme, error):
    """407 is final. Through a tunnel, the error says that it was the proxy."""
    with client_of(kind, "a-key", base_url=f"{scheme}://experiments.invalid") as client, pytest.raises(error) as caught:
        client.get("es1")
    assert not caught.value.retryable
    assert "407" in str(caught.value)
    assert scheme == "http" or "the proxy refused the connection" in str(caught.value)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("host", ["region..example.com", ".example.com", "a" * 64 + ".example.com", "xn--"])
@pytest.mark.filterwarnings("ignore:The API key goes to")
def test_an_invalid_host_name_is_an_error_of_this_package(host):
    with ExperimentsClient("a-key", base_url=f"http://{host}") as client:
        with pytest.raises(RequestFailedError, match="host") as caught:
            client.get("es1")
        assert not caught.value.retryable
