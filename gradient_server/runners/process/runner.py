"""The runner whose runs are processes of this machine."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import reprlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from gradient_server.clock import Clock
from gradient_server.runners.base import Runner, RunSpec, jobs_of
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
    description = "commands run on this machine"

    def __init__(self, directory: Path, *, slots: int, keep: bool = True, grace: float = GRACE) -> None:
        self._directory = RunsDirectory(directory)
        self._grace = grace
        self._keep = keep
        self._lock = threading.RLock()
        self._following = Following(self._directory, slots, self._lock)
        self._opened = contextlib.ExitStack()
        self._clock: Clock | None = None

    @classmethod
    def add_arguments(cls, parser: argparse._ArgumentGroup) -> None:
        """Add `--slots` and `--grace`."""
        text = f"how many experiments run at once, the others wait (default: one for each processor, {os.cpu_count()})"
        parser.add_argument("--slots", metavar="NUMBER", type=_slots, help=text)
        text = f"seconds that a command has to end when it is stopped, before it is killed (default: {GRACE})"
        parser.add_argument("--grace", metavar="SECONDS", type=_seconds, help=text)

    @classmethod
    def from_arguments(cls, options: argparse.Namespace) -> Self:
        """Return a runner that keeps its runs beside the store."""
        directory = options.store.with_name(options.store.name + ".runs")
        slots, grace = options.slots or os.cpu_count() or 1, options.grace
        return cls(directory, slots=slots, grace=GRACE if grace is None else grace)

    def attach(self, clock: Clock, on_change: Callable[[str], object]) -> None:
        """Learn what time it is, and whom to tell.

        :raises ValueError: the clock does not show real time
        :raises OSError: another server or another user may use the directory, or it cannot be used
        """
        if clock.scale != 1:
            raise ValueError("Commands run in real time: the time scale must be 1 for them")
        clock.fix()
        self._clock = clock
        self._following.changed = on_change
        self._opened.enter_context(self._directory.held())

    def admit(self, spec: RunSpec) -> ProcessRun:
        """Take an experiment on; what is there of its run is taken up.

        :raises RunRejectedError: it cannot be run like that
        """
        assert self._clock is not None
        check(spec.body)
        jobs = jobs_of(spec.handle, spec.body)
        given = Spec(
            handle=spec.handle,
            body=spec.body,
            nodes=nodes_of([job.name for job in jobs], spec.body),
            grace=self._grace,
            server=None if self._keep else ProcessId.of(os.getpid()),
        )
        files = FollowedRun(self._directory.of(spec.handle), len(jobs), given)
        run = ProcessRun(spec.handle, jobs, files, self._clock, self._lock, self._following.act)
        if spec.started is not None:
            self._take_up(run, spec.started, spec.stopped)
        elif spec.stopped is not None:
            run.stop(spec.stopped)
        return run

    def recover(self) -> None:
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


def _slots(text: str) -> int:
    """Return how many experiments may run at once."""
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:6]) <= 1000:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no number of experiments; give one from 1 to 1000")
    return int(text)


def _seconds(text: str) -> float:
    """Return some seconds, from 0 to an hour."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{reprlib.repr(text)} is no number of seconds; give one from 0 to 3600")
    return seconds
