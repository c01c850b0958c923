"""The configuration of a client: API key, addresses and options, from arguments, environment, file or defaults."""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import stat
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypedDict, cast
from urllib.parse import urlsplit

from gradient_api.constants import API_URL, EXPERIMENTS_URL, LOGS_URL

from gradient_ext._json import as_object
from gradient_ext.errors import ConfigurationError, InvalidParametersError
from gradient_ext.redaction import Secret, redact, short_repr

TIMEOUT: Final = 30.0
"""Default for the seconds to wait for each part of a response."""
CONNECT_TIMEOUT: Final = 5.0
"""Default for the seconds to wait for a connection."""
MAX_ATTEMPTS: Final = 10
"""Default for the number of attempts of one call."""
DEADLINE: Final = 120.0
"""Default for the seconds for all attempts of one call together."""
PATIENCE: Final = 600.0
"""Default for the seconds of nothing but failures after which following logs and waiting give up."""
FIRST_LINE: Final = 0
"""Default for the line after which logs are read."""
DEFAULT_LIMIT: Final = 10_000
"""Default for the number of log rows in one response."""
PAGE_SIZE: Final = 1000
"""Default for the number of experiments in one response."""
LONGEST_SECONDS: Final = 1e8
"""The most seconds, three years, that clocks and sockets take; what is longer counts as this."""

KEY_VARIABLE: Final = "PAPERSPACE_API_KEY"
EXPERIMENTS_VARIABLE: Final = "PAPERSPACE_CONFIG_EXPERIMENTS_HOST"
LOGS_VARIABLE: Final = "PAPERSPACE_CONFIG_LOG_HOST"
API_VARIABLE: Final = "PAPERSPACE_CONFIG_HOST"
DIRECTORY_VARIABLE: Final = "PAPERSPACE_CONFIG_PATH"
FILE_VARIABLE: Final = "PAPERSPACE_CONFIG_FILE_NAME"
KEY_MEMBER: Final = "apiKey"
_ADDRESSES: Final[Mapping[str, tuple[str, str]]] = {
    "base_url": (EXPERIMENTS_VARIABLE, "baseUrl"),
    "logs_url": (LOGS_VARIABLE, "logsUrl"),
    "api_url": (API_VARIABLE, "apiUrl"),
}
"""The environment variable of each address, and its member of the configuration file, by the name of the argument."""
_EXPERIMENTS_PATH: Final = urlsplit(EXPERIMENTS_URL).path
NO_SERVER: Final = (
    "The hosted Gradient service is retired, and no server of yours was found. Start one with `gradient server start`, "
    f"or name one as base_url= or in the environment variable {EXPERIMENTS_VARIABLE}"
)
"""The text of the error for a call where no address was given and no server was found."""


# The classes are named tuples, because attrs takes longer to import than everything else that a client needs.
class Configuration(NamedTuple):
    """The API key and the addresses of a client."""

    api_key: Secret
    experiments_url: str
    logs_url: str
    api_url: str
    has_server: bool = True
    """Whether the addresses were given or found; otherwise they are those of the hosted service, which is retired."""
    is_on_this_machine: bool = False
    """Whether the addresses are those of a running server of this user, so that the key does not leave the machine."""


class RunningServer(NamedTuple):
    """A server of this user that executes commands, as it describes itself in a file."""

    pid: int
    url: str
    environment: Mapping[str, str]
    """The environment variables that point a client to it."""


class Options(NamedTuple):
    """Timeouts and retries of a client, or of some of its calls."""

    timeout: float | None = TIMEOUT
    connect_timeout: float | None = CONNECT_TIMEOUT
    max_attempts: int = MAX_ATTEMPTS
    deadline: float | None = DEADLINE
    patience: float | None = PATIENCE

    def for_request(self, wait: float, within: float | None) -> Options:
        """Return the options of one request.

        :param float wait: for how many seconds the server may hold it open; a long poll is attempted once, since its
            caller polls again anyway
        :param float within: the deadline in seconds, if it is earlier than that of the client
        """
        deadline = None if self.deadline is None else self.deadline + wait
        if within is not None:
            deadline = within if deadline is None else min(deadline, within)
        return self._replace(deadline=deadline, max_attempts=1 if wait else self.max_attempts)


