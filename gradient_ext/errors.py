"""Every exception of this package.

GradientSdkError
 ├─ ConfigurationError (also ValueError)          no API key, an invalid address, a broken configuration file
 ├─ InvalidParametersError (also ValueError)      invalid or missing arguments; nothing has been sent
 ├─ WorkspaceError                                a folder or archive cannot be uploaded; nothing has been created
 ├─ RequestFailedError (also ConnectionError)     the server could not be reached, or the connection broke
 │   └─ RequestTimeoutError (also TimeoutError)   the server took longer than the timeout
 ├─ ResourceFetchingError                         the server responded with an error; has status, words, details
 │   ├─ BadRequestError (also ValueError)         400, 415, 422: the server rejects what was sent
 │   ├─ AuthenticationError (also PermissionError)     401: the API key is missing or wrong
 │   ├─ PermissionDeniedError (also PermissionError)   403: the API key is wrong, or does not permit this
 │   ├─ NotFoundError (also LookupError)          404: there is no such experiment or project
 │   ├─ ConflictError                             409: the state of the experiment or project does not permit this
 │   ├─ RateLimitError                            429: too many requests; has retry_after
 │   └─ ServerError                               5xx: the server, or a proxy in front of it, has failed
 ├─ MalformedResponseError                        a successful response that does not match the contract
 │   └─ ResourceCreatingError                     a response to create or run without the handle of an experiment
 │       └─ ResourceCreatingDataError             kept for scripts that catch it; never raised
 ├─ LogsInterruptedError                          following logs ended early; has the line from which to continue
 │   └─ LogsTimeoutError (also TimeoutError)      the timeout for following logs is over
 ├─ WaitTimeoutError (also TimeoutError)          the timeout for waiting is over; has the state
 ├─ StateNotReachedError                          the experiment ended in another state than the expected one
 ├─ DownloadError                                 artifacts could not be written; what is complete stays
 └─ ExperimentFailedError                         the experiment failed; has the reason and the last log rows

`ResourceFetchingError` is also raised by start, stop and create: the first clients used this name for every operation.
All exceptions can be pickled. None of them shows an API key or a password.

>>> from gradient import errors
>>> issubclass(errors.NotFoundError, LookupError)
True
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gradient_ext import LazyModule, public
from gradient_ext._json import is_array, is_object
from gradient_ext.redaction import escape_control_characters, redact, remove_escape_sequences
from gradient_ext.states import ExperimentState, state_word

if TYPE_CHECKING:
    import gradient
else:
    gradient = LazyModule("gradient")  # for annotations

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may be over in a moment: the server is busy or restarting, or a proxy cannot reach it."""


@public
class GradientSdkError(Exception):
    """The base class of all exceptions that this package raises.

    >>> try:
    ...     client.get("esunknown")
    ... except GradientSdkError as error:
    ...     type(error).__name__, error.retryable
    ('NotFoundError', False)
    """

    retryable: bool = False
    """Whether the same call may succeed later. The client has already retried it as often as its options permit."""

    def __reduce__(self) -> tuple[object, ...]:
        # By default, exceptions are pickled as a call with `args`, which keyword arguments do not survive.
        return _new, (type(self),), {**self.__dict__, "args": self.args}


def _new(kind: type[GradientSdkError]) -> GradientSdkError:
    return kind.__new__(kind)


@public
class ConfigurationError(GradientSdkError, ValueError):
    """The client cannot be configured: no API key, an invalid address, a broken configuration file.

    >>> ExperimentsClient("a key", base_url="localhost:8090")
    Traceback (most recent call last):
      ...
    gradient.ConfigurationError: base_url must be an address such as 'https://...', not 'localhost:8090'
    """


@public
class InvalidParametersError(GradientSdkError, ValueError):
    """One or more arguments are missing or invalid. Nothing has been sent.

    >>> try:
    ...     client.logs(experiment_id, limit=0)
    ... except InvalidParametersError as error:
    ...     error.subject, error.problems
    ('logs()', ('limit: must be at least 1, not 0',))

    :param str subject: the method
    :param problems: a text for each problem
    """

    def __init__(self, subject: str, problems: Sequence[str]) -> None:
        super().__init__(subject, problems)
        self.subject = subject
        self.problems: tuple[str, ...] = tuple(problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.subject}: {self.problems[0]}"
        return "\n  ".join([f"{self.subject}:", *self.problems])


@public
class WorkspaceError(GradientSdkError):
    """A folder or archive cannot be uploaded: it is empty, too large, changes meanwhile, or a link leads out of it.

    No experiment has been created.

    >>> try:
    ...     client.upload_workspace("examples", ignore_files="*")
    ... except WorkspaceError as error:
    ...     print(error)
    examples has no files, or all of them are ignored
    """


