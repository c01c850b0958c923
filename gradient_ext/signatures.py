"""Show the keyword arguments of the contract in `help()`, in `inspect.signature` and in editors."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args

from gradient_api.parameters import ParameterSet

from gradient_ext import public

_PLACE = ":param parameters:"
Method = TypeVar("Method", bound=Callable[..., Any])


def takes(accepted: ParameterSet) -> Callable[[Method], Method]:
    """Give a method, which takes `**parameters`, the signature and the documentation of the keywords it accepts.

    The documentation of the method is kept. Its line `:param parameters: ...`, which editors show that do not run the
    code, makes room for the lines of the parameters.
    """

    public(accepted.keywords)

    def decorate(method: Method) -> Method:
        written = inspect.cleandoc(method.__doc__ or _PLACE).splitlines()
        lines = [_lines(accepted) if line.startswith(_PLACE) else [line] for line in written]
        method.__doc__ = "\n".join(itertools.chain.from_iterable(lines))
        method.__signature__ = _signature(accepted, method)  # type: ignore[attr-defined] # read by inspect
        return method

    return decorate


def _lines(accepted: ParameterSet) -> Iterator[str]:
    for parameter in accepted.parameters:
        ending = " [required]" if parameter.required else ""
        yield f":param {parameter.documented_type} {parameter.name}: {parameter.description}{ending}"


def _signature(accepted: ParameterSet, method: Callable[..., Any]) -> inspect.Signature:
    stock = inspect.signature(method)
    hints = accepted.keywords.__annotations__
    keywords = [
        inspect.Parameter(
            parameter.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if parameter.required else None,
            annotation=hints[parameter.name] if parameter.required else get_args(hints[parameter.name])[0],
        )
        for parameter in accepted.parameters
    ]
    return stock.replace(parameters=[stock.parameters["self"], *keywords], return_annotation=str)
