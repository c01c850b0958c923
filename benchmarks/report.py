"""The output of the benchmark: a table, line by line, and the aims that are missed."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.figures import Line, brief, compared
from benchmarks.workers import CONTENDERS, OLD, RAW

_NAME, _UNIT, _FIGURE, _RATIO, _SHORT = 48, 11, 10, 20, 9
_MARKS = {True: "met", False: "MISSED", None: "unknown"}


def heading(*, has_old: bool) -> str:
    """Return the heads of the columns."""
    figures = ("ours", "generated", "compared", "old client" if has_old else "no old one")
    ratios = ("to compared".rjust(_RATIO + 1), "processor".rjust(_SHORT + 1), "old/ours".rjust(_SHORT), "  aims")
    return "".join(["".ljust(_NAME), "unit".rjust(_UNIT), *(name.rjust(_FIGURE + 1) for name in figures), *ratios])


def row(line: Line) -> str:
    """Return a row of the table: medians, ratios, and whether aims are met."""
    # Compared with raw httpx, or with what the name says.
    cells = [_cell(line.figures.get(name)).rjust(_FIGURE + 1) for name in CONTENDERS]
    raw, cpu = line.ratios.get(compared(RAW)), line.ratios.get(compared(RAW, processor=True))
    old = line.ratios.get(compared(OLD))
    cells.append((str(raw) if raw else "-").rjust(_RATIO + 1))
    cells.append(_cell(cpu.value if cpu else None).rjust(_SHORT + 1))
    cells.append(_cell(1 / old.value if old else None).rjust(_SHORT))
    cells += [f"  {_MARKS[aim.is_met]} {aim.bound}" for aim in line.aims]
    return "".join([line.name.ljust(_NAME), line.unit.rjust(_UNIT), *cells]).rstrip()


def _cell(value: float | None) -> str:
    return "-" if value is None else brief(value)


def summary(lines: Iterable[Line]) -> list[str]:
    """Return the aims that are missed, or for which there is no figure."""
    aims = [(line, aim) for line in lines for aim in line.aims]
    met = sum(aim.is_met is True for _, aim in aims)
    told = [f"{met} of {len(aims)} aims are met."]
    return told + [f"  {line.name}: {aim}" for line, aim in aims if not aim.is_met]