@public
class RequestFailedError(GradientSdkError, ConnectionError):
    """The server could not be reached, or the connection broke before the response was complete.

    >>> nobody = ExperimentsClient("a key", base_url="http://localhost:1", max_attempts=1)
    >>> try:
    ...     nobody.list()
    ... except RequestFailedError as error:
    ...     error.method, error.url, error.retryable
    ('GET', 'http://localhost:1/experiments/v1/experiments/', True)

    :param str text: what failed, and why
    :param str method: the HTTP method of the request
    :param str url: the URL of the request
    :param bool retryable: whether another attempt may succeed; False for an invalid certificate, for instance
    """

    def __init__(self, text: str, method: str = "", url: str = "", *, retryable: bool = True) -> None:
        super().__init__(text)  # An OSError takes a second argument for an error number.
        self.method = method
        self.url = url
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.method} {self.url})" if self.method else str(self.args[0])


@public
class RequestTimeoutError(RequestFailedError, TimeoutError):
    """The server took longer than the timeout of the client.

    >>> hurried = client.with_options(timeout=0.1)
    >>> try:
    ...     hurried.get(experiment_id)
    ... except TimeoutError as error:
    ...     type(error).__name__
    'RequestTimeoutError'
    """


@public
class MalformedResponseError(GradientSdkError):
    """The server reported success, but the response does not match the contract: it is no JSON, or incomplete.

    >>> try:
    ...     client.get(experiment_id)  # through a proxy that cuts responses off
    ... except MalformedResponseError as error:
    ...     error.retryable
    True

    :param str text: what is wrong
    :param str method: the HTTP method of the request
    :param str url: the URL of the request
    :param bool retryable: whether another attempt may succeed: the response was cut off, or not from the server
    """

    def __init__(self, text: str, method: str = "", url: str = "", *, retryable: bool = False) -> None:
        super().__init__(text)
        self.method = method
        self.url = url
        self.retryable = retryable

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.method} {self.url})" if self.method else str(self.args[0])


@public
class ResourceCreatingError(MalformedResponseError):
    """The server reported success for a create or run, but the response names no experiment.

    >>> try:
    ...     client.create_single_node(**parameters)
    ... except ResourceCreatingError as error:
    ...     print("Look into client.list(): it may be there.")
    Look into client.list(): it may be there.
    """


@public
class ResourceCreatingDataError(ResourceCreatingError):
    """Never raised. Kept for scripts that catch it: the last historical clients raised it for datasets.

    >>> issubclass(ResourceCreatingDataError, ResourceCreatingError)
    True
    """


@public
class ResourceFetchingError(GradientSdkError):
    """The server responded with an error.

    >>> try:
    ...     client.start("esunknown")
    ... except ResourceFetchingError as error:
    ...     error.status, error.action, error.details
    (404, 'Failed to start experiment', 'Experiment not found')

    :param str action: what failed, `Failed to start experiment` for instance
    :param int status: the HTTP status, 404 for instance
    :param str method: the HTTP method of the request
    :param str url: the URL of the request
    :param words: the texts of the response
    :param details: `details` of the response; the whole response where it was no JSON object
    :param str request_id: the server's name for the request (`X-Request-Id`); None if it has none
    :param float retry_after: seconds that the server asks to wait (`Retry-After`, RFC 9110 10.2.3); None if it does not
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
        """The texts of the response, a line each, or that there were none."""
        return "\n".join(self.words) or "the server gave no reason"

    def __str__(self) -> str:
        named = f", request {self.request_id}" if self.request_id else ""
        wait = f"; it asks to wait {self.retry_after:.0f} seconds" if self.retry_after is not None else ""
        return f"{self.action}: {self.message}\n(status {self.status} from {self.method} {self.url}{named}{wait})"


@public
class BadRequestError(ResourceFetchingError, ValueError):
    """The server rejects what was sent (400, 415, 422).

    >>> parameters["experiment_env"] = {"GRADIENT_MOCK_OUTCOME": "fame"}
    >>> try:
    ...     client.create_single_node(**parameters)
    ... except BadRequestError as error:
    ...     error.details
    {'experimentEnv': ['GRADIENT_MOCK_OUTCOME must be one of stopped, failed, error.']}
    """


@public
class AuthenticationError(ResourceFetchingError, PermissionError):
    """The API key is missing or wrong (401). The historical experiments host responded with 403 instead.

    >>> with ExperimentsClient("a wrong key") as stranger:
    ...     stranger.logs(experiment_id)
    Traceback (most recent call last):
      ...
    gradient.AuthenticationError: Failed to fetch data: Authentication failed
    (status 401 from GET ...)
    """


@public
class PermissionDeniedError(ResourceFetchingError, PermissionError):
    """The API key is wrong, or does not permit this (403).

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
    """The state of the experiment, or of the project, does not permit this (409).

    >>> client.start(experiment_id)
    >>> try:
    ...     client.start(experiment_id)
    ... except ConflictError as error:
    ...     error.details
    'The experiment is pending; only one that has not run can be started'
    """


