"""The scheduler: a thread that starts supervisors, as many as there are slots, and monitors their runs."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gradient_server.runners.process.monitor import RunMonitor
from gradient_server.runners.process.run import Phase, ProcessRun
from gradient_server.runners.process.run_files import FILES_REMOVED, RunsDirectory

_log = logging.getLogger(__name__)
_POLL_INTERVAL = 0.005
_CLOSE_TIMEOUT = 15.0
"""Seconds after which runs that do not end are left alone, if none is to outlive the server."""
_CLOSE_TIMEOUT_IF_KEPT = 1.0
"""Seconds to wait for the end of deleted runs, if a later server can end them as well."""


class Scheduler:
    """Starts runs in the order in which that was requested, and monitors them until they have ended."""

    def __init__(self, directory: RunsDirectory, slots: int) -> None:
        self.lock = threading.RLock()
        """Is held while the phase of a run changes."""
        self.on_change: Callable[[str], object] = lambda handle: None
        """Receives the handle of a run that has entered a state or has new rows."""
        self._directory = directory
        self._slots = slots
        self._queue: deque[ProcessRun] = deque()
        self._active: list[ProcessRun] = []
        self._deleted: list[ProcessRun] = []
        self._detached: list[RunMonitor] = []
        """Runs without an experiment, until they have ended. They still occupy a slot."""
        self._recovered: set[str] = set()
        self._last_launch = 0.0
        """When the last recovered run was started: those that were started before it have been launched before it."""
        self._wakeup = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run_loop, daemon=True, name="gradient_server scheduler")
        self._remover = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gradient_server remover")

    def schedule(self, run: ProcessRun) -> None:
        """Act on a run that was started, stopped or deleted. The caller holds the lock."""
        if run.is_deleted:
            self._deleted.append(run)
        elif run.phase is Phase.QUEUED:
            self._queue.append(run)
        elif run.phase is Phase.ACTIVE and run not in self._active:
            self._active.append(run)
        self._wakeup.set()

    def recover(self, run: ProcessRun, started: float, stopped: float | None) -> None:
        """Take over a run that an earlier server was asked to start, and perhaps to stop."""
        self._recovered.add(run.handle)
        run.monitor.poll()
        run.start(started)
        if run.monitor.history.supervisor or run.monitor.history.has_ended:
            self._last_launch = max(self._last_launch, started)
            with self.lock:
                run.phase = Phase.ACTIVE
                run.update()
                self.schedule(run)
        if stopped is not None:
            # Also for a supervisor that is about to claim it.
            run.monitor.stop()
            run.stop(stopped)

    def start(self) -> None:
        """Start the thread. Runs without an experiment are stopped, and their files are kept."""
        for directory in self._directory.unknown(self._recovered):
            self._detach(RunMonitor(directory, 0), keep=True)
        with self.lock:
            self._queue = deque(sorted(self._queue, key=lambda run: run.started or 0.0))
            for run in self._queue:
                was_launched = (run.started or 0.0) < self._last_launch
                if run.phase is Phase.QUEUED and was_launched and not run.monitor.directory.path.exists():
                    run.fail(FILES_REMOVED)
        self._thread.start()

    def close(self, *, keep: bool) -> None:
        """Stop the thread. Active runs go on if they are kept, and are stopped and removed otherwise."""
        was_started = self._thread.ident is not None
        self._is_closed = True
        self._wakeup.set()
        if was_started:
            self._thread.join()
        for run in self._active:
            run.monitor.wait_for_launch()
        if not keep:
            for run in self._active:
                self._detach(run.monitor)
        self._detach_deleted()
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
            self._wakeup.wait(_POLL_INTERVAL if is_busy else None)
            self._wakeup.clear()
            self._detach_deleted()
            self._reap()
            self._fill_slots()
            for run in list(self._active):
                try:
                    self._monitor(run)
                except Exception:
                    # It must not keep the other runs from being monitored.
                    _log.exception("The run of %s cannot be followed", run.handle)
                    self._abandon(run)

    def _fill_slots(self) -> None:
        while len(self._active) + len(self._detached) < self._slots:
            with self.lock:
                if not self._queue:
                    return
                run = self._queue.popleft()
                if run.phase is not Phase.QUEUED or run.is_deleted:
                    continue
                run.phase = Phase.ACTIVE
                self._active.append(run)
            try:
                run.monitor.launch()
            except OSError as error:
                self._fail(run, f"The run cannot be started: {error}")

    def _monitor(self, run: ProcessRun) -> None:
        if run.is_to_stop:
            run.monitor.stop()
        # What fails now, for example because the disk is full, is done in one of the next polls.
        with contextlib.suppress(OSError):
            has_changed = run.monitor.poll()
            if has_changed or run.monitor.history.has_ended:
                run.update()
            if run.phase is Phase.ENDED:
                self._release_slot(run)
            if has_changed or run.phase is Phase.ENDED:
                self.on_change(run.handle)

    def _abandon(self, run: ProcessRun) -> None:
        run.monitor.stop()
        run.monitor.wait_for_launch()
        if run.phase is not Phase.ENDED:
            self._fail(run, "The run cannot be followed; the log of the server says why")

    def _fail(self, run: ProcessRun, error: str) -> None:
        try:
            run.monitor.fail(error)
        except OSError as reason:
            _log.warning("The next server will start the run of %s: its error cannot be stored: %s", run.handle, reason)
        run.fail(error)
        self._release_slot(run)
        self.on_change(run.handle)

    def _release_slot(self, run: ProcessRun) -> None:
        with self.lock:
            self._active = [other for other in self._active if other is not run]
        self._wakeup.set()

    def _detach_deleted(self) -> None:
        with self.lock:
            deleted, self._deleted = self._deleted, []
            self._active = [run for run in self._active if not run.is_deleted]
        for run in deleted:
            self._detach(run.monitor)

    def _detach(self, monitor: RunMonitor, *, keep: bool = False) -> None:
        """Stop a run, and rename its directory so that its handle can be used again."""
        monitor.stop()
        # `_reap` tries again to stop it. A directory that cannot be renamed is removed where it is.
        with contextlib.suppress(OSError):
            old = monitor.directory.path
            monitor.move(self._directory.renamed(monitor.directory, keep=keep))
            new = monitor.directory.path
            if keep and new != old:
                _log.warning("The run %s has no experiment any more. It is stopped; its files are in %s", old.name, new)
            monitor.poll()
        self._detached.append(monitor)

    def _reap(self) -> None:
        """Stop detached runs, and remove those that have ended."""
        for monitor in list(self._detached):
            monitor.stop()
            with contextlib.suppress(OSError):
                monitor.poll()
            if monitor.is_over:
                self._detached.remove(monitor)
                self._remover.submit(self._directory.remove, monitor.directory)
                self._wakeup.set()
