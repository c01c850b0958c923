"""The thread that starts supervisors, as many as there are slots, and follows what they write."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gradient_server.runners.process.followed_run import FollowedRun
from gradient_server.runners.process.process_run import Phase, ProcessRun
from gradient_server.runners.process.run_directory import REMOVED
from gradient_server.runners.process.runs_directory import RunsDirectory

_log = logging.getLogger(__name__)
POLL = 0.005
"""Seconds between looks at what runs."""
_AGAIN = 0.5
"""Seconds after which what could not be written is tried again."""
_PATIENCE = 15.0
"""Seconds, on top of the grace period, after which what does not end is left alone."""
_BRIEFLY = 1.0
"""Seconds to wait for what is forgotten, where a later server can go on with that."""
_UNKNOWN = "No experiment has the run %s, of an earlier server; it does not go on, and its files are kept in %s"


class Following:
    """Runs in their order, and all that is done for them.

    :param RunsDirectory directory: where their directories are
    :param int slots: how many run at once
    :param lock: is held while the phase of a run changes
    """

    def __init__(self, directory: RunsDirectory, slots: int, lock: threading.RLock) -> None:
        self.changed: Callable[[str], object] = lambda handle: None
        self.known: set[str] = set()
        """The handles of runs that are there from earlier servers, and stay."""
        self.last_launch = 0.0
        """When the last of them was started. Those that were started before have been launched before."""
        self._directory = directory
        self._slots = slots
        self._lock = lock
        self._queue: deque[ProcessRun] = deque()
        self._active: list[ProcessRun] = []
        self._forgotten: list[ProcessRun] = []
        self._leaving: list[FollowedRun] = []
        self._unwritten: list[tuple[ProcessRun, str]] = []
        self._tried = 0.0
        self._wake = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._follow_all, daemon=True, name="gradient_server runs")
        self._removing = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gradient_server removing")

    def act(self, run: ProcessRun) -> None:
        """Note that there is something to do for a run. Comes under the lock."""
        if run.is_forgotten:
            self._forgotten.append(run)
        elif run.phase is Phase.QUEUED:
            self._queue.append(run)
        elif run.phase is Phase.ACTIVE and run not in self._active:
            self._active.append(run)
        self._wake.set()

    def begin(self) -> None:
        """Begin; runs that are there and nobody knows are ended, and kept aside."""
        for directory in self._directory.unknown(self.known):
            self._leave(FollowedRun(directory, 0), keep=True)
        self.known.clear()
        with self._lock:
            self._queue = deque(sorted(self._queue, key=lambda run: run.started or 0.0))
            for run in self._queue:
                if (run.started or 0.0) < self.last_launch and not run.files.directory.path.exists():
                    run.fail(REMOVED)
        self._thread.start()

    def end(self, *, keep: bool) -> None:
        """End; what runs is left alone, or ended and removed."""
        has_begun = self._thread.ident is not None
        self._is_over = True
        self._wake.set()
        if has_begun:
            self._thread.join()
        for run in self._active:
            run.files.wait_for_launch()
        if not keep:
            for run in self._active:
                self._leave(run.files)
        self._forget()
        deadline = time.monotonic() + (_BRIEFLY if keep else _PATIENCE)
        while self._leaving and time.monotonic() < deadline:
            self._see_off()
            time.sleep(POLL)
        self._removing.shutdown()
        if has_begun and not keep:
            self._directory.remove_all()

    def _follow_all(self) -> None:
        while not self._is_over:
            self._wake.wait(POLL if self._active or self._leaving else _AGAIN if self._unwritten else None)
            self._wake.clear()
            if self._unwritten and time.monotonic() >= self._tried + _AGAIN:
                self._write_errors()
            self._forget()
            self._see_off()
            self._fill_slots()
            for run in list(self._active):
                try:
                    self._follow(run)
                except Exception:
                    # One run that cannot be followed is not to keep the others from that.
                    _log.exception("The run of %s cannot be followed", run.handle)
                    self._give_up(run)

    def _fill_slots(self) -> None:
        while len(self._active) + len(self._leaving) < self._slots:
            with self._lock:
                if not self._queue:
                    return
                run = self._queue.popleft()
                if run.phase is not Phase.QUEUED or run.is_forgotten:
                    continue
                run.phase = Phase.ACTIVE
                self._active.append(run)
            try:
                run.files.launch()
            except OSError as error:
                self._end(run, f"The run cannot be started: {error}")

    def _follow(self, run: ProcessRun) -> None:
        if run.is_to_stop:
            run.files.stop()
        # What is not possible now, with a full disk for instance, is tried again.
        with contextlib.suppress(OSError):
            is_new = run.files.look()
            if is_new or run.files.history.has_ended:
                run.take_news()
            if run.phase is Phase.ENDED:
                self._drop(run)
            if is_new or run.phase is Phase.ENDED:
                self.changed(run.handle)

    def _give_up(self, run: ProcessRun) -> None:
        run.files.stop()
        run.files.wait_for_launch()
        if run.phase is not Phase.ENDED:
            self._end(run, "The run cannot be followed; the log of the server says why")

    def _end(self, run: ProcessRun, error: str) -> None:
        self._unwritten.append((run, error))
        self._write_errors()
        run.fail(error)
        self._drop(run)
        self.changed(run.handle)

    def _write_errors(self) -> None:
        """Write down what has ended with an error, so that later servers do not start it."""
        self._tried = time.monotonic()
        for failed in list(self._unwritten):
            run, error = failed
            with contextlib.suppress(OSError):
                if not run.is_forgotten:
                    run.files.end(error)
                self._unwritten.remove(failed)

    def _drop(self, run: ProcessRun) -> None:
        with self._lock:
            self._active = [other for other in self._active if other is not run]
        # There is a slot now.
        self._wake.set()

    def _forget(self) -> None:
        with self._lock:
            forgotten, self._forgotten = self._forgotten, []
            self._active = [run for run in self._active if not run.is_forgotten]
        for run in forgotten:
            self._leave(run.files)

    def _leave(self, files: FollowedRun, *, keep: bool = False) -> None:
        """Take its directory out of the way, so that another run can have its name, and have it end."""
        files.stop()
        # What is not possible now is tried again by `_see_off`, and another name is only for others to have this one.
        with contextlib.suppress(OSError):
            before = files.directory
            files.move(self._directory.out_of_the_way(before, keep=keep))
            if keep and files.directory != before:
                _log.warning(_UNKNOWN, before.path.name, files.directory.path)
            files.look()
        self._leaving.append(files)

    def _see_off(self) -> None:
        for files in list(self._leaving):
            files.stop()
            with contextlib.suppress(OSError):
                files.look()
            if files.is_over:
                self._leaving.remove(files)
                self._removing.submit(self._directory.remove, files.directory)
                self._wake.set()
