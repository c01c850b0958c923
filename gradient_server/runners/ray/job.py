"""A run as a job of a Ray cluster: submitted once, followed, stopped, and deleted."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from attrs import asdict, frozen
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.ray.dashboard import Dashboard, Job, RefusedError, UnreachableError, backoff
from gradient_server.runners.ray.mirror import Mirror
from gradient_server.runners.supervised.run_files import RunDirectory

_log = logging.getLogger(__name__)
STARTED_ANEW = "The Ray cluster has been started anew since, and what ran there is gone: its outcome is unknown"
_FORGOTTEN = "The Ray cluster does not know the run any more, as if its job had been deleted: its outcome is unknown"
_STATUS_INTERVAL = 1.0
"""Seconds between two requests for the state of a job."""
_MAX_REASON = 500
"""Characters of a line of Ray in an error."""
_REST_TIMEOUTS = (10.0, 60.0)
"""Seconds for which nothing may come of the files of a job that has ended: without its last event, and with it."""


class EventLoop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="gradient_server ray")
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Start a task."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the thread of the loop, soon."""
        self._loop.call_soon_threadsafe(function)

    def close(self, dashboard: Dashboard) -> None:
        """Cancel all tasks, close what they use, and end the thread."""
        self.start(self._end(dashboard)).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self, dashboard: Dashboard) -> None:
        await dashboard.drain()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await dashboard.close()


@frozen
class Submission:
    """The identity of a job, which is on the disk before the cluster gets it.

    :param str id: of the job; no other job ever has it
    :param str session: the session of the cluster that it was meant for
    """

    id: str
    session: str


def read_submission(directory: RunDirectory) -> Submission | None:
    """Return the submission of a run; None: it was never submitted."""
    with contextlib.suppress(FileNotFoundError):
        return Submission(**json.loads((directory.path / "submission.json").read_bytes()))
    return None


