"""What is wrong with a call that has got no answer, or one that is none."""

from __future__ import annotations

from gradient_ext.naming import public
from gradient_ext.root_error import GradientSdkError


@public
class RequestFailedError(GradientSdkError, ConnectionError):
    """The server could not be reached, or the connection broke before the answer was complete.

    >>> nobody = ExperimentsClient("a key", base_url="http://localhost:1", max_attempts=1)
    >>> try:
    ...     nobody.list()
    ... except RequestFailedError as error:
    ...     error.method, error.url, error.retryable
    ('GET', 'http://localhost:1/experiments/', True)

    :param str text: what failed, and why
    :param str method: the HTTP method of the request
    :param str url: the address of the request
    :param bool retryable: whether another attempt may succeed; not where a certificate is wrong, for instance
    """

    def __init__(self, text: str, method: str = "", url: str = "", *, retryable: bool = True) -> None:
        super().__init__(text)  # What else an OSError is given it takes for the number of an error, and a file.
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
    """The server reported success, but its answer is not what the contract says: not JSON, or not all there.

    >>> try:
    ...     client.get(experiment_id)  # through a proxy that cuts answers off
    ... except MalformedResponseError as error:
    ...     error.retryable
    True

    :param str text: what is wrong with it
    :param str method: the HTTP method of the request
    :param str url: the address of the request
    :param bool retryable: whether another attempt may succeed: where the answer was cut off, or not from the server
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
    """The server reported success for a create or run, but its answer names no experiment.

    >>> try:
    ...     client.create_single_node(**parameters)
    ... except ResourceCreatingError as error:
    ...     print("Look into client.list(): it may be there.")
    Look into client.list(): it may be there.
    """


@public
class ResourceCreatingDataError(ResourceCreatingError):
    """Kept for scripts that catch it: the last historical clients raised it for datasets. Nothing raises it now.

    >>> issubclass(ResourceCreatingDataError, ResourceCreatingError)
    True
    """
