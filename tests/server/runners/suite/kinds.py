"""The runners that the suite tries. A new one gets a kind here, and has to pass everything."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path

from gradient_server.clock import Clock
from gradient_server.runners.base import Runner
from gradient_server.runners.process.runner import ProcessRunner
from gradient_server.runners.simulated import SimulatedRunner
from tests.server.runners.suite.by_hand import ByHandRunner, HandRun

SINGLE_NODE = {"experimentTypeId": 1, "projectHandle": "p"}
MULTI_NODE = {"experimentTypeId": 2, "projectHandle": "p", "workerCount": 2, "parameterServerCount": 1}


class Kind(ABC):
    """A runner, and how an experiment is asked in its way to do something.

    What experiments do is told by bodies as `prepare` gets them.
    """

    name: str
    notes = 0
    """How many rows the runner itself puts before those of the command."""

    @abstractmethod
    def runner(self, folder: Path) -> Runner:
        """Make a runner; one made later with the same folder takes up what it has left. Its runs outlive it."""

    @abstractmethod
    def clock(self) -> Clock:
        """Make the clock of a server that has such a runner."""

    @abstractmethod
    def prints(self, rows: int, code: int = 0) -> dict:
        """Ask for a command that prints some rows, and ends with an exit code."""

    @abstractmethod
    def prints_on_several_nodes(self, rows: int) -> dict:
        """Ask for several nodes, which all print some rows, and end well."""

    @abstractmethod
    def waits(self) -> dict:
        """Ask for a command that prints one row, and ends when it is stopped."""

    @abstractmethod
    def cannot_be_set_up(self) -> dict:
        """Ask for something that is only found to be impossible when it is started."""

    @abstractmethod
    def is_refused(self) -> tuple[str, dict]:
        """Ask for something that is known to be impossible; and the member that says so."""

    @abstractmethod
    def let_time_pass(self, clock: Clock, moment: float, told: threading.Event) -> None:
        """Let time go by until a moment, which may be infinity, or until somebody tells; or for a while if neither."""


class Simulated(Kind):
    """Simulated runs: what happens is known beforehand, and time is moved by hand."""

    name = SimulatedRunner.name

    def runner(self, folder: Path) -> Runner:
        return SimulatedRunner()

    def clock(self) -> Clock:
        return Clock(0)

    def prints(self, rows: int, code: int = 0) -> dict:
        return self._wish(SINGLE_NODE, OUTCOME="failed" if code else "stopped", LOG_LINES=rows)

    def prints_on_several_nodes(self, rows: int) -> dict:
        return self._wish(MULTI_NODE, LOG_LINES=rows)

    def waits(self) -> dict:
        return self._wish(SINGLE_NODE, SECONDS=10**9, LOG_LINES=1)

    def cannot_be_set_up(self) -> dict:
        return self._wish(SINGLE_NODE, OUTCOME="error")

    def is_refused(self) -> tuple[str, dict]:
        return "experimentEnv", self._wish(SINGLE_NODE, OUTCOME="splendid")

    def let_time_pass(self, clock: Clock, moment: float, told: threading.Event) -> None:
        clock.advance(max(0.0, min(moment, 1e12) - clock.now()))

    def _wish(self, body: dict, **wish: object) -> dict:
        return {**body, "experimentEnv": {f"GRADIENT_MOCK_{name}": value for name, value in wish.items()}}


class ByHand(Kind):
    """A runner that announces nothing and tells everything, as one does that runs real commands."""

    name = ByHandRunner.name

    def __init__(self) -> None:
        self._kept: dict[Path, dict[str, HandRun]] = {}

    def runner(self, folder: Path) -> Runner:
        self._running = ByHandRunner(self._kept.setdefault(folder, {}))
        return self._running

    def clock(self) -> Clock:
        return Clock(0)

    def prints(self, rows: int, code: int = 0) -> dict:
        return {**SINGLE_NODE, "rows": rows, "code": code}

    def prints_on_several_nodes(self, rows: int) -> dict:
        return {**MULTI_NODE, "rows": rows, "code": 0}

    def waits(self) -> dict:
        return {**SINGLE_NODE, "rows": 1, "code": None}

    def cannot_be_set_up(self) -> dict:
        return {**SINGLE_NODE, "rows": None}

    def is_refused(self) -> tuple[str, dict]:
        return "rows", {**SINGLE_NODE, "rows": -1}

    def let_time_pass(self, clock: Clock, moment: float, told: threading.Event) -> None:
        clock.advance(1)
        self._running.go_on()


class Process(Kind):
    """Processes of this machine, in real time."""

    name = ProcessRunner.name

    def runner(self, folder: Path) -> Runner:
        return ProcessRunner(folder / "runs", slots=4, grace=2.0)

    def clock(self) -> Clock:
        return Clock()

    def prints(self, rows: int, code: int = 0) -> dict:
        return {**SINGLE_NODE, "command": f"{_counts(rows)}; exit {code}"}

    def prints_on_several_nodes(self, rows: int) -> dict:
        # The parameter server is stopped when the workers have ended, which is not to be before it has printed.
        serves = f"{_counts(rows)}; touch served; exec sleep 60"
        works = f"{_counts(rows)}; while [ ! -e served ]; do sleep 0.01; done"
        return {**MULTI_NODE, "workerCommand": works, "parameterServerCommand": serves}

    def waits(self) -> dict:
        return {**SINGLE_NODE, "command": "echo one; exec sleep 60"}

    def cannot_be_set_up(self) -> dict:
        return {**SINGLE_NODE, "command": "true", "workspaceUrl": "/no/such/folder"}

    def is_refused(self) -> tuple[str, dict]:
        return "experimentEnv", {**SINGLE_NODE, "command": "true", "experimentEnv": {"A=B": "c"}}

    def let_time_pass(self, clock: Clock, moment: float, told: threading.Event) -> None:
        told.wait(max(0.0, min(moment - clock.now(), 1.0)))


def _counts(rows: int) -> str:
    return f"for i in $(seq {rows}); do echo row $i; done"


KINDS: list[type[Kind]] = [Simulated, ByHand, Process]
