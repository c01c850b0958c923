"""Put one fault after the other into copies of the project, and see which the tests notice: `make contract-mutants`.

Without names it tries all faults. What came of those that were tried goes into report.md beside this file.
"""

from __future__ import annotations

import argparse
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from copies import copy_of_the_project, replace_once, run_python
from faults import FAULTS, Fault

REPORT = Path(__file__).with_name("report.md")
PATIENCE = 300.0
"""Seconds for the tests of one fault."""
UNNOTICED = "**nothing**"
CLIENT = ["tests/gradient_ext", *(f"tests/contract/test_client_{part}.py" for part in ("sends", "receives", "refuses"))]
SERVER = ["tests/gradient_server", *(f"tests/contract/test_server{part}.py" for part in ("", "_chains", "_statuses"))]
SUITES = {
    "client": ["tests/test_walk_through.py", *CLIENT],
    "server": ["tests/test_walk_through.py", "tests/gradient_ext/test_client.py", *SERVER],
    "contract": ["tests/test_walk_through.py", *CLIENT, *SERVER],
}
"""The tests for each side, those first that are likely to notice."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="faults to try, by their names; default: all")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: %(default)s)")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if not options.names or fault.name in options.names]
    if without_a_fault := noticed_by(None, "contract"):
        print(f"Without any fault, {without_a_fault} fails; mend that first.", file=sys.stderr)
        return 2
    noticed: dict[Fault, str] = {}
    with ThreadPoolExecutor(options.jobs) as pool:
        for number, (fault, test) in enumerate(zip(chosen, pool.map(_tried, chosen), strict=True), start=1):
            noticed[fault] = test or UNNOTICED
            print(f"{number:>3}/{len(chosen)}  {fault.side:<9} {fault.name:<42} {noticed[fault]}", flush=True)
    REPORT.write_text(report(known() | noticed), encoding="utf-8")
    unnoticed = [fault.name for fault, test in noticed.items() if test == UNNOTICED]
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} faults were noticed.", *unnoticed, sep="\n  unnoticed: ")
    return 1 if unnoticed else 0


def _tried(fault: Fault) -> str | None:
    return noticed_by(fault, fault.side)


def noticed_by(fault: Fault | None, side: str) -> str | None:
    """Give the first test that fails in a copy with a fault, or without one; None: none does."""
    with copy_of_the_project() as copy:
        if fault:
            replace_once(copy / fault.path, fault.old, fault.new)
        if fault and side == "contract":
            # What is derived changes along: only tests that know something by themselves can notice.
            generated = run_python(copy, "openapi/generate.py", patience=PATIENCE)
            if generated.code:
                return "make generate refuses it"
        options = ["-x", "-q", "--examples=20", "-p", "no:cacheprovider"]
        tests = run_python(copy, "-m", "pytest", *options, *SUITES[side], patience=PATIENCE)
        if tests.code is None:
            return "the tests hang"
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", tests.output, re.MULTILINE)
        return found[1] if found else ("pytest itself" if tests.code else None)


def known() -> dict[Fault, str]:
    """Read what the last report says of the faults that there are."""
    text = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if " | " in line]
    tests = {name: test for _, name, test in rows}
    return {fault: tests[fault.name] for fault in FAULTS if fault.name in tests}


def report(noticed: dict[Fault, str]) -> str:
    """Write the report: a table in the order of the faults, and what it comes to."""
    tried = [(fault.side, fault.name, noticed[fault]) for fault in FAULTS if fault in noticed]
    rows = [("side", "fault", "noticed by"), *tried]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    unnoticed = list(noticed.values()).count(UNNOTICED)
    head = [
        "# Faults on purpose",
        "",
        "Written by `make contract-mutants`: each fault alone in a copy of the project, and the test that fails first.",
        "",
        f"{len(noticed)} faults, {len(noticed) - unnoticed} noticed, {unnoticed} unnoticed.",
        "",
    ]
    return "\n".join([*head, *lines, ""])


if __name__ == "__main__":
    sys.exit(main())
