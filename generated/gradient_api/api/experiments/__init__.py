# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""experiments"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        create_experiment,
        delete_experiment,
        get_experiment,
        list_experiments,
        run_experiment,
        start_experiment,
        stop_experiment,
    )

__all__ = (
    "create_experiment",
    "delete_experiment",
    "get_experiment",
    "list_experiments",
    "run_experiment",
    "start_experiment",
    "stop_experiment",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
