"""TLS on a real socket: which certificates are trusted."""

import ssl

import httpx
import pytest
import trustme

from gradient import ExperimentsClient, RequestFailedError
from tests.client.flaky import FlakyServer


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure(authority):
    """A server whose certificate is of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = FlakyServer(context)
    yield server
    server.close()


def test_an_unknown_authority_is_an_error_that_is_not_retried(secure):
    """Nothing has been sent."""
    with ExperimentsClient("sesame", base_url=secure.url) as client, pytest.raises(RequestFailedError) as caught:
        client.get("es1")
    assert "certificate verify failed" in str(caught.value)
    assert not caught.value.retryable
    assert not hasattr(caught.value, "__notes__")
    assert secure.connections == 1
    assert secure.requests == []


def test_a_certificate_of_another_host_is_an_error(secure, authority, monkeypatch, tmp_path):
    """Even if its authority is known."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    elsewhere = secure.url.replace("localhost", "127.0.0.1")
    with ExperimentsClient("sesame", base_url=elsewhere) as client, pytest.raises(RequestFailedError, match="mismatch"):
        client.get("es1")
    assert secure.requests == []


def test_an_authority_that_the_environment_names_is_trusted(secure, authority, monkeypatch, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with ExperimentsClient("sesame", base_url=secure.url) as client:
        assert client.get("es1").id == "es1"


def test_an_authority_that_the_http_client_trusts_is_trusted(secure, authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with (
        httpx.Client(verify=context) as own,
        ExperimentsClient("sesame", base_url=secure.url, http_client=own) as client,
    ):
        assert client.get("es1").id == "es1"
