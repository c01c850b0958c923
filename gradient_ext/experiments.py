"""Experiments as users see them, read from the JSON of answers.

Which attributes there are, in which order they are shown and under which names answers carry them comes from
`gradient_api.experiment_fields`, which is generated from the contract.
"""

# The generated halves of these classes belong to this package, too.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from inspect import cleandoc
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define
from gradient_api.constants import ExperimentState, ExperimentType
from gradient_api.experiment_fields import (
    STORED_PARAMETERS,
    BaseExperimentFields,
    ExperimentField,
    MultiNodeExperimentFields,
    SingleNodeExperimentFields,
)

from gradient_ext import LazyModule, public
from gradient_ext._json import EXACT_TYPES, coerce, is_array, is_object, require, texts
from gradient_ext.display.tables import (
    Cell,
    Column,
    Displayed,
    DisplayedList,
    Table,
    elapsed_text,
    local_minute,
    parsed_timestamp,
)
from gradient_ext.redaction import (
    REDACTED,
    escape_control_characters,
    redact,
    redact_environment,
    redact_json,
    remove_escape_sequences,
)
from gradient_ext.states import has_ended, state_style

if TYPE_CHECKING:
    import pandas

    from gradient_ext.display import dataframes
else:
    pandas, dataframes = map(LazyModule, ("pandas", "gradient_ext.display.dataframes"))

Class = TypeVar("Class", bound=type[BaseExperimentFields])


def _documented(experiment_class: Class) -> Class:
    """Add the attributes that the generated halves of a class document to its docstring."""
    halves = [half.__doc__ or "" for half in reversed(experiment_class.__mro__) if "_fields" in vars(half)]
    lines = [line.strip() for half in halves for line in half.splitlines() if line.strip().startswith(":param ")]
    experiment_class.__doc__ = "\n\n".join((cleandoc(experiment_class.__doc__ or ""), "\n".join(lines)))
    return experiment_class


