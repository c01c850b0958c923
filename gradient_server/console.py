"""The log of a server with real runs, and the console that shows it: what starts, ends and is deleted."""

from __future__ import annotations

import contextlib
import logging
import select
import sys
import threading
from collections.abc import Collection
from enum import IntEnum
from typing import TextIO

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_ext.display.tables import elapsed_text, size_text
from gradient_ext.redaction import escape_control_characters, redact
from gradient_server.clock import Clock
from gradient_server.runners.base import state_at
from gradient_server.store.records import Experiment
from gradient_server.store.store import Store

logger = logging.getLogger("gradient_server")
_MINUTE = 60.0
_MAX_NAME = 60
_MAX_REASON = 500
_MAX_LISTED = 5
"""Runs that are listed in one line."""


class _Stage(IntEnum):
    WAITS = 0
    STARTED = 1
    ENDED = 2


class RunReporter:
    """Logs, at INFO, when runs start and end, and when their files are removed.

    :param Store store: the experiments; nothing is logged about those that have ended before
    :param Clock clock: the clock of the server
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[str, str] = {}
        """By which limits runs are deleted."""
        self._known = {each.handle: (self._stage(each), _title(each)) for each in store.newest_first()}

    def report(self, handle: str) -> None:
        """Log what is new of a run. Any thread can call this."""
        with self._lock:
            self._report(handle)

    def _report(self, handle: str) -> None:
        experiment = self._store.get(handle)
        if experiment is None:
            self._report_removal(handle)
            return
        known, _ = self._known.get(handle, (_Stage.WAITS, ""))
        stage = self._stage(experiment)
        self._known[handle] = stage, _title(experiment)
        if known < _Stage.STARTED and _started_at(experiment) is not None:
            logger.info("%s started", _title(experiment))
        if known < _Stage.ENDED <= stage:
            logger.info("%s ended as %s", _title(experiment), self._outcome(experiment))

    def _report_removal(self, handle: str) -> None:
        removal = self._store.removal(handle)
        if removal is None or not removal.is_done or handle not in self._known:
            return
        stage, title = self._known.pop(handle)
        limits = self._limits.pop(handle, None)
        reason = f" by {limits}" if limits else " while it ran" if stage is _Stage.STARTED else ""
        freed = f", which freed {size_text(removal.freed)}" if removal.freed else ""
        logger.info("%s was deleted%s%s", title, reason, freed)

    def on_retention(self, handle: str, limits: str) -> None:
        """Have the line of a run that is going to be deleted name the limits of what is kept."""
        self._limits[handle] = limits

    def report_takeover(self) -> None:
        """Log which runs of an earlier server go on, and which have ended since."""
        found = [each for handle in self._store.unfinished if (each := self._store.get(handle))]
        if found:
            logger.info("Took over %s", self._listed(found))

    def unfinished(self) -> str | None:
        """Return how many runs have not ended, and which; None: there are none."""
        found = [
            experiment
            for experiment in reversed(self._store.newest_first())
            if experiment.run.transitions and self._stage(experiment) < _Stage.ENDED
        ]
        return self._listed(found) if found else None

    def _state(self, experiment: Experiment) -> int:
        return state_at(experiment.run.transitions, self._clock.now())

    def _stage(self, experiment: Experiment) -> _Stage:
        state = self._state(experiment)
        if state in TERMINAL_STATES:
            return _Stage.ENDED
        return _Stage.WAITS if state in (State.CREATED, State.PENDING) else _Stage.STARTED

    def _listed(self, experiments: Collection[Experiment]) -> str:
        shown = [
            f"{_title(each)} ({State.get_state_str(self._state(each))})" for each in list(experiments)[:_MAX_LISTED]
        ]
        count, more = len(experiments), len(experiments) - len(shown)
        return f"{count} run{'s' * (count > 1)}: {', '.join(shown)}{f' and {more} more' if more else ''}"

    def _outcome(self, experiment: Experiment) -> str:
        run, now = experiment.run, self._clock.now()
        (ended, state), *_ = reversed(run.transitions)
        started = _started_at(experiment)
        code, reason = run.exit_code(now), run.error(now)
        words = [State.get_state_str(state)]
        if started is not None:
            words.append(f"after {_duration(ended - started)}")
        if reason:
            return f"{' '.join(words)}: {_shown(reason, _MAX_REASON)}"
        return " ".join(words if code is None else [*words, f"(exit code {code})"])


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to stderr, and waits for nobody: what a full pipe or a halted terminal does not take is left out."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record if that is possible at once."""
        with contextlib.suppress(OSError, ValueError):  # it is closed, or has no file
            if not select.select([], [self.stream], [], 0)[1]:
                return
        super().emit(record)


def show_log() -> None:
    """Have the log of the server shown on stderr, if there is one."""
    if sys.stderr is not None:
        logging.raiseExceptions = False  # where stderr cannot be written, nobody could read why
        logger.addHandler(ConsoleHandler())
        logger.setLevel(logging.INFO)


def _started_at(experiment: Experiment) -> float | None:
    """Return when a run was begun; None: it waits, or has ended before."""
    transitions = experiment.run.transitions
    return next((at for at, state in transitions if state != State.PENDING and state not in TERMINAL_STATES), None)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < _MINUTE else elapsed_text(seconds)


def _title(experiment: Experiment) -> str:
    name = experiment.body.get("name")
    return f'{experiment.handle} "{_shown(name, _MAX_NAME)}"' if name else experiment.handle


def _shown(text: str, length: int) -> str:
    text = escape_control_characters(redact(text))
    return text if len(text) <= length else f"{text[: length - 3]}..."
