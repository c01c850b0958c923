"""Keyword arguments to request bodies: what is accepted, what is wrong with it, how it is written, what `help()` shows.

Everything about single parameters comes from `gradient_api.parameters`, which is generated from the contract. Arguments
that are not part of a body are checked here, too, before anything is sent.
"""

from __future__ import annotations

import base64
import difflib
import inspect
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar, cast, get_args

from gradient_api.constants import ExperimentState
from gradient_api.parameters import SINGLE_NODE_PARAMETERS, Parameter, ParameterSet

from gradient_ext import LazyModule, public
from gradient_ext._json import is_mapping, is_sequence
from gradient_ext.config import LONGEST_SECONDS
from gradient_ext.errors import InvalidParametersError
from gradient_ext.redaction import Secret, redact, short_repr

if TYPE_CHECKING:
    from gradient_api import models
else:
    models = LazyModule("gradient_api.models")

_JSON_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a str"),
    "integer": ((int,), "an int"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "a bool"),
    "object": ((Mapping,), "a dict"),
    "array": ((list, tuple), "a list"),
    "null": ((type(None),), "None"),
}
_HANDLE = re.compile(r"[A-Za-z0-9._~-]+", re.ASCII)
_EXAMPLES = {"project_id": "'prlvf0u05'"}
_EXAMPLE = "'esxfbgzu7xanst'"
_NUMBERS = [number for number in vars(ExperimentState).values() if isinstance(number, int)]
_STATES = {ExperimentState.get_state_str(number): number for number in _NUMBERS}
_LARGEST_INT = 2**63 - 1
_PARAMETERS_LINE = ":param parameters:"
Method = TypeVar("Method", bound=Callable[..., Any])


def takes(accepted: ParameterSet) -> Callable[[Method], Method]:
    """Return a decorator that gives a method with `**parameters` the signature and documentation of its keywords.

    The docstring of the method is kept. Its line `:param parameters: ...`, which editors show that do not run the code,
    is replaced by the lines of the parameters.
    """

    public(accepted.keywords)

    def decorate(method: Method) -> Method:
        lines: list[str] = []
        for line in inspect.cleandoc(method.__doc__ or _PARAMETERS_LINE).splitlines():
            lines += _documentation(accepted) if line.startswith(_PARAMETERS_LINE) else [line]
        method.__doc__ = "\n".join(lines)
        method.__signature__ = _signature(accepted, method)  # type: ignore[attr-defined] # read by inspect
        return method

    return decorate


def _documentation(accepted: ParameterSet) -> Iterator[str]:
    for parameter in accepted.parameters:
        ending = " [required]" if parameter.required else ""
        yield f":param {parameter.documented_type} {parameter.name}: {parameter.description}{ending}"


def _signature(accepted: ParameterSet, method: Callable[..., Any]) -> inspect.Signature:
    written = inspect.signature(method)
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
    return written.replace(parameters=[written.parameters["self"], *keywords], return_annotation=str)


def _hide_secrets(accepted: ParameterSet, keywords: dict[str, object]) -> None:
    secret = {parameter.name for parameter in accepted.parameters if parameter.secret}
    for name, value in keywords.items():
        if isinstance(value, str):
            keywords[name] = Secret(value) if name in secret else _hidden(value)
        elif is_mapping(value):
            keywords[name] = {key: _hidden(member) for key, member in value.items()}


def _hidden(value: object) -> object:
    """Return a text that holds a URL with a password as a `Secret`."""
    return Secret(value) if isinstance(value, str) and "://" in value and redact(value) != value else value


def parameters_of(accepted: ParameterSet, experiment: object) -> dict[str, object]:
    """Return the keywords with which an experiment was created, from its attributes.

    :param ParameterSet accepted: the keywords of experiments of its kind
    :param experiment: the experiment
    """
    values = {parameter.name: getattr(experiment, parameter.name, None) for parameter in accepted.parameters}
    return {name: value for name, value in values.items() if value is not None and value != []}


