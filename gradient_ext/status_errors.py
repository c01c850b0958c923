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
 ├─ MalformedResponseError                        the server said success, but not in the words of the contract
 │   └─ ResourceCreatingError                     a create or run was answered without the handle of an experiment
 │       └─ ResourceCreatingDataError             kept for scripts that catch it; nothing raises it any more
 ├─ LogsInterruptedError                          logs could not be followed to their end; carries where to go on
 │   └─ LogsTimeoutError (also TimeoutError)      the time that was given for following them is over
 ├─ WaitTimeoutError (also TimeoutError)          the time that was given for waiting is over; carries the state
 ├─ StateNotReachedError                          the experiment has ended without the state that was waited for
 └─ ExperimentFailedError                         the experiment that was waited for failed; carries why, and its logs

`ResourceFetchingError` has that name for starts and stops too because the first clients raised it for every operation.
All of them can be pickled. None of them shows a key or a password.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradient_api.constants import ExperimentState

from gradient_ext.naming import public

if TYPE_CHECKING:
    from gradient_ext.experiments import BaseExperiment
    from gradient_ext.logs import LogRow

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""What may be over in a moment: the server is busy or restarting, or a proxy does not reach it."""


def state_word(state: int) -> str:
    """Give the word for a state; servers may know states that have none here.

    >>> state_word(4), state_word(77)
    ('running', 'in state 77')
    """
    word = ExperimentState.get_state_str(state)
    return f"in state {state}" if word == ExperimentState.get_state_str(None) else word


@public
class GradientSdkError(Exception):
    """The root of all errors that this package raises on purpose."""

    retryable: bool = False
    """Whether the same call may succeed if it is made again. The client has done so already, as often as it may."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.__module__ == __name__:
            public(cls)


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
        self.problems: tuple[str, ...] = tuple(problems)

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


class LogsInterruptedError(GradientSdkError):
    """The logs of an experiment could not be followed to their end. Every row up to `line` has come.

    :param str experiment_id: the experiment
    :param int line: what to give to `yield_logs` as `line` to go on without losing a row; of several jobs, rows of
        those that are further on come again
    :param str reason: why it ended
    :param GradientSdkError error: what went wrong last, if something did
    """

    retryable = True

    def __init__(self, experiment_id: str, line: int, reason: str, error: GradientSdkError | None = None) -> None:
        super().__init__(reason)
        self.experiment_id = experiment_id
        self.line = line
        self.reason = reason
        self.error = error

    def __str__(self) -> str:
        again = f"yield_logs({self.experiment_id!r}, line={self.line}) goes on from there"
        return f"Stopped following the logs of {self.experiment_id} after line {self.line}: {self.reason}\n({again})"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.experiment_id, self.line, self.reason, self.error), self.__dict__


class LogsTimeoutError(LogsInterruptedError, TimeoutError):
    """The time that was given for following the logs of an experiment is over."""


class WaitTimeoutError(GradientSdkError, TimeoutError):
    """The time that was given for waiting is over; the experiment goes on.

    :param str experiment_id: the experiment
    :param int state: the state in which it was last seen; None: it has not been seen
    :param float timeout: how many seconds were given
    :param GradientSdkError error: what went wrong last, if something did
    """

    retryable = True

    def __init__(
        self, experiment_id: str, state: int | None, timeout: float, error: GradientSdkError | None = None
    ) -> None:
        super().__init__(experiment_id)
        self.experiment_id = experiment_id
        self.state = state
        self.timeout = timeout
        self.error = error

    def __str__(self) -> str:
        seen = "could not be read" if self.state is None else f"is still {state_word(self.state)}"
        reason = f": {self.error}" if self.error else ""
        return f"Experiment {self.experiment_id} {seen} after {self.timeout:g} seconds{reason}"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.experiment_id, self.state, self.timeout, self.error), self.__dict__


class StateNotReachedError(GradientSdkError):
    """The experiment has ended, and the state that was waited for will not come any more.

    :param str experiment_id: the experiment
    :param int state: the state in which it has ended
    :param until: the states that were waited for
    """

    def __init__(self, experiment_id: str, state: int, until: Iterable[int]) -> None:
        super().__init__(experiment_id, state, tuple(until))
        self.experiment_id = experiment_id
        self.state = state
        self.until: tuple[int, ...] = self.args[2]

    def __str__(self) -> str:
        awaited = " or ".join(state_word(state) for state in self.until)
        ended = state_word(self.state)
        return f"Experiment {self.experiment_id} has ended as {ended}; it will not be {awaited} any more"


class ExperimentFailedError(GradientSdkError):
    """The experiment that was waited for has failed: its command did (`failed`), or it could not be run (`error`).

    :param BaseExperiment experiment: the experiment, as it is now
    :param str experiment_id: its id
    :param int state: the state in which it has ended
    :param rows: the last rows of its logs, as far as they could be read
    """

    def __init__(self, experiment: BaseExperiment, experiment_id: str, state: int, rows: Sequence[LogRow] = ()) -> None:
        super().__init__(experiment, experiment_id, state, tuple(rows))
        self.experiment = experiment
        self.experiment_id = experiment_id
        self.state = state
        self.rows: tuple[LogRow, ...] = self.args[3]

    @property
    def experiment_error(self) -> str | None:
        """What the server says about it (`experimentError`), if it says something."""
        return self.experiment.experiment_error

    def __str__(self) -> str:
        from gradient_ext.masking import masked

        said = f": {masked(self.experiment_error)}" if self.experiment_error else ""
        width = max((len(str(row.line)) for row in self.rows), default=0)
        shown = [f"  {row.line:{width}}  {masked(row.message.rstrip()):.200}" for row in self.rows]
        heading = ["The last rows of its logs:"] if shown else []
        state = ExperimentState.get_state_str(self.state)
        return "\n".join([f"Experiment {self.experiment_id} has ended as {state}{said}", *heading, *shown])


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
