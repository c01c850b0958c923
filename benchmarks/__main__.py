"""Compare the client with the generated client, raw httpx and the last published client, and print a table.

Each runs in a process of its own, and they take turns at a local server in another process. Figures are medians, ratios
are ratios of medians, and the quartiles of the ratios of single rounds are in parentheses. `processor` compares the
processor time of the caller, without the server. The exit code is 1 if an aim is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import old_client, plots, report, results
from benchmarks.bench import Bench
from benchmarks.figures import Line
from benchmarks.rows import ROWS
from benchmarks.workers import OLD

HERE = Path(__file__).resolve().parent
PARTIAL = HERE.parent / "build" / "benchmarks"


def main() -> int:
    """Run the command line."""
    options = _options()
    python, why_not = _old_client() if options.old else (None, "left out")
    if why_not:
        print(f"The old client is not compared with: {why_not}")
    found: dict[str, list[Line]] = {}
    print(report.heading(has_old=python is not None), flush=True)
    for name in options.only or ROWS:
        _show_progress(name)
        found[name] = ROWS[name](Bench(options.effort, {OLD: python}))
        print("\n".join(report.row(line) for line in found[name]), flush=True)
    every = [line for lines in found.values() for line in lines]
    print("\n" + "\n".join(report.summary(every)))
    whole = not options.only and options.effort >= 1 and not why_not
    output = options.output or (HERE if whole else PARTIAL)
    output.mkdir(parents=True, exist_ok=True)
    results.write(found, output / "results.json", why_not)
    plots.draw(output / "results.json", output)
    print(f"Written to {output}: results.json, results.svg, growth.svg")
    return 1 if any(aim.is_met is False for line in every for aim in line.aims) else 0


def _old_client() -> tuple[str | None, str | None]:
    """Return the Python of the old client, or why there is none."""
    try:
        return old_client.interpreter(), None
    except (RuntimeError, OSError) as error:
        return None, str(error)


def _show_progress(name: str) -> None:
    """Show in a terminal which row is being measured."""
    if sys.stderr.isatty():
        print(f"... {name}\x1b[K\r", end="", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=ROWS, metavar="ROW", help=f"some of: {' '.join(ROWS)}")
    add("--effort", type=float, default=1.0, help="share of the usual rounds and sizes (default: %(default)s)")
    add("--old", action=argparse.BooleanOptionalAction, default=True, help="whether to run the old client")
    add("--output", type=Path, help=f"where to write (default: here, {PARTIAL} if not all was run)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
