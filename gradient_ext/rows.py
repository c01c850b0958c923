"""Reading the rows of a table, of which there may be very many, column by column. No I/O.

A column whose values all are of its type is taken as it is. Only where that is not so, or where something is missing,
the rows are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradient_api.columns import Column

from gradient_ext._json import EXACT_TYPES, as_object, coerce, require


def read_columns(table: list[Any], columns: Sequence[Column]) -> list[list[Any]]:
    """Give the values of a table, in their types and column by column; None where a row does not have one.

    :param table: the rows, as they are in JSON
    :param columns: what to read of them

    :raises TypeError: a row is no object
    :raises KeyError: a row lacks what every row has
    :raises ValueError: it has something else there, that cannot be brought to its type
    """
    try:
        found = [[row.get(column.name) for row in table] for column in columns]
    except AttributeError:  # Something is no object.
        return _read_closely(table, columns)
    if all(_is_exact(column, values) for column, values in zip(columns, found, strict=True)):
        return found
    return _read_closely(table, columns)


def _is_exact(column: Column, values: list[Any]) -> bool:
    types = set(map(type, values))
    if not column.required:
        types.discard(type(None))
    return types <= {EXACT_TYPES.get(column.json_type)}


def _read_closely(table: list[object], columns: Sequence[Column]) -> list[list[Any]]:
    rows = [_complete(row, columns) for row in table]
    read = [[_value(column, row.get(column.name)) for column in columns] for row in rows]
    return [list(values) for values in zip(*read, strict=True)]


def _complete(given: object, columns: Sequence[Column]) -> dict[str, object]:
    row = as_object(given)
    for column in columns:
        if column.required and column.name not in row:
            raise KeyError(column.name)
    return row


def _value(column: Column, value: object) -> Any:
    return require(column.json_type, value, column.name) if column.required else coerce(column.json_type, value)