class ClientOptions(TypedDict, total=False):
    """The keyword arguments of `with_options`."""

    timeout: float | None
    """Seconds to wait for each part of a response; None: no limit."""
    connect_timeout: float | None
    """Seconds to wait for a connection; None: as long as for a part of a response."""
    max_attempts: int
    """How often to try a call that fails with a transient error, the first attempt included."""
    deadline: float | None
    """Seconds for all attempts of one call together; None: no limit."""
    patience: float | None
    """Seconds of nothing but failures after which following logs and waiting give up; None: never."""


def changed_options(options: Options, changes: Mapping[str, object], subject: str) -> Options:
    """Return the options with some of them changed.

    :param Options options: the options
    :param changes: the new values
    :param str subject: the method that was called, for the error

    :raises TypeError: there is no such option
    :raises InvalidParametersError: values are invalid; the error names all of them
    """
    unknown = [name for name in changes if name not in Options._fields]
    if unknown:
        raise TypeError(f"{subject} got an unexpected keyword argument {unknown[0]!r}")
    problems = [f"{name}: {problem}" for name, value in changes.items() if (problem := _option_problem(name, value))]
    if problems:
        raise InvalidParametersError(subject, problems)
    too_long = {
        name: LONGEST_SECONDS
        for name, value in changes.items()
        if name != "max_attempts" and isinstance(value, int | float) and value > LONGEST_SECONDS
    }
    return options._replace(**cast(ClientOptions, {**changes, **too_long}))


def as_secret(value: object) -> Any:
    """Return a text as a `Secret`, and anything else as it is."""
    return Secret(value) if isinstance(value, str) else value


def load_configuration(
    api_key: str | None = None,
    base_url: str | None = None,
    logs_url: str | None = None,
    api_url: str | None = None,
    *,
    needed: Collection[str] = ("base_url", "logs_url"),
) -> Configuration:
    """Return the configuration of a client, read from arguments, environment, file or a running server.

    A running server of this user is used if no address is given; its key is used unless one is given as argument or in
    the environment.

    :param str api_key: the API key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file
    :param str base_url: address of the experiments; default: `PAPERSPACE_CONFIG_EXPERIMENTS_HOST`, then `baseUrl` in
        the configuration file, then a running server. Without a path, it gets `/experiments/v1`.
    :param str logs_url: address of the logs; default: `PAPERSPACE_CONFIG_LOG_HOST`, then `logsUrl` in the configuration
        file, then that of the experiments
    :param str api_url: address of the projects; default: `PAPERSPACE_CONFIG_HOST`, then `apiUrl` in the configuration
        file, then that of the experiments
    :param needed: the addresses that the client calls, by the names of these parameters; the configuration file is not
        read where it is of no use for them

    :raises ConfigurationError: there is no API key, an address is invalid, or the configuration file cannot be read
    """
    # This frame is in the tracebacks of errors.
    key = Secret(api_key) if isinstance(api_key, str) else api_key
    key = key or Secret(os.environ.get(KEY_VARIABLE, ""))
    given = {"base_url": base_url, "logs_url": logs_url, "api_url": api_url}
    found = {name: given[name] or os.environ.get(variable) for name, (variable, _) in _ADDRESSES.items()}
    server: RunningServer | None = None
    if not (key and all(found[name] for name in needed)):
        file = _configuration_in_file()
        found = {name: found[name] or file.get(member) for name, (_, member) in _ADDRESSES.items()}
        server = None if any(found.values()) else running_server()
        if server:
            found = {name: server.environment.get(variable) for name, (variable, _) in _ADDRESSES.items()}
            key = key or Secret(server.environment.get(KEY_VARIABLE, ""))
        key = key or file.get(KEY_MEMBER)
    urls = {name: _checked_url(name, url) for name, url in found.items() if url}
    experiments_url = _experiments_url(urls.get("base_url", EXPERIMENTS_URL))
    return Configuration(
        api_key=_checked_key(key),
        experiments_url=experiments_url,
        logs_url=urls.get("logs_url") or _beside(experiments_url, LOGS_URL),
        api_url=urls.get("api_url") or _beside(experiments_url, API_URL),
        has_server="base_url" in urls or ("api_url" in urls and "api_url" in needed),
        is_on_this_machine=server is not None,
    )


def _experiments_url(url: str) -> str:
    return url if urlsplit(url).path else f"{url}{_EXPERIMENTS_PATH}"


def _beside(experiments_url: str, hosted: str) -> str:
    """Return another address of a server: every one but the hosted one has all of them at one place."""
    return hosted if experiments_url == EXPERIMENTS_URL else experiments_url.removesuffix(_EXPERIMENTS_PATH)


