"""Show the keyword arguments of the contract in `help()`, in `inspect.signature` and in editors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_type_hints

from gradient_api.parameters import ParameterSet

Method = TypeVar("Method", bound=Callable[..., Any])


def takes(accepted: ParameterSet) -> Callable[[Method], Method]:
    """Give a method, which takes `**parameters`, the signature and the documentation of the keywords it accepts.

    The documentation of the method is kept; where it has a line `{parameters}`, the parameters are put.
    """

    def decorate(method: Method) -> Method:
        method.__doc__ = inspect.cleandoc(method.__doc__ or "{parameters}").replace(
            "{parameters}", "\n".join(_lines(accepted))
        )
        method.__signature__ = _signature(accepted, method)  # type: ignore[attr-defined] # read by inspect
        return method

    return decorate


def _lines(accepted: ParameterSet) -> Iterator[str]:
    for parameter in accepted.parameters:
        ending = " [required]" if parameter.required else ""
        yield f":param {parameter.documented_type} {parameter.name}: {parameter.description}{ending}"


def _signature(accepted: ParameterSet, method: Callable[..., Any]) -> inspect.Signature:
    stock = inspect.signature(method)
    hints = get_type_hints(accepted.keywords)
    keywords = [
        inspect.Parameter(
            parameter.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if parameter.required else None,
            annotation=hints[parameter.name],
        )
        for parameter in accepted.parameters
    ]
    return stock.replace(parameters=[stock.parameters["self"], *keywords], return_annotation=str)