@public
class RateLimitError(ResourceFetchingError):
    """There have been too many requests (429). `retry_after` is the number of seconds that the server asks to wait.

    >>> try:
    ...     client.list()
    ... except RateLimitError as error:
    ...     error.retry_after
    20.0
    """


@public
class ServerError(ResourceFetchingError):
    """The server, or a proxy in front of it, has failed (5xx).

    >>> try:
    ...     client.list()
    ... except ServerError as error:
    ...     error.status, error.retryable
    (503, True)
    """


_CLASSES: dict[int, type[ResourceFetchingError]] = {
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
    """Return the class of exception for a status.

    >>> error_class(404).__name__, error_class(520).__name__, error_class(301).__name__
    ('NotFoundError', 'ServerError', 'ResourceFetchingError')
    """
    return ServerError if status >= 500 else _CLASSES.get(status, ResourceFetchingError)


@public
class LogsInterruptedError(GradientSdkError):
    """Following the logs of an experiment ended early. Every row up to its cursor has been returned.

    >>> try:
    ...     for row in client.yield_logs(experiment_id):
    ...         print(row.message)
    ... except LogsInterruptedError as error:
    ...     rest = client.yield_logs(experiment_id, after=error.cursor)

    :param str experiment_id: the experiment
    :param int line: the `line` with which `yield_logs` continues without losing a row; of several jobs, it repeats rows
        of those that are ahead
    :param str reason: why it ended
    :param GradientSdkError error: the last error, if there was one
    :param str cursor: the `after` with which `yield_logs` continues without losing or repeating a row; default: the
        line
    """

    retryable = True

    def __init__(
        self,
        experiment_id: str,
        line: int,
        reason: str,
        error: GradientSdkError | None = None,
        *,
        cursor: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.experiment_id = experiment_id
        self.line = line
        self.reason = reason
        self.error = error
        self.cursor: str = str(line) if cursor is None else cursor

    def __str__(self) -> str:
        again = f"yield_logs({self.experiment_id!r}, after={self.cursor!r}) goes on from there"
        return f"Stopped following the logs of {self.experiment_id} after line {self.line}: {self.reason}\n({again})"


@public
class LogsTimeoutError(LogsInterruptedError, TimeoutError):
    """The timeout for following the logs of an experiment is over.

    >>> try:
    ...     list(client.yield_logs(experiment_id, timeout=0.1))
    ... except LogsTimeoutError as error:
    ...     error.line, error.reason
    (0, '0.1 seconds are over')
    """


@public
class WaitTimeoutError(GradientSdkError, TimeoutError):
    """The timeout for waiting is over. The experiment goes on.

    >>> try:
    ...     client.wait(experiment_id, timeout=0.1)
    ... except WaitTimeoutError as error:
    ...     constants.ExperimentState.get_state_str(error.state)
    'created'

    :param str experiment_id: the experiment
    :param int state: its last known state; None: it could not be read
    :param float timeout: the timeout, in seconds
    :param GradientSdkError error: the last error, if there was one
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


@public
class StateNotReachedError(GradientSdkError):
    """The experiment has ended in another state than the expected one.

    >>> client.stop(experiment_id)
    >>> try:
    ...     client.wait(experiment_id, until="running")
    ... except StateNotReachedError as error:
    ...     constants.ExperimentState.get_state_str(error.state)
    'canceled'

    :param str experiment_id: the experiment
    :param int state: the state in which it has ended
    :param until: the expected states
    """

    def __init__(self, experiment_id: str, state: int, until: Iterable[int]) -> None:
        super().__init__(experiment_id, state, tuple(until))
        self.experiment_id = experiment_id
        self.state = state
        self.until: tuple[int, ...] = self.args[2]

    def __str__(self) -> str:
        expected = " or ".join(state_word(state) for state in self.until)
        ended = state_word(self.state)
        return f"Experiment {self.experiment_id} has ended as {ended}; it will not be {expected} any more"


@public
class DownloadError(GradientSdkError):
    """Artifacts could not be downloaded completely. What is complete stays, and the same call goes on from there.

    >>> try:
    ...     client.download(experiment_id, "/dev/null/results")
    ... except DownloadError as error:
    ...     error.path, error.reason
    ('/dev/null/results', 'Not a directory: /dev/null/results')

    :param str path: the folder to which they are downloaded
    :param str reason: what was wrong
    :param names: the artifacts that are missing because of it, as far as they are known
    """

    retryable = True

    def __init__(self, path: str, reason: str, names: Sequence[str] = ()) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason
        self.names: tuple[str, ...] = tuple(names)

    def __str__(self) -> str:
        named = f": {', '.join(self.names[:3])}{', ...' if len(self.names) > 3 else ''}" if self.names else ""
        return escape_control_characters(f"The download to {self.path} is not complete. {self.reason}{named}")


@public
class ExperimentFailedError(GradientSdkError):
    """The experiment has failed: its command did (`failed`), or it could not be run (`error`).

    >>> client.start(experiment_id)
    >>> try:
    ...     client.wait(experiment_id)
    ... except ExperimentFailedError as error:
    ...     error.rows[-1].message
    'worker 0: the command ended with exit code 1 (simulated)'

    :param BaseExperiment experiment: the experiment, as it is now
    :param str experiment_id: its id
    :param int state: the state in which it has ended
    :param rows: the last rows of its logs, if they could be read
    """

    def __init__(
        self,
        experiment: gradient.BaseExperiment,
        experiment_id: str,
        state: int,
        rows: Sequence[gradient.LogRow] = (),
    ) -> None:
        super().__init__(experiment_id, state)
        self.experiment = experiment
        self.experiment_id = experiment_id
        self.state = state
        self.rows: tuple[gradient.LogRow, ...] = tuple(rows)

    @property
    def experiment_error(self) -> str | None:
        """The reason that the server gives (`experimentError`), if it gives one."""
        return self.experiment.experiment_error

    def __str__(self) -> str:
        reason = self.experiment_error
        said = f": {_shown(reason, multiline=True)}" if reason else ""
        # The local server repeats the reason as the last row.
        rows = [row for row in self.rows if row.message != reason]
        width = max((len(str(row.line)) for row in rows), default=0)
        shown = [f"  {row.line:{width}}  {_shown(row.message.rstrip()):.200}" for row in rows]
        heading = ["The last rows of its logs:"] if shown else []
        state = ExperimentState.get_state_str(self.state)
        return "\n".join([f"Experiment {self.experiment_id} has ended as {state}{said}", *heading, *shown])


def _shown(text: str, *, multiline: bool = False) -> str:
    return escape_control_characters(redact(remove_escape_sequences(text)), multiline=multiline)


_WORD_MEMBERS = frozenset({"description", "error", "errors", "message", "messages", "title"})
_MAX_WORD_LENGTH = 500
# Searching a title takes quadratic time in a page that has many or none.
_MAX_PLAIN_LENGTH = 1024


def words_of(body: bytes) -> tuple[str, ...]:
    """Return the texts in the body of an error response, without repetition.

    The historical services returned JSON objects of several shapes, plain text, and the HTML pages of proxies.

    >>> words_of(b'{"error": "Forbidden", "details": "Incorrect API Key provided"}')
    ('Incorrect API Key provided', 'Forbidden')
    >>> words_of(b'<html><title>502 Bad Gateway</title><body>nginx</body></html>')
    ('502 Bad Gateway',)
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        found = list(_words(json.loads(text)))
    except (ValueError, RecursionError):
        found = [_plain_words(text[:_MAX_PLAIN_LENGTH])]
    return tuple(dict.fromkeys(_shortened(word) for word in found if word.strip()))


def details_of(body: bytes) -> object:
    """Return `details` of the body of an error response, or the whole body where it is no JSON object.

    >>> details_of(b'{"details": {"name": ["Missing data for required field."]}, "error": "Experiment data error"}')
    {'name': ['Missing data for required field.']}
    """
    try:
        content: object = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace") or None
    return content.get("details") if is_object(content) else content


def _plain_words(text: str) -> str:
    if not re.search(r"<(!doctype|html|head|body)\b", text, re.IGNORECASE):
        return text
    title = re.search(r"<(title|h1)\b[^>]*>(.*?)</\1>", text, re.IGNORECASE | re.DOTALL)
    return re.sub(r"\s+", " ", title[2]).strip() if title else "a web page instead of an answer"


def _words(body: object) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif is_array(body):
        for member in body:
            yield from _words(member)
    elif is_object(body):
        # Sorted, as in the first clients: `details` come before `error`.
        for name in sorted(body):
            if name in _WORD_MEMBERS:
                yield from _words(body[name])
            elif name == "details":
                yield from _details(body[name])


def _details(details: object) -> Iterator[str]:
    if not is_object(details):
        yield from _words(details)
        return
    for name, texts in details.items():
        if name == "messages":  # api.paperspace.io repeated the members one level down.
            yield from _details(texts)
        for text in texts if is_array(texts) else [texts]:
            if isinstance(text, str) and name != "context":
                yield f"{name}: {text}"


def _shortened(text: str) -> str:
    text = escape_control_characters(text.strip(), multiline=True)
    return text if len(text) <= _MAX_WORD_LENGTH else f"{text[:_MAX_WORD_LENGTH]} ..."
