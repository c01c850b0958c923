"""Create and start many experiments over a bad network, and show that each happens exactly once: `make faults`.

Threads share one client; the server is a process of its own. Faults happen to 30 of 100 requests: connections reset
before or after the server has acted, errors of the server and of a proxy, late, truncated, half and slow responses. The
server restarts a few times, or is killed. Then everything is read back without faults. The exit code is 1 if anything
was lost, doubled or answered wrongly.

With --real, commands really run, and their logs are followed by 8 threads while the server is killed --times times.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.chaos.exactly_once import Plan, run_trial
from tests.e2e.chaos.real_runs import SLOTS, follow_while_killing
from tests.e2e.chaos.servers import Server


def main() -> int:
    """Run the command line, and return its exit code."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        directory = Path(name)
        if options.real:
            runner = ("--runner", "process", "--slots", str(SLOTS), "--grace", "2", "--api-key", secrets.token_hex())
            with Server(directory, *runner, kill=True) as server:
                wrong = follow_while_killing(server, directory, options.times, options.seed)
                return _report({"kills": server.times_away}, wrong, [], server.complaints)
        plan = Plan(
            count=options.calls,
            threads=options.threads,
            seed=options.seed,
            times_away=options.times,
            rate=options.rate,
        )
        print(plan, flush=True)
        with Server(directory, kill=options.kill) as server:
            outcome = run_trial(plan, server)
            figures = {**outcome.figures, **outcome.injected, "calls that gave up": len(outcome.verdict.gave_up)}
            return _report(figures, outcome.verdict.wrong, outcome.verdict.gave_up, server.complaints)


def _report(
    figures: Mapping[str, int], wrong: Mapping[str, Sequence[str]], gave_up: Sequence[Exception], complaints: str
) -> int:
    """Print what happened, and return the exit code."""
    for name, number in {**figures, **{name: len(found) for name, found in wrong.items()}}.items():
        print(f"{name:<28} {number:>8}")
    for name, found in {**wrong, "gave up": [str(error) for error in gave_up]}.items():
        for sentence in found[:5]:
            print(f"{name}: {sentence}")
    if complaints:
        print("The server wrote:", complaints.rstrip(), sep="\n")
    is_right = not any(wrong.values()) and not complaints
    print("Everything happened exactly once" if is_right else "Something was lost, doubled or wrong")
    return 0 if is_right else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.e2e.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--calls", type=int, default=10_000, help="how many creates, and starts (default: %(default)s)")
    add("--threads", type=int, default=32, help="how many threads share the client (default: %(default)s)")
    add("--rate", type=float, default=0.3, help="share of the requests that are hit (default: %(default)s)")
    add("--seed", type=int, default=1, help="determines what goes wrong when (default: %(default)s)")
    add("--times", type=int, default=5, help="how often the server goes away (default: %(default)s)")
    add("--real", action="store_true", help="real runs instead, whose server is killed; see above")
    add("--kill", action="store_true", help="kill the server with SIGKILL instead of restarting it")
    options = parser.parse_args()
    if options.times > options.calls // 2:
        parser.error("--times must be at most half of --calls")
    return options


if __name__ == "__main__":
    sys.exit(main())
