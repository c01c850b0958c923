"""The handwritten layer over the generated client: keyword arguments, waiting, logs as a generator, retries, errors.

The public names are in `gradient`.
"""

from importlib import import_module
from types import FunctionType
from typing import Any, TypeVar

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


class LazyModule:
    """A module that is imported when something of it is first used.

    A program that makes a client need not wait for httpx and attrs, which take several times as long to import as all
    that the program itself needs.

    :param str name: the full name of the module
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)  # looked up once
        return found
