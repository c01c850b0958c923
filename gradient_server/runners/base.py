"""What the server asks of whatever runs experiments: simulated runs, processes of this machine, a cluster.

The server keeps what was asked for, and decides who may ask what when. A runner knows how it goes. All that the server
says about a run, it reads from the run when it is asked; all moments are those of the server's clock.

Several threads may call. Nothing here waits for anything that takes long: the server answers nobody meanwhile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from attrs import frozen

from gradient_server.clock import Clock

Entered = Sequence[tuple[float, int]]
"""States with the moments at which they are entered, in order. Empty: the experiment is created, and no more."""


@frozen(kw_only=True)
class Job:
    """One node of a run.

    :param str id: its id, the same whenever the experiment is prepared again
    :param str title: what it is called in words, `worker 1`
    """

    id: str
    title: str


class Row(NamedTuple):
    """One log row of a job; a tuple, because there are many."""

    line: int
    """From 1, without gaps, for each job."""
    moment: float
    """When it was read."""
    message: str


@frozen(kw_only=True)
class Prepared:
    """An experiment, as far as the server knows it.

    :param str handle: its handle
    :param body: what it was created with, by the names of the contract, with defaults; commands are text
    :param float created: when it was created
    :param float started: when it was started, as a server knows that ended since; None: it was not
    :param float stopped: when it was told to stop, likewise
    """

    handle: str
    body: Mapping[str, Any]
    created: float
    started: float | None = None
    stopped: float | None = None


class Refused(ValueError):
    """The experiment cannot be run like that. The caller is told, as of any member that is wrong.

    :param str text: what is wrong, and what would be right
    :param str member: the member of the body that it is about
    """

    def __init__(self, text: str, member: str) -> None:
        super().__init__(text)
        self.member = member


class Run(ABC):
    """One experiment, as what runs it knows it. What goes wrong with it is told by its states, never raised."""

    jobs: tuple[Job, ...]
    """Its nodes, in the order in which rows of the same line come."""

    @property
    @abstractmethod
    def entered(self) -> Entered:
        """Every state that it has entered, and that it will enter as far as is known now.

        States come in the order that the contract documents; some can be missing, a terminal one is the last. What has
        been entered stays; what was to come may change when it is stopped, or when the runner says that it has changed.
        """

    @abstractmethod
    def error(self, now: float) -> str | None:
        """Say in words what went wrong; None: nothing, or there is no more to say than that the command failed."""

    @abstractmethod
    def rows(self, line: int, limit: int, now: float) -> list[tuple[Job, Row]]:
        """Give the rows after a line, of all jobs, ordered by line, at most `limit` of them.

        Rows of the same line come in the order of the jobs; those that are left out all come later in this order.
        There may be fewer than the limit where they are so long that memory would not do; then all rows of the last
        line are there.

        The last row of a job has the message `END_OF_LOG`, and no other row has. It comes when the run has ended as a
        whole: who has followed a log to its end finds the outcome. A job of a run that never ran may have no rows.
        """

    @abstractmethod
    def rows_of(self, job: Job, line: int, limit: int, now: float) -> list[Row]:
        """Give the rows of one job after a line, at most `limit` of them, as `rows` would among those of the others.

        There may be fewer than the limit where they are so long that memory would not do.
        """

    @abstractmethod
    def ends(self, now: float) -> Mapping[Job, int]:
        """Say the last line of each job, in their order; 0: it has no row yet. All rows up to these lines are there.

        It is asked for often, also of logs with millions of rows: nothing is to be read for it that was read before.
        """

    @abstractmethod
    def next_row(self, line: int, now: float) -> float | None:
        """Say when to look again for a row after a line.

        A moment that has gone by: it is there. Another one: not before that moment, unless the runner says that
        something has changed; then it is there, or the run has ended. Infinity: not before the runner says so, or
        somebody does something. None: the run has ended, and all rows that it will ever have are there.
        """

    @abstractmethod
    def start(self, moment: float) -> None:
        """Run it. It is pending from that moment on. Comes once, never after a stop, and never before `begin`."""

    @abstractmethod
    def stop(self, moment: float) -> None:
        """End it, as canceled: at once where it does not run yet, otherwise as soon as it is torn down.

        Where it has ended, ends already, or was told before, that changes nothing. Comes also where it was not started.
        """

    @abstractmethod
    def forget(self) -> None:
        """Let it be as if it had never been: what runs is ended, what is kept is removed, by and by.

        Comes at most once, and last. Who was in the middle of reading may still ask, and gets some answer. The same
        handle can come again, for another experiment, as soon as this returns.
        """

    def make_room(self) -> bool:
        """Where it runs, and takes of the disk, which is full: end it, as canceled, and tell that it is so.

        It was asked to stop or to be forgotten, and that could not be written down: it may be asked again, and a server
        that starts again does not know of it. One that does not run yet stays as it is. Simulated ones take no room.
        """
        return False


class Runner(ABC):
    """What runs the experiments of one server.

    It has to survive that its server is killed. The server writes down what it was asked before it tells a run, so that
    it may know of a start, a stop or an end that it could not tell any more: `prepare` says it again.
    """

    name: str
    """What it is called, on the command line and in the store: what one runner has run, no other takes up."""
    executes_commands: bool = True
    """Whether callers choose what is executed somewhere: then nobody may guess the key, and other machines stay out."""

    @abstractmethod
    def attach(self, clock: Clock, changed: Callable[[str], object]) -> None:
        """Learn what time it is, and whom to tell. Comes once, before all else.

        :param Clock clock: of all moments
        :param changed: takes a handle, from any thread; to be called after something has happened to that experiment
            that its run had not announced with a moment: it has entered a state, or has rows

        :raises ValueError: it cannot run with such a clock
        :raises OSError: something that it needs cannot be used; the error has its `filename`
        """

    @abstractmethod
    def prepare(self, experiment: Prepared) -> Run:
        """Take an experiment on. Nothing is begun or kept for one that was not started, as it may be dropped.

        Of a server that starts again come all experiments that it knows, before `begin`, the oldest first. What is
        there of them is taken up; one that was started and of which there is nothing is run from `begin` on, and one
        that was stopped is stopped, if that has not happened.

        :raises Refused: it cannot be run like that
        """

    @abstractmethod
    def begin(self) -> None:
        """Begin to run what was prepared and started. Of whatever else is there of earlier servers nothing runs on."""

    @abstractmethod
    def close(self) -> None:
        """End. What runs and is to outlive the server goes on, all else is ended. Comes once, also without `begin`."""
