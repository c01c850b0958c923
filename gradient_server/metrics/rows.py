"""Find numbers in log rows as people and libraries print them, and the steps that they belong to.

A number belongs to the word before it: `loss 0.12`, `loss=0.12`, `"loss": 0.12`, `loss=tensor(0.12)`, `val loss: 12%`.
In tables it belongs to the cell before it. Lines, versions, ids, ports, dates and times are no metrics.

Most rows of a log differ in their numbers alone. The rules are applied to the first row of such a layout; from the
others, the numbers are read at the same places.
"""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Literal, NamedTuple

from attrs import define, field, frozen

from gradient_ext.redaction import ESCAPE_SEQUENCES
from gradient_server.runners.base import LogColumns

STEPS = (
    *("global_step", "total_timesteps", "num_timesteps", "timesteps", "timestep", "step", "steps"),
    *("iteration", "iterations", "iter", "batch", "epoch", "epochs"),
)
"""Names of numbers that others can be plotted over, in order of preference."""
SUBJECTS = ("training", "train", "validation", "valid", "val", "testing", "test", "evaluation", "eval", "dev", "best")
"""Words that become part of the name of the metric that follows: `val loss`."""
MAX_CHARACTERS = 4_000
"""How many characters of a row are searched for numbers."""
MAX_WHOLE = 1e15
"""The largest whole number that is a metric; longer ones are ids."""
_MAX_TABLE_ROWS = 200
_MAX_LAYOUTS = 500
"""How many layouts of rows are remembered."""
_BLOCK = 1_000
"""How many rows are compared with the expected layout at once."""
_FREQUENT = 32
"""After how many rows of a layout the next one is expected to have it too."""
_WORDS = (
    # Places in code, and what programs are made of.
    "line lines col column char row pos code errno error status exit signal version v python torch cuda cudnn numpy "
    "tensorflow jax keras nccl driver gcc glibc commit sha hash rev revision build release "
    # Processes and machines.
    "id uuid pid ppid tid rank local_rank world_size port localhost host ip cpu cpus gpu gpus mps xpu npu tpu device "
    "devices worker workers node nodes job thread threads process processes seed v_num eta "
    # Levels of logging, and dates.
    "info warning warn debug critical fatal trace notset january february march april may june july august september "
    "october november december jan feb mar apr jun jul aug sep oct nov dec mon tue wed thu fri sat sun "
    # Words between others.
    "a an the at in on to of for from with by is are was were be has have had and or not no than then after before "
    "until till over under within about around every each all any last next only up down took used using http https"
)
_NO_METRICS = frozenset(_WORDS.split())
"""Words whose number is no metric, unless they are steps."""
_ID_NAME = re.compile(r"(?:.*[^A-Za-z])?id|.*[a-z]Id", re.IGNORECASE | re.DOTALL)
_NUMBER = r"[-+]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+|[-+]?(?i:nan|inf(?:inity)?)(?!\w)"
_TOKENS = re.compile(rf"(?<![\w.])({_NUMBER})")
"""All that looks like a number; the rest of a row is its layout."""
_NAMED = re.compile(
    rf"""
    (?<![\w.@/%-])                                     # the beginning of a word
    (?:(?P<subject>{"|".join(SUBJECTS)})[ ]{{1,2}})?
    (?P<name>[^\W\d][\w.@/%-]{{0,59}}+)
    (?: (?P<sign>["']?\s{{0,8}}[:=]\s{{0,8}}["'\[(]{{0,2}}) | \s{{1,8}} )
    (?: (?:[a-z]{{1,12}}\.)? (?:tensor|float[0-9]{{1,3}}|array|int[0-9]{{1,2}}) \( [\[]{{0,2}} )?   # tensor(0.5)
    (?P<number>{_NUMBER})
    (?! \w | [.,:-][-+.]?[0-9] | [.-][A-Za-z_] )       # not within a version, a date, a time or the name of a file
    (?! % \s{{0,3}} [^\s\w.,;:()\[\]{{}}'"*/+=-] )     # not the share of a progress bar
    """,
    re.VERBOSE | re.IGNORECASE,
)
_URLS = re.compile(r"\b[a-z][a-z+]{1,9}://[^\s'\"<>]+", re.IGNORECASE)
_CELLS = re.compile(rf"\s*[|│┃](?P<name>[^|│┃]{{1,200}}+)[|│┃]\s*+(?P<number>{_NUMBER})?+[^|│┃]{{0,80}}+[|│┃]")
_COLORS = re.compile(r"(?:\x1b\[|\x9b)[0-9;:]*m")
_CONTROLS = re.compile(rf"{ESCAPE_SEQUENCES.pattern} | [\x00-\x1f\x7f-\x9f]", re.VERBOSE)
"""Control characters, and the sequences of them that terminals understand."""


