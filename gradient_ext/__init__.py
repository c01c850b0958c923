"""The handwritten layer over the generated client: keyword dictionaries, states as words, logs as a generator."""

from gradient_api.parameters import MultiNodeParameters, SingleNodeParameters

from gradient_ext import constants, errors
from gradient_ext.async_client import AsyncExperimentsClient
from gradient_ext.client import ExperimentsClient
from gradient_ext.constants import ExperimentState, ExperimentType
from gradient_ext.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
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
from gradient_ext.experiments import BaseExperiment, MultiNodeExperiment, SingleNodeExperiment
from gradient_ext.lists import ExperimentList, LogRows
from gradient_ext.logs import LogRow

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
