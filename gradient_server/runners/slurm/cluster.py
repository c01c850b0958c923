"""The cluster as a server sees it: what its jobs do, which machines there are, and what it is to submit or cancel.

Threads of its own call the commands, which may take long. What they have found is read at any time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from attrs import evolve

from gradient_server.runners.slurm.commands import (
    SlurmError,
    TryAgainError,
    cancel,
    find_ended,
    list_jobs,
    list_lost,
    list_machines,
)
from gradient_server.runners.slurm.inventory import MachineGroup
from gradient_server.runners.slurm.job_states import GONE, NODE_FAIL, JobStatus, with_queue_positions
from gradient_server.runners.slurm.submission import PREFIX

_log = logging.getLogger(__name__)
_POLL_INTERVAL = 1.0
"""Seconds between two calls of `squeue`; more if one takes long, so that it takes a tenth of the time at most."""
_IDLE_AFTER = 3.0
"""Seconds after the last question about a job from which on `squeue` is not called."""
_INVENTORY_INTERVAL = 60.0
_RETRY_INTERVALS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts to submit or to cancel, one after the other."""
_CLOSE_TIMEOUT = 10.0
"""Seconds to wait for the end of a command, so that the number of a job is on the disk."""


class Cluster:
    """The cluster as a server knows it. All methods may be called from any thread, and none blocks."""

    def __init__(self) -> None:
        self.machines: Sequence[MachineGroup] = ()
        """All machines, as they were a while ago; empty: unknown."""
        self.problem: str | None = None
        """Why the controller cannot be reached, in its words; None: it can."""
        self._jobs: Mapping[str, JobStatus] = {}
        self._jobs_at = float("-inf")
        """When `squeue` was called that has listed them."""
        self._ended: dict[str, JobStatus] = {}
        """Jobs that have left the queue, as the accounts have them, and those that have lost machines, with these."""
        self._to_find: set[str] = set()
        self._asked_at = float("-inf")
        self._is_closed = threading.Event()
        self._wakeup = threading.Event()
        self._has_machines = threading.Event()
        self._submissions = Worker("gradient_server submissions", self._is_closed)
        self._cancellations = Worker("gradient_server cancellations", self._is_closed, drains=True)
        self._thread = threading.Thread(target=self._run_loop, daemon=True, name="gradient_server squeue")

    def start(self, patience: float) -> None:
        """Start its threads, and wait some seconds at most for the list of machines."""
        self._thread.start()
        self._has_machines.wait(patience)

    def close(self) -> None:
        """End its threads. What is not submitted yet stays so."""
        self._is_closed.set()
        self._wakeup.set()
        for each in (self._submissions, self._cancellations):
            each.close(_CLOSE_TIMEOUT)

    def submit(self, act: Callable[[], None], on_problem: Callable[[str], object]) -> None:
        """Have a job submitted after those before it.

        :param act: submits it; it is called again later if it raises a `TryAgainError`
        :param on_problem: receives why it is called again
        """
        self._submissions.add(act, on_problem)

    def cancel(self, job: str, *options: str) -> None:
        """Have a job cancelled, or signalled by options of `scancel`."""
        self._cancellations.add(lambda: cancel(job, *options), lambda problem: None)

    def status(self, job: str, since: float) -> JobStatus | None:
        """Return the last known status of a job; None: nobody knows yet.

        :param float since: when it was submitted at the latest, of `time.monotonic()`
        """
        now = time.monotonic()
        was_idle, self._asked_at = now > self._asked_at + _IDLE_AFTER, now
        if was_idle:
            self._wakeup.set()
        found = self._jobs.get(job)
        if found and found.state != NODE_FAIL:
            return found
        if not found and self._jobs_at <= since:
            return None
        if job not in self._ended:
            self._to_find.add(job)
        return self._ended.get(job)

    def find(self, name: str) -> JobStatus | None:
        """Return a job of a name that has not ended; None: there is none, as far as is known."""
        return next((job for job in self._jobs.values() if job.name == name and not job.has_ended), None)

    def shown(self, job: str) -> JobStatus | None:
        """Return the last known status of a job, without asking for a new one."""
        return self._jobs.get(job)

    def _run_loop(self) -> None:
        inventory_at = float("-inf")
        while not self._is_closed.is_set():
            began, pause = time.monotonic(), _INVENTORY_INTERVAL
            try:
                if began >= inventory_at + _INVENTORY_INTERVAL:
                    self.machines = list_machines()
                    self._has_machines.set()
                    inventory_at = began
                if began < self._asked_at + _IDLE_AFTER:
                    self._jobs, self._jobs_at = with_queue_positions(list_jobs(), PREFIX), began
                    self._find_ended()
                self._set_problem(None)
            except SlurmError as error:
                self._set_problem(str(error))
                pause = 2 * _POLL_INTERVAL
            except Exception:
                _log.exception("Slurm is asked again")
            taken = time.monotonic() - began
            if time.monotonic() < self._asked_at + _IDLE_AFTER:
                pause = max(_POLL_INTERVAL, 9 * taken)
            self._wakeup.wait(pause)
            self._wakeup.clear()

    def _find_ended(self) -> None:
        while self._to_find:
            job = self._to_find.pop()
            found = self._jobs.get(job) or find_ended(job) or JobStatus(id=job, state=GONE)
            if found.state == NODE_FAIL and (lost := list_lost(found.machines)):
                found = evolve(found, machines=", ".join(lost))
            self._ended[job] = found

    def _set_problem(self, problem: str | None) -> None:
        if problem and not self.problem:
            _log.warning("Slurm cannot be reached, and is asked again: %s", problem)
        elif self.problem and not problem:
            _log.info("Slurm can be reached again")
        self.problem = problem


class Worker:
    """A thread that does one thing after the other, each until Slurm accepts or refuses it.

    :param str name: of the thread
    :param is_closed: is set when the server ends
    :param bool drains: whether it tries once more then what is left
    """

    def __init__(self, name: str, is_closed: threading.Event, *, drains: bool = False) -> None:
        self._is_closed = is_closed
        self._drains = drains
        self._tasks: deque[tuple[Callable[[], None], Callable[[str], object]]] = deque()
        self._wakeup = threading.Condition()
        self._thread = threading.Thread(target=self._run_loop, daemon=True, name=name)

    def add(self, act: Callable[[], None], on_problem: Callable[[str], object]) -> None:
        """Append something to do, and what receives why it could not be done."""
        with self._wakeup:
            if self._thread.ident is None:
                self._thread.start()
            self._tasks.append((act, on_problem))
            self._wakeup.notify()

    def close(self, timeout: float) -> None:
        """Wait some seconds at most for the end of what it does now."""
        with self._wakeup:
            self._wakeup.notify()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run_loop(self) -> None:
        while True:
            with self._wakeup:
                if self._is_closed.is_set() and not (self._drains and self._tasks):
                    return
                if not self._tasks:
                    self._wakeup.wait()
                    continue
                act, on_problem = self._tasks.popleft()
            self._do(act, on_problem)

    def _do(self, act: Callable[[], None], on_problem: Callable[[str], object]) -> None:
        for attempt in count():
            try:
                act()
                return
            except TryAgainError as error:
                on_problem(str(error))
                if self._is_closed.wait(_RETRY_INTERVALS[min(attempt, len(_RETRY_INTERVALS) - 1)]):
                    return
            except Exception:
                _log.exception("Slurm has refused something")
                return
