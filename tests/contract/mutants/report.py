"""The report: a table of the faults, and what noticed each of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from fault import Fault
from trial import EXAMPLES, TEST_PATIENCE

UNNOTICED = "**nothing**"
_COLUMNS = ("side", "fault", "noticed by")


def report(noticed: Mapping[Fault, str]) -> str:
    """Write the report: what it comes to, a sorted table, and how it was made."""
    unnoticed = list(noticed.values()).count(UNNOTICED)
    sides = Counter(fault.side for fault in noticed)
    return "\n".join(
        [
            "# Faults on purpose",
            "",
            "Each fault was put alone into a copy of the project; this is a test that failed there. A fault that is",
            "not in the table has not been tried yet.",
            "",
            f"{len(noticed)} faults ({', '.join(f'{sides[side]} {side}' for side in sorted(sides))}): "
            f"{len(noticed) - unnoticed} noticed, {unnoticed} unnoticed.",
            "",
            *_table(sorted((fault.side, fault.name, test) for fault, test in noticed.items())),
            "",
            "## How it is made",
            "",
            "`make contract-mutants` writes this file. A fault in the contract is followed by `make generate`, so that",
            "all that is derived changes along, and only tests that know something by themselves can notice. Then",
            f"`pytest -x --examples {EXAMPLES}` runs until a test fails: the one that noticed the fault the last time,",
            "those that are about the file with the fault, and then those that `trial.py` lists for its side. A",
            f"test that has not ended after {TEST_PATIENCE} seconds is marked as hung. Any other has to fail again, in",
            "another run or in the one before, as on a busy machine a test may fail by chance. Without any fault all",
            "pass; that is tried before.",
            "",
        ]
    )


def told_before(text: str, faults: Iterable[Fault]) -> dict[Fault, str]:
    """Read what a report says of the faults that there are."""
    rows = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in text.splitlines() if "|" in line]
    tests = {row[1]: row[2].replace("\\|", "|") for row in rows if len(row) == len(_COLUMNS)}
    return {fault: tests[fault.name] for fault in faults if fault.name in tests}


def _table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    cells = [_COLUMNS, *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    head, *rest = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rest]
