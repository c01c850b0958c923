"""Experiments and log rows as data frames of pandas, which is imported here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import fields_dict
from gradient_api.constants import ExperimentState
from gradient_api.experiment_fields import ExperimentField

from gradient_ext._json import coerce
from gradient_ext.experiments import fields_of_all_kinds
from gradient_ext.logs import LogRow

try:
    import pandas
except ModuleNotFoundError as missing:
    if missing.name != "pandas":
        raise
    raise ImportError("to_dataframe() needs pandas, which is not installed: pip install pandas") from None

_TIME: Final = "datetime64[ns, UTC]"
_TEXT = pandas.StringDtype("python")  # takes every text; that of pyarrow refuses half surrogate pairs
_TYPES: dict[str, Any] = {"string": _TEXT, "integer": "Int64", "number": "Float64", "boolean": "boolean"}


def experiment_frame(told: Sequence[dict[str, object]]) -> pandas.DataFrame:
    """Make a frame of the dictionaries of experiments."""
    columns: dict[str, Any] = {}
    for field in fields_of_all_kinds():
        columns[field.name] = _column([one.get(field.name) for one in told], _type_of(field))
        if field.name == "state":
            words = [ExperimentState.get_state_str(coerce("integer", one["state"])) for one in told]
            columns["state_name"] = _column(words, _TEXT)
    return pandas.DataFrame(columns)


def log_frame(told: Sequence[dict[str, object]]) -> pandas.DataFrame:
    """Make a frame of the dictionaries of log rows."""
    types = {"line": "int64", "timestamp": _TIME}
    names = fields_dict(LogRow)
    return pandas.DataFrame({name: _column([one[name] for one in told], types.get(name, _TEXT)) for name in names})


def _type_of(field: ExperimentField) -> Any:
    if field.json_type == "string" and field.name.startswith("dt_"):  # as the contract names all of its times
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
        column = pandas.Series(values, dtype="object")  # a whole number of more than 64 bits
    return column


def _times(values: list[Any]) -> pandas.Series[Any]:
    """Read times; what is none, or further away than nanoseconds reach, is missing."""
    texts = pandas.Series(values, dtype="object")
    times = pandas.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
    earliest, latest = (limit.tz_localize("UTC") for limit in (pandas.Timestamp.min, pandas.Timestamp.max))
    column: pandas.Series[Any] = times.where(times.between(earliest, latest)).astype(_TIME)
    return column
