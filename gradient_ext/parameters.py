"""From keyword arguments to the body of a request: what is accepted, what is wrong with it, how it is written.

Everything about single parameters comes from `gradient_api.parameters`, which is written from the contract.
"""

from __future__ import annotations

import base64
import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from gradient_api.parameters import Parameter, ParameterSet

from gradient_ext._json import is_mapping
from gradient_ext.errors import InvalidParametersError

_JSON_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a str"),
    "integer": ((int,), "an int"),
    "number": ((int, float), "a number"),
    "boolean": ((bool,), "a bool"),
    "object": ((Mapping,), "a dict"),
    "array": ((list, tuple), "a list"),
    "null": ((type(None),), "None"),
}


def request_body(accepted: ParameterSet, given: Mapping[str, object], subject: str) -> dict[str, Any]:
    """Write the body of a create or run request. What is None counts as not given; `given` is not changed.

    :param ParameterSet accepted: which keywords there are
    :param dict given: the keywords of the call
    :param str subject: what was called, for the error texts

    :raises TypeError: there is an unknown keyword
    :raises InvalidParametersError: values are missing or wrong; the error names all of them
    """
    _refuse_unknown(accepted, given, subject)
    values = {name: value for name, value in given.items() if value is not None}
    problems = [*_problems(accepted, values)]
    if problems:
        raise InvalidParametersError(subject, problems)
    body = {
        parameter.wire_name: _written(parameter, values[parameter.name])
        for parameter in accepted.parameters
        if parameter.name in values
    }
    return body | dict(accepted.fixed)


def _refuse_unknown(accepted: ParameterSet, given: Mapping[str, object], subject: str) -> None:
    known = [parameter.name for parameter in accepted.parameters]
    unknown = [name for name in given if name not in known]
    if not unknown:
        return
    hints: list[str] = []
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0)
        hints.append(f"{name!r}; did you mean {close[0]!r}?")
    noun = "an unexpected keyword argument" if len(unknown) == 1 else "unexpected keyword arguments"
    raise TypeError(f"{subject} got {noun} {' '.join(hints)}")


def _problems(accepted: ParameterSet, values: Mapping[str, object]) -> Iterator[str]:
    for parameter in accepted.parameters:
        if parameter.name not in values:
            if parameter.required:
                yield f"{parameter.name}: missing ({parameter.documented_type}: {parameter.description})"
            continue
        problem = _problem(parameter, values[parameter.name])
        if problem:
            yield f"{parameter.name}: {problem}"
    for name, others in accepted.dependent.items():
        for other in others:
            if name in values and other not in values:
                yield f"{other}: missing; {name} cannot be given without it"


def _problem(parameter: Parameter, value: Any) -> str | None:
    if parameter.choices:
        return _problem_of_choice(parameter, value)
    if parameter.also_given_as and _is(value, parameter.also_given_as):
        return None
    if not _is(value, parameter.json_type):
        return f"must be {_JSON_TYPES[parameter.json_type][1]}, not {type(value).__name__}"
    if not _is_text(value):
        return "contains a character that cannot be sent as UTF-8 (a lone surrogate)"
    if parameter.min_length is not None and len(value) < parameter.min_length:
        return "is empty" if parameter.min_length == 1 else f"must have at least {parameter.min_length} characters"
    if parameter.minimum is not None and value < parameter.minimum:
        return f"must be at least {parameter.minimum}, not {value}"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"must be at most {parameter.maximum}, not {value}"
    if parameter.member_types:
        return _problem_of_members(parameter, value)
    return None


def _problem_of_choice(parameter: Parameter, value: object) -> str | None:
    if _is(value, parameter.json_type) and value in parameter.choices:
        return None
    if isinstance(value, str) and value.upper() in parameter.aliases:
        return None
    names = ", ".join(repr(choice) for choice in (*parameter.choices, *parameter.aliases))
    shown = "" if parameter.secret else f", not {value!r:.60}"
    return f"must be one of {names}{shown}"


def _problem_of_members(parameter: Parameter, value: Any) -> str | None:
    members = value.items() if is_mapping(value) else enumerate(value)
    for name, member in members:
        if isinstance(value, Mapping) and not (isinstance(name, str) and _is_text(name)):
            return f"its names must be str, not {name!r:.60}"
        if not any(_is(member, kind) for kind in parameter.member_types) or not _is_text(member):
            kinds = ", ".join(_JSON_TYPES[kind][1] for kind in parameter.member_types)
            return f"the value of {name!r:.60} must be one of {kinds}, not {_described(member)}"
    return None


def _is(value: object, json_type: str) -> bool:
    if isinstance(value, bool) and json_type != "boolean":
        return False  # To Python a bool is an int; to a reader of JSON it is not.
    if isinstance(value, float) and not math.isfinite(value):
        return False  # JSON has no NaN and no infinity.
    return isinstance(value, _JSON_TYPES[json_type][0])


def _is_text(value: object) -> bool:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            return False
    return True


def _described(member: object) -> str:
    return repr(member) if isinstance(member, float) else type(member).__name__


def _written(parameter: Parameter, value: Any) -> Any:
    if parameter.aliases and isinstance(value, str) and value.upper() in parameter.aliases:
        return parameter.aliases[value.upper()]
    if parameter.json_type == "string" and not isinstance(value, str):
        value = str(value)
    if parameter.base64:
        # Historical: a filter in front of the service took commands for attacks.
        return base64.b64encode(value.encode("utf-8")).decode("ascii")
    return dict(value) if is_mapping(value) else value
