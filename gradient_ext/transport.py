"""HTTP: connections, the key, timeouts, and what answers and failures become. Only this file knows httpx."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from gradient_api import AuthenticatedClient
from gradient_api.constants import API_KEY_HEADER
from gradient_api.types import Response

from gradient_ext.answers import words_of
from gradient_ext.config import Configuration
from gradient_ext.errors import (
    MalformedResponseError,
    RequestFailedError,
    RequestTimeoutError,
    ResourceFetchingError,
)

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0

Answer = TypeVar("Answer")


class Transport:
    """The connections of one client to its two hosts.

    :param Configuration configuration: the key and the addresses
    :param float timeout: how long to wait for an answer, in seconds; None: for ever
    """

    def __init__(self, configuration: Configuration, timeout: float | None) -> None:
        self.experiments = _low_level_client(configuration, configuration.experiments_url, timeout)
        self.logs = _low_level_client(configuration, configuration.logs_url, timeout)

    def close(self) -> None:
        """Close the connections."""
        for client in (self.experiments, self.logs):
            client.get_httpx_client().close()

    def call(
        self, action: str, expected: type[Answer], operation: Callable[..., Response[Any]], *path: str, **given: object
    ) -> Answer:
        """Call a generated operation and return its parsed answer.

        :param str action: what has failed if it fails, for the error
        :param type expected: what the answer must be

        :raises ResourceFetchingError: the server answered with an error
        :raises MalformedResponseError: it answered with success, but not with what the contract says
        :raises RequestFailedError: there was no answer
        :raises RequestTimeoutError: there was no answer in time
        """
        try:
            answer = operation(*path, **given).parsed
        except httpx.HTTPStatusError as error:
            raise _refusal(action, error.response) from None
        except httpx.TimeoutException as error:
            raise RequestTimeoutError(f"{action}: no answer in time ({_place(error)})") from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise RequestFailedError(f"{action}: {error or type(error).__name__} ({_place(error)})") from error
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            # What the generated decoders raise when an answer lacks a member, is not JSON at all, or nests too deep.
            raise MalformedResponseError(
                f"{action}: the answer is not as the contract says ({error!r:.200})"
            ) from error
        if not isinstance(answer, expected):
            raise MalformedResponseError(f"{action}: the answer is not as the contract says")
        return answer


def _low_level_client(configuration: Configuration, url: str, timeout: float | None) -> AuthenticatedClient:
    # Redirects are not followed: the key would go along to wherever they lead.
    client = httpx.Client(
        base_url=url,
        headers={API_KEY_HEADER: configuration.api_key, "Accept": "application/json, */*;q=0.5"},
        timeout=httpx.Timeout(timeout, connect=None if timeout is None else min(timeout, CONNECT_TIMEOUT)),
        event_hooks={"response": [_refuse_errors]},
    )
    return AuthenticatedClient(url, token=configuration.api_key).set_httpx_client(client)


def _refuse_errors(response: httpx.Response) -> None:
    """Stop before the generated code decodes an error: it trips over web pages, empty bodies and unknown statuses."""
    if not response.is_success:
        response.read()
        response.raise_for_status()


def _refusal(action: str, response: httpx.Response) -> ResourceFetchingError:
    words = words_of(response.content)
    if response.has_redirect_location:
        target = response.headers["Location"]
        words = (f"the server redirects to {target}; give the client the address it leads to", *words)
    return ResourceFetchingError(
        action,
        status=response.status_code,
        method=response.request.method,
        url=str(response.request.url),
        words=words,
    )


def _place(error: Exception) -> str:
    if isinstance(error, httpx.RequestError):
        return f"{error.request.method} {error.request.url}"
    return "invalid address"
