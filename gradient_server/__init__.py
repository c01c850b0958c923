"""A local Gradient API: the contract of the hosted service, with simulated or real runs. Needs the extra `server`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradient_server.local_server import LocalServer

__all__ = ["LocalServer"]


def __getattr__(name: str) -> object:
    # Not at import: pytest imports this package for its plugin, whether or not the extra is installed.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from gradient_server.local_server import LocalServer
    except ModuleNotFoundError as error:
        from gradient_ext import install_command

        package = (error.name or "").partition(".")[0]
        text = f"The local server needs {package}: {install_command('server')}"
        raise ModuleNotFoundError(text, name=package) from error
    return LocalServer
