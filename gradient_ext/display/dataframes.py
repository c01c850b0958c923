"""Experiments and log rows as data frames. It needs pandas, which this package does not install."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gradient_api.experiment_fields import ExperimentField

from gradient_ext._json import coerce
from gradient_ext.states import ExperimentState

try:
    import pandas
except ModuleNotFoundError as missing:
    if missing.name != "pandas":
        raise
    raise ImportError("to_dataframe() needs pandas, which is not installed: pip install pandas") from None

_FIRST: Final = {"id": 0, "name": 1, "state": 2}
"""The columns at the beginning; the others follow in the order of the fields."""
_TIME: Final = "datetime64[ns, UTC]"
_TEXT = pandas.StringDtype("python")  # accepts every text; that of pyarrow rejects lone surrogates
_TYPES: dict[str, Any] = {"string": _TEXT, "integer": "Int64", "number": "Float64", "boolean": "boolean"}


def experiment_dataframe(rows: Sequence[dict[str, object]], fields: Iterable[ExperimentField]) -> pandas.DataFrame:
    """Return a data frame of the dictionaries of experiments, with a column for each of the fields."""
    columns: dict[str, Any] = {}
    for field in sorted(fields, key=lambda field: _FIRST.get(field.name, len(_FIRST))):
        columns[field.name] = _column([row.get(field.name) for row in rows], _type_of(field))
        if field.name == "state":
            numbers = [coerce("integer", row["state"]) for row in rows]
            words = [None if number is None else ExperimentState.get_state_str(number) for number in numbers]
            columns["state_name"] = _column(words, _TEXT)
    return pandas.DataFrame(columns)


def log_dataframe(rows: Sequence[dict[str, object]], names: Sequence[str]) -> pandas.DataFrame:
    """Return a data frame of the dictionaries of log rows, with these columns."""
    types = {"line": "int64", "timestamp": _TIME}
    return pandas.DataFrame({name: _column([row[name] for row in rows], types.get(name, _TEXT)) for name in names})


def metric_dataframe(
    series: Iterable[tuple[str, str | None, Sequence[Any], Sequence[Any], Sequence[float]]],
) -> pandas.DataFrame:
    """Return a data frame with a row for each value of some series: name, node, steps, times and values."""
    rows: dict[str, list[Any]] = {"name": [], "node": [], "step": [], "time": [], "value": []}
    for name, node, steps, times, values in series:
        columns: list[Sequence[Any]] = [[name] * len(values), [node] * len(values), steps, times, values]
        for column, found in zip(rows, columns, strict=True):
            rows[column] += found
    types = {"step": "float64", "time": _TIME, "value": "float64"}
    return pandas.DataFrame({name: pandas.Series(rows[name], dtype=types.get(name, _TEXT)) for name in rows})


def artifact_dataframe(rows: Sequence[dict[str, object]], names: Sequence[str]) -> pandas.DataFrame:
    """Return a data frame of the dictionaries of artifacts, with these columns."""
    types = {"size": "int64", "modified": _TIME}
    return pandas.DataFrame({name: _column([row[name] for row in rows], types.get(name, _TEXT)) for name in names})


def _type_of(field: ExperimentField) -> Any:
    if field.json_type == "string" and field.name.startswith("dt_"):  # The contract names all of its times like this.
        return _TIME
    if field.json_type == "integer" and field.required:
        return "int64"
    return _TYPES.get(field.json_type, "object")


def _column(values: list[Any], kind: Any) -> pandas.Series[Any]:
    if kind == _TIME:
        return _times(values)
    try:
        column: pandas.Series[Any] = pandas.Series(values, dtype=kind)
    except OverflowError:
        column = pandas.Series(values, dtype="object")  # an int of more than 64 bits
    return column


def _times(values: list[Any]) -> pandas.Series[Any]:
    """Return times. An invalid one, or one beyond the range of nanoseconds, is missing."""
    # pandas would take "now" and "today" for the present.
    dates = [value if isinstance(value, str) and value[:1].isdigit() else None for value in values]
    texts = pandas.Series(dates, dtype="object")
    times = pandas.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    earliest, latest = (limit.tz_localize("UTC") for limit in (pandas.Timestamp.min, pandas.Timestamp.max))
    column: pandas.Series[Any] = times.where(times.between(earliest, latest)).astype(_TIME)
    return column
