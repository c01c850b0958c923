"""The nodes of a run while they run: their processes, their output, and how the run ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

from attrs import frozen
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised.environment import Node
from gradient_server.runners.supervised.limits import SetupError
from gradient_server.runners.supervised.log_file import RowSplitter, RowWriter
from gradient_server.runners.supervised.processes import (
    ProcessId,
    kill_descendants,
    signal_group,
    terminate_descendants,
)

READ_SIZE = 256 * 1024
"""Bytes of output that are read at once."""
_PARTIAL_LINE_TIMEOUT = 1.0
"""Seconds after which a line without a line break is written to the log as it is."""
_REDRAW_INTERVAL = 5.0
"""Seconds between two rows of a line that is redrawn, as progress bars are."""
_PAUSE = 0.001
"""Seconds between two reads of a node that prints a lot, so that its rows are written together."""
_CHECK_INTERVAL = 1.0
"""Seconds between two checks of whether the run may go on."""
_TEAR_DOWN_INTERVAL = 0.02
_IGNORED_BY_PYTHON = {signal.SIGPIPE, signal.SIGXFSZ}
"""`subprocess` resets them for commands."""
_SHELL_SIGNAL_OFFSET = 128
"""A shell exits with this plus the number of the signal that has killed its command."""
# The start barrier: the command does not run before its process group is on record, so that it can be found and killed.
_START_BARRIER = 'read -r _ && exec /bin/sh -c "$0" </dev/null'


@frozen
class Outcome:
    """How a run ends: its terminal state, what went wrong, the exit code that decided it, and the node that had it.

    An exit code of -N: the signal N decided it.
    """

    state: int
    error: str | None = None
    exit_code: int | None = None
    node: str | None = None


def outcome_of(nodes: Sequence[Node], exit_codes: Mapping[str, int]) -> Outcome | None:
    """Return how a run ends, or None while it goes on.

    :param exit_codes: of the nodes that have ended, by name, the first one first; -N: killed by the signal N
    """
    for name, code in exit_codes.items():
        if code:
            return Outcome(State.FAILED, _failure(name if len(nodes) > 1 else "", code), code, name)
    if all(node.name in exit_codes for node in nodes if node.leads):
        return Outcome(State.STOPPED, exit_code=0)
    return None


def _failure(node: str, code: int) -> str:
    command = f"The command of {node}" if node else "The command"
    if code < 0:
        return f"{command} was ended by the signal {_signal_name(-code)}"
    # The exit code of a shell whose last command was killed.
    by_signal = _signal_name(code - _SHELL_SIGNAL_OFFSET) if code > _SHELL_SIGNAL_OFFSET else ""
    hint = f" ({by_signal})" if by_signal.startswith("SIG") else " (command not found)" if code == 127 else ""
    return f"{command} ended with exit code {code}{hint}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


class Interrupted(BaseException):
    """The supervisor received SIGTERM in an interruptible block."""


class StopSignal:
    """Whether the supervisor has received SIGTERM. Must be created in the main thread.

    Signals that the server was started with blocked or ignored are neither for the supervisor and its commands.
    """

    def __init__(self) -> None:
        self.received = False
        self._interrupts = False
        self.wakeup, writer = os.pipe()
        """A pipe that becomes readable when a signal arrives, or when a child process ends."""
        for end in (self.wakeup, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_term)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT):
            # Not SIG_IGN: commands would inherit that.
            signal.signal(number, lambda number, frame: None)
        for number in signal.valid_signals() - _IGNORED_BY_PYTHON:
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def clear_wakeup(self) -> None:
        """Make the pipe wait for the next signal."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wakeup, READ_SIZE)

    @contextlib.contextmanager
    def interruptible(self) -> Generator[None, None, None]:
        """Leave the block at once when SIGTERM arrives, or has arrived before.

        :raises Interrupted: it has
        """
        self._interrupts = True
        try:
            if self.received:
                raise Interrupted
            yield
        finally:
            self._interrupts = False

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        if self._interrupts:
            self._interrupts = False
            raise Interrupted


