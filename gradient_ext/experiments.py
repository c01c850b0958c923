"""Experiments as users see them, read from whatever generation of stored parameters an answer carries.

Which attributes there are, in which order they show and under which names answers carry them comes from
`gradient_api.experiment_fields`, which is written from the contract.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import define
from gradient_api.experiment_fields import (
    BaseExperimentFields,
    ExperimentField,
    MultiNodeExperimentFields,
    SingleNodeExperimentFields,
)
from gradient_api.models import Experiment

MASK = "********"
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]*@")


@define(repr=False, kw_only=True)
class BaseExperiment(BaseExperimentFields):
    """An experiment of a kind that this client does not know; the known kinds extend it.

    Attributes that the answer of the server did not carry are None. The repr masks passwords and credentials.
    """

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{field.name}={_shown(field, value)}"
            for field in self._fields
            if (value := getattr(self, field.name)) is not None or field.shown == "always"
            if field.shown != "never"
        )
        return f"{type(self).__name__}({shown})"


@define(repr=False, kw_only=True)
class SingleNodeExperiment(SingleNodeExperimentFields, BaseExperiment):
    """An experiment that runs on one machine."""


@define(repr=False, kw_only=True)
class MultiNodeExperiment(MultiNodeExperimentFields, BaseExperiment):
    """An experiment of workers and parameter servers, or of workers and a master."""


_KINDS: dict[int, type[BaseExperiment]] = {
    type_id: kind
    for kind in (SingleNodeExperiment, MultiNodeExperiment)
    for type_id in kind._type_ids  # the generated class is ours too
}


def experiment_from(answer: Experiment) -> BaseExperiment:
    """Make the experiment that an answer describes; its kind follows from its type number.

    :param Experiment answer: the generated model of the answer

    :returns: a `SingleNodeExperiment` or `MultiNodeExperiment`; a `BaseExperiment` for numbers nobody knows
    """
    kind = _KINDS.get(answer.experiment_type_id, BaseExperiment)
    outer = answer.to_dict()
    history = outer.get("templateHistory") or {}
    stored = history.get("params") or {}
    return kind(**{field.name: _read(field, stored, outer) for field in kind._fields})


def job_count(experiment: BaseExperiment) -> int | None:
    """Say how many jobs write logs for an experiment; None where it does not tell.

    :returns: 1 for a single node, the sum of all `*_count` attributes for a multi node experiment
    """
    if isinstance(experiment, SingleNodeExperiment):
        return 1
    counts = [getattr(experiment, field.name) for field in experiment._fields if field.name.endswith("_count")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _read(field: ExperimentField, stored: Mapping[str, Any], outer: Mapping[str, Any]) -> Any:
    """Take the first value of the right type: from the stored parameters, then from the experiment around them.

    Without stored names the field belongs to the experiment itself, and a parameter of that name is not looked at.
    """
    for name in field.stored_names:
        value = _typed(field, stored.get(name))
        if value is not None:
            return value
    return _typed(field, outer.get(field.outer_name)) if field.outer_name else None


def _typed(field: ExperimentField, value: Any) -> Any:
    """Bring a stored value to the type of its field, or drop it: numbers and texts have been stored as each other."""
    match field.json_type, value:
        case "string", str():
            return value
        case "string", bool():
            return None
        case "string", int() | float():
            return str(value)
        case "integer", bool():
            return None
        case "integer", int():
            return int(value)
        case "integer", str() if re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        case "number", int() | float() if not isinstance(value, bool):
            return value
        case "boolean", bool():
            return value
        case "object", dict():
            return value
        case "array", list():
            return value
    return None


def _shown(field: ExperimentField, value: Any) -> str:
    if value is not None and field.secret:
        return repr(MASK)
    if isinstance(value, str):
        return repr(_PASSWORD_IN_URL.sub(rf"\1:{MASK}@", value))
    return repr(value)