@public
@_documented
@define(repr=False, kw_only=True)
class BaseExperiment(BaseExperimentFields, Displayed):
    """An experiment of a type that this client does not know; the known types extend it.

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
            f"{field.name}={_repr_of(field, value)}"
            for field in self._fields
            if not _is_nothing(value := getattr(self, field.name)) or field.shown == "always"
            if field.shown != "never"
        )
        return f"{type(self).__name__}({shown})"

    def to_dict(self, *, secrets: bool = False) -> dict[str, object]:
        """Return all attributes by their names, in the order of the repr, in a dictionary that can be written as JSON.

        States and types are numbers. The dictionary shares nothing with the experiment.

        >>> experiment = SingleNodeExperiment(id="es1", state=4, experiment_type_id=1, registry_password="sesame")
        >>> experiment.to_dict()["state"], experiment.to_dict()["registry_password"]
        (4, '********')

        :param bool secrets: whether to include passwords and credentials; default: they are masked, as in the repr

        :returns: a value for every attribute, None where it has none
        :rtype: dict
        """
        return {field.name: _dict_value(field, getattr(self, field.name), secrets=secrets) for field in self._fields}

    def _table(self, max_rows: int | None = None) -> Table:
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


@public
class ExperimentList(DisplayedList[BaseExperiment]):
    """A list of experiments, as `ExperimentsClient.list()` returns it.

    It is a list in every way. Notebooks show it as a table; `show()` prints one. Secrets are masked in both.

    >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1, machine_type="K80")
    >>> print(ExperimentList([one]).pretty())
    id   name   state    type         machine
    es1  mnist  running  single node  K80
    """

    __slots__ = ()

    def to_dict(self, *, secrets: bool = False) -> list[dict[str, object]]:
        """Return the dictionary of each experiment, in a list that can be written as JSON.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> [found["name"] for found in ExperimentList([one]).to_dict()]
        ['mnist']

        :param bool secrets: whether to include passwords and credentials; default: they are masked

        :returns: the `to_dict()` of each experiment
        :rtype: list of dict
        """
        return [experiment.to_dict(secrets=secrets) for experiment in self]

    def to_dataframe(self, *, secrets: bool = False) -> pandas.DataFrame:
        """Return a DataFrame with one row for each experiment. pandas has to be installed.

        The columns are the attributes of experiments of all types, whatever is in the list, so that scripts can rely on
        them; `frame.dropna(axis="columns", how="all")` leaves those that have values. Beside the number in `state`
        there is its word in `state_name`. Times (`dt_created` ...) are datetime64[ns, UTC], whole numbers that may be
        missing Int64, texts string, and truth values boolean, so that what is missing is `<NA>` or `NaT`.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> ExperimentList([one]).to_dataframe()[["id", "name", "state_name"]]
            id   name state_name
        0  es1  mnist    running

        :param bool secrets: whether to include passwords and credentials; default: they are masked

        :returns: the DataFrame; of an empty list an empty one with the same columns
        :rtype: pandas.DataFrame

        :raises ImportError: pandas is not installed
        """
        return dataframes.experiment_dataframe(self.to_dict(secrets=secrets), _all_fields())

    def _table(self, max_rows: int | None = None) -> Table:
        return list_table(self, max_rows)


_CLASSES: tuple[type[BaseExperiment], ...] = (SingleNodeExperiment, MultiNodeExperiment, BaseExperiment)
_CLASS_OF_TYPE = {type_id: known for known in _CLASSES for type_id in known._type_ids}
_WIRE_NAMES = {field.name: field.outer_name for field in BaseExperiment._fields if field.outer_name is not None}
HANDLE = _WIRE_NAMES["id"]
_TYPE_ID = _WIRE_NAMES["experiment_type_id"]
_HISTORY, _PARAMETERS = STORED_PARAMETERS


def _exact_type(field: ExperimentField) -> type | None:
    """Return the type of values that are taken as they are."""
    return None if field.json_type == "array" else EXACT_TYPES.get(field.json_type)


class _Reader:
    """Read the attributes of one class of experiments.

    A list can hold thousands of experiments, so no model is made of each, only the names that an answer has are looked
    up, and a value of the exact type is taken as it is. Others are coerced: servers stored numbers as text.
    """

    def __init__(self, fields: Sequence[ExperimentField]) -> None:
        by_stored_name: dict[str, tuple[ExperimentField, ...]] = {}
        for field in fields:
            for name in field.stored_names:
                by_stored_name[name] = (*by_stored_name.get(name, ()), field)
        # A name that several fields share has no exact type, so that each of them looks at the value.
        self._stored = {
            name: (first.name, None if others else _exact_type(first), (first, *others))
            for name, (first, *others) in by_stored_name.items()
        }
        outer = {
            field.outer_name: (field.name, _exact_type(field), field)
            for field in fields
            if field.outer_name is not None
        }
        self._required = [(name, *entry) for name, entry in outer.items() if entry[-1].required]
        self._outer = {name: entry for name, entry in outer.items() if not entry[-1].required}

    def read(self, stored: Mapping[str, object], answer: Mapping[str, object]) -> dict[str, Any]:
        """Return the attributes that have a value: from the stored parameters, else from the experiment around them.

        :raises ValueError: a member that every answer has is missing, or has another type
        """
        found: dict[str, Any] = {}
        for name, attribute, exact_type, field in self._required:
            value = answer.get(name)
            # An empty value may be too short.
            found[attribute] = value if type(value) is exact_type and value else _require(field, name, answer)
        entry_of = self._stored.get
        for name, value in stored.items():
            if value is not None and (entry := entry_of(name)) is not None:
                attribute, exact_type, fields = entry
                if type(value) is exact_type and attribute not in found:
                    found[attribute] = value
                else:
                    found |= {field.name: _first(field, stored) for field in fields}
        outer_entry_of = self._outer.get
        for name, value in answer.items():
            if value is not None and (outer := outer_entry_of(name)) is not None:
                attribute, exact_type, field = outer
                if found.get(attribute) is None:
                    found[attribute] = value if type(value) is exact_type else _coerce(field, value)
        return found

    def check_complete(self, answer: Mapping[str, object]) -> None:
        """Raise ValueError if a member that every answer has is missing."""
        for name, *_ in self._required:
            _present(name, answer)


_READERS = {known: _Reader(known._fields) for known in _CLASSES}


def experiment_from(answer: Mapping[str, object]) -> BaseExperiment:
    """Return the experiment in an answer; its class follows from its type number.

    :param answer: the JSON object of the experiment

    :returns: a `SingleNodeExperiment` or `MultiNodeExperiment`; a `BaseExperiment` for unknown numbers

    :raises ValueError: the answer lacks the handle, the type or the state
    """
    experiment_class = _CLASS_OF_TYPE.get(coerce("integer", answer.get(_TYPE_ID)), BaseExperiment)
    history = answer.get(_HISTORY)
    stored = history.get(_PARAMETERS) if is_object(history) else None
    return experiment_class(**_READERS[experiment_class].read(stored if is_object(stored) else {}, answer))


def handle_of(answer: Mapping[str, object]) -> str:
    """Return the handle of an experiment in an answer.

    :raises ValueError: it has none
    """
    handle: str = require("string", answer.get(HANDLE), HANDLE, min_length=1)
    return handle


def check_complete(answer: Mapping[str, object]) -> None:
    """Raise ValueError if an answer lacks a member that every experiment has."""
    _READERS[BaseExperiment].check_complete(answer)


def job_count(experiment: BaseExperiment) -> int | None:
    """Return how many jobs write logs for an experiment; None if it does not say.

    :returns: 1 for a single node, the sum of all `*_count` attributes for a multi node experiment
    """
    if isinstance(experiment, SingleNodeExperiment):
        return 1
    counts = [getattr(experiment, field.name) for field in experiment._fields if field.name.endswith("_count")]
    return sum(count for count in counts if count is not None) or None


def _present(name: str, answer: Mapping[str, object]) -> object:
    if name not in answer:
        raise ValueError(f"an experiment lacks its {name}")
    return answer[name]


def _require(field: ExperimentField, name: str, answer: Mapping[str, object]) -> Any:
    return require(field.json_type, _present(name, answer), name, min_length=field.min_length)


def _coerce(field: ExperimentField, value: object) -> Any:
    return texts(value, field.member) if field.json_type == "array" else coerce(field.json_type, value)


def _is_nothing(value: object) -> bool:
    """Whether a value is shown only where everything is."""
    return value is None or value == []


def _first(field: ExperimentField, stored: Mapping[str, object]) -> Any:
    """Return the first value of the right type under any of the names of a field."""
    for name in field.stored_names:
        value = _coerce(field, stored.get(name))
        if value is not None:
            return value
    return None


def _all_fields() -> Iterable[ExperimentField]:
    """Return the fields of all classes, each once: those of the first class first."""
    fields: dict[str, ExperimentField] = {}
    for known in _CLASSES:
        for field in known._fields:
            fields.setdefault(field.name, field)
    return fields.values()


def _dict_value(field: ExperimentField, value: object, *, secrets: bool) -> object:
    if secrets:
        return deepcopy(value)
    if field.secret and value is not None:
        return REDACTED
    return redact_environment(value) if is_object(value) else redact_json(value)


def _repr_of(field: ExperimentField, value: Any) -> str:
    if value is not None and field.secret:
        return repr(REDACTED)
    if isinstance(value, str):
        return repr(redact(value))
    return redact(repr(redact_environment(value) if is_object(value) else value))


def experiment_table(experiment: BaseExperiment) -> Table:
    """Return the names and values of an experiment; unlike the repr with times and the reason of a failure."""
    values = ((field, getattr(experiment, field.name)) for field in experiment._fields)
    return Table(
        caption=escape_control_characters(f"{type(experiment).__name__} {experiment.id}"),
        columns=(Column("name"), Column("value", wraps=True)),
        rows=tuple((Cell(field.name), _value_cell(field, value)) for field, value in values if not _is_nothing(value)),
        has_head=False,
    )


def list_table(experiments: Sequence[BaseExperiment], max_rows: int | None = None) -> Table:
    """Return a row for each experiment; columns in which nothing would be are left out.

    :param int max_rows: the most rows; default: all
    """
    shown = experiments[:max_rows]
    rows = [_row_of(experiment) for experiment in shown]
    names = (
        *("id", "name", "created", "duration", "state", "error", "tags"),
        *("type", "project_id", "container", "machine"),
    )
    used = [number for number in range(len(names)) if any(row[number].text for row in rows)]
    return Table(
        caption=f"{len(experiments) or 'no'} experiment{'' if len(experiments) == 1 else 's'}",
        columns=tuple(
            Column(
                names[number],
                is_number=names[number] == "duration",
                is_short=names[number] in ("created", "duration", "state"),
            )
            for number in used
        ),
        rows=tuple(tuple(row[number] for number in used) for row in rows),
        left_out=len(experiments) - len(shown),
        left_out_after=len(shown),
    )


def _value_cell(field: ExperimentField, value: object) -> Cell:
    if field.secret:
        return Cell(REDACTED)
    if field.name == "state" and isinstance(value, int):
        return Cell(f"{ExperimentState.get_state_str(value)} ({value})", state_style(value))
    if field.name == "experiment_type_id" and isinstance(value, int):
        return Cell(f"{ExperimentType.get_type_str(value)} ({value})")
    if is_object(value) and value:
        return Cell("\n".join(_safe(f"{name}={inner}") for name, inner in redact_environment(value).items()))
    if is_array(value):
        return Cell(_listed(value))
    return Cell(escape_control_characters(redact(remove_escape_sequences(str(value))), multiline=True))


def _row_of(experiment: BaseExperiment) -> tuple[Cell, ...]:
    return (
        Cell(_safe(experiment.id)),
        Cell(_safe(experiment.name or "")),
        Cell(local_minute(experiment.dt_created)),
        Cell(_duration(experiment)),
        Cell(_word(ExperimentState.get_state_str, experiment.state), state_style(experiment.state)),
        Cell(_safe(remove_escape_sequences(experiment.experiment_error or ""))),
        Cell(_listed(experiment.tags or ())),
        Cell(_word(ExperimentType.get_type_str, experiment.experiment_type_id)),
        Cell(_safe(experiment.project_id or "")),
        Cell(_safe(", ".join(_variants(experiment, "container")))),
        Cell(_safe(", ".join(_variants(experiment, "machine_type")))),
    )


def _duration(experiment: BaseExperiment) -> str:
    """Return for how long the command ran, or has been running."""
    started = parsed_timestamp(experiment.dt_started)
    if started is None:
        return ""
    ended = parsed_timestamp(experiment.dt_finished) or (None if has_ended(experiment.state) else datetime.now(UTC))
    return elapsed_text(max(0.0, (ended - started).total_seconds())) if ended else ""


def _variants(experiment: BaseExperiment, name: str) -> Iterable[str]:
    """Return the distinct values of an attribute and of its variants for workers, parameter servers and masters."""
    names = (field.name for field in experiment._fields if field.name == name or field.name.endswith(f"_{name}"))
    return dict.fromkeys(value for each in names if (value := getattr(experiment, each)) is not None)


def _word(word_for: Callable[[int | None], str], number: int) -> str:
    word = word_for(number)
    return f"{word} ({number})" if word == word_for(None) else word


def _listed(values: Iterable[object]) -> str:
    return ", ".join(_safe(str(value)) for value in values)


def _safe(text: str) -> str:
    return escape_control_characters(redact(text))
