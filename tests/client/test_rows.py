"""Rows are read column by column; what comes out is what reading each of them by itself would give."""

import json

import pytest
from gradient_api.columns import GET_LOGS_COLUMNS, Column
from gradient_api.models import LogRow as LogRowModel
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient import LogRow
from gradient_ext._json import coerce, require
from gradient_ext.logs import rows_from
from gradient_ext.rows import read_columns

ROW = {"line": 1, "message": "a", "timestamp": "2019-08-06T17:21:18.528Z", "jobId": "js1"}
ODD = st.sampled_from([None, True, 2, 2.0, 0.5, "", "2", "x", [], {}, float("nan")])
ROWS = st.just(ROW) | st.builds(lambda changes: ROW | changes, st.dictionaries(st.sampled_from(sorted(ROW)), ODD))
INCOMPLETE = st.builds(
    lambda row, gone: {name: row[name] for name in row if name not in gone},
    ROWS,
    st.sets(st.sampled_from(sorted(ROW)), max_size=2),
)
TABLES = (
    st.lists(st.just(ROW) | ROWS, max_size=5)
    | st.lists(st.just(ROW) | INCOMPLETE, max_size=3)
    | st.lists(ROWS | ODD, max_size=3)
)


def by_themselves(table):
    """Each row by itself, decoded by the model that is generated from the contract."""
    return [
        LogRow(
            require("integer", row.line, "line"),
            require("string", row.message, "message"),
            require("string", row.timestamp, "timestamp"),
            coerce("string", row.job_id) or None,
        )
        for row in [LogRowModel.from_dict(row) for row in table]
    ]


def outcome(read, table):
    """What comes of reading, in a form that tells 1 from 1.0 and true, and also compares errors."""
    try:
        return json.dumps([row.to_dict() for row in read(table)])
    except (KeyError, ValueError, TypeError) as error:
        return repr(error)


@settings(max_examples=300)
@given(TABLES)
def test_rows_read_together_are_those_read_alone(table):
    """Whatever JSON is in them, is missing, or is there instead of a row; errors included."""
    assert outcome(rows_from, table) == outcome(by_themselves, table)


@pytest.mark.parametrize("missing", [{}, {"score": None}])
def test_numbers_may_be_infinite(missing):
    """So that none of them is taken without being looked at; where they need not be there, it is None instead."""
    column = Column("score", "score", "number", required=False)
    table = [{"score": 0.5}, {"score": float("inf")}, {"score": 3}, missing]
    assert read_columns(table, [column]) == [[0.5, None, 3, None]]


def test_nothing():
    """An empty table has all columns, and an answer without a body no rows."""
    assert read_columns([], GET_LOGS_COLUMNS) == [[]] * len(GET_LOGS_COLUMNS)
    assert rows_from(None) == []
