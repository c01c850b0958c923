"""Machine-learning experiments from Python: create, start, stop, list and inspect them, and follow their logs.

>>> from gradient import ExperimentsClient
>>> with ExperimentsClient() as client:
...     [experiment.name for experiment in client.list()]
[]
"""

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
    from gradient_ext.async_client import AsyncExperimentsClient
    from gradient_ext.client import ExperimentsClient
    from gradient_ext.experiments import BaseExperiment, MultiNodeExperiment, SingleNodeExperiment
    from gradient_ext.lists import ExperimentList, LogRows
    from gradient_ext.logs import LogRow
    from gradient_ext.states import ExperimentState, ExperimentType

    __version__: str

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

if not TYPE_CHECKING:  # which would take any name for one that is there
    # Where public names are that are no errors; they are loaded when somebody asks for them.
    _PLACES = {
        "AsyncExperimentsClient": "gradient_ext.async_client",
        "BaseExperiment": "gradient_ext.experiments",
        "ExperimentList": "gradient_ext.lists",
        "ExperimentState": "gradient_ext.states",
        "ExperimentType": "gradient_ext.states",
        "ExperimentsClient": "gradient_ext.client",
        "LogRow": "gradient_ext.logs",
        "LogRows": "gradient_ext.lists",
        "MultiNodeExperiment": "gradient_ext.experiments",
        "SingleNodeExperiment": "gradient_ext.experiments",
        "MultiNodeParameters": "gradient_ext.client",
        "SingleNodeParameters": "gradient_ext.client",
    }

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("gradient-experiments")
        from importlib import import_module

        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name in ("constants", "errors"):
            found: object = import_module(f"gradient.{name}")
        else:
            found = getattr(import_module(_PLACES.get(name, "gradient.errors")), name)
        globals()[name] = found  # The next time it is there.
        return found

    def __dir__() -> list[str]:
        return list(__all__)
