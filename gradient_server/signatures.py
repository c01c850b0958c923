"""Show the settings that a method passes on in `help()`, in editors and to type checkers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

_Settings = ParamSpec("_Settings")
_Result = TypeVar("_Result")


def takes(
    accepted: Callable[_Settings, object],
) -> Callable[[Callable[..., _Result]], Callable[Concatenate[Any, _Settings], _Result]]:
    """Give a method, which takes `**settings`, the signature of what takes them in the end, and its `:param` lines.

    The documentation of the method is kept; where it has a line `{parameters}`, the lines are put.
    """

    def decorate(method: Callable[..., _Result]) -> Callable[Concatenate[Any, _Settings], _Result]:
        own, taken = inspect.signature(method), inspect.signature(accepted)
        parameters = [own.parameters["self"], *taken.parameters.values()]
        method.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined] # read by inspect
        method.__doc__ = inspect.cleandoc(method.__doc__ or "{parameters}").replace("{parameters}", _lines(accepted))
        return method

    return decorate


def _lines(accepted: Callable[..., object]) -> str:
    paragraphs = inspect.cleandoc(accepted.__doc__ or "").split("\n\n")
    return next(paragraph for paragraph in paragraphs if paragraph.startswith(":param"))