def request_body(accepted: ParameterSet, parameters: Mapping[str, object], method: str) -> dict[str, Any]:
    """Return the body of a create or run request as JSON. A parameter that is None counts as not given.

    :param ParameterSet accepted: the keywords that the method accepts
    :param parameters: the keywords of the call
    :param str method: the method that was called, for error texts: `create_single_node()`

    :raises TypeError: a keyword is unknown
    :raises InvalidParametersError: values are missing or wrong; the error names all of them
    """
    _refuse_unknown(accepted, parameters, method)
    values = {name: value for name, value in parameters.items() if value is not None}
    problems = [*_problems(accepted, values)]
    if problems:
        raise InvalidParametersError(method, problems)
    body = {
        parameter.wire_name: _wire_value(parameter, values[parameter.name])
        for parameter in accepted.parameters
        if parameter.is_sent and parameter.name in values
    }
    return body | dict(accepted.fixed)


def request_model(accepted: ParameterSet, parameters: Mapping[str, object], method: str) -> Any:
    """Return the body of a create or run request as the generated model.

    Secret values in `parameters` are replaced by `Secret`: the dictionary stands in the frame of the caller, and some
    tools print the variables of frames.

    :param ParameterSet accepted: the keywords that the method accepts
    :param parameters: the keywords of the call, a dictionary of its own, which is changed
    :param str method: the method that was called, for error texts: `create_single_node()`

    :raises TypeError: a keyword is unknown
    :raises InvalidParametersError: values are missing or wrong; the error names all of them
    """
    _hide_secrets(accepted, cast("dict[str, object]", parameters))
    return getattr(models, accepted.schema).from_dict(request_body(accepted, parameters, method))


def _refuse_unknown(accepted: ParameterSet, parameters: Mapping[str, object], method: str) -> None:
    known = [parameter.name for parameter in accepted.parameters]
    unknown = [name for name in parameters if name not in known]
    if not unknown:
        return
    hints: list[str] = []
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0)
        hints.append(f"{name!r}; did you mean {close[0]!r}?")
    noun = "an unexpected keyword argument" if len(unknown) == 1 else "unexpected keyword arguments"
    raise TypeError(f"{method} got {noun} {' '.join(hints)}")


def _problems(accepted: ParameterSet, values: Mapping[str, object]) -> Iterator[str]:
    for parameter in accepted.parameters:
        if parameter.name not in values:
            if parameter.required:
                yield f"{parameter.name}: missing ({parameter.documented_type}: {parameter.description})"
            continue
        problem = _problem(parameter, values[parameter.name]) if parameter.is_sent else None
        if problem:
            yield f"{parameter.name}: {problem}"
    for name, others in accepted.dependent.items():
        for other in others:
            if name in values and other not in values:
                yield f"{other}: missing; {name} cannot be given without it"


def _problem(parameter: Parameter, value: Any) -> str | None:
    if parameter.choices:
        return _choice_problem(parameter, value)
    if parameter.also_given_as and _is(value, parameter.also_given_as):
        return _sending_problem(value)
    if not _is(value, parameter.json_type):
        return f"must be {_JSON_TYPES[parameter.json_type][1]}, not {type(value).__name__}"
    if problem := _sending_problem(value):
        return problem
    if parameter.min_length is not None and len(value) < parameter.min_length:
        return "is empty" if parameter.min_length == 1 else f"must have at least {parameter.min_length} characters"
    if parameter.max_length is not None and len(value) > parameter.max_length:
        return f"must have at most {parameter.max_length:,} characters, not {len(value):,}"
    if parameter.max_items is not None and len(value) > parameter.max_items:
        return f"must have at most {parameter.max_items} members, not {len(value):,}"
    if parameter.minimum is not None and value < parameter.minimum:
        return f"must be at least {parameter.minimum}, not {short_repr(value)}"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"must be at most {parameter.maximum}, not {short_repr(value)}"
    if parameter.member_types:
        return _member_problem(parameter, value)
    return None


def _choice_problem(parameter: Parameter, value: object) -> str | None:
    if _is(value, parameter.json_type) and value in parameter.choices:
        return None
    if isinstance(value, str) and value.upper() in parameter.aliases:
        return None
    names = ", ".join(repr(choice) for choice in (*parameter.choices, *parameter.aliases))
    shown = "" if parameter.secret else f", not {short_repr(value)}"
    return f"must be one of {names}{shown}"


