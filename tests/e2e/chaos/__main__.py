"""Create and start many experiments over a bad network, and see that everything is done exactly once: `make faults`.

Threads share one client of the kind that users have; the server is a process of its own, on a real socket. With 30 of
100 requests something goes wrong: connections that are reset before or after the server has acted, errors of the server
and of a proxy, answers that come too late, cut off, in half or slowly. The server restarts some times, or is killed.
Then everything is read back without faults. The exit code is 1 where anything was lost, doubled or answered wrongly.

With --real, commands really run, and their logs are followed by 8 threads while the server is killed --times times.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.e2e.chaos.progress import Progress
from tests.e2e.chaos.real_runs import outcome_of
from tests.e2e.chaos.report import is_right, report
from tests.e2e.chaos.servers import KilledServer, RestartedServer, ServerInAProcess
from tests.e2e.chaos.trial import Plan, figures_of


def main() -> int:
    """Run the command line."""
    parser = _parser()
    options = parser.parse_args()
    if options.real:
        return _try_real_runs(options.times, options.seed)
    if options.times > options.calls:
        parser.error("--times cannot be more than --calls")
    plan = Plan(
        count=options.calls,
        threads=options.threads,
        seed=options.seed,
        times_away=options.times,
        rate=options.rate,
    )
    kind: type[ServerInAProcess] = KilledServer if options.kill else RestartedServer
    print(
        f"{plan.count} creates and {plan.count} starts by {plan.threads} threads, {plan.rate:.0%} faults, "
        f"{plan.times_away} {kind.how}, seed {plan.seed}",
        flush=True,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="faults-") as directory, kind(Path(directory)) as server:
            figures = figures_of(plan, server, Progress)
            complaints = server.complaints
    except KeyboardInterrupt:
        print("\nInterrupted", file=sys.stderr)
        return 130
    print(report(figures, kind.how, complaints, colours=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return 0 if is_right(figures, complaints) else 1


def _try_real_runs(kills: int, seed: int) -> int:
    print(f"Real runs, followed while the server is killed {kills} times, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as directory:
        outcome = outcome_of(Path(directory), kills, seed, Progress)
    print(outcome.report())
    return 0 if outcome.is_right else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--calls", type=_whole(20), default=10_000, help="how many creates, and starts (default: %(default)s)")
    add("--threads", type=_whole(1), default=32, help="how many threads share the client (default: %(default)s)")
    add("--rate", type=_share, default=0.3, help="share of the requests that are hit (default: %(default)s)")
    add("--seed", type=int, default=1, help="what the choice of what goes wrong follows from (default: %(default)s)")
    add("--times", type=_whole(0), default=5, help="how often the server goes away (default: %(default)s)")
    add("--real", action="store_true", help="real runs instead, whose server is killed; see above")
    add("--kill", action="store_true", help="kill the server, which has a file, with SIGKILL instead of restarting it")
    return parser


def _whole(least: int) -> Callable[[str], int]:
    def checked(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return checked


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
