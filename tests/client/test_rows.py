"""Rows are read column by column; what comes out is what reading each of them by itself would give."""

import pytest
from gradient_api.columns import GET_LOGS_COLUMNS, Column

from gradient_ext.logs import rows_from
from gradient_ext.rows import read_columns


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