def _member_problem(parameter: Parameter, value: Any) -> str | None:
    members = value.items() if is_mapping(value) else enumerate(value)
    for name, member in members:
        if isinstance(value, Mapping) and not (isinstance(name, str) and not _sending_problem(name)):
            return f"its names must be str, not {short_repr(name)}"
        if problem := _sending_problem(member):
            return f"the value of {short_repr(name)} {problem}"
        if not any(_is(member, kind) for kind in parameter.member_types):
            kinds = ", ".join(_JSON_TYPES[kind][1] for kind in parameter.member_types)
            return f"the value of {short_repr(name)} must be one of {kinds}, not {_description(member)}"
        if isinstance(member, str) and (problem := _text_problem(parameter, member)):
            return f"{short_repr(member)} {problem}"
    return None


def _text_problem(parameter: Parameter, text: str) -> str | None:
    if parameter.member_max_length is not None and len(text) > parameter.member_max_length:
        return f"has more than {parameter.member_max_length} characters"
    if parameter.member_pattern is None or re.fullmatch(parameter.member_pattern, text):
        return None
    return "has a line break or another control character" if text else "is empty"


def _is(value: object, json_type: str) -> bool:
    if isinstance(value, bool) and json_type != "boolean":
        return False  # To Python a bool is an int; to a reader of JSON it is not.
    if isinstance(value, float) and not math.isfinite(value):
        return False  # JSON has no NaN and no infinity.
    return isinstance(value, _JSON_TYPES[json_type][0])


def _sending_problem(value: object) -> str | None:
    """Return what is wrong with a text or number that cannot be written into a request."""
    if isinstance(value, str | int):
        try:
            str(value).encode("utf-8")
        except UnicodeEncodeError:
            return "contains a character that cannot be sent as UTF-8 (a lone surrogate)"
        except ValueError:
            return "has too many digits to be sent"
    return None


def _description(member: object) -> str:
    return repr(member) if isinstance(member, float) else type(member).__name__


def _wire_value(parameter: Parameter, value: Any) -> Any:
    if parameter.aliases and isinstance(value, str) and value.upper() in parameter.aliases:
        return parameter.aliases[value.upper()]
    if parameter.base64:
        # Historical: a firewall in front of the service took commands for attacks.
        return base64.b64encode(value.encode("utf-8")).decode("ascii")
    if parameter.json_type == "string":
        return value if isinstance(value, str) else str(value)
    if parameter.json_type == "array":
        return [*value]
    return dict(cast("Mapping[str, object]", value)) if parameter.json_type == "object" else value


def checked_handle(handle: object, method: str, *, name: str = "experiment_id") -> str:
    """Return the id of an experiment or project; it becomes a part of a URL and must not lead elsewhere.

    >>> checked_handle("esxfbgzu7xanst", "get()")
    'esxfbgzu7xanst'

    :raises InvalidParametersError: it cannot be an id
    """
    if not isinstance(handle, str):
        problem = f"must be a str such as {_EXAMPLES.get(name, _EXAMPLE)}, not {type(handle).__name__}"
    elif not handle:
        problem = "is empty; it must be what a create or run returned"
    elif not _HANDLE.fullmatch(handle) or not handle.strip("."):
        problem = f"{short_repr(handle)} cannot be an id; ids look like {_EXAMPLES.get(name, _EXAMPLE)}"
    else:
        return handle
    raise InvalidParametersError(method, [f"{name}: {problem}"])


def checked_tags(tags: object, method: str) -> tuple[str, ...] | None:
    """Return tags, each once: one as text, several as a list or tuple; None is no filter.

    :raises InvalidParametersError: one of them cannot be a tag, or there are too many
    """
    if tags is None:
        return None
    given = [tags] if isinstance(tags, str) else tags
    _check_keyword("tags", given, method)
    return tuple(dict.fromkeys(cast("list[str]", given)))


def checked_note(note: object, method: str) -> str | None:
    """Return the text of a note; None is no note.

    :raises InvalidParametersError: it is no text, or too long
    """
    if note is not None:
        _check_keyword("note", note, method)
    return cast("str | None", note)


