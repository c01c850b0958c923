# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""workspaces"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import create_workspace, find_missing_parts, upload_part

__all__ = (
    "create_workspace",
    "find_missing_parts",
    "upload_part",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
