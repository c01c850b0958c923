"""Tables as HTML for notebooks: everything escaped, no style sheet, colours that do on dark and on light pages."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from gradient_ext.states import Style
from gradient_ext.tables import Cell, Column, Table

# White on each of them has a contrast of at least 4.5 to 1, whatever the page behind it is.
BACKGROUNDS = {"going": "#0969da", "succeeded": "#1a7f37", "failed": "#cf222e", "quiet": "#636c76"}
_BADGE = "color:#fff;background:{};border-radius:0.7em;padding:0.1em 0.6em;white-space:nowrap"
_CELL = "text-align:{};vertical-align:top;padding:0.2em 0.8em"
# A long text may break anywhere rather than widen the page; a short one is easier to read on one line.
_BREAKS = "overflow-wrap:anywhere;min-width:12em"
_LONGEST_UNBROKEN = 24
_CAPTION = "caption-side:top;text-align:left;padding:0.2em 0.8em;color:inherit;font-weight:bold;white-space:nowrap"


def html_of(table: Table) -> str:
    """Write a table as HTML."""
    return "".join(_parts(table))


def badge(text: str, tone: Style) -> str:
    """Write a text on the colour that says how it is."""
    return f'<span style="{_BADGE.format(BACKGROUNDS[tone])}">{escape(text)}</span>'


def _parts(table: Table) -> Iterator[str]:
    yield f'<table style="border-collapse:collapse"><caption style="{_CAPTION}">{escape(table.caption)}</caption>'
    if table.has_head and table.rows:
        heads = "".join(
            f'<th scope="col" style="{_style(column, column.name)}">{escape(column.name)}</th>'
            for column in table.columns
        )
        yield f"<thead><tr>{heads}</tr></thead>"
    yield "<tbody>"
    for number, row in enumerate(table.rows):
        if number == table.left_out_after:
            yield _left_out(table)
        yield f"<tr>{''.join(_cells(table, row))}</tr>"
    if table.left_out_after == len(table.rows):
        yield _left_out(table)
    yield "</tbody></table>"


def _cells(table: Table, row: tuple[Cell, ...]) -> Iterator[str]:
    for column, cell in zip(table.columns, row, strict=True):
        text = escape(cell.text)
        if cell.tone:
            text = badge(cell.text, cell.tone)
        if column is table.columns[0]:
            yield f'<th scope="row" style="{_style(column, cell.text)}">{text}</th>'
        else:
            yield f'<td style="{_style(column, cell.text)}">{text}</td>'


def _style(column: Column, text: str) -> str:
    style = _CELL.format("right" if column.is_number else "left")
    if column.wraps:
        return f"{style};white-space:pre-wrap;{_BREAKS}"
    return f"{style};{_BREAKS if len(text) > _LONGEST_UNBROKEN else 'white-space:nowrap'}"


def _left_out(table: Table) -> str:
    if not table.left_out:
        return ""
    span = len(table.columns)
    return f'<tr><td colspan="{span}" style="{_CELL.format("left")}">… {table.left_out} more</td></tr>'
