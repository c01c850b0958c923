"""A client is configured by arguments, environment, file and defaults, in this order, when it is made."""

import json

import httpx
import pytest

from gradient import AsyncExperimentsClient, ConfigurationError, ExperimentsClient, GradientSdkError
from gradient_ext.config import configuration
from tests.client.exposure import everything_about


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home directory, and none of the variables."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(home, content, directory=".paperspace", name="config.json"):
    folder = home / directory
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_an_argument_wins_over_environment_and_file(home):
    """Each source counts only where the ones before it say nothing."""
    write(home, {"apiKey": "from-file"})
    environment = {"PAPERSPACE_API_KEY": "from-environment"}
    assert configuration("from-argument", environment=environment).api_key == "from-argument"
    assert configuration(environment=environment).api_key == "from-environment"
    assert configuration(environment={"PAPERSPACE_API_KEY": ""}).api_key == "from-file"


@pytest.mark.parametrize(
    ("kind", "wanted", "given"),
    [(ExperimentsClient, httpx.Client, httpx.AsyncClient), (AsyncExperimentsClient, httpx.AsyncClient, httpx.Client)],
)
def test_an_http_client_of_the_other_kind(home, kind, wanted, given):
    """It is refused before it sends anything: what it was asked to create would be there, and nobody know its id."""
    for wrong in (given(), "http://localhost:3128"):
        with pytest.raises(ConfigurationError) as caught:
            kind("a-key", http_client=wrong)
        assert str(caught.value) == f"http_client must be an httpx.{wanted.__name__}, not {type(wrong).__name__}"
    assert repr(kind("a-key", http_client=type("Own", (wanted,), {})()))


def test_the_file_can_be_elsewhere(home):
    """The environment can name its directory and its name."""
    folder = write(home, {"apiKey": "moved", "name": "me"}, "elsewhere", "other.json")
    environment = {"PAPERSPACE_CONFIG_PATH": str(folder), "PAPERSPACE_CONFIG_FILE_NAME": "other.json"}
    assert configuration(environment=environment).api_key == "moved"


def test_hosts(home):
    """Addresses come from arguments, then the environment, then the contract; a slash at the end does not matter."""
    environment = {
        "PAPERSPACE_CONFIG_EXPERIMENTS_HOST": "http://127.0.0.1:1/experiments/v1/",
        "PAPERSPACE_CONFIG_LOG_HOST": "http://127.0.0.1:2",
    }
    defaults = configuration("k", environment={})
    assert defaults.experiments_url == "https://services.paperspace.io/experiments/v1"
    assert defaults.logs_url == "https://logs.paperspace.io"
    named = configuration("k", environment=environment)
    assert (named.experiments_url, named.logs_url) == ("http://127.0.0.1:1/experiments/v1", "http://127.0.0.1:2")
    assert configuration("k", "http://h:3/x/", environment=environment).experiments_url == "http://h:3/x"


def test_it_is_read_when_a_client_is_made(home, monkeypatch):
    """Not at import: a key set afterwards counts."""
    monkeypatch.delenv("PAPERSPACE_API_KEY", raising=False)
    with pytest.raises(ConfigurationError):
        ExperimentsClient()
    monkeypatch.setenv("PAPERSPACE_API_KEY", "now")
    ExperimentsClient().close()


