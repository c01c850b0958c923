"""The handwritten layer over the generated client: keyword arguments, waiting, logs as a generator, retries, errors.

The public names are in `gradient`.
"""

import os
import threading
from importlib import import_module
from types import FunctionType
from typing import Any, TypeVar

OTHER_PACKAGE = (
    "The package `gradient` of PyPI, which is another one, is installed in the place of this one and has overwritten "
    "its files. Uninstall both, and install gradient-experiments again: "
    "pip uninstall gradient gradient-experiments"
)
"""The text for users who have both packages."""

Public = TypeVar("Public", bound=type)


class _ImportLock:
    """Held by whoever imports what is only needed by the first calls of a client.

    If a process forks while one of its threads imports a module, the child waits for ever when it needs that module. So
    a fork waits until the import is over.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._delays_forks = False

    def delay_forks(self) -> None:
        """Make forks wait for imports from now on. A client does it when it is made."""
        with self._lock:
            if self._delays_forks or not hasattr(os, "register_at_fork"):
                return
            # These two have locks that a fork takes. They are imported before the hooks are registered: then a fork
            # takes them after this one, and their hooks do not come into being while a fork waits, which would release
            # what it has not taken. Not at the top: they take longer to import than all else that a client needs.
            import_module("concurrent.futures.thread")
            import_module("logging")
            release = self._lock.release
            os.register_at_fork(before=self._lock.acquire, after_in_child=release, after_in_parent=release)
            self._delays_forks = True

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


importing = _ImportLock()


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


def install_command(extra: str) -> str:
    """Return a command that installs what an extra needs, from a checkout as well as from an index.

    >>> install_command("progress")
    "pip install 'rich>=13'"
    """
    metadata = import_module("importlib.metadata")
    try:
        required: list[str] = metadata.requires("gradient-experiments") or []
    except metadata.PackageNotFoundError:  # a copy of the source
        required = []
    needed = [text.partition(";")[0].strip() for text in required if text.endswith(f"extra == '{extra}'")]
    quoted = [f"'{each}'" for each in needed or [f"gradient-experiments[{extra}]"]]
    return f"pip install {' '.join(quoted)}"


class LazyModule:
    """A module that is imported when something of it is first used.

    A program that makes a client need not wait for httpx and attrs, which take several times as long to import as all
    that the program itself needs.

    :param str name: the full name of the module
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        with importing:
            found = getattr(import_module(self._name), attribute)
        setattr(self, attribute, found)  # looked up once
        return found
