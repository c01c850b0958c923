"""A client is configured by arguments, environment, file and defaults, in this order, when it is made."""

import json

import pytest

from gradient import ConfigurationError, ExperimentsClient
from gradient_ext.config import configuration


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


@pytest.mark.parametrize("content", ['{"apiKey": "sesame", ', "[]", '"text"'])
def test_a_broken_file_is_refused_without_showing_it(home, content):
    """The error names the file and does not carry its text along."""
    write(home, content)
    with pytest.raises(ConfigurationError, match=r"config\.json") as caught:
        configuration(environment={})
    assert "sesame" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


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
