"""What can go wrong, as exceptions.

GradientSdkError
 ├─ ConfigurationError (also ValueError)         no API key, an address that is none, a broken configuration file
 ├─ InvalidParametersError (also ValueError)     an argument that cannot be sent; nothing has been sent
 ├─ RequestFailedError (also ConnectionError)    the server could not be reached, or the connection broke
 │   └─ RequestTimeoutError (also TimeoutError)  the server took longer than the timeout
 ├─ ResourceFetchingError                        the server answered with an error; carries status and words
 └─ MalformedResponseError                       the server said success, but not in the words of the contract
     └─ ResourceCreatingError                    the answer to a create or run has no handle

`ResourceFetchingError` has that name for starts and stops too because the first clients raised it for every operation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class GradientSdkError(Exception):
    """The root of all errors that this package raises on purpose."""


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
    """The server could not be reached, or the connection broke before the answer was complete."""


class RequestTimeoutError(RequestFailedError, TimeoutError):
    """The server took longer than the timeout of the client."""


class ResourceFetchingError(GradientSdkError):
    """The server answered with an error.

    :param str action: what failed, `Failed to start experiment` for instance
    :param int status: the HTTP status, 404 for instance
    :param str method: the HTTP method of the request
    :param str url: the address of the request
    :param words: what the server said, line by line
    """

    def __init__(self, action: str, *, status: int, method: str, url: str, words: Iterable[str] = ()) -> None:
        super().__init__(action)
        self.action = action
        self.status = status
        self.method = method
        self.url = url
        self.words = tuple(words)

    @property
    def message(self) -> str:
        """What the server said, or that it said nothing."""
        return "\n".join(self.words) or "the server gave no reason"

    def __str__(self) -> str:
        return f"{self.action}: {self.message}\n(status {self.status} from {self.method} {self.url})"

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments do not survive the way in which exceptions are pickled by default.
        return (_rebuild, (type(self), self.action, self.status, self.method, self.url, self.words))


def _rebuild(
    kind: type[ResourceFetchingError], action: str, status: int, method: str, url: str, words: tuple[str, ...]
) -> ResourceFetchingError:
    return kind(action, status=status, method=method, url=url, words=words)


class MalformedResponseError(GradientSdkError):
    """The server reported success, but its answer is not what the contract says: not JSON, or not all there."""


class ResourceCreatingError(MalformedResponseError):
    """The server reported success for a create or run, but its answer names no experiment."""