class Points(NamedTuple):
    """New points of one metric of a job, ordered by line.

    A tuple of columns: there may be a million points.
    """

    name: str
    lines: Sequence[int]
    timestamps: Sequence[float]
    values: Sequence[float]
    steps: Mapping[str, Sequence[float]]
    """The steps of the rows by name; NaN where a row has none of this name."""
    is_decimal: bool
    """Whether any number was written with a fraction or an exponent, so that it counts nothing."""
    source: Literal["line", "push"] = "line"
    """The unit of `lines`: lines of the log, or values that were pushed."""


class _Number(NamedTuple):
    name: str
    step: str | None
    """Its name as a step; None: it is a metric."""
    start: int
    text: str


@define(eq=False)
class _Layout:
    """The rows that differ in their numbers alone.

    :param metrics: the name of each metric and the place of its number
    :param steps: the same of steps
    """

    metrics: Sequence[tuple[str, int]]
    steps: Sequence[tuple[str, int]]
    count: int = 0
    rows: list[int] = field(factory=list[int])
    """The index of each row since the last flush."""
    numbers: list[Sequence[str]] = field(factory=list[Sequence[str]])
    """The numbers of each of these rows."""

    def add(self, rows: Iterable[int], numbers: Iterable[Sequence[str]]) -> None:
        """Add rows, and their numbers."""
        self.rows.extend(rows)
        self.numbers.extend(numbers)


@frozen
class _Part:
    """Points of one metric from rows of one layout."""

    rows: Sequence[int]
    values: Sequence[float]
    steps: Mapping[str, Sequence[float]]
    is_decimal: bool


@define
class _Table:
    """The rows of a table up to now.

    :param before: the line before its first row
    """

    before: int
    section: str = ""
    row_count: int = 0
    numbers: list[_Number] = field(factory=list[_Number])


