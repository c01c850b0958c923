"""What is shown of experiments and log rows, whatever it is shown in. All texts are masked and safe to print."""

# What is known of the attributes of an experiment is ours too.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from attrs import frozen
from gradient_api.constants import TERMINAL_STATES, ExperimentState, ExperimentType
from gradient_api.experiment_fields import ExperimentField

from gradient_ext.experiments import BaseExperiment
from gradient_ext.json_types import is_object
from gradient_ext.logs import LogRow
from gradient_ext.masking import MASK, masked
from gradient_ext.printable import printable
from gradient_ext.waiting import has_failed

Tone = Literal["going", "succeeded", "failed", "quiet"]
_UNDEFINED = ExperimentState.get_state_str(None)
_QUIET_STATES = (ExperimentState.CREATED, ExperimentState.CANCELLED)


@frozen
class Column:
    """A column: its name, whether its texts are numbers, and whether they are wrapped rather than cut."""

    name: str
    is_number: bool = False
    wraps: bool = False


@frozen
class Cell:
    """One text of a table, and what its colour should say."""

    text: str
    tone: Tone | None = None


@frozen(kw_only=True)
class Table:
    """What to show.

    :param str caption: what it is
    :param columns: its columns
    :param rows: as many cells each as there are columns
    :param bool has_head: whether to name the columns; otherwise the first cell of each row names the row
    :param int left_out: how many rows are not shown
    :param int left_out_after: after how many rows they would be
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    has_head: bool = True
    left_out: int = 0
    left_out_after: int = 0


def experiment_table(experiment: BaseExperiment) -> Table:
    """Show all of one experiment that is set: names and values, in the order of its repr.

    What the repr leaves out because the documented form does not have it, times and the reason of a failure, is shown.
    """
    told = ((field, getattr(experiment, field.name)) for field in experiment._fields)
    return Table(
        caption=printable(f"{type(experiment).__name__} {experiment.id}"),
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
                Cell(_word(ExperimentState.get_state_str, experiment.state), tone_of(experiment.state)),
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
                Cell(printable(masked(row.message), lines=True)),
            )
            for row in (*first, *last)
        ),
        left_out=len(rows) - len(first) - len(last),
        left_out_after=len(first),
    )


def tone_of(state: int) -> Tone | None:
    """Say what the colour of a state should say; none for a state that nobody knows."""
    if has_failed(state):
        return "failed"
    if state in _QUIET_STATES:
        return "quiet"
    if state in TERMINAL_STATES:
        return "succeeded"
    return "going" if ExperimentState.get_state_str(state) != _UNDEFINED else None


def _value(field: ExperimentField, value: object) -> Cell:
    if field.secret:
        return Cell(MASK)
    if field.name == "state" and isinstance(value, int):
        return Cell(f"{ExperimentState.get_state_str(value)} ({value})", tone_of(value))
    if field.name == "experiment_type_id" and isinstance(value, int):
        return Cell(f"{ExperimentType.get_type_str(value)} ({value})")
    if is_object(value) and value:
        return Cell("\n".join(printable(masked(f"{name}={inner}")) for name, inner in value.items()))
    return Cell(printable(masked(str(value)), lines=True))


def _named(experiment: BaseExperiment, name: str) -> Iterable[str]:
    """Give the distinct values of an attribute and of its variants for workers, parameter servers and masters."""
    named = (field.name for field in experiment._fields if field.name == name or field.name.endswith(f"_{name}"))
    return dict.fromkeys(value for one in named if (value := getattr(experiment, one)) is not None)


def _word(word_for: Callable[[int | None], str], number: int) -> str:
    word = word_for(number)
    return f"{word} ({number})" if word == _UNDEFINED else word


def _cell(text: str | None) -> Cell:
    return Cell(printable(masked(text or "")))


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
