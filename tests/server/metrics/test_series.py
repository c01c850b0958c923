"""Points in bounded memory, and the step that they are plotted over."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.metrics.rows import Points
from gradient_server.metrics.series import Series

STEPS = ("global_step", "total_timesteps", "step", "iteration", "iter", "batch", "epoch")


def series_of(values, steps=None, *, at_once=1000, is_decimal=True):
    series = Series()
    for start in range(0, len(values), at_once):
        part = slice(start, start + at_once)
        lines = range(1, len(values) + 1)[part]
        columns = {name: column[part] for name, column in (steps or {}).items()}
        series.extend(Points("loss", lines, [float(line) for line in lines], values[part], columns, is_decimal))
    return series


@pytest.mark.parametrize(
    ("steps", "axis"),
    [
        ({"epoch": [1.0, 2.0, 3.0, 4.0], "step": [1.0, 2.0, 1.0, 2.0]}, "epoch"),
        ({"step": [1.0, 2.0, 1.0, 2.0]}, None),
        ({"step": [1.0, 1.0, 2.0, 2.0]}, "step"),
        ({"step": [1.0, 1.0, 2.0, 2.0], "epoch": [1.0, 2.0, 3.0, 4.0]}, "epoch"),
        ({"step": [1.0, math.nan, 2.0, 3.0]}, "step"),
        ({"step": [1.0, math.nan, 2.0, math.nan]}, None),
        ({}, None),
    ],
    ids=[
        "restarting steps",
        "steps that start again",
        "steps that repeat",
        "others do not",
        "most rows",
        "half of the rows",
        "none",
    ],
)
@pytest.mark.parametrize("at_once", [1, 4])
def test_the_axis_is_a_step_that_most_rows_have_and_that_never_falls(steps, axis, at_once):
    assert series_of([0.5] * 4, steps, at_once=at_once).axis == axis


@pytest.mark.parametrize("first", range(len(STEPS)))
def test_the_most_exact_step_is_the_axis(first):
    assert series_of([0.5, 0.25], {name: [1.0, 2.0] for name in STEPS[first:]}).axis == STEPS[first]


@pytest.mark.parametrize(
    ("values", "is_decimal", "is_metric"),
    [([3.0], False, False), ([3.0] * 3, False, False), ([3.0, 4.0], False, True), ([3.0], True, True)],
)
def test_a_whole_number_that_never_changes_is_no_metric(values, is_decimal, is_metric):
    assert series_of(values, is_decimal=is_decimal).is_metric is is_metric


@given(st.lists(st.floats(), max_size=60), st.integers(1, 70), st.integers(1, 30))
def test_a_short_series_is_returned_as_it_is(values, limit, at_once):
    columns = series_of(values, {"step": [float(step) for step in range(len(values))]}, at_once=at_once).columns(limit)
    assert len(columns.values) == len(columns.lines) == len(columns.steps) == len(columns.timestamps) <= limit
    assert [str(values[line - 1]) for line in columns.lines] == list(map(str, columns.values))
    if len(values) <= limit:
        assert len(columns.values) == len(values)


@pytest.mark.parametrize("at_once", [997, 10_000])
@pytest.mark.parametrize("count", [10_000, 10_001, 55_555, 400_000])
def test_of_a_long_series_the_first_the_last_and_extremes_are_kept(count, at_once):
    values = [float(number % 100) for number in range(count)]
    values[count // 2], values[count // 3], values[count // 5] = 500.0, -500.0, math.inf
    series = series_of(values, {"step": [float(step) for step in range(count)]}, at_once=at_once)
    assert (series.total, len(series) <= 10_000) == (count, True)
    for limit in (10_000, 1_000):
        columns = series.columns(limit)
        assert (columns.lines[0], columns.lines[-1]) == (1, count)
        assert {500.0, -500.0, math.inf} <= set(columns.values)
        assert limit // 5 < len(columns.lines) <= limit
        assert max(b - a for a, b in zip(columns.lines, columns.lines[1:], strict=False)) < count / limit * 20
        assert [values[line - 1] for line in columns.lines] == columns.values
        assert [line - 1 for line in columns.lines] == columns.steps
