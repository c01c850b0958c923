"""The types of public attributes, parameters and results, as they are at run time."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import attrs
import httpx
import pandas
from gradient_api.types import Unset

import gradient
from gradient_ext import async_transport, config, retries, transport
from gradient_ext.display import tables

Place = tuple[str, object]
"""Where a type stands, and the type."""

_OURS = ("gradient", "gradient_api", "gradient_ext", "gradient_server")
_NAMES = {
    # What the modules of the clients name and do not load.
    "AsyncTransport": async_transport.AsyncTransport,
    "datetime": datetime,
    "Sequence": Sequence,
    "Configuration": config.Configuration,
    "RetryPolicy": retries.RetryPolicy,
    "Transport": transport.Transport,
    "Table": tables.Table,
    "httpx": httpx,
    "pandas": pandas,
    **{name: getattr(gradient, name) for name in gradient.__all__},
}


def places(module: types.ModuleType) -> list[Place]:
    """Find all types that whoever uses a module meets: in its public names, and in the classes that those name."""
    found: list[Place] = []
    left: list[object] = [getattr(module, name) for name in module.__all__]
    seen: list[object] = []
    while left:
        named = left.pop()
        if named in seen:
            continue
        seen.append(named)
        here = list(_places_in(named))
        found += here
        left += [part for _, hint in here for part in parts_of(hint) if _is_ours(part)]
    return found


def parts_of(hint: object) -> Iterator[object]:
    """Yield a type and all types in its brackets."""
    yield hint
    for inner in hint if isinstance(hint, list) else typing.get_args(hint):
        yield from parts_of(inner)


def is_uninformative(hint: object) -> bool:
    """Whether a type, or a part of it, is `Any` or belongs to the internals of the generated code."""
    bare = {list, dict, set, frozenset, tuple, Callable, Iterable, typing.Any, inspect.Parameter.empty, Unset}
    parts = list(parts_of(hint))
    return any(part in bare for part in parts if isinstance(part, typing.Hashable))


def _is_ours(named: object) -> bool:
    return isinstance(named, type) and named.__module__.partition(".")[0] in _OURS


def _places_in(named: object) -> Iterator[Place]:
    if isinstance(named, types.ModuleType):
        for name in getattr(named, "__all__", ()):
            yield from _places_in(getattr(named, name))
    elif isinstance(named, type):
        for kind in named.__mro__:
            if _is_ours(kind):
                yield from _places_in_class(kind)
    elif callable(named):
        yield from _places_in_function(named)
    else:
        yield repr(named), type(named)


def _places_in_class(kind: type) -> Iterator[Place]:
    for name, hint in typing.get_type_hints(kind, localns=_NAMES).items():
        if not name.startswith("_"):
            yield f"{kind.__qualname__}.{name}", hint
    for name, member in vars(kind).items():
        function = member.fget if isinstance(member, property) else inspect.unwrap(getattr(kind, name))
        is_public = not name.startswith("_")
        # What attrs and NamedTuple write takes what the fields are; others say their types, or are those of object.
        is_written = (name == "__init__" and attrs.has(kind)) or (name == "__new__" and issubclass(kind, tuple))
        is_magic = name.startswith("__") and not is_written
        if inspect.isroutine(function) and (is_public or (is_magic and getattr(function, "__annotations__", None))):
            yield from _places_in_function(function)


def _places_in_function(function: Callable[..., object]) -> Iterator[Place]:
    hints = typing.get_type_hints(function, localns=_NAMES)
    # The signature may say more: the keywords that `**parameters` stands for.
    said = {name: parameter.annotation for name, parameter in inspect.signature(function).parameters.items()}
    for name, hint in {"return": inspect.Parameter.empty, **said, **hints}.items():
        if name not in ("self", "cls"):
            yield f"{function.__qualname__}({name})", hint
