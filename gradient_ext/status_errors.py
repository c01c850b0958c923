"""What a server that answers with an error says, and which statuses mean what."""

from __future__ import annotations

from collections.abc import Iterable

from gradient_ext.naming import public
from gradient_ext.root_error import GradientSdkError

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""What may be over in a moment: the server is busy or restarting, or a proxy does not reach it."""


@public
class ResourceFetchingError(GradientSdkError):
    """The server answered with an error.

    >>> try:
    ...     client.start("esunknown")
    ... except ResourceFetchingError as error:
    ...     error.status, error.action, error.details
    (404, 'Failed to start experiment', 'Experiment not found')

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
        details: object = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(action)
        self.action = action
        self.status = status
        self.method = method
        self.url = url
        self.words: tuple[str, ...] = tuple(words)
        self.details = details
        self.request_id = request_id
        self.retry_after = retry_after
        self.retryable: bool = status in RETRIED_STATUSES

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


@public
class BadRequestError(ResourceFetchingError, ValueError):
    """The server does not take what was sent (400, 415, 422).

    >>> parameters["experiment_env"] = {"GRADIENT_MOCK_OUTCOME": "fame"}
    >>> try:
    ...     client.create_single_node(**parameters)
    ... except BadRequestError as error:
    ...     error.details
    {'experimentEnv': ['GRADIENT_MOCK_OUTCOME must be one of stopped, failed, error.']}
    """


@public
class AuthenticationError(ResourceFetchingError, PermissionError):
    """The API key is missing or wrong (401). The historical experiments host says 403 for that.

    >>> with ExperimentsClient("a wrong key") as stranger:
    ...     stranger.logs(experiment_id)
    Traceback (most recent call last):
      ...
    gradient.AuthenticationError: Failed to fetch data: Authentication failed
    (status 401 from GET ...)
    """


@public
class PermissionDeniedError(ResourceFetchingError, PermissionError):
    """The API key is wrong, or may not do this (403).

    >>> try:
    ...     with ExperimentsClient("a wrong key") as stranger:
    ...         stranger.list()
    ... except PermissionError as error:  # so are errors with status 401
    ...     error.status, error.details
    (403, 'Incorrect API Key provided')
    """


@public
class NotFoundError(ResourceFetchingError, LookupError):
    """There is no such experiment, or no such project (404).

    >>> client.delete(experiment_id)
    >>> try:
    ...     client.delete(experiment_id)
    ... except NotFoundError:
    ...     print("It is gone already.")
    It is gone already.
    """


@public
class ConflictError(ResourceFetchingError):
    """The experiment is in a state in which this cannot be done (409).

    >>> client.start(experiment_id)
    >>> try:
    ...     client.start(experiment_id)
    ... except ConflictError as error:
    ...     error.details
    'The experiment is pending; only one that has not run can be started'
    """


@public
class RateLimitError(ResourceFetchingError):
    """There have been too many requests (429); `retry_after` says how many seconds to wait, if the server said so.

    >>> try:
    ...     client.list()
    ... except RateLimitError as error:
    ...     error.retry_after
    20.0
    """


@public
class ServerError(ResourceFetchingError):
    """Something is wrong at the server, or at a proxy in front of it (5xx).

    >>> try:
    ...     client.list()
    ... except ServerError as error:
    ...     error.status, error.retryable
    (503, True)
    """


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
