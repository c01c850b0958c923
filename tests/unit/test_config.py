"""The configuration of a client comes from arguments, environment, file and defaults, in this order."""

import inspect
import json
import os
import subprocess
import warnings

import httpx
import pytest

from gradient import AsyncExperimentsClient, ConfigurationError, ExperimentsClient, GradientSdkError
from gradient_ext.config import load_configuration, server_file
from tests.tracebacks import everything_shown


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home directory, and none of the environment variables."""
    for name in (
        "API_KEY",
        "CONFIG_EXPERIMENTS_HOST",
        "CONFIG_LOG_HOST",
        "CONFIG_HOST",
        "CONFIG_PATH",
        "CONFIG_FILE_NAME",
    ):
        monkeypatch.delenv(f"PAPERSPACE_{name}", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(home, content, directory=".paperspace", name="config.json"):
    folder = home / directory
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def test_the_key_comes_from_argument_then_environment_then_file(home, monkeypatch):
    write(home, {"apiKey": "from-file"})
    assert load_configuration().api_key == "from-file"
    monkeypatch.setenv("PAPERSPACE_API_KEY", "")
    assert load_configuration().api_key == "from-file"
    monkeypatch.setenv("PAPERSPACE_API_KEY", "from-environment")
    assert load_configuration().api_key == "from-environment"
    assert load_configuration("from-argument").api_key == "from-argument"


def test_the_environment_names_another_file(home, monkeypatch):
    folder = write(home, {"apiKey": "moved", "name": "me"}, "elsewhere", "other.json")
    monkeypatch.setenv("PAPERSPACE_CONFIG_PATH", str(folder))
    monkeypatch.setenv("PAPERSPACE_CONFIG_FILE_NAME", "other.json")
    assert load_configuration().api_key == "moved"


def test_addresses_come_from_argument_then_environment_then_file_then_contract(home, monkeypatch):
    """A slash at the end does not matter."""
    hosted = (
        "https://services.paperspace.io/experiments/v1",
        "https://logs.paperspace.io",
        "https://api.paperspace.io",
    )
    assert load_configuration("k")[1:5] == (*hosted, False)
    write(home, {"baseUrl": "http://127.0.0.1:3/experiments/v1", "logsUrl": "http://127.0.0.1:4"})
    assert load_configuration("k")[1:3] == ("http://127.0.0.1:3/experiments/v1", "http://127.0.0.1:4")
    monkeypatch.setenv("PAPERSPACE_CONFIG_EXPERIMENTS_HOST", "http://127.0.0.1:1/experiments/v1/")
    monkeypatch.setenv("PAPERSPACE_CONFIG_LOG_HOST", "http://127.0.0.1:2")
    assert load_configuration("k")[1:3] == ("http://127.0.0.1:1/experiments/v1", "http://127.0.0.1:2")
    assert load_configuration("k").has_server
    assert load_configuration("k", "http://h:3/x/")[1:3] == ("http://h:3/x", "http://127.0.0.1:2")


@pytest.mark.parametrize(
    ("given", "experiments", "logs"),
    [
        ("http://h:3", "http://h:3/experiments/v1", "http://h:3"),
        ("http://h:3/", "http://h:3/experiments/v1", "http://h:3"),
        ("http://h:3/gradient/experiments/v1/", "http://h:3/gradient/experiments/v1", "http://h:3/gradient"),
        (
            "https://services.paperspace.io",
            "https://services.paperspace.io/experiments/v1",
            "https://logs.paperspace.io",
        ),
    ],
)
def test_an_address_alone_is_completed(given, experiments, logs):
    """The version of the API, and the logs, which every server but the hosted one has at the same address."""
    assert load_configuration("k", given)[1:3] == (experiments, logs)


def of_projects(*arguments, **addresses):
    """The configuration of a client that calls the host of projects alone."""
    return load_configuration(*arguments, **addresses, needed=["api_url"])


def test_the_address_of_projects_comes_from_argument_then_environment_then_file_then_the_experiments(home, monkeypatch):
    assert of_projects("k")[3:5] == ("https://api.paperspace.io", False)
    write(home, {"baseUrl": "http://h:1/experiments/v1"})
    assert of_projects("k")[3:5] == ("http://h:1", True)
    write(home, {"baseUrl": "http://h:1/experiments/v1", "apiUrl": "http://h:2/"})
    assert of_projects("k")[3:5] == ("http://h:2", True)
    monkeypatch.setenv("PAPERSPACE_CONFIG_HOST", "http://h:3")
    assert of_projects("k")[3:5] == ("http://h:3", True)
    assert of_projects("k", api_url="http://h:4/x/")[3:5] == ("http://h:4/x", True)


def test_a_host_of_projects_is_none_of_experiments(monkeypatch):
    """The client of experiments says that it has no server, rather than to call the retired one."""
    monkeypatch.setenv("PAPERSPACE_CONFIG_HOST", "http://h:3")
    assert load_configuration("k").has_server is False


def test_a_broken_file_does_not_matter_to_projects_where_it_is_not_needed(home):
    write(home, b"{")
    assert of_projects("k", api_url="http://h:3").api_url == "http://h:3"


def state_file(home, **changes):
    """Write what a running server with real runs writes; return its path."""
    environment = {
        "PAPERSPACE_CONFIG_EXPERIMENTS_HOST": "http://127.0.0.1:5/experiments/v1/",
        "PAPERSPACE_CONFIG_LOG_HOST": "http://127.0.0.1:5",
        "PAPERSPACE_API_KEY": "from-server",
    }
    path = home / ".local/state/gradient-experiments/server.json"
    path.parent.mkdir(parents=True)
    members = {"pid": os.getpid(), "url": "http://127.0.0.1:5", "environment": environment, **changes}
    path.write_text(json.dumps(members))
    path.chmod(0o600)
    return path


def test_a_running_server_of_this_user_is_found(home):
    state_file(home)
    url = "http://127.0.0.1:5"
    assert load_configuration() == ("from-server", f"{url}/experiments/v1", url, url, True, True)


def test_a_running_server_at_another_address_of_this_machine_is_no_reason_for_a_warning(home):
    """What is sent to it does not leave the machine."""
    variables = ("CONFIG_EXPERIMENTS_HOST", "CONFIG_LOG_HOST", "CONFIG_HOST")
    environment = {f"PAPERSPACE_{name}": "http://192.0.2.1:8090" for name in variables}
    state_file(home, environment={**environment, "PAPERSPACE_API_KEY": "k"})
    with ExperimentsClient() as client:  # any warning would be an error
        assert "192.0.2.1" in repr(client)


def test_a_key_of_the_retired_service_in_the_file_does_not_keep_a_running_server_from_being_used(home):
    write(home, {"apiKey": "of the hosted service"})
    state_file(home)
    assert load_configuration().api_key == "from-server"


def test_explicit_settings_are_not_overridden_by_a_running_server(home, monkeypatch):
    state_file(home)
    assert load_configuration("k").api_key == "k"
    assert load_configuration("k", "http://h/x")[1:3] == ("http://h/x", "http://h/x")
    monkeypatch.setenv("PAPERSPACE_API_KEY", "from-environment")
    assert load_configuration().api_key == "from-environment"
    write(home, {"baseUrl": "http://h/y"})
    assert load_configuration()[1:3] == ("http://h/y", "http://h/y")


@pytest.mark.parametrize("kind", ["ended", "readable", "no JSON", "no pid", "a text as pid"])
def test_a_server_file_that_cannot_be_trusted_is_ignored(home, kind):
    """Its process has ended, somebody else may have written it, or it is damaged."""
    path = state_file(home)
    members = json.loads(path.read_text())
    match kind:
        case "ended":
            ended = subprocess.Popen(["true"])
            ended.wait()
            path.write_text(json.dumps({**members, "pid": ended.pid}))
        case "readable":
            path.chmod(0o644)
        case "no JSON":
            path.write_text("{")
        case "no pid":
            path.write_text(json.dumps({"url": "http://h"}))
        case _:
            path.write_text(json.dumps({**members, "pid": "1"}))
    assert not load_configuration("k").has_server


@pytest.mark.parametrize("state", ["", "elsewhere"])
def test_the_server_file_is_in_the_state_folder_of_the_user(home, monkeypatch, state):
    monkeypatch.setenv("XDG_STATE_HOME", str(home / state) if state else "")
    expected = home / (state or ".local/state") / "gradient-experiments/server.json"
    assert server_file() == expected


def test_without_any_server_a_call_says_at_once_that_the_service_is_retired():
    with ExperimentsClient("k") as client, pytest.raises(ConfigurationError, match=r"retired.*gradient server start"):
        client.list()


def test_without_any_server_an_http_client_of_the_caller_decides_where_requests_go():
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json={"data": [], "message": "success"}))
    with httpx.Client(transport=transport) as http:
        assert ExperimentsClient("k", http_client=http).list() == []


def test_the_environment_is_read_when_a_client_is_made(monkeypatch):
    with pytest.raises(ConfigurationError):
        ExperimentsClient()
    monkeypatch.setenv("PAPERSPACE_API_KEY", "now")
    ExperimentsClient().close()


def test_without_a_key_the_error_names_every_place_for_it(home):
    write(home, {})
    with pytest.raises(ConfigurationError, match=r"api_key=.*PAPERSPACE_API_KEY.*\.paperspace/config\.json"):
        load_configuration()


def test_an_unknown_home_directory_is_no_error_of_its_own(monkeypatch):
    monkeypatch.setenv("PAPERSPACE_CONFIG_PATH", "~nobody-of-that-name/x")
    with pytest.raises(ConfigurationError, match="There is no API key"):
        load_configuration()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"apiKey": "sesame", ', "is not JSON .see line 1"),
        (b'{"apiKey": "sesame", "x": ' + b"[" * 100_000, "is not JSON"),
        (b'{"apiKey": "sesame", "x": ' + b"1" * 10_000 + b"}", "is not JSON"),
        (b'{"apiKey": "sesame\xff"}', "is not UTF-8"),
        (b'["sesame"]', "must hold an object"),
        (b'"sesame"', "must hold an object"),
        (b'{"apiKey": ["sesame"]}', "must hold an object"),
        (b'{"apiKey": "sesame\\n"}', "visible ASCII"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_file_is_an_error_that_does_not_show_its_content(home, content, problem):
    """Neither the error, nor its causes, nor any frame holds a part of the file."""
    path = write(home, content or {}) / "config.json"
    if content is None:
        path.unlink()
        path.mkdir()
    with pytest.raises(ConfigurationError, match=problem) as caught:
        ExperimentsClient()
    assert "sesame" not in everything_shown(caught.value)


def test_a_broken_file_does_not_matter_where_it_is_not_needed(home):
    write(home, b"not JSON")
    assert load_configuration("k", "http://h", "http://h").api_key == "k"


def test_a_file_may_begin_with_a_byte_order_mark(home):
    write(home, b'\xef\xbb\xbf{"apiKey": "marked"}')
    assert load_configuration().api_key == "marked"


@pytest.mark.parametrize(
    "wrong", [{"base_url": "here"}, {"timeout": 0}, {"logs_url": "http://h/?"}, {"api_key": "sesame\n"}]
)
def test_errors_of_arguments_do_not_show_the_key(monkeypatch, wrong):
    """Frames included, wherever the key comes from."""
    monkeypatch.setenv("PAPERSPACE_API_KEY", "sesame-environment")
    for key in ({}, {"api_key": "sesame-argument"}):
        with pytest.raises(GradientSdkError) as caught:
            ExperimentsClient(**{**key, **wrong})
        assert "sesame" not in everything_shown(caught.value)


@pytest.mark.parametrize("key", ["two\nlines", "käy", " k", 7])
def test_a_key_that_cannot_be_sent_is_an_error_that_does_not_show_it(key):
    with pytest.raises(ConfigurationError, match="visible ASCII") as caught:
        ExperimentsClient(key)
    assert repr(key) not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        *(
            (url, r"must be .* such as 'https://services.paperspace.io")
            for url in ("services.paperspace.io", "ftp://h/")
        ),
        *((url, r"must be .* such as 'https://services.paperspace.io") for url in ("http://", "http://h:port/", 7)),
        ("http://[/", r"must be .* such as 'https://services.paperspace.io"),
        ("https://h/v1?key=sesame", "must not hold a query or a fragment"),
        ("https://h/v1#sesame", "must not hold a query or a fragment"),
        ("https://h/?", "must not hold a query or a fragment"),
        ("http://localhost:8090\n", "must not hold spaces or line breaks"),
        ("http://localhost:8090/ v1", "must not hold spaces or line breaks"),
        ("\thttp://localhost", "must"),
        ("https://me:sesame@h", "must not hold a user or password"),
    ],
)
@pytest.mark.parametrize("name", ["base_url", "logs_url"])
def test_an_invalid_address_is_an_error_that_shows_no_password(name, url, problem):
    with pytest.raises(ConfigurationError, match=f"{name} {problem}") as caught:
        load_configuration("k", **{name: url})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, "5", True, float("nan")])
def test_a_timeout_is_a_number_of_seconds(timeout):
    with pytest.raises(ValueError, match="timeout: must be seconds"):
        ExperimentsClient("k", timeout=timeout)


@pytest.mark.parametrize(
    ("kind", "wanted", "given"),
    [(ExperimentsClient, httpx.Client, httpx.AsyncClient), (AsyncExperimentsClient, httpx.AsyncClient, httpx.Client)],
)
def test_an_http_client_of_the_other_kind_is_an_error(kind, wanted, given):
    for wrong in (given(), "http://localhost:3128"):
        with pytest.raises(ConfigurationError) as caught:
            kind("a-key", http_client=wrong)
        assert str(caught.value) == f"http_client must be an httpx.{wanted.__name__}, not {type(wrong).__name__}"
    assert repr(kind("a-key", http_client=type("Own", (wanted,), {})()))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
        ("SSL_CERT_FILE", __file__),
        ("HTTPS_PROXY", "gopher://me:sesame@proxy.example.com"),
        ("ALL_PROXY", "http://me:sesame@proxy.example.com:port"),
    ],
)
def test_certificates_and_proxies_that_cannot_be_used_are_an_error_of_the_first_call(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    client = ExperimentsClient("sesame-key", base_url="https://experiments.example.com")
    with client, pytest.raises(ConfigurationError, match="SSL_CERT_FILE") as caught:
        client.get("es1")
    assert "sesame" not in everything_shown(caught.value)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://experiments.example.com/v1", True),
        ("https://experiments.example.com/v1", False),
        ("http://localhost:8090", False),
        ("http://app.localhost:8090", False),
        ("http://evil-localhost:8090", True),
        ("http://localhost.example.com:8090", True),
        ("http://127.0.0.2:8090", False),
        ("http://[::1]:8090", False),
        ("http://10.0.0.1:8090", True),
    ],
)
def test_a_key_over_plain_http_is_a_warning_once_where_the_client_is_made(url, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            ExperimentsClient("sesame-key", base_url=url, logs_url=url).close()
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == warned
    assert "sesame" not in "".join(texts)
    assert not warned or caught[0].filename == __file__


@pytest.mark.parametrize("client", [ExperimentsClient, AsyncExperimentsClient])
def test_the_defaults_are_those_of_the_documentation(client):
    def defaults(function):
        parameters = inspect.signature(function).parameters.values()
        return {each.name: each.default for each in parameters if isinstance(each.default, int | float)}

    patient = {"timeout": 30.0, "connect_timeout": 5.0, "max_attempts": 10, "deadline": 120.0, "patience": 600.0}
    assert defaults(client) == patient
    assert defaults(client.logs) == {"line": 0, "limit": 10_000}
    assert defaults(client.yield_logs) == {"line": 0, "limit": 10_000, "progress": False}


def test_each_host_that_gets_a_key_over_plain_http_has_its_own_warning():
    names = ["one.example.com", "two.example.com", "three.example.com"]
    hosts = dict(zip(("base_url", "logs_url", "api_url"), map("http://{}".format, names), strict=True))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            with ExperimentsClient("sesame-key", **hosts) as client:
                client.with_options(timeout=3)
    assert [str(warning.message).split()[5] for warning in caught] == names
