# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""artifacts"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import get_artifact_content, list_artifacts

__all__ = (
    "get_artifact_content",
    "list_artifacts",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