class RowParser:
    """Finds the points in the rows of one job, which are given in order.

    A row that has nothing but steps, such as `Epoch 3/10`, is about the rows that follow: those without a step of
    their own have its steps.
    """

    def __init__(self) -> None:
        self.context_line = 0
        """The line of the last row with nothing but steps; 0: there was none."""
        self._line = 0
        self._context: Mapping[str, float] = {}
        self._table: _Table | None = None
        self._layouts: dict[tuple[str, ...], _Layout | None] = {}
        self._expected: tuple[re.Pattern[str], _Layout] | None = None
        self._others: dict[str, list[_Part]] = {}
        self._contexts: list[tuple[int, Mapping[str, float]]] = []

    @property
    def line(self) -> int:
        """The line after which another parser finds all points that this one has not returned."""
        return self._table.before if self._table else self._line

    def parse(self, rows: LogColumns) -> list[Points]:
        """Return the points in the rows that follow. Those of a table come when it ends."""
        self._contexts = [(-1, self._context)]
        for begin in range(0, len(rows.messages), _BLOCK):
            block = rows.messages[begin : begin + _BLOCK]
            if not self._take_expected(begin, block):
                for index, message in enumerate(block, begin):
                    self._read(index, rows.line + 1 + index, message)
        if rows.messages:
            self._line = rows.last
        self._context = self._contexts[-1][1]
        return list(self._flush(rows))

    def _take_expected(self, begin: int, block: Sequence[str]) -> bool:
        """Take rows if all of them have the expected layout. Return whether they have: this is fast."""
        if not self._expected or self._table:
            return False
        pattern, layout = self._expected
        found = [match.groups() for match in map(pattern.fullmatch, block) if match]
        if len(found) < len(block):
            return False
        layout.add(range(begin, begin + len(found)), found)
        return True

    def _read(self, index: int, line: int, message: str) -> None:
        if self._expected and not self._table and (match := self._expected[0].fullmatch(message)):
            self._expected[1].add([index], [match.groups()])
            return
        if not message.isprintable() or len(message) > MAX_CHARACTERS:
            message = _clean(message)
        if (self._table or "|" in message or "│" in message or "┃" in message) and self._read_cells(
            index, line, message
        ):
            return
        parts = _TOKENS.split(message)
        if len(parts) == 1:
            return
        key, numbers = tuple(parts[::2]), parts[1::2]
        if key not in self._layouts:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[key] = self._layout_of(message, parts)
        layout = self._layouts[key]
        if layout is None:
            return
        if layout.metrics:
            layout.add([index], [numbers])
            layout.count += 1
            if layout.count % _FREQUENT == 0 and not (self._expected and self._expected[1] is layout):
                pattern = rf"(?<![\w.])({_NUMBER})".join(map(re.escape, key))
                self._expected = re.compile(pattern), layout
        else:
            self._contexts.append((index, {name: float(numbers[place]) for name, place in layout.steps}))
            self.context_line = line

    def _layout_of(self, message: str, parts: Sequence[str]) -> _Layout | None:
        """Return which of the numbers of a row are steps and metrics; None: none of them."""
        places, start = dict[int, int](), 0
        for number, part in enumerate(parts):
            if number % 2:
                places[start] = number // 2
            start += len(part)
        found = {each.step or each.name: each for each in _numbers_in(message) if each.start in places}
        steps = [(name, places[each.start]) for name, each in found.items() if each.step]
        metrics = [(name, places[each.start]) for name, each in found.items() if not each.step]
        return _Layout(metrics, steps) if found else None

    def _read_cells(self, index: int, line: int, message: str) -> bool:
        """Take a row of a table, and return whether it is one. Any other row ends the table."""
        cells = _CELLS.match(message)
        if cells is None or (self._table and self._table.row_count >= _MAX_TABLE_ROWS):
            is_rule = cells is None and self._table and not self._table.numbers
            if self._table and not is_rule:
                self._end_table(index, line)
            return False
        name = cells["name"].strip()
        table = self._table = self._table or _Table(line - 1)
        table.row_count += 1
        if not cells["number"]:
            table.section = name if name.endswith("/") else ""
        elif name and not name[0].isdigit():
            name = name if "/" in name else table.section + name
            table.numbers.append(_Number(name, _step_name(name), 0, cells["number"]))
        return True

    def _end_table(self, index: int, line: int) -> None:
        table, self._table = self._table, None
        steps = {found.step: float(found.text) for found in table.numbers if found.step} if table else {}
        metrics = {found.name: found for found in table.numbers if not found.step} if table else {}
        for name, found in metrics.items():
            own = {step: [value] for step, value in (steps or self._contexts[-1][1]).items()}
            # All numbers of a table are metrics: somebody has laid them out.
            self._others.setdefault(name, []).append(_Part([index], [float(found.text)], own, is_decimal=True))

    def _flush(self, rows: LogColumns) -> Iterator[Points]:
        parts, self._others = self._others, {}
        for layout in self._layouts.values():
            if layout and layout.rows:
                for name, part in self._parts(layout):
                    parts.setdefault(name, []).append(part)
                layout.rows, layout.numbers = [], []
        for name, found in parts.items():
            indices, values, steps = _merge(found)
            lines: Sequence[int] = range(rows.line + 1, rows.last + 1)
            timestamps = rows.timestamps
            if len(indices) < len(lines):
                lines, timestamps = [lines[index] for index in indices], [timestamps[index] for index in indices]
            yield Points(name, lines, timestamps, values, steps, any(part.is_decimal for part in found))

    def _parts(self, layout: _Layout) -> Iterator[tuple[str, _Part]]:
        columns = list(zip(*layout.numbers, strict=True))
        steps: Mapping[str, Sequence[float]] = {name: list(map(float, columns[place])) for name, place in layout.steps}
        if not steps:
            steps = _inherited(layout.rows, self._contexts)
        for name, place in layout.metrics:
            texts = columns[place]
            values = list(map(float, texts))
            is_decimal = not all(map(str.isdecimal, (text.lstrip("+-") for text in texts)))
            yield name, _Part(layout.rows, values, steps, is_decimal)


