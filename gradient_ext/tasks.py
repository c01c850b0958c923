"""Tasks that go on for hours: what they ask for next, and how long they hold out. No I/O, no clock of their own.

Who carries a task out asks it for the next step again and again, until there is none. A :class:`Pause` is slept; an
:class:`Ask` is sent, and the task is told what came of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from attrs import define, evolve, field, frozen

from gradient_ext.asking import Ask, AskExperiment
from gradient_ext.config import Options
from gradient_ext.errors import GradientSdkError, ResourceFetchingError
from gradient_ext.pacing import Pacing

LONGEST_HOLD = 20.0
"""For how many seconds a server may hold a request open while it has nothing new to say."""
MOST_HELD = 50
"""How many requests of one client may be held open at once. The connections are for others, too."""
# A request that is held open to the end of a timeout should be answered before it.
_MARGIN = 1.0
News = TypeVar("News")


@frozen
class Pause:
    """Do nothing for some seconds."""

    seconds: float


@define(kw_only=True)
class Task(ABC, Generic[News]):
    """What goes on until an experiment has got somewhere, over a network that fails now and then.

    :param str handle: the experiment
    :param float timeout: seconds from the first step on, after which it gives up; None: never
    :param float patience: for how many seconds failures are ridden out while nothing else comes; None: for ever
    """

    handle: str
    timeout: float | None = None
    patience: float | None = Options().patience
    state: int | None = field(default=None, init=False)
    """The state of the experiment, as far as it is known."""
    row_count: int | None = field(default=None, init=False)
    """How many rows have come; None: this is not about rows."""
    _pacing: Pacing = field(factory=Pacing, init=False)
    _last_error: GradientSdkError | None = field(default=None, init=False)
    _began: float | None = field(default=None, init=False)
    _asked: Ask[Any] = field(factory=AskExperiment, init=False)
    _asked_at: float = field(default=0.0, init=False)
    _pause_ends: float = field(default=0.0, init=False)
    _failing_since: dict[type[Ask[Any]], float] = field(factory=dict[type[Ask[Any]], float], init=False)
    _held_and_lost: int = field(default=0, init=False)

    @abstractmethod
    def _next_ask(self) -> Ask[Any] | None:
        """Say what to ask next; None: this is done."""

    @abstractmethod
    def _hear(self, ask: Ask[Any], answer: object) -> list[News]:
        """Take the answer to what was asked, and give what is new in it."""

    @abstractmethod
    def _out_of_time(self) -> GradientSdkError:
        """Make the error that says that the timeout is over."""

    @abstractmethod
    def _out_of_patience(self, error: GradientSdkError) -> GradientSdkError:
        """Make the error that says that nothing but failures came for too long."""

    def next_step(self, now: float) -> Pause | Ask[Any] | None:
        """Say what to do now; None: nothing any more.

        :raises TimeoutError: the time is over; an error of this package too
        """
        ask = self._next_ask()
        if ask is None:
            return None
        if self._began is None:
            self._began = self._pause_ends = now
        remaining = None if self.timeout is None else self._began + self.timeout - now
        if remaining is not None and remaining <= 0:
            raise self._out_of_time() from self._last_error
        if now < self._pause_ends:
            pause = self._pause_ends - now
            return Pause(pause if remaining is None else min(pause, remaining))
        if remaining is not None:
            ask = evolve(ask, wait=max(0.0, min(ask.wait, remaining - _MARGIN)), within=remaining)
        self._asked, self._asked_at = ask, now
        return ask

    def take(self, answer: object) -> list[News]:
        """Take the answer to what was asked, and give what is new in it."""
        self._failing_since.pop(type(self._asked), None)
        self._last_error = None
        if self._asked.wait:
            self._held_and_lost = 0
        return self._hear(self._asked, answer)

    def fail(self, error: GradientSdkError, now: float) -> None:
        """Hear that there was an error instead of an answer.

        :raises GradientSdkError: it is not one that passes, or it does not pass for too long
        """
        if not error.retryable:
            raise error
        self._last_error = error
        self._held_and_lost += self._asked.wait > 0
        since = self._failing_since.setdefault(type(self._asked), self._asked_at)
        self._rest()
        asked_to_wait = error.retry_after if isinstance(error, ResourceFetchingError) else None
        self._pause_ends = max(self._pause_ends, now + (asked_to_wait or 0.0))
        if self.patience is not None and max(now, self._pause_ends) - since >= self.patience:
            raise self._out_of_patience(error)

    def _rest(self) -> None:
        """Ask no more for a moment. The time for which the server has held the request counts."""
        self._pause_ends = self._asked_at + self._pacing.next_pause()

    def _hold(self, seconds: float) -> float:
        """Say for how long the server may hold the next request: not while it fails, or if that is what fails.

        Some proxies end what takes long, however well everything is.
        """
        return 0.0 if self._failing_since or self._held_and_lost > 1 else seconds
