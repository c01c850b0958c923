"""Run the tests of client and server with each Python that is here, with the lowest and the highest dependencies.

Each Python gets an environment with the lowest versions of the dependencies that pyproject.toml allows, and one with
the highest that can be had. The exit code is 1 where tests fail, and where classifiers name another Python than those
that passed.
"""

from __future__ import annotations

import argparse
import sys
import tomllib

from tests.versions.environments import RESOLUTIONS, ROOT, interpreters, try_in
from tests.versions.outcomes import minor_of, table, untrue_classifiers
from tests.versions.project import project_of

ROOMS = ("tests/gradient_api", "tests/gradient_ext", "tests/gradient_server", "tests/e2e/test_walk_through.py")
"""Tests of what users run. The others are of tools, which are pinned, and run with one Python."""


def main() -> int:
    """Run the command line."""
    parser = _parser()
    options = parser.parse_args()
    project = project_of(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    found = {python: path for python, path in interpreters(project).items() if _is_wanted(python, options.python)}
    if not found:
        parser.error(f"no such Python is here, neither in the path nor of pyenv ({project.requires_python})")
    outcomes = []
    try:
        for python, path in found.items():
            for dependencies in options.dependencies or RESOLUTIONS:
                print(f"Python {python}, {dependencies} dependencies", flush=True)
                outcomes.append(try_in(path, python, dependencies, project, options.pytest or ["--quiet", *ROOMS]))
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        return 130
    classified = [minor for minor in project.classified if _is_wanted(minor, options.python)]
    complaints = list(untrue_classifiers(classified, outcomes))
    print("\n".join(["", table(outcomes), *complaints]))
    return 0 if all(outcome.is_right for outcome in outcomes) and not complaints else 1


def _is_wanted(python: str, wanted: list[str] | None) -> bool:
    return not wanted or minor_of(python) in wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.versions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--python", action="append", metavar="3.x", help="this one alone; can be repeated (default: all that are here)")
    add("--dependencies", action="append", choices=RESOLUTIONS, help="these alone (default: both)")
    add("pytest", nargs="*", help="what to give to pytest, after -- (default: the tests of client and server)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