def test_without_any_key_the_error_says_where_one_can_be_given(home):
    """All three places are named."""
    write(home, {})
    with pytest.raises(ConfigurationError, match=r"api_key=.*PAPERSPACE_API_KEY.*\.paperspace/config\.json"):
        configuration(environment={})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"apiKey": "sesame", ', "is not JSON .see line 1"),
        (b'{"apiKey": "sesame", "x": ' + b"[" * 100_000, "is not JSON"),
        (b'{"apiKey": "sesame", "x": ' + b"1" * 10_000 + b"}", "is not JSON"),
        (b'{"apiKey": "sesame\xff"}', "is not UTF-8"),
        (b'["sesame"]', "must hold an object"),
        (b'"sesame"', "must hold an object"),
        (b'{"apiKey": ["sesame"]}', "visible ASCII"),
        (b'{"apiKey": "sesame\\n"}', "visible ASCII"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_file_is_refused_without_showing_it(home, monkeypatch, content, problem):
    """The error says what is wrong; neither it, nor what led to it, nor any frame holds a part of the file."""
    monkeypatch.delenv("PAPERSPACE_API_KEY", raising=False)
    path = write(home, {}) / "config.json"
    if content is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        ExperimentsClient()
    assert "sesame" not in everything_about(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"base_url": "here"}, {"timeout": 0}, {"logs_url": "http://h/?"}, {"api_key": "sesame\n"}]
)
def test_refused_arguments_do_not_show_the_key(home, monkeypatch, wrong):
    """Not in the frames either, wherever it comes from."""
    monkeypatch.setenv("PAPERSPACE_API_KEY", "sesame-environment")
    for key in ({}, {"api_key": "sesame-argument"}):
        with pytest.raises(GradientSdkError) as caught:
            ExperimentsClient(**{**key, **wrong})
        assert "sesame" not in everything_about(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
        ("SSL_CERT_FILE", __file__),
        ("HTTPS_PROXY", "gopher://me:sesame@proxy.example.com"),
        ("ALL_PROXY", "http://me:sesame@proxy.example.com:port"),
    ],
)
def test_an_environment_that_cannot_be_used(home, monkeypatch, name, value):
    """Certificates that are none and proxies of no kind are an error when they are needed, one that says where."""
    monkeypatch.setenv(name, value)
    monkeypatch.setenv("PAPERSPACE_API_KEY", "sesame-key")
    with ExperimentsClient() as client, pytest.raises(ConfigurationError, match="SSL_CERT_FILE") as caught:
        client.get("es1")
    assert "sesame" not in everything_about(caught.value)


def test_a_file_with_a_byte_order_mark(home):
    """Some editors write one; it is no part of the text."""
    (write(home, {}) / "config.json").write_bytes(b'\xef\xbb\xbf{"apiKey": "marked"}')
    assert configuration(environment={}).api_key == "marked"


def test_no_home(home):
    """Where nobody knows the home directory there is no file, and the error is the usual one."""
    with pytest.raises(ConfigurationError, match="There is no API key"):
        configuration(environment={"PAPERSPACE_CONFIG_PATH": "~nobody-of-that-name/x"})


def test_a_broken_file_does_not_matter_when_it_is_not_needed(home):
    """With a key at hand the file is not read."""
    write(home, "not JSON")
    assert configuration("k", environment={}).api_key == "k"


@pytest.mark.parametrize("key", ["two\nlines", "käy", " k", 7])
def test_keys_that_cannot_be_sent(home, key):
    """A key becomes a header; what cannot be one is refused without being shown."""
    with pytest.raises(ConfigurationError, match="visible ASCII") as caught:
        configuration(key, environment={})
    assert repr(key) not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["services.paperspace.io", "ftp://host/", "http://", "http://host:port/", 7, "http://[/"]
)
def test_addresses_that_are_none(home, url):
    """The error shows what an address looks like."""
    with pytest.raises(ConfigurationError, match=r"base_url must be .* such as 'https://services.paperspace.io"):
        configuration("k", url, environment={})


@pytest.mark.parametrize("url", ["https://h/v1?key=sesame", "https://h/v1#sesame", "https://h/?"])
def test_addresses_with_more_than_a_path(home, url):
    """Something is put at their end; they are refused without being shown."""
    with pytest.raises(ConfigurationError, match="base_url must not hold a query or a fragment") as caught:
        configuration("k", url, environment={})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://localhost:8090\n", "http://localhost:8090/ v1", "\thttp://localhost"])
def test_addresses_with_space_in_them(home, url):
    """As they come from files; no request would get through."""
    with pytest.raises(ConfigurationError, match="base_url must"):
        configuration("k", url, environment={})


def test_addresses_with_a_password(home):
    """They would be printed by whatever prints addresses; the error does not."""
    with pytest.raises(ConfigurationError, match="logs_url must not hold a user or password") as caught:
        configuration("k", logs_url="https://me:sesame@logs.example.com", environment={})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, "5", True, float("nan")])
def test_timeouts_that_are_none(timeout):
    """A timeout is a number of seconds, or None."""
    with pytest.raises(ValueError, match="timeout: must be seconds"):
        ExperimentsClient("k", timeout=timeout)
