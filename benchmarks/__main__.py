"""How long things take, as ratios of what they are compared with, side by side in one run. `make bench` calls it."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import imports

WIDTHS = (86, 10, 10, 8, 6)


def main() -> int:
    """Run the command line; the exit code is 1 where an aim is not met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often everything is timed (default: %(default)s)")
    rounds = parser.parse_args().rounds
    print(row("in a fresh process, median of", "ms", "compared", "ratio", "aim"))
    missed = 0
    for comparison in imports.COMPARISONS:
        # One after the other: what else the machine does slows both.
        pairs = [(seconds(comparison.code), seconds(comparison.base)) for _ in range(rounds)]
        code, base = (statistics.median(times) for times in zip(*pairs, strict=True))
        missed += code / base > comparison.aim
        cells = (f"{code * 1000:.1f}", f"{base * 1000:.1f}", f"{code / base:.2f}", f"{comparison.aim:g}")
        print(row(f"{comparison.code}  /  {comparison.base}", *cells), flush=True)
    return 1 if missed else 0


def row(*cells: str) -> str:
    """Put texts into columns, numbers to the right."""
    return cells[0].ljust(WIDTHS[0]) + "".join(
        cell.rjust(width) for cell, width in zip(cells[1:], WIDTHS[1:], strict=True)
    )


def seconds(code: str) -> float:
    """Say how long some code takes in a process of its own, without the start of the interpreter."""
    timed = f"import time\nbegan = time.perf_counter()\n{code}\nprint(time.perf_counter() - began)"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
