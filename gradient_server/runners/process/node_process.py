"""One node that runs: its process group, and what it prints."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from gradient_server.runners.process.log_file import LogWriter
from gradient_server.runners.process.nodes import Node
from gradient_server.runners.process.output import RowCutter
from gradient_server.runners.process.process_groups import ProcessId
from gradient_server.runners.process.set_up import CannotSetUp

MOST_AT_ONCE = 256 * 1024
"""How many bytes are read at once."""
STANDING = 1.0
"""Seconds after which a row that has no end is shown as it is."""
# Waits until it is told to go on, so that it is known, and found again, before its command can do anything.
_GATE = 'read -r _ && exec /bin/sh -c "$0" </dev/null'


class NodeProcess:
    """A node in a process group of its own. Its command waits at a gate until that is opened.

    :param Node node: what to run
    :param LogWriter log: where its rows go
    :param Path directory: where it runs
    :param environment: all of its environment

    :raises CannotSetUp: it cannot be started
    """

    def __init__(self, node: Node, log: LogWriter, directory: Path, environment: Mapping[str, str]) -> None:
        self.node = node
        self.log = log
        self.output, theirs = os.pipe()
        gate, self._gate = os.pipe()
        try:
            # Not waited for in the usual way: whoever adopts orphans has more children than those it has made.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GATE, node.command],
                stdin=gate,
                stdout=theirs,
                stderr=theirs,
                cwd=directory,
                env=environment,
                process_group=0,
            )
        except (OSError, ValueError) as error:
            raise CannotSetUp(f"The command of {node.name} cannot be started: {error}") from error
        finally:
            os.close(gate)
            os.close(theirs)
        self.id = ProcessId.of(self._process.pid)
        self._cutter = RowCutter()
        self._last = time.monotonic()
        self.is_open = True
        self.problem: str | None = None
        """What went wrong with its log."""
        os.set_blocking(self.output, False)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # it is only faster, and there is a limit for all pipes of a user
                fcntl.fcntl(self.output, fcntl.F_SETPIPE_SZ, 4 * MOST_AT_ONCE)

    def open_gate(self) -> None:
        """Let its command run."""
        os.write(self._gate, b"\n")
        os.close(self._gate)

    def has_ended(self, status: int) -> None:
        """Note how it has ended, which is known from elsewhere."""
        self._process.returncode = status

    def read(self) -> int:
        """Write down what it has printed since; give the number of bytes. At its end, it is not open any more."""
        try:
            chunk = os.read(self.output, MOST_AT_ONCE)
        except BlockingIOError:
            return 0
        self._last = time.monotonic()
        self._write(self._cutter.feed(chunk) if chunk else self._cutter.end())
        self.is_open = bool(chunk)
        return len(chunk)

    def show_standing(self) -> float | None:
        """Show a row without an end that has not gone on for a while; give the seconds until then, if there is one."""
        if not self._cutter.has_begun:
            return None
        left = self._last + STANDING - time.monotonic()
        if left > 0:
            return left
        self._write(self._cutter.show())
        return None

    def read_rest(self) -> None:
        """Write down all that is still there, when nothing more can come."""
        while self.is_open and self.read():
            pass
        if self.is_open:
            self._write(self._cutter.end())
        os.close(self.output)

    def _write(self, rows: list[str]) -> None:
        # When they cannot be kept any more, they are read on, so that the node can end.
        if rows and not self.problem:
            try:
                self.log.write(time.time(), rows)
            except OSError as error:
                self.problem = f"The log of {self.node.name} cannot be kept: {error.strerror}"
