"""Where public names seem to live: in `gradient`, which is what users import, wherever they are written."""

from types import FunctionType
from typing import TypeVar

Public = TypeVar("Public", bound=type)


def public(kind: Public, module: str = "gradient") -> Public:
    """Let help, tracebacks and pickles name a class as users do, and help its methods, too."""
    kind.__module__ = module
    for member in vars(kind).values():
        function = getattr(member, "__func__", member)  # that of a class method
        if isinstance(function, FunctionType):
            function.__module__ = module
    return kind
