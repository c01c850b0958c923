# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""storage"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import get_removal, list_storage

__all__ = (
    "get_removal",
    "list_storage",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
