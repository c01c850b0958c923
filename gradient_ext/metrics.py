"""Metrics: points, series and lists of them, read from responses. No I/O."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from gradient_ext import LazyModule, public
from gradient_ext._json import as_array, as_object, coerce, is_sequence, require
from gradient_ext.display.tables import Cell, Column, DisplayedList, Table
from gradient_ext.errors import InvalidParametersError
from gradient_ext.redaction import escape_control_characters, redact

if TYPE_CHECKING:
    import pandas

    from gradient_ext.display import dataframes
else:
    pandas, dataframes = map(LazyModule, ("pandas", "gradient_ext.display.dataframes"))

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""The floats that JSON does not have, by their texts. All NaN are the same object, so that equal series are equal."""
START = "0"
"""The cursor of a reader who has no points."""


@public
@frozen
class MetricPoint:
    """One value of a metric.

    >>> from datetime import UTC, datetime
    >>> MetricPoint("loss", "worker 0", 10, datetime(2019, 8, 6, 17, 21, tzinfo=UTC), 0.5).value
    0.5

    :param str name: the name of the metric
    :param str node: the node that it is from, such as "worker 0"; None if the server does not say
    :param step: the step or epoch that it belongs to, an int where it is whole; None: it has none
    :param datetime time: when it was printed or pushed, in UTC
    :param float value: the value, which may be NaN or infinite
    """

    name: str
    node: str | None
    step: float | None
    time: datetime
    value: float

    def to_dict(self) -> dict[str, object]:
        """Return its attributes as a dictionary that can be written as JSON; NaN and infinities are texts.

        >>> from datetime import UTC, datetime
        >>> MetricPoint("loss", None, 1, datetime(2019, 8, 6, tzinfo=UTC), float("nan")).to_dict()["value"]
        'NaN'
        """
        time, value = _iso(self.time), _json_number(self.value)
        return {"name": self.name, "node": self.node, "step": self.step, "time": time, "value": value}


@public
@frozen
class MetricSeries:
    """The values of one metric of one node, in the order of time.

    >>> from datetime import UTC, datetime
    >>> times = [datetime(2019, 8, 6, 17, 21, tzinfo=UTC), datetime(2019, 8, 6, 17, 22, tzinfo=UTC)]
    >>> series = MetricSeries("loss", "worker 0", "step", [10, 20], times, [0.5, 0.25], total=2)
    >>> series.values[-1], series.is_thinned
    (0.25, False)

    :param str name: the name of the metric
    :param str node: the node that it is from, such as "worker 0"; None if the server does not say
    :param str axis: what the steps count, such as "step" or "epoch"; None: there are no steps
    :param steps: the step of each value, an int where it is whole; None: it has none
    :param times: when each was printed or pushed, in UTC
    :param values: the values, which may be NaN or infinite
    :param int total: how many values there are; more than here if they are thinned
    """

    name: str
    node: str | None
    axis: str | None
    steps: Sequence[float | None]
    times: Sequence[datetime]
    values: Sequence[float]
    total: int

    @property
    def is_thinned(self) -> bool:
        """Whether there are more values than here: the first, the last, the lowest and the highest are."""
        return self.total > len(self.values)

    @property
    def points(self) -> list[MetricPoint]:
        """The values with their steps and times.

        >>> MetricSeries("loss", None, None, [], [], [], total=0).points
        []
        """
        name, node = self.name, self.node
        return [
            MetricPoint(name, node, step, time, value)
            for step, time, value in zip(self.steps, self.times, self.values, strict=True)
        ]

    def to_dict(self) -> dict[str, object]:
        """Return its attributes as a dictionary that can be written as JSON; NaN and infinities are texts.

        >>> MetricSeries("loss", None, None, [], [], [], total=0).to_dict()["name"]
        'loss'
        """
        return {
            "name": self.name,
            "node": self.node,
            "axis": self.axis,
            "total": self.total,
            "steps": list(self.steps),
            "times": list(map(_iso, self.times)),
            "values": list(map(_json_number, self.values)),
        }


