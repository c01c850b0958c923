"""What can go wrong, as exceptions.

GradientSdkError
 ├─ ConfigurationError (also ValueError)          no API key, an address that is none, a broken configuration file
 ├─ InvalidParametersError (also ValueError)      an argument that cannot be sent; nothing has been sent
 ├─ RequestFailedError (also ConnectionError)     the server could not be reached, or the connection broke
 │   └─ RequestTimeoutError (also TimeoutError)   the server took longer than the timeout
 ├─ ResourceFetchingError                         the server answered with an error; carries status and words
 │   ├─ BadRequestError (also ValueError)         400, 415, 422: the server does not take what was sent
 │   ├─ AuthenticationError (also PermissionError)     401: the key is missing or wrong
 │   ├─ PermissionDeniedError (also PermissionError)   403: the key is wrong, or may not do this
 │   ├─ NotFoundError (also LookupError)          404: there is no such experiment or project
 │   ├─ ConflictError                             409: the experiment is in a state in which this cannot be done
 │   ├─ RateLimitError                            429: too many requests; carries how long to wait
 │   └─ ServerError                               5xx: something is wrong at the server, or in front of it
 └─ MalformedResponseError                        the server said success, but not in the words of the contract
     └─ ResourceCreatingError                     a create or run was answered without the handle of an experiment
         └─ ResourceCreatingDataError             kept for scripts that catch it; nothing raises it any more

`ResourceFetchingError` has that name for starts and stops too because the first clients raised it for every operation.
All of them can be pickled. None of them shows a key or a password.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""What may be over in a moment: the server is busy or restarting, or a proxy does not reach it."""


class GradientSdkError(Exception):
    """The root of all errors that this package raises on purpose."""

    retryable: bool = False
    """Whether the same call may succeed if it is made again. The client has done so already, as often as it may."""


class ConfigurationError(GradientSdkError, ValueError):
    """The client cannot be made from what it was given: no key, no proper address, a broken configuration file."""


class InvalidParametersError(GradientSdkError, ValueError):
    """One or more arguments cannot be sent. Nothing has been sent.

    :param str subject: what was called
    :param problems: one text for each thing that is wrong
    """

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        super().__init__(subject, problems)
        self.subject = subject
        self.problems = tuple(problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.subject}: {self.problems[0]}"
        return "\n  ".join([f"{self.subject}:", *self.problems])


class RequestFailedError(GradientSdkError, ConnectionError):
    """The server could not be reached, or the connection broke before the answer was complete.

    :param str text: what failed, and why
    :param str method: the HTTP method of the request
    :param str url: the address of the request
    :param bool retryable: whether another attempt may succeed; not where a certificate is wrong, for instance
    """

    def __init__(self, text: str, method: str = "", url: str = "", *, retryable: bool = True) -> None:
        super().__init__(text, method, url)
        self.method = method
        self.url = url
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.method} {self.url})" if self.method else str(self.args[0])


class RequestTimeoutError(RequestFailedError, TimeoutError):
    """The server took longer than the timeout of the client."""


class ResourceFetchingError(GradientSdkError):
    """The server answered with an error.

    :param str action: what failed, `Failed to start experiment` for instance
    :param int status: the HTTP status, 404 for instance
    :param str method: the HTTP method of the request
    :param str url: the address of the request
    :param words: what the server said, line by line
    :param details: what the server said under `details`, or the whole of its answer where it was no JSON object
    :param str request_id: how the server calls the request, if it says so (`X-Request-Id`)
    :param float retry_after: how many seconds the server asks to wait, if it does (`Retry-After`, RFC 9110 10.2.3)
    """

    def __init__(
        self,
        action: str,
        *,
        status: int,
        method: str,
        url: str,
        words: Iterable[str] = (),
        details: Any = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(action)
        self.action = action
        self.status = status
        self.method = method
        self.url = url
        self.words = tuple(words)
        self.details = details
        self.request_id = request_id
        self.retry_after = retry_after
        self.retryable = status in RETRIED_STATUSES

    @property
    def message(self) -> str:
        """What the server said, or that it said nothing."""
        return "\n".join(self.words) or "the server gave no reason"

    def __str__(self) -> str:
        named = f", request {self.request_id}" if self.request_id else ""
        wait = f"; it asks to wait {self.retry_after:.0f} seconds" if self.retry_after is not None else ""
        return f"{self.action}: {self.message}\n(status {self.status} from {self.method} {self.url}{named}{wait})"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments do not survive the way in which exceptions are pickled by default; notes are in the state.
        return _rebuilt, (type(self), self.action, self.status, self.method, self.url), self.__dict__


def _rebuilt(
    kind: type[ResourceFetchingError], action: str, status: int, method: str, url: str
) -> ResourceFetchingError:
    return kind(action, status=status, method=method, url=url)


class BadRequestError(ResourceFetchingError, ValueError):
    """The server does not take what was sent (400, 415, 422)."""


class AuthenticationError(ResourceFetchingError, PermissionError):
    """The API key is missing or wrong (401). The historical experiments host says 403 for that."""


class PermissionDeniedError(ResourceFetchingError, PermissionError):
    """The API key is wrong, or may not do this (403)."""


class NotFoundError(ResourceFetchingError, LookupError):
    """There is no such experiment, or no such project (404)."""


class ConflictError(ResourceFetchingError):
    """The experiment is in a state in which this cannot be done (409)."""


class RateLimitError(ResourceFetchingError):
    """There have been too many requests (429); `retry_after` says how many seconds to wait, if the server said so."""


class ServerError(ResourceFetchingError):
    """Something is wrong at the server, or at a proxy in front of it (5xx)."""


class MalformedResponseError(GradientSdkError):
    """The server reported success, but its answer is not what the contract says: not JSON, or not all there.

    :param str text: what is wrong with it
    :param str method: the HTTP method of the request
    :param str url: the address of the request
    :param bool retryable: whether another attempt may succeed: where the answer was cut off, or not from the server
    """

    def __init__(self, text: str, method: str = "", url: str = "", *, retryable: bool = False) -> None:
        super().__init__(text, method, url)
        self.method = method
        self.url = url
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.method} {self.url})" if self.method else str(self.args[0])


class ResourceCreatingError(MalformedResponseError):
    """The server reported success for a create or run, but its answer names no experiment."""


class ResourceCreatingDataError(ResourceCreatingError):
    """Kept for scripts that catch it: the last historical clients raised it for datasets. Nothing raises it now."""


_KINDS: dict[int, type[ResourceFetchingError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    415: BadRequestError,
    422: BadRequestError,
    429: RateLimitError,
}


def error_class(status: int) -> type[ResourceFetchingError]:
    """Say which error a status becomes.

    >>> error_class(404).__name__, error_class(520).__name__, error_class(301).__name__
    ('NotFoundError', 'ServerError', 'ResourceFetchingError')
    """
    return ServerError if status >= 500 else _KINDS.get(status, ResourceFetchingError)