def _check_keyword(name: str, value: object, method: str) -> None:
    (parameter,) = (each for each in SINGLE_NODE_PARAMETERS.parameters if each.name == name)
    if problem := _problem(parameter, value):
        raise InvalidParametersError(method, [f"{name}: {problem}"])


def checked_path(path: str | os.PathLike[str], method: str) -> str:
    """Return the path of a folder as text, with `~` for the home directory.

    :raises InvalidParametersError: it cannot be one
    """
    try:
        found = os.fsdecode(path)
    except TypeError:
        found = ""
    if found and "\0" not in found:
        return os.path.expanduser(found)
    raise InvalidParametersError(method, [f"path: must be the path of a folder such as 'results', not {path!r:.60}"])


def checked_pattern(pattern: object, method: str) -> str | None:
    """Return a pattern for names; None: all fit.

    :raises InvalidParametersError: it cannot be one
    """
    if pattern is None or (isinstance(pattern, str) and pattern):
        return pattern
    raise InvalidParametersError(method, [f"pattern: must be a str such as '*.pt', not {pattern!r:.60}"])


def checked_projects(project_id: object, method: str) -> tuple[str, ...] | None:
    """Return the projects of a filter: one as text, several as a list or tuple; None is no filter.

    :raises InvalidParametersError: it is none of these
    """
    if project_id is None:
        return None
    given = [project_id] if isinstance(project_id, str) else project_id
    if not is_sequence(given):
        problem = f"must be a str, or a list or tuple of str, not {type(project_id).__name__}"
    elif wrong := [project for project in given if not _is_project(project)]:
        problem = f"must hold ids of projects such as 'prlvf0u05', not {short_repr(wrong[0])}"
    else:
        return tuple(dict.fromkeys(filter(_is_project, given)))
    raise InvalidParametersError(method, [f"project_id: {problem}"])


def checked_project(project_id: object, method: str, *, name: str = "project_id") -> str:
    """Return the id of a project; experiments may name any.

    :raises InvalidParametersError: it cannot be an id
    """
    if _is_project(project_id):
        return project_id
    shown = short_repr(project_id) if isinstance(project_id, str) else type(project_id).__name__
    raise InvalidParametersError(method, [f"{name}: must be the id of a project such as 'prlvf0u05', not {shown}"])


def _is_project(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable() and value != ""


def check_whole(name: str, value: object, method: str, *, minimum: int) -> None:
    """Raise InvalidParametersError unless a value is an int of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidParametersError(method, [f"{name}: must be an int, not {type(value).__name__}"])
    if value < minimum:
        raise InvalidParametersError(method, [f"{name}: must be at least {minimum}, not {short_repr(value)}"])
    if value > _LARGEST_INT:
        raise InvalidParametersError(method, [f"{name}: must be at most {_LARGEST_INT}"])


def checked_seconds(name: str, value: object, method: str) -> float | None:
    """Return a number of seconds greater than 0, or None.

    :raises InvalidParametersError: it is neither
    """
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return min(value, LONGEST_SECONDS)
    raise InvalidParametersError(method, [f"{name}: must be seconds, more than 0, or None, not {short_repr(value)}"])


def checked_states(name: str, value: object, method: str) -> frozenset[int] | None:
    """Return the numbers of states that are given as a number or word, or as several of them; None is no state.

    >>> checked_states("until", ["running", 5], "wait()") == {4, 5}
    True

    :raises InvalidParametersError: one of them is no state
    """
    if value is None:
        return None
    given = _members(value)
    numbers = [_state_number(state) for state in given]
    if numbers and None not in numbers:
        return frozenset(number for number in numbers if number is not None)
    wrong = given[numbers.index(None)] if numbers else value
    words = ", ".join(_STATES)
    problem = f"must be a state or several: numbers, or words ({words}), not {short_repr(wrong)}"
    raise InvalidParametersError(method, [f"{name}: {problem}"])


def _members(value: object) -> list[object]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return list(cast("Iterable[object]", value))
    return [value]


def _state_number(state: object) -> int | None:
    if isinstance(state, str):
        return _STATES.get(state)
    if isinstance(state, int) and not isinstance(state, bool) and abs(state) <= _LARGEST_INT:
        return state
    return None
