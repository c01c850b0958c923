"""Deleting ended runs that are not to be kept, in the background."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable
from typing import Self

from gradient_api.constants import TERMINAL_STATES

from gradient_ext.retention import EndedRun, beyond_limits, parse_limit
from gradient_server.clock import Clock
from gradient_server.runners.base import state_at
from gradient_server.store.records import Experiment
from gradient_server.store.store import Store

INTERVAL = 60.0
"""Seconds between two checks."""
GRACE_PERIOD = 60.0
"""Seconds after its end in which a run is not deleted: who waits for it reads how it has ended."""
_CLOSE_TIMEOUT = 1.0
"""Seconds after which it is left alone: it measures a large folder, and deletes nothing any more."""
_log = logging.getLogger(__name__)


class Retention:
    """Deletes ended runs beyond some limits while its block lasts.

    :param Store store: the experiments
    :param Clock clock: the clock of the server
    :param keep: the limits, or one, as `--keep` takes them; without any, nothing is deleted
    :param on_delete: receives the handle of each run before it is deleted, and the limits in words

    :raises ValueError: a limit is invalid
    """

    def __init__(
        self, store: Store, clock: Clock, keep: str | Iterable[str], on_delete: Callable[[str, str], object]
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = [parse_limit(text) for text in ([keep] if isinstance(keep, str) else keep)]
        self._on_delete = on_delete
        self._sizes: dict[str, int] = {}
        """Those of ended runs, which are measured once."""
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run_loop, daemon=True, name="gradient_server retention")

    def __enter__(self) -> Self:
        if self._limits:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopped.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT)

    def _run_loop(self) -> None:
        while True:
            try:
                self._delete_surplus()
            except OSError as error:
                _log.warning("Runs that are not to be kept cannot be deleted now: %s", error)
            except Exception:
                _log.exception("Runs that are not to be kept cannot be deleted now")
            if self._is_stopped.wait(INTERVAL):
                return

    def _delete_surplus(self) -> None:
        now = self._clock.now()
        ended = {
            each.handle: each
            for each in self._store.newest_first()
            if state_at(each.run.transitions, now) in TERMINAL_STATES
        }
        self._sizes = {handle: size for handle, size in self._sizes.items() if handle in ended}
        runs = [EndedRun(handle, _ended_at(each), self._size(each)) for handle, each in ended.items()]
        surplus = [run for run in beyond_limits(runs, self._limits, now) if now - run.ended >= GRACE_PERIOD]
        limits = " ".join(f"--keep {limit.text}" for limit in self._limits)
        for run in surplus:
            if self._is_stopped.is_set():
                return
            self._on_delete(run.id, limits)
            self._store.delete(ended[run.id])

    def _size(self, experiment: Experiment) -> int:
        if all(limit.size == math.inf for limit in self._limits) or self._is_stopped.is_set():
            return 0
        if experiment.handle not in self._sizes:
            self._sizes[experiment.handle] = sum(experiment.run.disk_usage())
        return self._sizes[experiment.handle]


def _ended_at(experiment: Experiment) -> float:
    return experiment.run.transitions[-1][0]
