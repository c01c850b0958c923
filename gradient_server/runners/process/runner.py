"""The runner whose runs are processes of this machine."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from gradient_server.clock import Clock
from gradient_server.runners.base import Prepared, Runner
from gradient_server.runners.jobs import jobs_of
from gradient_server.runners.process.bounds import check
from gradient_server.runners.process.followed_run import FollowedRun
from gradient_server.runners.process.following import Following
from gradient_server.runners.process.nodes import nodes_of
from gradient_server.runners.process.process_groups import ProcessId
from gradient_server.runners.process.process_run import Phase, ProcessRun
from gradient_server.runners.process.runs_directory import RunsDirectory
from gradient_server.runners.process.supervised_run import Spec

GRACE = 5.0
"""Seconds that commands have to end after they were asked to."""


class ProcessRunner(Runner):
    """Runs commands as processes of this machine, each experiment in a directory of its own.

    :param Path directory: where to keep the directories of all runs; no other server may use it, and no other user
    :param int slots: how many experiments run at once; the others wait, first come first served
    :param bool keep: whether runs go on when the server ends, for a later one to take them up; otherwise they are
        ended and removed
    :param float grace: seconds that commands have to end after they were asked to
    """

    name = "process"

    def __init__(self, directory: Path, *, slots: int, keep: bool = True, grace: float = GRACE) -> None:
        self._directory = RunsDirectory(directory)
        self._grace = grace
        self._keep = keep
        self._lock = threading.RLock()
        self._following = Following(self._directory, slots, self._lock)
        self._opened = contextlib.ExitStack()
        self._clock: Clock | None = None

    def attach(self, clock: Clock, changed: Callable[[str], object]) -> None:
        """Learn what time it is, and whom to tell.

        :raises ValueError: the clock does not show real time
        :raises OSError: another server or another user may use the directory, or it cannot be used
        """
        if clock.scale != 1:
            raise ValueError("Commands run in real time: the time scale must be 1 for them")
        clock.fix()
        self._clock = clock
        self._following.changed = changed
        self._opened.enter_context(self._directory.held())

    def prepare(self, experiment: Prepared) -> ProcessRun:
        """Take an experiment on; what is there of its run is taken up.

        :raises Refused: it cannot be run like that
        """
        assert self._clock is not None
        check(experiment.body)
        jobs = jobs_of(experiment.handle, experiment.body)
        spec = Spec(
            handle=experiment.handle,
            body=experiment.body,
            nodes=nodes_of([job.title for job in jobs], experiment.body),
            grace=self._grace,
            server=None if self._keep else ProcessId.of(os.getpid()),
        )
        files = FollowedRun(self._directory.of(experiment.handle), len(jobs), spec)
        run = ProcessRun(experiment.handle, jobs, files, self._clock, self._lock, self._following.act)
        if experiment.started is not None:
            self._take_up(run, experiment.started, experiment.stopped)
        elif experiment.stopped is not None:
            run.stop(experiment.stopped)
        return run

    def begin(self) -> None:
        """Begin to run what is in the queue. Runs in the directory that nobody knows are ended, and kept aside."""
        self._following.begin()

    def close(self) -> None:
        """End. Where runs are kept, those that have a supervisor go on; otherwise, nothing is left."""
        self._following.end(keep=self._keep)
        self._opened.close()

    def _take_up(self, run: ProcessRun, started: float, stopped: float | None) -> None:
        self._following.known.add(run.handle)
        run.files.look()
        run.start(started)
        if run.files.history.supervisor or run.files.history.has_ended:
            self._following.last_launch = max(self._following.last_launch, started)
            with self._lock:
                run.phase = Phase.ACTIVE
                run.take_news()
                self._following.act(run)
        if stopped is not None:
            # One that was about to be taken on by its supervisor finds out, too.
            run.files.stop()
            run.stop(stopped)
