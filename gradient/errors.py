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

>>> from gradient import errors
>>> issubclass(errors.NotFoundError, LookupError)
True
"""

from gradient_ext.argument_errors import ConfigurationError, InvalidParametersError
from gradient_ext.network_errors import (
    MalformedResponseError,
    RequestFailedError,
    RequestTimeoutError,
    ResourceCreatingDataError,
    ResourceCreatingError,
)
from gradient_ext.root_error import GradientSdkError
from gradient_ext.status_errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResourceFetchingError,
    ServerError,
)
from gradient_ext.waiting_errors import (
    ExperimentFailedError,
    LogsInterruptedError,
    LogsTimeoutError,
    StateNotReachedError,
    WaitTimeoutError,
)

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ExperimentFailedError",
    "GradientSdkError",
    "InvalidParametersError",
    "LogsInterruptedError",
    "LogsTimeoutError",
    "MalformedResponseError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestFailedError",
    "RequestTimeoutError",
    "ResourceCreatingDataError",
    "ResourceCreatingError",
    "ResourceFetchingError",
    "ServerError",
    "StateNotReachedError",
    "WaitTimeoutError",
]