class Nodes(ABC):
    """The nodes of a run on their machines, as its supervisor knows them. The methods are called in this order."""

    @abstractmethod
    def prepare(self) -> None:
        """Fetch the workspace.

        :raises SetupError: that is impossible
        """

    @abstractmethod
    def start(self) -> None:
        """Start the nodes. Their commands wait at the start barrier.

        :raises SetupError: a node cannot be started
        """

    @abstractmethod
    def release(self) -> None:
        """Start the commands of all nodes."""

    @abstractmethod
    def wait(self, obstacle: Callable[[], str | None]) -> Outcome | None:
        """Copy output to the logs until the run has an outcome, or return None if it is to stop.

        `obstacle` is called about once a second. It returns why the run cannot go on, or None.
        """

    @abstractmethod
    def tear_down(self, grace: float) -> None:
        """End all processes, with SIGTERM and after the grace period with SIGKILL, and copy their last output.

        Called once, also if `prepare` or `start` has failed.
        """


class NodeProcess:
    """A node that runs, in a process group of its own. Its command waits at the start barrier for `release`.

    :raises SetupError: it cannot be started
    """

    def __init__(self, node: Node, log: RowWriter, directory: Path, environment: Mapping[str, str]) -> None:
        self.node = node
        self.log = log
        self.output, output_writer = os.pipe()
        barrier, self._barrier = os.pipe()
        try:
            # It is reaped by `NodeGroup`: a subreaper has more children than it has started.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _START_BARRIER, node.command],
                stdin=barrier,
                stdout=output_writer,
                stderr=output_writer,
                cwd=directory,
                env=environment,
                process_group=0,
            )
        except (OSError, ValueError) as error:
            raise SetupError(f"The command of {node.name} cannot be started: {error}", node.name) from error
        finally:
            os.close(barrier)
            os.close(output_writer)
        self.id = ProcessId.of(self._process.pid)
        self.is_open = True
        """Whether its output has not ended."""
        self.log_error: str | None = None
        """Why its log cannot be written any more."""
        self._splitter = RowSplitter()
        self._last_output = self._line_began = time.monotonic()
        os.set_blocking(self.output, False)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # only for speed, and the memory for pipes is limited
                fcntl.fcntl(self.output, fcntl.F_SETPIPE_SZ, 4 * READ_SIZE)

    def release(self) -> None:
        """Start its command."""
        os.write(self._barrier, b"\n")
        os.close(self._barrier)

    def set_exit_code(self, code: int) -> None:
        """Note that it has ended and was reaped."""
        self._process.returncode = code

    def read(self) -> int:
        """Copy new output to the log. Return the number of bytes; at the end of the output, `is_open` becomes false."""
        try:
            chunk = os.read(self.output, READ_SIZE)
        except BlockingIOError:
            return 0
        self._last_output = time.monotonic()
        had_partial_line = self._splitter.has_partial_line
        rows = self._splitter.feed(chunk) if chunk else self._splitter.close()
        if rows or not had_partial_line:
            self._line_began = self._last_output
        self._write(rows)
        self.is_open = bool(chunk)
        return len(chunk)

    def flush_partial_line(self) -> float | None:
        """Write a partial line to the log if it is old enough. Return the seconds until then, if there is one."""
        if not self._splitter.has_partial_line:
            return None
        is_redrawn = self._splitter.is_redrawn
        due = self._line_began + _REDRAW_INTERVAL if is_redrawn else self._last_output + _PARTIAL_LINE_TIMEOUT
        remaining = due - time.monotonic()
        if remaining > 0:
            return remaining
        self._write(self._splitter.flush())
        return None

    def drain(self) -> None:
        """Copy the rest of the output to the log, when no process is left that could write more."""
        while self.is_open and self.read():
            pass
        if self.is_open:
            self._write(self._splitter.close())
        os.close(self.output)

    def _write(self, rows: list[str]) -> None:
        # After an error, output is still read, so that the node does not block.
        if rows and not self.log_error:
            try:
                self.log.write(time.time(), rows)
            except OSError as error:
                self.log_error = f"The log of {self.node.name} cannot be kept: {error.strerror}"


