"""Tables as text in aligned columns."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from typing import TextIO
from unicodedata import combining, east_asian_width

from gradient_ext.states import Style
from gradient_ext.tables import Cell, Column, Table

_GAP = "  "
_NARROWEST = 8
_WIDTH_WITHOUT_TERMINAL = 100
_COLORS = {"going": "36", "succeeded": "32", "failed": "31", "quiet": "2"}


def text_of(table: Table, width: int | None = None, *, color: bool = False) -> str:
    """Write a table as text.

    :param int width: how wide it may be; columns do not get narrower than a few characters, though
    :param bool color: whether states are coloured
    """
    if width is None:
        width = shutil.get_terminal_size((_WIDTH_WITHOUT_TERMINAL, 24)).columns
    return "\n".join(_lines(table, width, color=color))


def print_table(table: Table, width: int | None, *, color: bool | None, file: TextIO | None) -> None:
    """Print a table, with colours where they are wanted and in characters that the file can take."""
    file = file or sys.stdout
    if color is None:
        color = is_terminal(file) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    text = text_of(table, width, color=color)
    encoding = getattr(file, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=file)


def is_terminal(file: object) -> bool:
    """Say whether a file is one; what cannot say so itself, as `print` takes it, is none."""
    isatty = getattr(file, "isatty", None)
    return isatty is not None and bool(isatty())


def colored(text: str, tone: Style) -> str:
    """Write a text in the colour of a tone, for terminals."""
    return f"\x1b[{_COLORS[tone]}m{text}\x1b[0m"


def _lines(table: Table, width: int, *, color: bool) -> Iterator[str]:
    if not table.rows:
        yield table.caption
        return
    rows = list(table.rows)
    if table.has_head:
        rows.insert(0, tuple(Cell(column.name) for column in table.columns))
    widths = _widths(rows, width)
    for row in rows:
        columns = [
            list(_fitted(cell.text, room, wraps=column.wraps))
            for column, cell, room in zip(table.columns, row, widths, strict=True)
        ]
        for number in range(max(map(len, columns))):
            parts = (
                _padded(column, cell, lines[number] if number < len(lines) else "", room, color=color)
                for column, cell, lines, room in zip(table.columns, row, columns, widths, strict=True)
            )
            yield _GAP.join(parts).rstrip()


def _widths(rows: list[tuple[Cell, ...]], width: int) -> list[int]:
    """Share out the width: the widest columns give way first."""
    wanted = (
        max(_width_of(line) for cell in column for line in cell.text.split("\n")) for column in zip(*rows, strict=True)
    )
    widths = [min(one, width) for one in wanted]
    room = width - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _padded(column: Column, cell: Cell, text: str, room: int, *, color: bool) -> str:
    padding = " " * (room - _width_of(text))
    if color and cell.tone:
        text = colored(text, cell.tone)
    return padding + text if column.is_number else text + padding


def _fitted(text: str, room: int, *, wraps: bool) -> Iterator[str]:
    """Bring a text to a width: on several lines, broken at spaces where possible, or cut."""
    for line in text.split("\n"):
        end = _end_of_what_fits(line, 0, room)
        if not wraps and end < len(line):
            yield f"{line[: _end_of_what_fits(line, 0, room - 1)]}…"
            continue
        start = 0
        while end < len(line):
            space = line.rfind(" ", start, end + 1)
            end = space + 1 if space > start else max(end, start + 1)
            yield line[start:end].rstrip()
            start, end = end, _end_of_what_fits(line, end, room)
        yield line[start:]


def _end_of_what_fits(text: str, start: int, room: int) -> int:
    end = start
    while end < len(text) and (room := room - _width_of_character(text[end])) >= 0:
        end += 1
    return end


def _width_of(text: str) -> int:
    return sum(map(_width_of_character, text))


def _width_of_character(character: str) -> int:
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
