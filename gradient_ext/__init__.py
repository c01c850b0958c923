"""The handwritten layer over the generated client: keyword arguments, waiting, logs as a generator, retries, errors.

The public names are in `gradient`.
"""

from types import FunctionType
from typing import TypeVar

Public = TypeVar("Public", bound=type)


def public(kind: Public, module: str = "gradient") -> Public:
    """Return a class with the module name under which users import it.

    `help()`, tracebacks and pickles show that name.
    """
    kind.__module__ = module
    for member in vars(kind).values():
        function = getattr(member, "__func__", member)  # the function of a class method
        if isinstance(function, FunctionType):
            function.__module__ = module
    return kind
