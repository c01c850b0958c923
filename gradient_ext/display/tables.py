"""Tables as text for terminals, laid out by rich where it is installed, and as HTML for notebooks."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import escape
from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, Any, Final, Self, SupportsIndex, TextIO, TypeVar, overload

from attrs import frozen

from gradient_ext.states import Style

Item = TypeVar("Item")

BACKGROUNDS: Final[dict[Style, str]] = {
    "going": "#0969da",
    "succeeded": "#1a7f37",
    "failed": "#cf222e",
    "quiet": "#636c76",
}
"""Background colours of badges. White text on each has a contrast of at least 4.5 to 1, whatever the page behind it."""
TERMINAL_STYLES: Final[dict[Style | None, str]] = {
    "going": "cyan",
    "succeeded": "green",
    "failed": "red",
    "quiet": "dim",
}
"""Styles of rich."""

_THOUSAND = 1000
_MAX_SIZE = 10**21
"""A server may say any number; a float does not hold all."""
_UNITS = ("kB", "MB", "GB", "TB", "PB")
_WIDTH_WITHOUT_TERMINAL = 100
_MAX_NOTEBOOK_ROWS = 50
_LEAST_WIDTH = 12
"""A column is left out rather than cut to less."""
_BADGE = "color:#fff;background:{};border-radius:0.7em;padding:0.1em 0.6em;white-space:nowrap"
_CELL = "text-align:{};vertical-align:top;padding:0.2em 0.8em"
# A long text may break anywhere rather than widen the page; a short one is easier to read on one line.
_BREAKS = "overflow-wrap:anywhere;min-width:12em"
_MAX_UNBROKEN_LENGTH = 24
_CAPTION = "caption-side:top;text-align:left;padding:0.2em 0.8em;color:inherit;font-weight:bold;white-space:nowrap"


@frozen
class Column:
    """A column.

    :param str name: its name
    :param bool is_number: whether it holds numbers
    :param bool wraps: whether texts that are too long are wrapped rather than cut
    :param bool is_short: whether its texts are never cut, as those of the first column
    """

    name: str
    is_number: bool = False
    wraps: bool = False
    is_short: bool = False


@frozen
class Cell:
    """A cell: a text without secrets and control characters, and its style."""

    text: str
    style: Style | None = None


@frozen(kw_only=True)
class Table:
    """A table.

    :param str caption: what it shows
    :param columns: its columns
    :param rows: its rows, with a cell for each column
    :param bool has_head: whether to display the names of the columns; otherwise, the first cell of a row names the row
    :param int left_out: how many rows are left out
    :param int left_out_after: how many rows precede those that are left out
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    has_head: bool = True
    left_out: int = 0
    left_out_after: int = 0

    def text(self, width: int | None = None, *, color: bool = False) -> str:
        """Return the table as text; without rich, cells are not wrapped, cut or coloured.

        :param int width: the maximal width; default: that of the terminal, or 100 where there is none
        :param bool color: whether states are coloured
        """
        if not self.rows:
            return self.caption
        if width is None:
            width = shutil.get_terminal_size((_WIDTH_WITHOUT_TERMINAL, 24)).columns
        try:
            text = self._rich_text(width, color=color)
        except ImportError:
            text = self._plain_text()
        return "\n".join(line.rstrip() for line in text.splitlines())

    def html(self) -> str:
        """Return the table as HTML. It is readable on light and on dark pages, without a style sheet."""
        return "".join(self._html_parts())

    def _rich_text(self, width: int, *, color: bool) -> str:
        from rich import table  # an extra
        from rich.cells import cell_len
        from rich.console import Console
        from rich.text import Text

        laid_out = table.Table(
            box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=self.has_head, header_style=""
        )
        columns = self.columns[: self._fitting(width, cell_len)]
        for number, column in enumerate(columns):
            justify: Any = "right" if column.is_number else "left"
            overflow: Any = "fold" if column.wraps else "ellipsis"
            # The first column names the row, so that it is the last one to be cut.
            is_short = number == 0 or column.is_short
            laid_out.add_column(
                column.name,
                justify=justify,
                overflow=overflow,
                no_wrap=is_short,
                min_width=self._least_width(number, cell_len) if is_short else None,
            )
        for row in self.rows:
            laid_out.add_row(
                *(
                    Text.assemble((cell.text, TERMINAL_STYLES.get(cell.style, "")), no_wrap=not column.wraps)
                    for column, cell in zip(columns, row, strict=False)
                )
            )
        colors: Any = {"force_terminal": True, "color_system": "standard"} if color else {"color_system": None}
        file = io.StringIO()
        # A console displays its output in notebooks, even what it writes to a file.
        console = Console(
            file=file, width=width, no_color=not color, legacy_windows=False, force_jupyter=False, **colors
        )
        console.print(laid_out)
        return file.getvalue()

    def _fitting(self, width: int, cell_len: Callable[[str], int]) -> int:
        """Return how many columns, from the left, are readable in a width: those at the end matter least."""
        ends = accumulate(self._least_width(number, cell_len) + 2 for number in range(len(self.columns)))
        return max(1, sum(end - 2 <= width for end in ends))

    def _least_width(self, number: int, cell_len: Callable[[str], int]) -> int:
        column = self.columns[number]
        if column.wraps:
            return 1
        texts = [column.name] * self.has_head + [row[number].text for row in self.rows]
        natural = max(map(cell_len, texts), default=0)
        return natural if number == 0 or column.is_short else min(natural, _LEAST_WIDTH)

    def _plain_text(self) -> str:
        rows = [[column.name for column in self.columns]] if self.has_head else []
        for row in self.rows:
            rows += map(list, zip_longest(*(cell.text.split("\n") for cell in row), fillvalue=""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        formats = [
            f"{'>' if column.is_number else '<'}{width}" for column, width in zip(self.columns, widths, strict=True)
        ]
        return "\n".join("  ".join(map(format, line, formats)) for line in rows)

    def _html_parts(self) -> Iterator[str]:
        yield f'<table style="border-collapse:collapse"><caption style="{_CAPTION}">{escape(self.caption)}</caption>'
        if self.has_head and self.rows:
            heads = "".join(
                f'<th scope="col" style="{_html_style(column, column.name)}">{escape(column.name)}</th>'
                for column in self.columns
            )
            yield f"<thead><tr>{heads}</tr></thead>"
        yield "<tbody>"
        for number, row in enumerate(self.rows):
            if number == self.left_out_after:
                yield self._html_left_out()
            yield f"<tr>{''.join(self._html_cells(row))}</tr>"
        if self.left_out_after == len(self.rows):
            yield self._html_left_out()
        yield "</tbody></table>"

    def _html_cells(self, row: tuple[Cell, ...]) -> Iterator[str]:
        for number, (column, cell) in enumerate(zip(self.columns, row, strict=True)):
            tag = "td" if number else 'th scope="row"'
            text = badge(cell.text, cell.style) if cell.style else escape(cell.text)
            yield f'<{tag} style="{_html_style(column, cell.text)}">{text}</{tag[:2]}>'

    def _html_left_out(self) -> str:
        if not self.left_out:
            return ""
        span = len(self.columns)
        return f'<tr><td colspan="{span}" style="{_CELL.format("left")}">… {self.left_out} more</td></tr>'


def badge(text: str, style: Style) -> str:
    """Return a text as HTML, on the background of a style."""
    return f'<span style="{_BADGE.format(BACKGROUNDS[style])}">{escape(text)}</span>'


def elapsed_text(seconds: float) -> str:
    """Return a duration as text.

    >>> elapsed_text(31.9), elapsed_text(3723)
    ('0:31', '1:02:03')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size_text(count: int) -> str:
    """Return a number of bytes as text, in units of a thousand.

    >>> size_text(512), size_text(4096), size_text(1_249_999_999)
    ('512 B', '4.1 kB', '1.2 GB')
    """
    if count < _THOUSAND:
        return f"{count} B"
    size, unit = min(count, _MAX_SIZE) / _THOUSAND, 0
    while size >= _THOUSAND - 0.05 and unit < len(_UNITS) - 1:
        size, unit = size / _THOUSAND, unit + 1
    return f"{size:.1f} {_UNITS[unit]}"


def parsed_timestamp(text: str | None) -> datetime | None:
    """Return a time that a server gave, in UTC unless it says otherwise; None if there is none, or it is invalid.

    >>> parsed_timestamp("2019-08-06T17:21:18.28Z").isoformat(), parsed_timestamp("soon")
    ('2019-08-06T17:21:18.280000+00:00', None)
    """
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def local_minute(text: str | None) -> str:
    """Return a time that a server gave as the date and time of day here."""
    found = parsed_timestamp(text)
    return found.astimezone().strftime("%Y-%m-%d %H:%M") if found else ""


class Displayed:
    """Something that displays itself as a table. Passwords and credentials are masked."""

    __slots__ = ()

    def _table(self, max_rows: int | None = None) -> Table:
        # Not abstract: type checkers would refuse to call `type(self)(...)` in the lists.
        raise NotImplementedError

    def pretty(self, *, width: int | None = None) -> str:
        """Return a readable form in aligned columns, as plain text. Passwords and credentials are masked.

        With rich, texts that are too long are wrapped, or cut in a list of experiments; without it they stay whole.
        What is None is left out of an experiment.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> print(one.pretty())
        name                mnist
        id                  es1
        state               running (4)
        experiment_type_id  single node (1)

        :param int width: the maximal width; default: as wide as the terminal, or 100 characters where there is none

        :returns: the text, without a line break at its end
        :rtype: str
        """
        return self._table().text(width)

    def show(self, *, color: bool | None = None, width: int | None = None, file: TextIO | None = None) -> None:
        """Print the readable form that `pretty()` returns, with coloured states in a terminal.

        >>> one = SingleNodeExperiment(id="es1", name="mnist", state=4, experiment_type_id=1)
        >>> ExperimentList([one]).show(width=80)
        id   name   state    type
        es1  mnist  running  single node

        :param bool color: whether to use colours; default: only in a terminal, and not if `NO_COLOR` is set
        :param int width: the maximal width; default: as wide as the terminal, or 100 characters where there is none
        :param file: where to print; default: `sys.stdout`
        """
        file = file or sys.stdout
        if color is None:
            color = _is_terminal(file) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        text = self._table().text(width, color=color)
        encoding = getattr(file, "encoding", None) or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=file)

    def _repr_html_(self) -> str:
        """Return the form that notebooks display."""
        return self._table(_MAX_NOTEBOOK_ROWS).html()


class DisplayedList(list[Item], Displayed):
    """A list that displays itself. Its slices, sums and copies do so, too."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Item: ...
    @overload
    def __getitem__(self, index: slice, /) -> Self: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Item | Self:
        if isinstance(index, slice):
            return type(self)(super().__getitem__(index))
        return super().__getitem__(index)

    if not TYPE_CHECKING:  # The types of `list` apply.

        def __add__(self, others, /):  # noqa: ANN001, ANN204 - the types of `list` apply
            return type(self)(super().__add__(others))

    def copy(self) -> Self:
        """Return a shallow copy.

        >>> ExperimentList([]).copy().pretty()
        'no experiments'
        """
        return type(self)(self)


def _is_terminal(file: object) -> bool:
    isatty = getattr(file, "isatty", None)  # A file for `print` needs nothing but `write`.
    return isatty is not None and bool(isatty())


def _html_style(column: Column, text: str) -> str:
    style = _CELL.format("right" if column.is_number else "left")
    if column.wraps:
        return f"{style};white-space:pre-wrap;{_BREAKS}"
    return f"{style};{_BREAKS if len(text) > _MAX_UNBROKEN_LENGTH else 'white-space:nowrap'}"
