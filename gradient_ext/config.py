"""Where a client finds its key and its servers: arguments, then environment, then configuration file, then defaults."""

from __future__ import annotations

import functools
import ipaddress
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen
from gradient_api.constants import EXPERIMENTS_URL, LOGS_URL

from gradient_ext._json import is_object
from gradient_ext.errors import ConfigurationError
from gradient_ext.redaction import redact

KEY_VARIABLE = "PAPERSPACE_API_KEY"
EXPERIMENTS_VARIABLE = "PAPERSPACE_CONFIG_EXPERIMENTS_HOST"
LOGS_VARIABLE = "PAPERSPACE_CONFIG_LOG_HOST"
DIRECTORY_VARIABLE = "PAPERSPACE_CONFIG_PATH"
FILE_VARIABLE = "PAPERSPACE_CONFIG_FILE_NAME"
KEY_MEMBER = "apiKey"


@frozen(kw_only=True)
class Configuration:
    """The key and the servers of one client."""

    api_key: str = field(repr=False)
    experiments_url: str
    logs_url: str


def configuration(
    api_key: str | None = None,
    base_url: str | None = None,
    logs_url: str | None = None,
    *,
    environment: Mapping[str, str] = os.environ,
) -> Configuration:
    """Put together the configuration of a client that is being made now.

    :param str api_key: the key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file
    :param str base_url: where experiments are; default: `PAPERSPACE_CONFIG_EXPERIMENTS_HOST`, then the hosted service
    :param str logs_url: where logs are; default: `PAPERSPACE_CONFIG_LOG_HOST`, then the hosted service
    :param environment: what to read instead of the environment of the process

    :raises ConfigurationError: there is no key, an address is none, or the configuration file cannot be read
    """
    key = api_key or environment.get(KEY_VARIABLE) or _key_in_file(environment)
    return Configuration(
        api_key=_checked_key(key, environment),
        experiments_url=_checked_url("base_url", base_url or environment.get(EXPERIMENTS_VARIABLE) or EXPERIMENTS_URL),
        logs_url=_checked_url("logs_url", logs_url or environment.get(LOGS_VARIABLE) or LOGS_URL),
    )


def keys_in_the_clear(places: Configuration) -> list[str]:
    """Name the hosts that get the key over plain http and are not this machine: anybody on the way can read it.

    >>> keys_in_the_clear(configuration("a key", "http://127.0.0.1:8090", "http://logs.example.com"))
    ['logs.example.com']
    """
    parts = [urlsplit(url) for url in (places.experiments_url, places.logs_url)]
    hosts = [part.hostname or "" for part in parts if part.scheme == "http"]
    return [host for host in dict.fromkeys(hosts) if not _is_this_machine(host)]


def warn_of_keys_in_the_clear(places: Configuration) -> None:
    """Warn, once for each host in the life of the process."""
    for host in keys_in_the_clear(places):
        _warn_once(f"The API key goes to {host} over plain http, where others can read it; use https")


@functools.cache
def _warn_once(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=4)


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def configuration_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Say which file is read: `~/.paperspace/config.json`, unless the environment names another."""
    directory = environment.get(DIRECTORY_VARIABLE) or "~/.paperspace"
    # Unlike that of Path, this one leaves alone what it cannot expand.
    return Path(os.path.expanduser(directory)) / (environment.get(FILE_VARIABLE) or "config.json")


def _key_in_file(environment: Mapping[str, str]) -> object:
    path = configuration_file(environment)
    key, problem = _read(path)
    if problem:
        # Out here: the errors that come from reading carry the whole text, and so the key.
        raise ConfigurationError(f"The configuration file {path} {problem}")
    return key


def _read(path: Path) -> tuple[object, str | None]:
    """Give the key in a file, and what is wrong with the file."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, f"cannot be read: {error}"
    except UnicodeDecodeError as error:
        return None, f"is not UTF-8 (see byte {error.start + 1})"
    except (ValueError, RecursionError) as error:
        place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "its text"
        return None, f"is not JSON (see {place})"
    if not is_object(content):
        return None, f'must hold an object such as {{"{KEY_MEMBER}": "..."}}'
    return content.get(KEY_MEMBER), None


def _checked_key(key: object, environment: Mapping[str, str]) -> str:
    if not key:
        raise ConfigurationError(
            "There is no API key. Give one as ExperimentsClient(api_key=...), "
            f"in the environment variable {KEY_VARIABLE}, "
            f'or as {{"{KEY_MEMBER}": "..."}} in {configuration_file(environment)}'
        )
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or key != key.strip():
        raise ConfigurationError("The API key must be text of visible ASCII characters, without spaces around it")
    return key


def _checked_url(name: str, url: object) -> str:
    if not isinstance(url, str):
        raise ConfigurationError(f"{name} must be a str such as {EXPERIMENTS_URL!r}, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
        has_user = "@" in parts.netloc
    except ValueError:
        sound = has_user = False
    if sound and (not url.isprintable() or " " in url):
        raise ConfigurationError(f"{name} must not hold spaces or line breaks: {redact(url)!r}")
    if sound and has_user:
        # It would stand in logs and errors; httpx prints addresses whole.
        raise ConfigurationError(f"{name} must not hold a user or password; give them to an http_client, as its auth")
    if sound and ("?" in url or "#" in url):
        raise ConfigurationError(f"{name} must not hold a query or a fragment; paths are put at its end")
    if not sound:
        raise ConfigurationError(f"{name} must be an address such as {EXPERIMENTS_URL!r}, not {redact(url)!r}")
    return url.rstrip("/")