def _inherited(
    indices: Sequence[int], contexts: Sequence[tuple[int, Mapping[str, float]]]
) -> Mapping[str, Sequence[float]]:
    """Return the steps of the rows that have none of their own."""
    names = {name for _, steps in contexts for name in steps}
    if not names:
        return {}
    starts = [index for index, _ in contexts]
    found = [contexts[bisect(starts, index) - 1][1] for index in indices]
    return {name: [steps.get(name, math.nan) for steps in found] for name in names}


def _merge(parts: Sequence[_Part]) -> tuple[Sequence[int], Sequence[float], Mapping[str, Sequence[float]]]:
    """Return the points of all parts by row: rows, values and steps."""
    if len(parts) == 1:
        return parts[0].rows, parts[0].values, parts[0].steps
    names = {name for part in parts for name in part.steps}
    columns: list[Sequence[float]] = [[index for part in parts for index in part.rows]]
    columns.append([value for part in parts for value in part.values])
    for name in names:
        columns.append([step for part in parts for step in part.steps.get(name, repeat(math.nan, len(part.rows)))])
    rows, values, *steps = zip(*sorted(zip(*columns, strict=True)), strict=True)
    return rows, values, dict(zip(names, steps, strict=True))


def _clean(message: str) -> str:
    # A colour can change within a word; what moves the cursor ends it.
    return _CONTROLS.sub(" ", _COLORS.sub("", message[:MAX_CHARACTERS]))


def _numbers_in(text: str) -> Iterator[_Number]:
    """Yield the numbers of a row that are metrics or steps."""
    text = _URLS.sub(lambda found: " " * len(found[0]), text)
    matches = list(_NAMED.finditer(text))
    is_measured = any(match["number"][-1].isdigit() for match in matches)
    for match in matches:
        name, number, sign = match["name"], match["number"], match["sign"]
        step = _step_name(name)
        is_whole = number.lstrip("+-").isdecimal()
        if step is None:
            if _is_no_metric(name) or (is_whole and abs(float(number)) > MAX_WHOLE):
                continue
            # `train.py:12` and `node.cluster:8080`.
            if is_whole and sign == ":" and "." in name:
                continue
            # `nan` is a word, too.
            if sign is None and not number[-1].isdigit() and number[-1] != "." and not is_measured:
                continue
        elif not math.isfinite(float(number)):
            continue
        subject = match["subject"]
        yield _Number(f"{subject} {name}" if subject and step is None else name, step, match.start("number"), number)


def _is_no_metric(name: str) -> bool:
    return name.casefold() in _NO_METRICS or _ID_NAME.fullmatch(name) is not None


def _step_name(name: str) -> str | None:
    step = name.rpartition("/")[2].casefold()
    return step if step in STEPS else None
