"""Time the client beside the generated one, raw httpx and the old published client, and print one table.

All run in processes of their own, in turns, against a local server in another process. Figures are medians; ratios are
those of medians, with the quartiles of the ratios round by round in parentheses. `processor` compares what the caller's
processor has to do, without the server. The exit code is 1 where an aim is missed.
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
        _say_at_work(name)
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
    """Give the Python of the old client, or say why there is none."""
    try:
        return old_client.interpreter(), None
    except (RuntimeError, OSError) as error:
        return None, str(error)


def _say_at_work(name: str) -> None:
    """Let whoever waits at a terminal know what for."""
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
