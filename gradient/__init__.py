"""Machine-learning experiments from Python: create, start, stop, list and inspect them, and follow their logs.

from gradient import ExperimentsClient

client = ExperimentsClient()
print(client.list())
"""

from importlib.metadata import version as _version

from gradient import constants
from gradient_ext import (
    AsyncExperimentsClient,
    AuthenticationError,
    BadRequestError,
    BaseExperiment,
    ConfigurationError,
    ConflictError,
    ExperimentFailedError,
    ExperimentList,
    ExperimentsClient,
    ExperimentState,
    ExperimentType,
    GradientSdkError,
    InvalidParametersError,
    LogRow,
    LogRows,
    LogsInterruptedError,
    LogsTimeoutError,
    MalformedResponseError,
    MultiNodeExperiment,
    MultiNodeParameters,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestFailedError,
    RequestTimeoutError,
    ResourceCreatingDataError,
    ResourceCreatingError,
    ResourceFetchingError,
    ServerError,
    SingleNodeExperiment,
    SingleNodeParameters,
    StateNotReachedError,
    WaitTimeoutError,
    errors,
)

__all__ = [
    "AsyncExperimentsClient",
    "AuthenticationError",
    "BadRequestError",
    "BaseExperiment",
    "ConfigurationError",
    "ConflictError",
    "ExperimentFailedError",
    "ExperimentList",
    "ExperimentState",
    "ExperimentType",
    "ExperimentsClient",
    "GradientSdkError",
    "InvalidParametersError",
    "LogRow",
    "LogRows",
    "LogsInterruptedError",
    "LogsTimeoutError",
    "MalformedResponseError",
    "MultiNodeExperiment",
    "MultiNodeParameters",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestFailedError",
    "RequestTimeoutError",
    "ResourceCreatingDataError",
    "ResourceCreatingError",
    "ResourceFetchingError",
    "ServerError",
    "SingleNodeExperiment",
    "SingleNodeParameters",
    "StateNotReachedError",
    "WaitTimeoutError",
    "constants",
    "errors",
]

__version__ = _version("gradient-experiments")

for _name in __all__:
    _public = globals()[_name]
    if isinstance(_public, type) and _public.__module__ != constants.__name__:
        _public.__module__ = __name__  # what help(), tracebacks and pickles should say
