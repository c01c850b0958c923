"""What is shown of experiments and log rows, whatever it is shown in. All texts are redacted and safe to print."""

# What is known of the attributes of an experiment is ours too.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gradient_api.constants import ExperimentState, ExperimentType
from gradient_api.experiment_fields import ExperimentField

from gradient_ext._json import is_object
from gradient_ext.display.tables import Cell, Column, Table
from gradient_ext.experiments import BaseExperiment
from gradient_ext.logs import LogRow
from gradient_ext.redaction import REDACTED, escape_control_characters, redact
from gradient_ext.states import state_style

_UNDEFINED = ExperimentState.get_state_str(None)


def experiment_table(experiment: BaseExperiment) -> Table:
    """Show all of one experiment that is set: names and values, in the order of its repr.

    What the repr leaves out because the documented form does not have it, times and the reason of a failure, is shown.
    """
    told = ((field, getattr(experiment, field.name)) for field in experiment._fields)
    return Table(
        caption=escape_control_characters(f"{type(experiment).__name__} {experiment.id}"),
        columns=(Column("name"), Column("value", wraps=True)),
        rows=tuple((Cell(field.name), _value(field, value)) for field, value in told if value is not None),
        has_head=False,
    )


def experiments_table(experiments: Sequence[BaseExperiment], most: int | None = None) -> Table:
    """Show a list of experiments, a row each: the first ones, and how many more there are."""
    shown = experiments[:most]
    return Table(
        caption=_counted(len(experiments), "experiment"),
        columns=tuple(map(Column, ("id", "name", "type", "state", "project_id", "container", "machine"))),
        rows=tuple(
            (
                _cell(experiment.id),
                _cell(experiment.name),
                Cell(_word(ExperimentType.get_type_str, experiment.experiment_type_id)),
                Cell(_word(ExperimentState.get_state_str, experiment.state), state_style(experiment.state)),
                _cell(experiment.project_id),
                _cell(", ".join(_named(experiment, "container"))),
                _cell(", ".join(_named(experiment, "machine_type"))),
            )
            for experiment in shown
        ),
        left_out=len(experiments) - len(shown),
        left_out_after=len(shown),
    )


def log_table(rows: Sequence[LogRow], most: int | None = None) -> Table:
    """Show log rows; where they are too many the first and the last ones, as logs end with what matters.

    The jobs are named where there are several.
    """
    first, last = (rows, rows[:0]) if most is None or len(rows) <= most else (rows[: most // 2], rows[-(most // 2) :])
    has_jobs = len({row.job_id for row in rows}) > 1
    job = (Column("job_id"),) if has_jobs else ()
    return Table(
        caption=_counted(len(rows), "log row"),
        columns=(*job, Column("line", is_number=True), Column("timestamp"), Column("message", wraps=True)),
        rows=tuple(
            (
                *((_cell(row.job_id),) if has_jobs else ()),
                Cell(str(row.line)),
                _cell(row.timestamp),
                Cell(escape_control_characters(redact(row.message), multiline=True)),
            )
            for row in (*first, *last)
        ),
        left_out=len(rows) - len(first) - len(last),
        left_out_after=len(first),
    )


def _value(field: ExperimentField, value: object) -> Cell:
    if field.secret:
        return Cell(REDACTED)
    if field.name == "state" and isinstance(value, int):
        return Cell(f"{ExperimentState.get_state_str(value)} ({value})", state_style(value))
    if field.name == "experiment_type_id" and isinstance(value, int):
        return Cell(f"{ExperimentType.get_type_str(value)} ({value})")
    if is_object(value) and value:
        return Cell("\n".join(escape_control_characters(redact(f"{name}={inner}")) for name, inner in value.items()))
    return Cell(escape_control_characters(redact(str(value)), multiline=True))


def _named(experiment: BaseExperiment, name: str) -> Iterable[str]:
    """Give the distinct values of an attribute and of its variants for workers, parameter servers and masters."""
    named = (field.name for field in experiment._fields if field.name == name or field.name.endswith(f"_{name}"))
    return dict.fromkeys(value for one in named if (value := getattr(experiment, one)) is not None)


def _word(word_for: Callable[[int | None], str], number: int) -> str:
    word = word_for(number)
    return f"{word} ({number})" if word == _UNDEFINED else word


def _cell(text: str | None) -> Cell:
    return Cell(escape_control_characters(redact(text or "")))


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
