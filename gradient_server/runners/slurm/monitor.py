"""The monitor of a run in Slurm: has its job submitted and cancelled, and ends the run if Slurm ends the job."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

from attrs import evolve
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.machine_types import Claim
from gradient_server.runners.slurm.cluster import Cluster
from gradient_server.runners.slurm.job_states import PENDING, JobStatus, ending_text, waiting_text
from gradient_server.runners.slurm.network_files import is_on_nfs, refresh
from gradient_server.runners.slurm.submission import Submission
from gradient_server.runners.slurm.upload import upload_paths
from gradient_server.runners.supervised.log_file import open_file
from gradient_server.runners.supervised.monitor import RunMonitor
from gradient_server.runners.supervised.run_files import FILES_REMOVED, LaunchSpec, RunDirectory

_INTERVAL = 0.02
"""Seconds between two looks at the files of a run that runs."""
_WAITING_INTERVAL = 0.1
"""The same of one that waits."""
_FILES_AFTER = 5.0
"""Seconds after the end of a job within which its last event may still be on its way through the file system."""
_ESCALATE_AFTER = 10.0
"""Seconds, beside the grace period, after which Slurm ends a run that is to stop and does not."""
_LOST_AFTER = 10.0
"""Seconds for which files may be unreadable that no supervisor writes any more."""
_REFRESH_INTERVAL = 0.5
"""Seconds between two questions to the server of a network file system whether files have changed."""
_LAST_ERROR_SIZE = 64 * 1024
"""Bytes at the end of the log of a supervisor among which its last error is."""


class SlurmMonitor(RunMonitor):
    """Has the supervisor of a run started by a job of Slurm, and ends the run if the job ends without it.

    :param Cluster cluster: that runs it
    :param options: returns the options of `sbatch` for each component of its job
    :param str python: the interpreter on the machines of the cluster
    :param str store_id: tells the jobs of this server from those of others
    """

    def __init__(
        self,
        directory: RunDirectory,
        jobs: int,
        spec: LaunchSpec | None,
        cluster: Cluster,
        options: Callable[[LaunchSpec], Sequence[Sequence[str]]],
        python: str,
        store_id: str,
    ) -> None:
        super().__init__(directory, jobs, spec)
        self._cluster = cluster
        self._options = options
        self._python = python
        self._store_id = store_id
        self._submission = Submission(directory)
        self._known_since = time.monotonic()
        """When the job was submitted at the latest, if it has a number."""
        self._ended_at: float | None = None
        self._is_stop_written = False
        self._stopped_at: float | None = None
        self._is_terminated = False
        self._is_escalated = False
        self._next_poll = self._next_stop = float("-inf")
        self._shown_text: str | None = None
        self._is_on_nfs = is_on_nfs(directory.path)
        self._refreshed_at = float("-inf")

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, or is going to."""
        if self.history.has_ended or self.is_lost:
            return True
        if self._submission.name is None:
            return self.history.supervisor is None
        return bool((job := self._job) and job.has_ended)

    @property
    def is_lost(self) -> bool:
        """Whether its files cannot be read, and Slurm runs nothing that would write them."""
        if self._failing_since is None or time.monotonic() < self._failing_since + _LOST_AFTER:
            return False
        return self._submission.job is None or bool((job := self._job) and job.has_ended)

    @property
    def waits_for(self) -> str | None:
        """Why it does not run yet, or why nobody knows how it goes on."""
        submission = self._submission
        if submission.name is None or self.history.has_ended:
            return None
        if problem := submission.problem if submission.job is None else self._cluster.problem:
            return f"Slurm cannot be reached, or accepts no job now; the server tries again: {problem}."
        if submission.job is None:
            return "It waits to be submitted to Slurm."
        job = self._cluster.shown(submission.job) or JobStatus(id=submission.job, state=PENDING)
        return waiting_text(job) if job.state == PENDING and not self.history.supervisor else None

    def launch(self, record: Callable[[], bool] = lambda: True, claim: Claim | None = None) -> None:
        """Create its directory, and have its job submitted."""
        assert self._spec is not None
        spec, upload = self._spec, self._spec.upload or ()
        self.directory.create(evolve(spec, upload=upload_paths(self.directory, spec.upload)))
        if not record():
            return
        submission, options = self._submission, [*self._options(spec)]
        submission.prepare(f"{self._store_id}-{spec.handle}")
        self._cluster.submit(lambda: self._submit(options, upload), self._set_problem)

    def stop(self) -> None:
        """Cancel it if it does not run yet, and otherwise ask its supervisor to stop it."""
        now = time.monotonic()
        self._submission.load()
        if self.is_over or now < self._next_stop:
            return
        self._next_stop = now + _WAITING_INTERVAL
        self._submission.is_cancelled = True
        if self._stopped_at is None:
            self._stopped_at = now
        # Needs no room on the disk: the signal does as well. The request is written when there is room again.
        with contextlib.suppress(OSError):
            if not self._is_stop_written:
                self.directory.request_stop()
                self._is_stop_written = True
            if not self.history.supervisor and self.directory.claim():
                # No supervisor can claim it any more, whenever the job starts.
                self.directory.remove_spec()
                self._write_end(State.CANCELLED, None)
        if job := self._submission.job:
            self._end_job(job, now - self._stopped_at)

    def fail(self, error: str) -> None:
        """Write the error of a run that has no supervisor, or whose job has ended."""
        if self.is_lost:
            return
        if self.history.supervisor and not self.directory.events.exists():
            error = FILES_REMOVED
            self._events.offset = 0  # there will be another file
        self.directory.create_empty()
        self._events.read()
        job = self._job
        is_over = job is not None and job.has_ended
        if self.history.has_ended or (not is_over and (self.history.supervisor or not self.directory.claim())):
            return
        self.directory.remove_spec()
        is_stopped = self._stopped_at is not None or self.directory.is_stop_requested
        self._write_end(*((State.CANCELLED, None) if is_stopped else (State.ERROR, error)))
        if not is_over:
            self._submission.is_cancelled = True
            if self._submission.job:
                self._cluster.cancel(self._submission.job)

    def poll(self) -> bool:
        """Read what is new. Return whether there was anything."""
        now = time.monotonic()
        if now < self._next_poll:
            return False
        self._submission.load()
        self._next_poll = now + (_INTERVAL if self.history.supervisor else _WAITING_INTERVAL)
        if self._is_on_nfs and now > self._refreshed_at + _REFRESH_INTERVAL:
            self._refreshed_at = now
            refresh([self.directory.events, *(log.path for log in (*self.logs, *self.pushed))])
        has_changed, text = super().poll(), self.waits_for
        if text != self._shown_text:
            self._shown_text, has_changed = text, True
        return has_changed

    def move(self, directory: RunDirectory) -> None:
        """Rename its directory. A supervisor goes on in it."""
        super().move(directory)
        self._submission.directory = directory

    @property
    def _job(self) -> JobStatus | None:
        job = self._submission.job
        return self._cluster.status(job, self._known_since) if job else None

    def _set_problem(self, problem: str) -> None:
        self._submission.problem = problem

    def _submit(self, options: Sequence[Sequence[str]], upload: Sequence[str]) -> None:
        """Submit the job, in a thread that may wait."""
        self._submission.submit(options, upload, self._python)
        self._known_since = time.monotonic()
        if self._submission.is_cancelled and self._submission.job:
            self._cluster.cancel(self._submission.job)

    def _end_job(self, job: str, seconds: float) -> None:
        if self.history.has_ended:
            self._cluster.cancel(job)
        elif not self._is_terminated:
            self._is_terminated = True
            # The supervisor alone: it ends its commands in order.
            self._cluster.cancel(job, "--batch", "--signal=USR1")
        elif not self._is_escalated and seconds > _ESCALATE_AFTER + self.history.grace:
            self._is_escalated = True
            self._cluster.cancel(job)

    def _check_supervisor(self) -> None:
        if self._submission.refusal:
            self.fail(self._submission.refusal)
            return
        job = self._job
        if not job or not job.has_ended:
            self._ended_at = None
            return
        if other := self._cluster.find(self._submission.name or ""):
            # Slurm has accepted an earlier attempt late, and that job has claimed the run, or is going to.
            self._submission.job = other.id
            return
        now = time.monotonic()
        self._ended_at = self._ended_at or now
        # Opening a file has a network file system look for what is new, where its size alone may be an old one.
        if not self._events.read() and now > self._ended_at + _FILES_AFTER:
            was_started = self.history.supervisor is not None
            self.fail(ending_text(job, self._last_error(), was_started=was_started))

    def _last_error(self) -> str:
        with (
            contextlib.suppress(OSError),
            os.fdopen(open_file(self.directory.supervisor_log), errors="replace") as file,
        ):
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_ERROR_SIZE))
            return next(reversed(file.read(_LAST_ERROR_SIZE).strip().splitlines()), "")
        return ""
