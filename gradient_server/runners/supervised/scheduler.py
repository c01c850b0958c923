"""The scheduler: a thread that starts supervisors, as many as there are slots, and monitors their runs."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from attrs import evolve

from gradient_server.runners.machine_types import Capacity, Claim, waiting_reason
from gradient_server.runners.supervised.monitor import RunMonitor
from gradient_server.runners.supervised.run import Phase, SupervisedRun
from gradient_server.runners.supervised.run_files import FILES_REMOVED, RunDirectory, RunsDirectory, handle_of

_log = logging.getLogger(__name__)
_POLL_INTERVAL = 0.005
_RETRY_INTERVAL = 1.0
"""Seconds after an unexpected error, or after the store could not be written."""
_REAP_INTERVAL = 1.0
"""Seconds between two attempts to reap supervisors, if they are children of the server."""
_CLOSE_TIMEOUT = 15.0
"""Seconds after which runs that do not end are left alone, if none is to outlive the server."""
_CLOSE_TIMEOUT_IF_KEPT = 1.0
"""Seconds to wait for the end of deleted runs, if a later server can end them as well."""
_REMOVAL_TIMEOUT = 5.0
"""Seconds to wait for the removal of deleted runs, if a later server can remove them as well."""
_BEHIND = "It waits for its turn: the one before it waits for such machines."


class Scheduler:
    """Starts runs in the order in which that was requested, and monitors them until they have ended.

    :param RunsDirectory directory: of all runs
    :param Capacity capacity: what there is for runs; others wait
    :param monitor: returns the monitor of a run that has no experiment any more
    """

    def __init__(
        self, directory: RunsDirectory, capacity: Capacity, monitor: Callable[[RunDirectory], RunMonitor]
    ) -> None:
        self.lock = threading.RLock()
        """Is held while the phase of a run changes."""
        self.on_change: Callable[[str], object] = lambda handle: None
        """Receives the handle of a run that has entered a state, has new rows, or is removed."""
        self._directory = directory
        self._capacity = capacity
        self._monitor_of = monitor
        self._queue: deque[SupervisedRun] = deque()
        self._active: list[SupervisedRun] = []
        self._deleted: list[SupervisedRun] = []
        self._detached: list[RunMonitor] = []
        """Runs without an experiment, until they have ended. They still have what they had of the machine."""
        self._ended: list[RunMonitor] = []
        """Runs that have ended, and whose supervisors are to be reaped."""
        self._recovered: set[str] = set()
        self._last_launch = -math.inf
        """When the last recovered run was started: those that were started before it have been launched before it."""
        self._next_record = -math.inf
        """When the store is tried again: no run is launched before."""
        self._wakeup = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run_loop, daemon=True, name="gradient_server scheduler")
        self._remover = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gradient_server remover")

    def schedule(self, run: SupervisedRun) -> None:
        """Act on a run that was started, stopped or deleted. The caller holds the lock."""
        if run.is_deleted:
            self._deleted.append(run)
        elif run.phase is Phase.QUEUED:
            self._queue.append(run)
        elif run.phase is Phase.ACTIVE and run not in self._active:
            self._active.append(run)
        self._wakeup.set()
        if not run.is_deleted and self._thread.is_alive():
            self.on_change(run.handle)  # It waits, or was canceled while it waited.

    def recover(self, run: SupervisedRun, started: float, stopped: float | None) -> None:
        """Take over a run that an earlier server was asked to start, and perhaps to stop."""
        self._recovered.add(run.handle)
        is_readable = self._poll(run.monitor)
        if run.phase is Phase.ENDED:
            if run.monitor.was_claimed and not run.monitor.history.has_ended:
                # Something has ended it for clients, but perhaps not its processes.
                run.is_to_stop = True
                self._active.append(run)
            return
        run.start(started)
        # What cannot be read may have run. `_monitor` tries again.
        if not is_readable or run.monitor.was_claimed:
            self._last_launch = max(self._last_launch, started)
            with self.lock:
                run.phase = Phase.ACTIVE
                run.update()
                self.schedule(run)
        elif (
            run.recorded and run.recorded.launched and (len(run.transitions) > 1 or not run.monitor.directory.has_spec)
        ):
            run.fail(FILES_REMOVED)
        if stopped is not None:
            # Also for a supervisor that is about to claim it.
            run.monitor.stop()
            run.stop(stopped)

    def start(self) -> None:
        """Start the thread. Runs without an experiment are stopped, and their files are kept."""
        for directory in self._directory.unknown(self._recovered):
            self._detach(self._monitor_of(directory), keep=True)
        with self.lock:
            self._queue = deque(sorted(self._queue, key=lambda run: run.started or 0.0))
            for run in self._queue:
                if run.phase is Phase.QUEUED and self._has_lost_files(run):
                    run.fail(FILES_REMOVED)
        self._thread.start()

    def _has_lost_files(self, run: SupervisedRun) -> bool:
        """Whether a run whose launch would not have been recorded was launched, and its files were removed."""
        if run.recorded and run.recorded.launched is not None:
            return False
        was_launched = (run.started or 0.0) < self._last_launch
        # The earlier version that has written the store has launched some runs, and their files were removed.
        has_lost_all = run.recorded is not None and self._directory.is_new
        return (was_launched or has_lost_all) and not run.monitor.directory.path.exists()

    def close(self, *, keep: bool) -> None:
        """Stop the thread. Active runs go on if they are kept, and are stopped and removed otherwise."""
        was_started = self._thread.ident is not None
        self._is_closed = True
        self._wakeup.set()
        if was_started:
            self._thread.join()
        for run in self._active:
            run.monitor.wait_for_launch()
            if not run.is_recorded:
                run.record_again()
        if not keep:
            for run in self._active:
                self._detach(run.monitor)
        self._detach_deleted()
        if keep:
            self._directory.removal_deadline = time.monotonic() + _REMOVAL_TIMEOUT
        deadline = time.monotonic() + (_CLOSE_TIMEOUT_IF_KEPT if keep else _CLOSE_TIMEOUT)
        while self._detached and time.monotonic() < deadline:
            self._reap()
            time.sleep(_POLL_INTERVAL)
        self._remover.shutdown()
        if was_started and not keep:
            self._directory.remove_all()

    def _run_loop(self) -> None:
        while not self._is_closed:
            is_busy = self._active or self._detached
            self._wakeup.wait(_POLL_INTERVAL if is_busy else _REAP_INTERVAL if self._ended or self._queue else None)
            self._wakeup.clear()
            for step in (self._detach_deleted, self._reap, self._fill_slots, self._monitor_active):
                try:
                    step()
                except Exception:
                    # The thread must not end: nothing would be started or stopped any more.
                    _log.exception("The scheduler tries again")
                    time.sleep(_RETRY_INTERVAL)

    def _monitor_active(self) -> None:
        for run in list(self._active):
            try:
                self._monitor(run)
            except Exception:
                # It must not keep the other runs from being monitored.
                _log.exception("The run of %s cannot be followed", run.handle)
                self._abandon(run)

    def _fill_slots(self) -> None:
        while self._queue and time.monotonic() >= self._next_record and (found := self._take_next()):
            run, claim = found
            if run.problem:
                self._fail(run, run.problem)
                continue
            try:
                run.monitor.launch(partial(self._record_launch, run), claim)
            except Exception as error:
                if not isinstance(error, OSError):
                    _log.exception("The run of %s cannot be started", run.handle)
                self._fail(run, f"The run cannot be started: {error}")

    def _take_next(self) -> tuple[SupervisedRun, Claim] | None:
        """Take the next run out of the queue, and return what it gets; None: all have to wait."""
        with self.lock:
            self._queue = deque(run for run in self._queue if run.phase is Phase.QUEUED and not run.is_deleted)
            # A cluster may start those first that came last.
            waiting = {run.asks_for for run in self._active if not run.monitor.history.states} - {None}
            reason: str | None = _BEHIND
            for run in self._queue:
                if run.asks_for in waiting:
                    continue
                free = self._free(run)
                # None overtakes the first one, so that each gets its turn.
                if reason := waiting_reason(run.request, free, self._capacity):
                    break
                self._queue.remove(run)
                run.phase, run.waits_for = Phase.ACTIVE, None
                self._active.append(run)
                return run, free.claim(run.request)
            self._set_waiting_reasons(reason or _BEHIND)
            return None

    def _free(self, run: SupervisedRun) -> Capacity:
        """Return what of the machine is free for a run, beginning with the GPUs that an earlier server gave to it.

        The supervisor that was started there may still claim it.
        """
        monitors = [*(active.monitor for active in self._active), *self._detached]
        free = self._capacity.without(monitor.claim for monitor in monitors)
        kept = {name for gpus in run.monitor.claim.gpus for name in gpus}
        return evolve(free, gpus=tuple(sorted(free.gpus, key=lambda name: name not in kept))) if kept else free

    def _set_waiting_reasons(self, reason: str) -> None:
        for place, run in enumerate(self._queue, 1):
            run.waits_for = reason if place == 1 else f"It waits for its turn: it is number {place} in the queue."

    def _record_launch(self, run: SupervisedRun) -> bool:
        """Record that a run is launched, or return False and have it wait until the store can be written."""
        try:
            return run.record_launch()
        except OSError as error:
            _log.warning("The run of %s waits until its start can be stored: %s", run.handle, error.strerror)
            self._requeue(run)
            return False

    def _requeue(self, run: SupervisedRun) -> None:
        self._next_record = time.monotonic() + _RETRY_INTERVAL
        with self.lock:
            self._active.remove(run)
            self._queue.appendleft(run)
            run.wait_again()

    def _monitor(self, run: SupervisedRun) -> None:
        if run.is_to_stop:
            run.monitor.stop()
        if not run.is_recorded and time.monotonic() >= self._next_record:
            run.record_again()
            self._next_record = time.monotonic() + _RETRY_INTERVAL
        has_ended = run.phase is Phase.ENDED
        if has_ended and run.is_recorded and run.monitor.is_over:
            self._release_slot(run)
            return
        # What fails now, for example because the disk is full, is done in one of the next polls.
        with contextlib.suppress(OSError):
            try:
                has_changed = run.monitor.poll()
            except OSError as error:
                if run.monitor.is_lost and not has_ended:
                    self._fail(run, f"The files of the run cannot be read, and nothing of it runs any more: {error}")
                return
            if has_changed or run.monitor.history.has_ended:
                run.update()
            if has_changed or (run.phase is Phase.ENDED and not has_ended):
                self.on_change(run.handle)

    def _abandon(self, run: SupervisedRun) -> None:
        run.monitor.stop()
        run.monitor.wait_for_launch()
        if run.phase is not Phase.ENDED:
            self._fail(run, "The run cannot be followed; the log of the server says why")

    def _fail(self, run: SupervisedRun, error: str) -> None:
        try:
            run.monitor.fail(error)
        except Exception as reason:
            _log.warning("The run of %s cannot be started, and its error cannot be stored: %s", run.handle, reason)
        if not run.fail(error):
            self._requeue(run)
        elif run.is_recorded:
            self._release_slot(run)
        self.on_change(run.handle)

    def _release_slot(self, run: SupervisedRun) -> None:
        with self.lock:
            self._active = [other for other in self._active if other is not run]
        self._ended.append(run.monitor)
        self._wakeup.set()

    def _detach_deleted(self) -> None:
        with self.lock:
            deleted, self._deleted = self._deleted, []
            self._active = [run for run in self._active if not run.is_deleted]
        for run in deleted:
            self._detach(run.monitor)

    def _detach(self, monitor: RunMonitor, *, keep: bool = False) -> None:
        """Stop a run, and rename its directory so that its handle can be used again."""
        self._detached.append(monitor)
        monitor.stop()
        # `_reap` tries again to stop it. A directory that cannot be renamed is removed where it is.
        with contextlib.suppress(OSError):
            old = monitor.directory.path
            monitor.move(self._directory.renamed(monitor.directory, keep=keep))
            new = monitor.directory.path
            if keep and new != old:
                _log.warning("The run %s has no experiment any more. It is stopped; its files are in %s", old.name, new)
        self._poll(monitor)

    def _reap(self) -> None:
        """Stop detached runs, and remove those that have ended."""
        self._ended = [monitor for monitor in self._ended if not monitor.reap()]
        for monitor in list(self._detached):
            monitor.stop()
            self._poll(monitor)
            if monitor.is_over:
                self._detached.remove(monitor)
                self._ended.append(monitor)
                self._wakeup.set()
                self._remove(monitor.directory)

    def _poll(self, monitor: RunMonitor) -> bool:
        """Read what is new of a run, and return whether that was possible. Otherwise, a later call reads it."""
        try:
            monitor.poll()
        except OSError:
            return False
        return True

    def _remove(self, directory: RunDirectory) -> None:
        try:
            self._remover.submit(self._remove_now, directory)
        except RuntimeError:  # there can be no more threads
            self._remove_now(directory)

    def _remove_now(self, directory: RunDirectory) -> None:
        self._directory.remove(directory)
        self.on_change(handle_of(directory))
