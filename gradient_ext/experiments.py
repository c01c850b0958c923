"""Experiments as users see them, read from whatever generation of stored parameters an answer carries.

Which attributes there are, in which order they show and under which names answers carry them comes from
`gradient_api.experiment_fields`, which is written from the contract.
"""

# The generated halves of these classes are ours too.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define
from gradient_api.experiment_fields import (
    BaseExperimentFields,
    ExperimentField,
    MultiNodeExperimentFields,
    SingleNodeExperimentFields,
)
from gradient_api.json_names import ExperimentNames, TemplateHistoryNames

from gradient_ext import public
from gradient_ext._json import coerce, is_object
from gradient_ext.display.tables import Displayed
from gradient_ext.reading import AttributeReader
from gradient_ext.redaction import REDACTED, redact, redact_json

if TYPE_CHECKING:
    from gradient_ext.display.tables import Table

Kind = TypeVar("Kind", bound=type[BaseExperimentFields])


def _documented(kind: Kind) -> Kind:
    """Let help tell of the attributes of a class what the generated halves of it tell of them."""
    halves = [half.__doc__ or "" for half in reversed(kind.__mro__) if "_fields" in vars(half)]
    lines = [line.strip() for half in halves for line in half.splitlines() if line.strip().startswith(":param ")]
    kind.__doc__ = "\n\n".join((cleandoc(kind.__doc__ or ""), "\n".join(lines)))
    return kind


@public
@_documented
@define(repr=False, kw_only=True)
class BaseExperiment(BaseExperimentFields, Displayed):
    """An experiment of a kind that this client does not know; the known kinds extend it.

    Attributes that the answer of the server did not carry are None. The repr masks passwords and credentials, and so
    does what notebooks show, `show()` and `pretty()`.

    >>> experiment = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1, machine_type="K80")
    >>> print(experiment.pretty())
    name                mnist
    id                  es1
    state               running (4)
    machine_type        K80
    experiment_type_id  single node (1)
    """

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{field.name}={_shown(field, value)}"
            for field in self._fields
            if (value := getattr(self, field.name)) is not None or field.shown == "always"
            if field.shown != "never"
        )
        return f"{type(self).__name__}({shown})"

    def to_dict(self, *, secrets: bool = False) -> dict[str, object]:
        """Give all attributes by their names, in the order of the repr, as a dictionary that can be written as JSON.

        States and types are numbers. The dictionary shares nothing with the experiment.

        >>> experiment = SingleNodeExperiment(id="es1", state=4, experiment_type_id=1, registry_password="sesame")
        >>> experiment.to_dict()["state"], experiment.to_dict()["registry_password"]
        (4, '********')

        :param bool secrets: whether passwords and credentials are in it; default: they are redacted, as in the repr

        :returns: a value for every attribute, None where it has none
        :rtype: dict
        """
        return {field.name: _told_of(field, getattr(self, field.name), secrets=secrets) for field in self._fields}

    def _table(self, max_rows: int | None = None) -> Table:
        from gradient_ext.tables import experiment_table

        return experiment_table(self)


@public
@_documented
@define(repr=False, kw_only=True)
class SingleNodeExperiment(SingleNodeExperimentFields, BaseExperiment):
    """An experiment that runs on one machine.

    >>> experiment = client.get(experiment_id)
    >>> isinstance(experiment, SingleNodeExperiment), experiment.machine_type
    (True, 'K80')
    """


@public
@_documented
@define(repr=False, kw_only=True)
class MultiNodeExperiment(MultiNodeExperimentFields, BaseExperiment):
    """An experiment of workers and parameter servers, or of workers and a master.

    >>> experiment = MultiNodeExperiment(id="es1", state=4, experiment_type_id=2, worker_count=2)
    >>> experiment.worker_count, experiment.parameter_server_count, experiment.master_count
    (2, None, None)
    """


_CLASSES: tuple[type[BaseExperiment], ...] = (SingleNodeExperiment, MultiNodeExperiment, BaseExperiment)
_KINDS = {type_id: kind for kind in _CLASSES for type_id in kind._type_ids}
_READERS = {kind: AttributeReader(kind._fields) for kind in _CLASSES}
_TYPE: Final = ExperimentNames.experiment_type_id
_HISTORY: Final = ExperimentNames.template_history
_PARAMS: Final = TemplateHistoryNames.params


def experiment_from(answer: Mapping[str, object]) -> BaseExperiment:
    """Make the experiment that an answer describes; its kind follows from its type number.

    :param answer: the JSON object of the experiment

    :returns: a `SingleNodeExperiment` or `MultiNodeExperiment`; a `BaseExperiment` for numbers nobody knows

    :raises ValueError: the answer does not say which experiment it is, of what kind, or in what state
    """
    kind = _KINDS.get(coerce("integer", answer.get(_TYPE)), BaseExperiment)
    return kind(**_READERS[kind].read(_stored_parameters(answer), answer))


def check_complete(answer: Mapping[str, object]) -> None:
    """Look whether an answer has what every experiment has, without reading it.

    :raises ValueError: something is missing
    """
    _READERS[BaseExperiment].check_complete(answer)


def fields_of_all_kinds() -> Iterable[ExperimentField]:
    """Give the attributes that experiments of any kind have, each once: those of the first kind first."""
    fields: dict[str, ExperimentField] = {}
    for kind in _KINDS.values():
        for field in kind._fields:
            fields.setdefault(field.name, field)
    return fields.values()


def job_count(experiment: BaseExperiment) -> int | None:
    """Say how many jobs write logs for an experiment; None where it does not tell.

    :returns: 1 for a single node, the sum of all `*_count` attributes for a multi node experiment
    """
    if isinstance(experiment, SingleNodeExperiment):
        return 1
    counts = [getattr(experiment, field.name) for field in experiment._fields if field.name.endswith("_count")]
    known = [count for count in counts if count is not None]
    return sum(known) or None


def _stored_parameters(answer: Mapping[str, object]) -> Mapping[str, object]:
    history = answer.get(_HISTORY)
    params = history.get(_PARAMS) if is_object(history) else None
    return params if is_object(params) else {}


def _told_of(field: ExperimentField, value: object, *, secrets: bool) -> object:
    if secrets:
        return deepcopy(value)
    return REDACTED if field.secret and value is not None else redact_json(value)


def _shown(field: ExperimentField, value: Any) -> str:
    if value is not None and field.secret:
        return repr(REDACTED)
    if isinstance(value, str):
        return repr(redact(value))
    return redact(repr(value))
