"""The mirror of a run: its files, copied from the machine of its driver as they grow.

The driver only appends to them, so that the size of a copy is where to go on. Nothing stays open on the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.ray.dashboard import Dashboard, UnreachableError, backoff
from gradient_server.runners.ray.package import ARTIFACTS, FOLDER, SIZES
from gradient_server.runners.supervised.archives import extract
from gradient_server.runners.supervised.deletion import remove_tree
from gradient_server.runners.supervised.limits import Quota, SetupError
from gradient_server.runners.supervised.run_files import RunDirectory

_log = logging.getLogger(__name__)
_INTERVALS = (0.05, 2.0)
"""Seconds between two requests for what is new: at least, and at most."""
_INTERVAL_FOR_EACH = 0.005
"""The least interval for each run that is followed: all of them together are not to take much of a processor."""
_SHARE = 0.1
"""The interval between these, as a share of the time for which nothing was new."""


class Mirror:
    """Copies the events, the rows, the pushed metrics and in the end the artifacts of a run.

    :param Dashboard dashboard: reads the files
    :param RunDirectory directory: where the copies are
    :param int jobs: the number of nodes, whose logs are copied
    """

    def __init__(self, dashboard: Dashboard, directory: RunDirectory, jobs: int) -> None:
        self.directory = directory
        self.agent: str | None = None
        """The URL of the agent that has the files; None: it is not known yet."""
        self.has_driver_ended = False
        """Whether nothing is going to be written any more."""
        self.changed = time.monotonic()
        """When something has come."""
        self.trouble: str | None = None
        """Why nothing comes, in words."""
        self._dashboard = dashboard
        self._jobs = jobs
        self._end = b""
        """The last event, until all that it counts is here."""
        self._is_running = False

    @property
    def has_end(self) -> bool:
        """Whether the last event has come, so that only the rest is missing."""
        return bool(self._end)

    async def copy(self, id: str) -> bool:
        """Copy until the last event is here, or the driver has ended without. Return whether it is here.

        :param str id: of the job
        """
        self._dashboard.readers += 1
        try:
            return await self._copy(id)
        finally:
            self._dashboard.readers -= 1

    async def _copy(self, id: str) -> bool:
        failures = 0
        while True:
            is_last_pass = self.has_end or self.has_driver_ended
            before = self.changed
            try:
                if self.agent:
                    await self._copy_new(self.agent, id)
                    if is_last_pass and self.changed == before:
                        if self.has_end:
                            await self._copy_artifacts(self.agent, id)
                        return self.append_end()
                self.trouble, failures = None, 0
            except (UnreachableError, OSError, ValueError) as error:
                # The directory may be renamed meanwhile, or the disk be full.
                self.trouble = f"Its rows cannot be fetched: {error}."
                failures = failures + 1 if self.changed == before else 0
            least = max(_INTERVALS[0], _INTERVAL_FOR_EACH * self._dashboard.readers)
            quiet = max(least, min(_INTERVALS[1], _SHARE * (time.monotonic() - self.changed)))
            await asyncio.sleep(backoff(failures) if failures else quiet)

    def append_end(self) -> bool:
        """Append the last event even if not all is here that it counts. Return whether there is one."""
        if self._end:
            _append(self.directory.events, self._end)
        return bool(self._end)

    async def _copy_new(self, agent: str, id: str) -> None:
        """Copy what is new of all files but the last event.

        :raises UnreachableError: not all of that has come
        """
        directory, place = self.directory, f"{FOLDER}/{id}"
        sizes = None if self.has_end or self.has_driver_ended else await self._sizes(agent, place)
        paths = [directory.events]
        paths += [directory.log(index) for index in range(self._jobs)]
        paths += [directory.pushed(index) for index in range(self._jobs)]
        names = [str(path.relative_to(directory.path)) for path in paths]
        places = [
            (path, f"{place}/{name}")
            for path, name in zip(paths, names, strict=True)
            if sizes is None or sizes.get(name, 0) > _size(path)
        ]
        if not places:
            return
        # Before it runs, rows are requested first: otherwise some could be here before the event that it runs.
        rows = [each for each in places if each[0] != directory.events]
        groups = [places] if self._is_running else [rows, [(directory.events, f"{place}/{names[0]}")]]
        found = {path: content for group in groups for path, content in await self._read_all(agent, group)}
        events = found.pop(directory.events, None)
        if isinstance(events, bytes):
            self._append_events(events)
        for path, content in found.items():
            if isinstance(content, bytes) and content:
                _append(path, content)
                self.changed = time.monotonic()
        for error in (events, *found.values()):
            if isinstance(error, BaseException):
                raise error

    async def _sizes(self, agent: str, place: str) -> dict[str, int]:
        """Return the sizes of the files there; none before the driver has written them."""
        return json.loads(await self._dashboard.read(agent, f"{place}/{SIZES}", 0) or b"{}") or {}

    async def _read_all(
        self, agent: str, places: Sequence[tuple[Path, str]]
    ) -> list[tuple[Path, bytes | BaseException | None]]:
        """Return what files have more than their copies, or why that does not come."""
        requests = (self._dashboard.read(agent, name, _size(path)) for path, name in places)
        answers = await asyncio.gather(*requests, return_exceptions=True)
        return [(path, answer) for (path, _), answer in zip(places, answers, strict=True)]

    def _append_events(self, content: bytes) -> None:
        """Append complete events. The last one is kept for later."""
        lines = [line + b"\n" for line in content.split(b"\n")[:-1]]
        states = [_state_of(line) for line in lines]
        end = next((number for number, state in enumerate(states) if state in TERMINAL_STATES), len(lines))
        if end:
            _append(self.directory.events, b"".join(lines[:end]))
        if end or (end < len(lines) and not self._end):
            self.changed = time.monotonic()
        self._end = self._end or b"".join(lines[end:])
        self._is_running = self._is_running or State.RUNNING in states

    async def _copy_artifacts(self, agent: str, id: str) -> None:
        """Copy what the run has written, and unpack it where artifacts of runs are."""
        if self.directory.is_deleted or not self._jobs:
            return
        path = self.directory.path / ARTIFACTS
        while content := await self._dashboard.read(agent, f"{FOLDER}/{id}/{ARTIFACTS}", _size(path)):
            _append(path, content)
            self.changed = time.monotonic()
        if not path.exists():
            return
        try:
            await asyncio.to_thread(_unpack, path, self.directory)
        except SetupError as error:
            _log.warning("The artifacts of %s cannot be kept: %s", self.directory.path.name, error)
        path.unlink()


def _unpack(path: Path, directory: RunDirectory) -> None:
    """Put the artifacts of a run where those of others are.

    :raises SetupError: they are broken or too large
    """
    folder = directory.path / "artifacts"
    remove_tree(folder)  # what a server that was killed has left
    extract(path, folder, "of the artifacts", Quota())
    for target in (directory.storage, directory.workspace):
        if (folder / target.name).is_dir():
            remove_tree(target)
            (folder / target.name).rename(target)
    remove_tree(folder)


def _state_of(line: bytes) -> int | None:
    with contextlib.suppress(ValueError, AttributeError):
        state = json.loads(line).get("state")
        return state if isinstance(state, int) else None
    return None


def _append(path: Path, content: bytes) -> None:
    """Append all of that, or nothing.

    :raises OSError: the disk is full
    """
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        written = os.write(file, content)
        if written < len(content):
            os.ftruncate(file, os.fstat(file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(file)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
