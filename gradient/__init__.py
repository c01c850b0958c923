"""Machine-learning experiments from Python: create, start, stop, list and inspect them, and follow their logs.

>>> from gradient import ExperimentsClient
>>> with ExperimentsClient() as client:
...     [experiment.name for experiment in client.list()]
[]
"""

import os
import warnings

# As type checkers know it; the module that has it loads more than this one does.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from gradient_api.parameters import MultiNodeParameters, SingleNodeParameters

    from gradient import constants, errors
    from gradient.errors import (
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
        WorkspaceError,
    )
    from gradient.sdk_client import SdkClient
    from gradient_ext.artifacts import Artifact, ArtifactList
    from gradient_ext.async_client import AsyncExperimentsClient
    from gradient_ext.async_projects_client import AsyncProjectsClient
    from gradient_ext.client import ExperimentsClient
    from gradient_ext.experiments import BaseExperiment, ExperimentList, MultiNodeExperiment, SingleNodeExperiment
    from gradient_ext.logs import LogRow, LogRows
    from gradient_ext.metrics import MetricList, MetricPoint, MetricSeries
    from gradient_ext.projects import Project, ProjectList
    from gradient_ext.projects_client import ProjectsClient
    from gradient_ext.states import ExperimentState, ExperimentType
    from gradient_ext.storage import Removal, StorageEntry, StorageList

    __version__: str

__all__ = [
    "Artifact",
    "ArtifactList",
    "AsyncExperimentsClient",
    "AsyncProjectsClient",
    "AuthenticationError",
    "BadRequestError",
    "BaseExperiment",
    "ConfigurationError",
    "ConflictError",
    "DownloadError",
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
    "MetricList",
    "MetricPoint",
    "MetricSeries",
    "MultiNodeExperiment",
    "MultiNodeParameters",
    "NotFoundError",
    "PermissionDeniedError",
    "Project",
    "ProjectList",
    "ProjectsClient",
    "RateLimitError",
    "Removal",
    "RequestFailedError",
    "RequestTimeoutError",
    "ResourceCreatingDataError",
    "ResourceCreatingError",
    "ResourceFetchingError",
    "SdkClient",
    "ServerError",
    "SingleNodeExperiment",
    "SingleNodeParameters",
    "StateNotReachedError",
    "StorageEntry",
    "StorageList",
    "WaitTimeoutError",
    "WorkspaceError",
    "constants",
    "errors",
]

if os.path.exists(os.path.join(os.path.dirname(__file__), "_client.py")):
    # A file of the other one; this package is complete, until the other one is uninstalled.
    from gradient_ext import OTHER_PACKAGE

    warnings.warn(OTHER_PACKAGE, stacklevel=2)

if not TYPE_CHECKING:  # A type checker would accept any name of a module with `__getattr__`.
    from importlib import import_module

    # Names are imported when they are first used. Those that are not listed are errors.
    _MODULES = {
        "gradient": ("constants", "errors"),
        "gradient.sdk_client": ("SdkClient",),
        "gradient_ext.artifacts": ("Artifact", "ArtifactList"),
        "gradient_ext.async_client": ("AsyncExperimentsClient",),
        "gradient_ext.async_projects_client": ("AsyncProjectsClient",),
        "gradient_ext.client": ("ExperimentsClient", "MultiNodeParameters", "SingleNodeParameters"),
        "gradient_ext.experiments": ("BaseExperiment", "ExperimentList", "MultiNodeExperiment", "SingleNodeExperiment"),
        "gradient_ext.logs": ("LogRow", "LogRows"),
        "gradient_ext.metrics": ("MetricList", "MetricPoint", "MetricSeries"),
        "gradient_ext.projects": ("Project", "ProjectList"),
        "gradient_ext.projects_client": ("ProjectsClient",),
        "gradient_ext.states": ("ExperimentState", "ExperimentType"),
        "gradient_ext.storage": ("Removal", "StorageEntry", "StorageList"),
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name: str) -> object:
        if name == "__version__":
            metadata = import_module("importlib.metadata")
            try:
                return metadata.version("gradient-experiments")
            except metadata.PackageNotFoundError:
                return "0+unknown"  # a program in a zip file, or a copy of the source
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = _MODULE_OF.get(name, "gradient.errors")
        found = import_module(f"gradient.{name}") if module == "gradient" else getattr(import_module(module), name)
        globals()[name] = found  # looked up once
        return found

    def __dir__() -> list[str]:
        return list(__all__)