def _write_submission(directory: RunDirectory, submission: Submission) -> None:
    """Write a submission. When this returns, it survives a power failure."""
    path = directory.path / "submission.json"
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(submission), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(directory.path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class RayJob:
    """The job of a run. Its coroutines run in the event loop; the other methods and attributes are for any thread.

    :param Dashboard dashboard: of the cluster
    :param RunDirectory directory: of the run
    :param int jobs: the number of its nodes, whose logs are copied
    :param str prefix: how the id of its job begins
    :param make_request: returns the package for an id, and the request that submits it; None: it is never submitted
    """

    def __init__(
        self,
        dashboard: Dashboard,
        directory: RunDirectory,
        jobs: int,
        prefix: str,
        make_request: Callable[[str], tuple[bytes, dict[str, Any]]] | None,
    ) -> None:
        self.is_to_stop = False
        self.is_to_delete = False
        self.is_over = False
        """Whether nothing of it runs on the cluster, or is going to."""
        self.verdict: tuple[int, str | None] | None = None
        """How it has ended, if its driver could not write that."""
        self._dashboard = dashboard
        self._prefix = prefix
        self._make_request = make_request
        self._mirror = Mirror(dashboard, directory, jobs)
        self._trouble: str | None = None
        self._wakeup = asyncio.Event()

    @property
    def directory(self) -> RunDirectory:
        """The directory of the run."""
        return self._mirror.directory

    def move(self, directory: RunDirectory) -> None:
        """Go on in another directory, which has the same files."""
        self._mirror.directory = directory

    @property
    def trouble(self) -> str | None:
        """Why it cannot be followed, in words; None: it can."""
        return self._trouble or self._mirror.trouble

    def wake(self) -> None:
        """Have it act at once. Called in the thread of the loop."""
        self._wakeup.set()

    async def run(self) -> None:
        """Submit it unless that was done, and follow it until it has ended."""
        try:
            submission = await self._submitted()
            if submission:
                await self._follow(submission)
        except Exception:
            _log.exception("The run of %s cannot be followed", self.directory.path.name)
            self.verdict = State.ERROR, "The run cannot be followed; the log of the server says why"
        self.is_over = True

    async def _submitted(self) -> Submission | None:
        """Return its submission once the cluster has it; None: it ends without."""
        failures = 0
        while True:
            try:
                return await self._submit()
            except RefusedError as error:
                self.verdict = State.ERROR, str(error)
                return None
            except UnreachableError as error:
                if self.is_to_stop and read_submission(self.directory) is None:
                    self.verdict = State.CANCELLED, None
                    return None
                self._trouble = f"The Ray cluster cannot be reached: {error}."
                await self._pause(backoff(failures))
                failures += 1

    async def _submit(self) -> Submission | None:
        submission = read_submission(self.directory)
        if submission is None:
            if self.is_to_stop or self._make_request is None:
                self.verdict = State.CANCELLED, None
                return None
            session = (await self._dashboard.version()).session
            submission = Submission(f"{self._prefix}-{secrets.token_hex(4)}", session)
            _write_submission(self.directory, submission)
        elif await self._dashboard.job(submission.id) or self.directory.events.exists():
            return submission
        elif (await self._dashboard.version()).session != submission.session:
            self.verdict = State.ERROR, STARTED_ANEW
            return None
        if self.is_to_stop or self._make_request is None:
            self.verdict = State.CANCELLED, None
            return None
        package, request = self._make_request(submission.id)
        await self._dashboard.submit(submission.id, package, request)
        return submission

    async def _follow(self, submission: Submission) -> None:
        """Follow it until its last event is here, or will never be."""
        mirror = self._mirror
        watching = asyncio.create_task(self._watch(submission))
        copying = asyncio.create_task(mirror.copy(submission.id))
        try:
            await asyncio.wait((watching, copying), return_when=asyncio.FIRST_COMPLETED)
            mirror.has_driver_ended, mirror.changed = True, time.monotonic()
            while (
                not copying.done()
                and mirror.agent
                and time.monotonic() < mirror.changed + _REST_TIMEOUTS[mirror.has_end]
            ):
                await asyncio.wait((copying,), timeout=1.0)
            is_end_here = await copying if copying.done() else mirror.append_end()
            if not is_end_here:
                self.verdict = await watching
            if self.is_to_delete:
                await self.delete(submission.id)
        finally:
            for task in (watching, copying):
                task.cancel()
            await asyncio.gather(watching, copying, return_exceptions=True)

    async def _watch(self, submission: Submission) -> tuple[int, str | None]:
        """Stop it when it is to stop. Return how it has ended, as the cluster knows it."""
        failures = 0
        while True:
            try:
                if (end := await self._check(submission)) is not None:
                    return end
                self._trouble, failures = None, 0
                await self._pause(_STATUS_INTERVAL)
            except UnreachableError as error:
                self._trouble = f"The Ray cluster cannot be reached: {error}."
                await self._pause(backoff(failures))
                failures += 1

    async def _check(self, submission: Submission) -> tuple[int, str | None] | None:
        job = await self._dashboard.job(submission.id)
        if job is None:
            session = (await self._dashboard.version()).session
            return State.ERROR, _FORGOTTEN if session == submission.session else STARTED_ANEW
        self._mirror.agent = job.agent or self._mirror.agent
        if job.is_over:
            return _verdict(job, self.is_to_stop)
        if self.is_to_stop:
            await self._dashboard.stop(submission.id)
        return None

    async def delete(self, id: str) -> None:
        """Have the cluster forget it once its driver has ended."""
        with contextlib.suppress(UnreachableError):
            while (job := await self._dashboard.job(id)) and not job.is_over:
                await asyncio.sleep(_STATUS_INTERVAL)
            await self._dashboard.delete(id)

    async def _pause(self, seconds: float) -> None:
        """Wait some seconds, or until it is to be stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wakeup.wait(), seconds)
        self._wakeup.clear()


def _verdict(job: Job, is_to_stop: bool) -> tuple[int, str | None]:
    """Return how a job has ended whose driver has not written that."""
    if is_to_stop or job.status == "STOPPED":
        return State.CANCELLED, None
    place = f"on the machine {urlsplit(job.agent).hostname}" if job.agent else "before it began"
    if job.status == "SUCCEEDED":
        return State.ERROR, f"The run has ended {place}, and what it has written there last cannot be fetched"
    return State.ERROR, f"The driver of the run has ended {place}, and nothing of it goes on: {_reason(job.message)}"


def _reason(message: str) -> str:
    """Return what is worth knowing of Ray's message about a job that failed: how it ended, and its last row."""
    first, *others = message.strip().splitlines() or ["Ray does not say why"]
    how, has_rows, _ = first.partition(", last available logs")
    lines = [how, *(line for line in others[-1:] if has_rows and not line.startswith("Running entrypoint"))]
    return ": ".join(line[:_MAX_REASON] for line in lines)
