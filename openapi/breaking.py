"""Compare `openapi/experiments.yaml` with what it was at a revision of git, and fail where old callers break.

Without a revision: with the last release, the nearest tag `v*`. The exit code is 1 where old callers break, and 2 where
there is nothing to compare with. Breaking on purpose: give `info.version` a higher first number than it had; then the
changes are listed, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contract_changes import compare
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from schema_changes import Change, texts_changed

CONTRACT = Path(__file__).resolve().parent / "experiments.yaml"
WIDEST = 48


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", help="a commit, branch or tag; default: the last release")
    revision = parser.parse_args().revision or _last_release()
    if not revision:
        print("No release tag (v*) is reachable, so there is nothing to compare the contract with.")
        return 0
    old, new = _contract_at(revision), read(CONTRACT)
    changes = compare(old, new)
    print(f"The contract compared with {revision}:")
    print(summary(changes, texts_changed(old, new)))
    if not any(change.breaks for change in changes):
        return 0
    before, after = old["info"]["version"], new["info"]["version"]
    if _major(after) > _major(before):
        print(f"That is on purpose: info.version is {after}, and was {before}.")
        return 0
    print(f"Take that back, or give info.version, {after}, a higher first number than {before} has.")
    return 1


def read(source: Path | str) -> dict[str, Any]:
    """Return a contract from a file or a text, in the form that it has as JSON: all keys are texts.

    :raises SystemExit: it is no YAML, or holds what JSON cannot
    """
    try:
        loaded = YAML(typ="safe").load(source)
        wrong = [*_beyond_json(loaded, "")]
    except (YAMLError, RecursionError) as error:
        sys.exit(f"The contract is not YAML: {error}")
    if wrong:
        sys.exit("\n  ".join(["The contract holds what JSON cannot; put it in quotes:", *wrong]))
    contract: dict[str, Any] = json.loads(json.dumps(loaded))
    return contract


def _beyond_json(node: Any, place: str) -> Iterator[str]:
    """Yield the place and value of what JSON cannot hold, such as dates and infinity."""
    if isinstance(node, dict | list):
        for name, member in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _beyond_json(member, f"{place} {name}")
            if not isinstance(name, str | int | float | None):
                yield f"{place} {name}: not a name".strip()
    elif isinstance(node, float) and not math.isfinite(node):
        yield f"{place}: {node}".strip()
    elif not isinstance(node, str | int | float | None):
        yield f"{place}: {node} ({type(node).__name__})".strip()


def summary(changes: Sequence[Change], texts: int) -> str:
    """Return the changes as aligned lines, the last of which is whether old callers break.

    :param changes: what changed
    :param int texts: how many descriptions, examples and links changed
    """
    width = max((len(change.where) for change in changes if len(change.where) <= WIDEST), default=0)
    lines = [line for change in changes for line in _lines(change, width)]
    if texts:
        lines.append(f"  changed  {texts} of the descriptions, examples and links")
    breaking = sum(bool(change.breaks) for change in changes)
    verdict = f"Old callers break: {breaking} of {len(changes)} changes." if breaking else "Old callers do not break."
    return "\n".join([*(lines or ["  nothing changed"]), verdict])


def _lines(change: Change, width: int) -> list[str]:
    margin = " " * (len("  removed  ") + width + 2)
    head = f"  {change.kind:<7}  {change.where}"
    lines = [f"{head:<{len(margin)}}{change.sentence}"]
    if len(head) + 2 > len(margin):
        lines = [head, f"{margin}{change.sentence}"]
    return [*lines, f"{margin}breaks: {change.breaks}"] if change.breaks else lines


def _last_release() -> str:
    return _git("describe", "--tags", "--abbrev=0", "--match=v[0-9]*").stdout.strip()


def _contract_at(revision: str) -> dict[str, Any]:
    if _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").returncode:
        _give_up(f"There is no revision {revision!r} here. A shallow clone may lack it: git fetch --unshallow --tags")
    # From ./ on: the project need not be the top of its repository.
    shown = _git("show", f"{revision}:./{CONTRACT.name}")
    if shown.returncode:
        _give_up(f"The revision {revision!r} has no {CONTRACT.parent.name}/{CONTRACT.name}.")
    return read(shown.stdout)


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["git", *arguments], cwd=CONTRACT.parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, returncode=127, stdout="", stderr="")


def _give_up(text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(2)


def _major(version: str) -> int:
    return int(str(version).partition(".")[0])


if __name__ == "__main__":
    sys.exit(main())