def configuration_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the configuration file: `~/.paperspace/config.json`, unless the environment names another."""
    directory = environment.get(DIRECTORY_VARIABLE) or "~/.paperspace"
    # Unlike Path.expanduser, this does not raise where the home directory is unknown.
    return Path(os.path.expanduser(directory)) / (environment.get(FILE_VARIABLE) or "config.json")


def state_folder() -> Path:
    """Return the folder in which a server of this user keeps its key, its experiments and where it is."""
    default = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/state"
    # https://specifications.freedesktop.org/basedir-spec/latest/
    return Path(os.path.expanduser(os.environ.get("XDG_STATE_HOME") or default)) / "gradient-experiments"


def server_file() -> Path:
    """Return the path of the file in which a running server of this user says where it is."""
    return state_folder() / "server.json"


def running_server() -> RunningServer | None:
    """Return the server of this user that executes commands and is running; None if there is none."""
    path = server_file()
    try:
        found = path.stat()
        content = as_object(json.loads(path.read_bytes()))
        pid, url, environment = content["pid"], content["url"], as_object(content["environment"])
        if found.st_uid != os.getuid() or found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or type(pid) is not int:
            return None  # Somebody else may have written it.
        os.kill(pid, 0)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None  # It has ended without removing its file, for instance.
    return RunningServer(pid, str(url), {name: str(value) for name, value in environment.items()})


def warn_about_cleartext(urls: Iterable[str]) -> None:
    """Warn about each host that gets the API key over plain http, once in the life of the process."""
    for url in urls:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme == "http" and not is_loopback(host):
            _warn_once(f"The API key goes to {host} over plain http, where others can read it; use https")


@functools.cache
def _warn_once(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=5)


def is_loopback(host: str) -> bool:
    """Whether a host name or IP address is that of this machine."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _configuration_in_file() -> Mapping[str, Secret]:
    """Return the texts in the configuration file by their names."""
    path = configuration_file()
    try:
        return _texts(json.loads(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        return {}
    except OSError as error:
        problem = f"cannot be read: {error}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (see byte {error.start + 1})"
    except json.JSONDecodeError as error:
        problem = f"is not JSON (see line {error.lineno})"
    except (ValueError, RecursionError):
        problem = "is not JSON (see its text)"
    except TypeError:
        problem = f'must hold an object such as {{"{KEY_MEMBER}": "..."}}'
    # Outside of the except clauses: those errors, which would become its context, hold the content of the file.
    raise ConfigurationError(f"The configuration file {path} {problem}")


def _texts(content: object) -> Mapping[str, Secret]:
    members = (KEY_MEMBER, *(member for _, member in _ADDRESSES.values()))
    found = {name: as_object(content).get(name) or "" for name in members}
    if not all(isinstance(value, str) for value in found.values()):
        raise TypeError
    return {name: Secret(value) for name, value in found.items()}


def _checked_key(key: object) -> Secret:
    if not key:
        raise ConfigurationError(
            "There is no API key, and no server of yours was found. Start one with `gradient server start`, "
            "or give the key of another one: as ExperimentsClient(api_key=...), in the environment variable "
            f'{KEY_VARIABLE}, or as {{"{KEY_MEMBER}": "..."}} in {configuration_file()}'
        )
    if not (isinstance(key, Secret) and key.isascii() and key.isprintable() and key == key.strip()):
        raise ConfigurationError("The API key must be text of visible ASCII characters, without spaces around it")
    return key


def _checked_url(name: str, url: object) -> str:
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} must be a str such as {EXPERIMENTS_URL!r}, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        has_user = "@" in parts.netloc
    except ValueError:
        is_url = has_user = False
    if is_url and (not url.isprintable() or " " in url):
        raise ConfigurationError(f"{name} must not hold spaces or line breaks: {redact(url)!r}")
    if is_url and has_user:
        # It would appear in logs and errors, as httpx prints addresses whole.
        raise ConfigurationError(f"{name} must not hold a user or password; give them to an http_client, as its auth")
    if is_url and ("?" in url or "#" in url):
        raise ConfigurationError(f"{name} must not hold a query or a fragment; paths are put at its end")
    if not is_url:
        raise ConfigurationError(f"{name} must be an address such as {EXPERIMENTS_URL!r}, not {redact(url)!r}")
    return url.rstrip("/")


def _option_problem(name: str, value: object) -> str | None:
    if name == "max_attempts":
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
            return None
        return f"must be an int of at least 1, not {short_repr(value)}"
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return None
    return f"must be seconds, more than 0, or None, not {short_repr(value)}"