@public
class MetricList(DisplayedList[MetricSeries]):
    """A list of series, as `ExperimentsClient.metrics()` returns it. Notebooks show it as a table; `show()` prints one.

    >>> from datetime import UTC, datetime
    >>> times = [datetime(2019, 8, 6, 17, 21, tzinfo=UTC), datetime(2019, 8, 6, 17, 22, tzinfo=UTC)]
    >>> found = MetricList([MetricSeries("loss", "worker 0", "step", [10, 20], times, [0.5, 0.25], total=2)])
    >>> print(found.pretty())
    name  node      points  step  last  lowest  highest
    loss  worker 0       2    20  0.25    0.25      0.5
    """

    __slots__ = ()

    def to_dict(self) -> list[dict[str, object]]:
        """Return the dictionary of each series, in a list that can be written as JSON.

        >>> MetricList([]).to_dict()
        []
        """
        return [series.to_dict() for series in self]

    def to_dataframe(self) -> pandas.DataFrame:
        """Return a DataFrame with one row for each value. pandas has to be installed.

        The columns are `name` and `node` (string), `step` (float64, NaN where there is none), `time`
        (datetime64[ns, UTC]) and `value` (float64). To plot:
        `frame.pivot_table(index="step", columns="name", values="value").plot()`.

        >>> list(MetricList([]).to_dataframe().columns)
        ['name', 'node', 'step', 'time', 'value']

        :returns: the DataFrame; of an empty list an empty one with the same columns
        :rtype: pandas.DataFrame

        :raises ImportError: pandas is not installed
        """
        return dataframes.metric_dataframe(
            [(each.name, each.node, each.steps, each.times, each.values) for each in self]
        )

    def _table(self, max_rows: int | None = None) -> Table:
        shown = self if max_rows is None else self[:max_rows]
        numbers = (Column(name, is_number=True) for name in ("points", "step", "last", "lowest", "highest"))
        return Table(
            caption=f"{len(self) or 'no'} metric{'' if len(self) == 1 else 's'}",
            columns=(Column("name"), Column("node", is_short=True), *numbers),
            rows=tuple(tuple(map(Cell, _texts(series))) for series in shown),
            left_out=len(self) - len(shown),
            left_out_after=len(shown),
        )


def checked_names(names: object, method: str) -> list[str] | None:
    """Return the names of the metrics that a caller asks for; None: all.

    :raises InvalidParametersError: it is neither a str nor a list or tuple of some
    """
    if names is None:
        return None
    given = [names] if isinstance(names, str) else names
    if is_sequence(given) and given and all(isinstance(name, str) and _can_be_sent(name) for name in given):
        return cast("list[str]", list(given))
    raise InvalidParametersError(method, [f"names: must be a name or a list of names, not {names!r:.60}"])


def _can_be_sent(name: str) -> bool:
    # Names that were found in a log have no lone surrogates.
    return bool(name) and name.isprintable()


def metrics_from(answer: object) -> MetricList:
    """Return the series of an answer.

    :raises TypeError: it is no array of objects
    :raises KeyError: a series has not all that it needs
    :raises ValueError: a value cannot be coerced to its type
    """
    return MetricList(map(_series_from, as_array(answer)))


def points_of(series: Iterable[MetricSeries]) -> list[MetricPoint]:
    """Return the points of some series, ordered by time."""
    return list(heapq.merge(*(each.points for each in series), key=attrgetter("time")))


def _series_from(found: object) -> MetricSeries:
    series = as_object(found)
    steps, times, values = (as_array(series[name]) for name in ("steps", "times", "values"))
    count = min(len(times), len(values))
    return MetricSeries(
        name=require("string", series["name"], "name", min_length=1),
        node=coerce("string", series.get("node")),
        axis=coerce("string", series.get("axis")),
        # Nearly all are of one type, and there may be many.
        steps=[step if type(step) is int else coerce("number", step) for step in steps[:count]]
        + [None] * (count - len(steps)),
        times=_times_from(times[:count]),
        values=[value if type(value) is float else _value_from(value) for value in values[:count]],
        total=require("integer", series["total"], "total"),
    )


def _times_from(values: Sequence[object]) -> list[datetime]:
    seconds = (value if type(value) is float else require("number", value, "times") for value in values)
    try:
        return [datetime.fromtimestamp(number, UTC) for number in seconds]
    except (OverflowError, OSError):
        raise ValueError("times has a number that is no time") from None


def _value_from(value: object) -> float:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    number = require("number", value, "values")
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)  # an int of more digits than a float can have


def _texts(series: MetricSeries) -> Iterator[str]:
    yield escape_control_characters(redact(series.name))
    yield escape_control_characters(redact(series.node or ""))
    yield f"{series.total}"
    step = series.steps[-1] if series.steps else None
    yield "" if step is None else f"{step:g}" if isinstance(step, float) else f"{step}"
    finite = [value for value in series.values if math.isfinite(value)]
    for found in (series.values[-1:], [min(finite, default=None)], [max(finite, default=None)]):
        yield "" if not found or found[0] is None else f"{found[0]:.6g}"


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def _json_number(value: float) -> Any:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
