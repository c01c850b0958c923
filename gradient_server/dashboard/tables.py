"""Tables and states as notebooks show them, as HTML for a page that has a style sheet."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gradient_server.dashboard.markup import Child, Html, tag

if TYPE_CHECKING:
    from gradient_ext.tables import Cell, Column, Table

Content = Callable[["Column", "Cell"], Child]


def table_html(table: Table, content: Content | None = None) -> Html:
    """Write a table; its columns carry classes, so that the style sheet can leave some out where there is no room.

    :param Table table: the table
    :param content: what to write for a cell; default: its text, on the colour that says how it is
    """
    content = content or plain
    heads = [tag("th", column.name, scope="col", class_=_class(column)) for column in table.columns]
    rows = [
        tag(
            "tr",
            (
                tag("th", content(column, cell), scope="row", class_=_class(column))
                if column is table.columns[0]
                else tag("td", content(column, cell), class_=_class(column))
                for column, cell in zip(table.columns, row, strict=True)
            ),
        )
        for row in table.rows
    ]
    return tag("table", tag("thead", tag("tr", heads)) if table.has_head else None, tag("tbody", rows))


def plain(column: Column, cell: Cell) -> Child:
    """Write a cell: its text, on the colour that says how it is."""
    return tag("span", cell.text, class_=f"badge {cell.tone}") if cell.tone else cell.text


def badge(state: int) -> Html:
    """Write the word for a state, on the colour that says how it is."""
    from gradient_ext.states import state_style, state_word

    return tag("span", state_word(state), class_=f"badge {state_style(state) or ''}".rstrip())


def _class(column: Column) -> str:
    kinds = [f"column-{column.name.partition(' ')[0].replace('_', '-')}"]
    return " ".join((*kinds, *(["number"] if column.is_number else []), *(["wraps"] if column.wraps else [])))
