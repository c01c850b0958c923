"""Every exception of this package; `help(gradient.errors)` shows the tree."""

from gradient_ext import errors as _errors
from gradient_ext.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    DownloadError,
    ExperimentFailedError,
    GradientSdkError,
    InvalidParametersError,
    LogsInterruptedError,
    LogsTimeoutError,
    MalformedResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestFailedError,
    RequestTimeoutError,
    ResourceCreatingDataError,
    ResourceCreatingError,
    ResourceFetchingError,
    ServerError,
    StateNotReachedError,
    WaitTimeoutError,
)

__doc__ = _errors.__doc__

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "DownloadError",
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
