"""Compare `openapi/experiments.yaml` with what it was at a revision of git, and fail where old callers break.

Without a revision: with the last release, the nearest tag `v*`. The exit code is 1 where old callers break, and 2 where
there is nothing to compare with. Breaking on purpose: give `info.version` a higher first number than it had; then the
changes are listed, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

from contract_file import CONTRACT, read, report


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", nargs="?", help="a commit, branch or tag; default: the last release")
    revision = parser.parse_args().revision or _last_release()
    if not revision:
        print("No release tag (v*) is reachable, so there is nothing to compare the contract with.")
        return 0
    old = _contract_at(revision)
    new = read(CONTRACT)
    print(f"The contract compared with {revision}:")
    if not any(change.breaks for change in report(old, new)):
        return 0
    before, after = old["info"]["version"], new["info"]["version"]
    if _major(after) > _major(before):
        print(f"That is on purpose: info.version is {after}, and was {before}.")
        return 0
    print(f"Take that back, or give info.version, {after}, a higher first number than {before} has.")
    return 1


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
