"""Real runs that are created, followed and stopped while their server is killed, again and again.

Threads share one client. Each runs an experiment, follows its log to the end, and runs the next one, until the server
has been killed often enough. There are more threads than slots, so that some experiments always wait. Every command
writes its name into a file when it begins, so that it is known how often it ran.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from attrs import frozen

from gradient import ExperimentsClient
from tests.e2e.chaos.followers import Followers, rows_of
from tests.e2e.chaos.real_verdict import wrong_in
from tests.e2e.chaos.servers import PATIENCE, KilledServer

THREADS = 8
SLOTS = 4
_LONGEST = 0.8
"""Seconds for which a server serves, at most."""
Watch = Callable[[str, int, Callable[[], int]], AbstractContextManager[object]]


@frozen(kw_only=True)
class Outcome:
    """What came of it, in numbers, and by the kind of what must not be, a sentence for each time that it is."""

    kills: int
    experiments: int
    rows: int
    seconds: float
    wrong: Mapping[str, list[str]]
    complaints: str

    @property
    def is_right(self) -> bool:
        """Whether nothing was lost, doubled or left over, and the server had nothing to complain about."""
        return not any(self.wrong.values()) and not self.complaints

    def report(self) -> str:
        """Give the numbers as a table, and under it what must not be."""
        numbers = {"kills of the server": self.kills, "experiments": self.experiments, "rows followed": self.rows}
        numbers |= {name: len(sentences) for name, sentences in self.wrong.items()}
        lines = [f"{name:<28} {number:>8}" for name, number in numbers.items()]
        lines += [f"{name}: {sentence}" for name, sentences in self.wrong.items() for sentence in sentences[:5]]
        if self.complaints:
            lines += ["the server complained:", self.complaints.rstrip()]
        what = "Nothing" if self.is_right else "Something"
        return "\n".join([*lines, "", f"{what} was lost, doubled, wrong or left over ({self.seconds:.0f} seconds)"])


def outcome_of(directory: Path, kills: int, seed: int, watch: Watch = lambda *_: nullcontext()) -> Outcome:
    """Kill the server so often, and say what came of it.

    :param Path directory: an empty directory
    :param int kills: how often the server is killed
    :param int seed: what the moments of that follow from
    :param watch: what shows how far it is
    """
    began, chance = time.monotonic(), random.Random(seed)
    options = ["--runner", "process", "--slots", str(SLOTS), "--grace", "2", "--api-key", secrets.token_hex()]
    with (
        KilledServer(directory, *options) as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
        Followers(client, directory / "ran", THREADS) as followers,
    ):
        with watch("kills", kills, lambda: server.times_away):
            for _ in range(kills):
                time.sleep(chance.uniform(0, _LONGEST))
                server.go_away()
        followers.finish()
        told = followers.told
        listed = [experiment.id for experiment in client.list()]
        again = {one.handle: rows_of(client.logs(one.handle)) for one in told if one.handle}
        wrong = wrong_in(told, again, (directory / "ran").read_text().split(), listed)
        wrong["processes left over"] = _left_over(directory)
        complaints = server.complaints
    return Outcome(
        kills=server.times_away,
        experiments=len(told),
        rows=sum(len(rows) for one in told for rows in one.rows.values()),
        seconds=time.monotonic() - began,
        wrong=wrong,
        complaints=complaints,
    )


def _left_over(directory: Path) -> list[str]:
    """List the processes that have to do with a directory, when they have had time to end. On Linux; elsewhere none."""
    deadline = time.monotonic() + PATIENCE
    while (found := list(processes_of(directory))) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def processes_of(directory: Path) -> list[str]:
    """List the processes in whose arguments or environment a directory is, but for this one: number and arguments."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(directory) in arguments + environment and int(entry.name) != os.getpid():
            found.append(f"{entry.name} {arguments.decode(errors='replace')}")
    return found
