"""The monitor of a run on a Ray cluster: has its job submitted, followed and stopped by the event loop."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import Any

from gradient_api.constants import ExperimentState as State

from gradient_server.runners.machine_types import Claim
from gradient_server.runners.ray.dashboard import Dashboard
from gradient_server.runners.ray.job import EventLoop, RayJob, read_submission
from gradient_server.runners.supervised.monitor import RunMonitor
from gradient_server.runners.supervised.run_files import LaunchSpec, RunDirectory


class RayMonitor(RunMonitor):
    """Follows a run on a Ray cluster by the files that its job copies.

    :param EventLoop loop: for all requests; nothing in here waits for the cluster
    :param Dashboard dashboard: of the cluster
    :param str prefix: how the id of its job begins
    :param make_request: returns the package for an id, and the request that submits it; None: it is never submitted
    """

    def __init__(
        self,
        directory: RunDirectory,
        jobs: int,
        spec: LaunchSpec | None,
        *,
        loop: EventLoop,
        dashboard: Dashboard,
        prefix: str,
        make_request: Callable[[str], tuple[bytes, dict[str, Any]]] | None,
    ) -> None:
        super().__init__(directory, jobs, spec)
        self._loop = loop
        self._dashboard = dashboard
        self._job = RayJob(dashboard, directory, jobs, prefix, make_request)
        self._task: concurrent.futures.Future[Any] | None = None

    @property
    def waits_for(self) -> str | None:
        """Why it cannot be followed, or why it does not run yet, as its driver says."""
        if self.history.has_ended:
            return None
        return self._job.trouble or (None if self.history.states else self.history.waits_for)

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, or is going to."""
        if self._job.is_over or self.history.has_ended:
            return True
        return self._task is None and read_submission(self.directory) is None

    @property
    def is_lost(self) -> bool:
        """Whether its files cannot be read, and nothing runs on the cluster that they could be copied from."""
        return self._failing_since is not None and self._job.is_over

    def launch(self, record: Callable[[], bool] = lambda: True, claim: Claim | None = None) -> None:
        """Create its directory, and have its job submitted, unless that was done before."""
        assert self._spec is not None
        self._claim = claim
        self.directory.create(self._spec)
        if record():
            self._begin()

    def stop(self) -> None:
        """Have its job stopped. It is not submitted any more if that was not done."""
        if self._job.is_to_stop:
            return
        self._job.is_to_stop = True
        with contextlib.suppress(OSError):  # the disk is full: a later server finds the request in the store
            self.directory.request_stop()
        self._loop.call(self._job.wake)

    def fail(self, error: str) -> None:
        """Write the error, unless the run is on the cluster."""
        if self.was_claimed or read_submission(self.directory) is not None:
            return
        self.directory.create_empty()
        self.directory.remove_spec()
        self._write_end(State.ERROR, error)

    def move(self, directory: RunDirectory) -> None:
        """Rename its directory, and have the cluster forget its job once that has ended."""
        super().move(directory)
        self._job.move(directory)
        if directory.is_deleted:
            self._job.is_to_delete = True
            if self.history.has_ended and (submission := read_submission(directory)):
                self._loop.start(self._job.delete(submission.id))

    def _begin(self) -> None:
        if self._task is None:
            self._task = self._loop.start(self._job.run())

    def _check_supervisor(self) -> None:
        if self._task is None and read_submission(self.directory) is not None:
            self._begin()  # it was submitted by an earlier server
        if self.history.supervisor:
            self.directory.remove_spec()
        if self._job.verdict and not self.history.has_ended:
            state, error = self._job.verdict
            self.directory.remove_spec()
            self._write_end(state, error)
