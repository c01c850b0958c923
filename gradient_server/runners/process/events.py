"""What has happened to a run, in a file that is only ever added to: one event a line, as JSON.

This is how a run outlives those who look at it: whoever reads all of it knows as much as those before.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from attrs import define, field
from gradient_api.constants import TERMINAL_STATES

from gradient_server.runners.process.process_groups import ProcessId


@define
class History:
    """What is known of a run; all times are real."""

    supervisor: ProcessId | None = None
    """Who has claimed it; None: nobody has, and nothing of it has run."""
    groups: list[ProcessId] = field(factory=list[ProcessId])
    """The process groups of its nodes."""
    states: list[tuple[float, int]] = field(factory=list[tuple[float, int]])
    """The states that it has entered, with the times."""
    error: str | None = None
    """What has gone wrong."""
    rows: tuple[int, ...] = ()
    """How many rows each job has printed, when it has ended."""

    @property
    def has_ended(self) -> bool:
        """Whether it has come into its last state."""
        return bool(self.states) and self.states[-1][1] in TERMINAL_STATES

    def take(self, event: dict[str, Any]) -> None:
        """Add an event."""
        if "claimed" in event:
            self.supervisor = ProcessId(*event["claimed"])
        if "group" in event:
            self.groups.append(ProcessId(*event["group"]))
        if "error" in event:
            self.error = event["error"]
        if "rows" in event:
            self.rows = tuple(event["rows"])
        if "state" in event:
            self.states.append((event["real"], event["state"]))


class EventReader:
    """Reads events while they are written. What comes after the last end of a line is not there yet.

    What is no event says nothing: when a machine loses power, there may be anything in a file.

    :param Path path: where they are; there may be none yet. It can be set, where the file gets another name
    :param History history: what is known from another file before
    """

    def __init__(self, path: Path, history: History | None = None) -> None:
        self.path = path
        self._read = 0
        self.history = history or History()

    def read_on(self) -> bool:
        """Take what is new, and tell whether there was any."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                complete = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            return False
        for line in complete.splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError):
                self.history.take(json.loads(line))
        self._read += len(complete) + bool(complete)
        return bool(complete)


class EventWriter:
    """Adds events. They are in the file when it returns; where there is no room for one, nothing of it is.

    :param Path path: where they are
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._file).st_size
        # Of one before that was killed there may be half an event.
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            end = os.pread(self._file, size, 0).rfind(b"\n") + 1
            os.ftruncate(self._file, end)

    def claimed(self, by: ProcessId) -> None:
        """Write who runs it."""
        self._write(claimed=by)

    def group(self, leader: ProcessId) -> None:
        """Write that a node has a process group, before its command can run."""
        self._write(group=leader)

    def entered(self, state: int) -> None:
        """Write that it has come into a state."""
        self._write(state=int(state))

    def ended(self, state: int, error: str | None, rows: list[int]) -> None:
        """Write how it has ended, all at once."""
        self._write(state=int(state), rows=rows, **({"error": error} if error else {}))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _write(self, **event: Any) -> None:
        line = json.dumps({"real": round(time.time(), 6), **event}).encode() + b"\n"
        written = os.write(self._file, line)
        if written < len(line):
            # The next one would be added to the half, and nobody could read either.
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
