"""Real runs whose server is killed, in small, and what is said where something went wrong.

`make faults ARGS='--real --times 100'` does it in large.
"""

import copy
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.chaos.followers import KINDS, ROWS, Followed
from tests.e2e.chaos.real_runs import outcome_of, processes_of
from tests.e2e.chaos.real_verdict import wrong_in
from tests.e2e.chaos.servers import PATIENCE

KILLS = 10
NOTICE = (1, "This runs as a process of the server's machine: container c is not used.")


def test_the_server_is_killed_while_runs_are_followed(tmp_path):
    """No row that a client has seen is lost or comes twice, each command runs once, and no process is left over."""
    outcome = outcome_of(tmp_path, KILLS, seed=1)
    assert {kind: sentences for kind, sentences in outcome.wrong.items() if sentences} == {}
    assert outcome.is_right, outcome.report()
    assert outcome.kills == KILLS
    assert outcome.experiments >= 2 * len(KINDS)
    assert outcome.rows > outcome.experiments * ROWS * 2 / 3


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for where Linux shows them")
@pytest.mark.parametrize("where", ["arguments", "environment"])
def test_processes_that_are_left_over_are_found(tmp_path, where):
    """By the directory of their run, which their arguments or their environment name."""
    program = ["sleep", "600"] if where == "environment" else ["sh", "-c", "sleep 600; true", str(tmp_path)]
    environment = {"PATH": "/usr/bin:/bin", **({"STORAGE": f"{tmp_path}/runs"} if where == "environment" else {})}
    assert processes_of(tmp_path) == []
    with subprocess.Popen(program, env=environment, start_new_session=True) as process:
        # A program that has just begun has neither for a moment.
        deadline = time.monotonic() + PATIENCE
        while not (found := processes_of(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
    assert str(process.pid) in [each.split()[0] for each in found]


class Told:
    """What callers were told, and what is there, of one experiment of each kind, where all is right."""

    def __init__(self):
        self.told, self.ran = [], []
        for number, kind in enumerate(KINDS):
            name = f"run-{number}"
            printed = [NOTICE, *((row + 1, f"{name} {row}") for row in range(1, ROWS + 1))]
            rows = {f"js{index}": list(printed) for index in range(kind.workers)}
            if kind.workers > 1:
                rows["ps"] = [NOTICE]
            self.told.append(Followed(name, kind, f"es{number}", kind.outcome, rows))
            self.ran += [name] * kind.nodes
        self.again = {one.handle: copy.deepcopy(one.rows) for one in self.told}
        self.listed = [one.handle for one in self.told]

    @property
    def wrong(self):
        """The kinds of what must not be, of which there is something."""
        return {kind for kind, found in wrong_in(self.told, self.again, self.ran, self.listed).items() if found}


def test_all_is_right():
    """Then nothing is said."""
    assert Told().wrong == set()


CHANGES = {
    "a row is lost": (
        lambda t: t.told[0].rows["js0"].pop(),
        {"rows lost", "logs not as printed", "logs that have changed"},
    ),
    "a row comes twice": (
        lambda t: t.told[0].rows["js0"].append((2, "run-0 1")),
        {"rows doubled", "rows out of order", "logs not as printed", "logs that have changed"},
    ),
    "rows are in another order": (
        lambda t: t.told[3].rows["js1"].reverse(),
        {"rows out of order", "logs not as printed", "logs that have changed"},
    ),
    "a row has gone since": (lambda t: t.again["es3"]["js1"].pop(), {"logs that have changed"}),
    "another outcome": (lambda t: setattr(t.told[1], "state", KINDS[0].outcome), {"wrong outcomes"}),
    "an error": (lambda t: setattr(t.told[2], "error", OSError()), {"errors of the client"}),
    "one never ran": (lambda t: t.ran.remove("run-3"), {"commands that never ran"}),
    "one ran twice": (lambda t: t.ran.append("run-0"), {"commands that ran twice"}),
    "one is not listed": (lambda t: t.listed.pop(), {"experiments not listed"}),
    "one is listed twice": (lambda t: t.listed.append("es0"), {"experiments not listed"}),
    "one that nobody created": (lambda t: t.listed.append("es9"), {"experiments of nobody"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_is_said(change):
    """Each of it by its name."""
    told = Told()
    make, wrong = CHANGES[change]
    make(told)
    assert told.wrong == wrong
