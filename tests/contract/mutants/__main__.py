"""Put one fault after the other into copies of the project, and see which the tests notice: `make contract-mutants`.

Without names it tries all faults. What came of those that were tried goes into report.md beside this file.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from copies import ROOT, copy_tracked_files, stop, strangers
from fault import Fault
from faults import FAULTS
from report import UNNOTICED, report, told_before
from trial import STAGES, failure, noticed_by

REPORT = Path(__file__).with_name("report.md")


def main() -> int:
    """Run the command line."""
    options = _options()
    if stale := _stale():
        print("These faults do not fit the code as it is; mend them in the file of their room:", file=sys.stderr)
        print(*stale, sep="\n", file=sys.stderr)
        return 2
    if options.check:
        print(f"All {len(FAULTS)} faults fit the code.")
        return 0
    before = told_before(REPORT.read_text(encoding="utf-8"), FAULTS) if REPORT.exists() else {}
    chosen = [fault for fault in FAULTS if not options.names or {fault.name, fault.side} & set(options.names)]
    if options.again:
        chosen = [fault for fault in chosen if before.get(fault, UNNOTICED) == UNNOTICED]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A shell that starts this in the background has it ignored, for the tests too; some of them interrupt programs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch, ThreadPoolExecutor(options.jobs) as pool:
        project = Path(scratch).resolve()
        noticed: dict[Fault, str] = {}
        try:
            # Copied once: who works on while this runs does not change what is tried.
            copy_tracked_files(project)
            trouble = _trouble(project, pool, chosen)
            if trouble:
                print(trouble, file=sys.stderr)
                return 2
            _try(project, pool, chosen, before, noticed, keep=options.keep)
        except KeyboardInterrupt:
            print("Stopped; what was tried so far is in the report.", file=sys.stderr)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            stop()
            REPORT.write_text(report(before | noticed), encoding="utf-8")
    unnoticed = [fault.name for fault in FAULTS if noticed.get(fault) == UNNOTICED]
    print(f"{len(noticed) - len(unnoticed)} of {len(noticed)} faults were noticed, in {_spent(began)}.")
    print(*(f"  unnoticed: {name}\n" for name in unnoticed), sep="", end="")
    return 1 if unnoticed or len(noticed) < len(chosen) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="faults to try, by their names or sides; default: all")
    parser.add_argument("--check", action="store_true", help="try nothing, only say whether all faults fit the code")
    parser.add_argument("--again", action="store_true", help="only those that nothing noticed, or that are new")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the copies with faults where they are, in TMPDIR")
    options = parser.parse_args()
    unknown = set(options.names) - {name for fault in FAULTS for name in (fault.name, fault.side)}
    if unknown:
        parser.error(f"there is no fault called {', '.join(map(repr, sorted(unknown)))}; --check lists what is wrong")
    return options


def _stale() -> list[str]:
    """Say which faults cannot be put into the code any more, or cannot be told from others."""
    names = Counter(fault.name for fault in FAULTS)
    twice = [f"  {name}: there are {count} of this name" for name, count in names.items() if count > 1]
    return twice + [f"  {fault.name}: {problem}" for fault in FAULTS if (problem := fault.problem(ROOT))]


def _trouble(project: Path, pool: ThreadPoolExecutor, chosen: Sequence[Fault]) -> str | None:
    """Say why nothing can be tried: tests that would not see the fault, or that fail without any."""
    if found := strangers(project):
        return f"In a copy, {', '.join(found)} would not be imported from there; nothing could be noticed."
    judging = {tuple(tests): None for fault in chosen for tests in STAGES[fault.side]}
    print("The tests without any fault ...", flush=True)
    failures = pool.map(lambda tests: failure(project, tests), judging)
    if failed := next(filter(None, failures), None):
        return f"Without any fault, {failed} fails; mend that first."
    return None


def _try(
    project: Path,
    pool: ThreadPoolExecutor,
    faults: Sequence[Fault],
    before: Mapping[Fault, str],
    noticed: dict[Fault, str],
    *,
    keep: bool,
) -> None:
    width = max(map(len, (fault.name for fault in faults)), default=0)
    trials = {pool.submit(noticed_by, project, fault, before.get(fault, ""), keep=keep): fault for fault in faults}
    for number, trial in enumerate(as_completed(trials), start=1):
        fault = trials[trial]
        noticed[fault] = trial.result() or UNNOTICED
        print(f"{number:>3}/{len(faults)}  {fault.side:<8}  {fault.name:<{width}}  {noticed[fault]}", flush=True)


def _spent(began: float) -> str:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes, computed = (time.monotonic() - began) / 60, (children.ru_utime + children.ru_stime) / 60
    return f"{minutes:.1f} minutes ({computed:.1f} of a processor)"


if __name__ == "__main__":
    sys.exit(main())