class HasFileno(Protocol):
    """An open file or connection."""

    def fileno(self) -> int:
        """Return its descriptor."""
        ...


class NodeGroup:
    """Nodes that run on this machine, as children of this process."""

    def __init__(self, nodes: Sequence[NodeProcess], stop_signal: StopSignal) -> None:
        self._nodes = list(nodes)
        self._stop_signal = stop_signal
        self._exit_codes: dict[str, int] = {}
        self._groups = {node.id for node in nodes}
        self._selector = selectors.DefaultSelector()
        self.listen(stop_signal.wakeup, self._on_wakeup)
        for node in nodes:
            self.listen(node.output, partial(self._receive, node))

    def add(self, node: NodeProcess) -> None:
        """Add a node that was started later."""
        self._nodes.append(node)
        self._groups.add(node.id)
        self.listen(node.output, partial(self._receive, node))

    def listen(self, file: HasFileno | int, on_readable: Callable[[], int]) -> None:
        """Call a function, which returns a number of bytes, whenever something can be read from a file."""
        self._selector.register(file, selectors.EVENT_READ, on_readable)

    def ignore(self, file: HasFileno | int) -> None:
        """Do not listen to a file any more."""
        self._selector.unregister(file)

    def wait(
        self,
        obstacle: Callable[[], str | None],
        decide: Callable[[Mapping[str, int]], Outcome | None] | None = None,
    ) -> Outcome | None:
        """Do what `Nodes.wait` does.

        :param decide: returns the outcome by the exit codes of the nodes that have ended, or None while the run goes
            on; called again and again. By default it is `outcome_of` these nodes
        """
        decide = decide or partial(outcome_of, [node.node for node in self._nodes])
        checked = time.monotonic()
        while not self._stop_signal.received:
            self._step(_CHECK_INTERVAL)
            unlogged = next((node for node in self._nodes if node.log_error), None)
            if unlogged:
                return Outcome(State.ERROR, unlogged.log_error, node=unlogged.node.name)
            if time.monotonic() >= checked + _CHECK_INTERVAL:
                checked = time.monotonic()
                if error := obstacle():
                    return Outcome(State.ERROR, error)
            outcome = decide(self._exit_codes)
            if outcome:
                return outcome
        return None

    def tear_down(self, grace: float) -> None:
        """End all processes, with SIGTERM and after the grace period with SIGKILL, and copy their last output."""
        deadline = time.monotonic() + grace
        terminate_descendants(os.getpid(), self._existing_groups())
        while (self._reap() or self._existing_groups()) and time.monotonic() < deadline:
            self._step(_TEAR_DOWN_INTERVAL)
        for group in self._existing_groups():
            signal_group(group, signal.SIGKILL)
        kill_descendants(os.getpid())
        for node in self._nodes:
            node.drain()
        self._selector.close()

    def _step(self, timeout: float) -> None:
        """Wait for output, signals or the end of a child process, and process what has come."""
        delays = [delay for node in self._nodes if node.is_open and (delay := node.flush_partial_line()) is not None]
        sizes = [key.data() for key, _ in self._selector.select(min([timeout, *delays]))]
        self._reap()
        if 0 < max(sizes, default=0) < READ_SIZE:
            time.sleep(_PAUSE)

    def _on_wakeup(self) -> int:
        self._stop_signal.clear_wakeup()
        return 0

    def _receive(self, node: NodeProcess) -> int:
        size = node.read()
        if not node.is_open:
            self.ignore(node.output)
        return size

    def _reap(self) -> bool:
        """Reap the child processes that have ended. Return whether there are others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            for node in self._nodes:
                if node.id.pid == pid:
                    code = self._exit_codes[node.node.name] = os.waitstatus_to_exitcode(status)
                    node.set_exit_code(code)
                    # From now on another process may get the number of the group.
                    if not node.id.may_have_group():
                        self._groups.discard(node.id)

    def _existing_groups(self) -> set[int]:
        """Return the process groups that may still exist. One that is gone is never looked at again."""
        self._groups = {group for group in self._groups if group.may_have_group()}
        return {group.pid for group in self._groups}
