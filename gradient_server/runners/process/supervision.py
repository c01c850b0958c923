"""Nodes while they run: what they print is written down, their ends are noted, and nothing of them is left over."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence

from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.node_process import MOST_AT_ONCE, NodeProcess
from gradient_server.runners.process.outcome import Outcome, outcome_of
from gradient_server.runners.process.process_groups import children, kill, signal_group
from gradient_server.runners.process.stopping import Told

_BREATH = 0.001
"""Seconds to leave a node that prints a lot of little: its rows are written down together, and it has time to print."""
_LOOK = 1.0
"""Seconds between looks at whether the run may go on, at the least."""
_TURN = 0.02
"""Seconds between looks at what is still there at the end."""
_PATIENCE = 10.0
"""Seconds after which what cannot be killed is left alone."""


class Supervision:
    """Looks after the nodes of a run.

    :param nodes: all of them
    :param Told told: whether to end
    """

    def __init__(self, nodes: Sequence[NodeProcess], told: Told) -> None:
        self._nodes = nodes
        self._told = told
        self._exits: dict[str, int] = {}
        self._asked: set[int] = set()
        self._groups = {node.id for node in nodes}
        self._selector = selectors.DefaultSelector()
        self._selector.register(told.wakes, selectors.EVENT_READ)
        for node in nodes:
            self._selector.register(node.output, selectors.EVENT_READ, node)

    def watch(self, obstacle: Callable[[], str | None]) -> Outcome | None:
        """Give the outcome when there is one; None: told to end before.

        :param obstacle: says why the run cannot go on; None: it can
        """
        looked = time.monotonic()
        while not self._told.to_end:
            self._turn(_LOOK)
            problem = next((node.problem for node in self._nodes if node.problem), None)
            if time.monotonic() >= looked + _LOOK:
                looked = time.monotonic()
                problem = problem or obstacle()
            if problem:
                return Outcome(State.ERROR, problem)
            outcome = outcome_of([node.node for node in self._nodes], self._exits)
            if outcome:
                return outcome
        return None

    def tear_down(self, grace: float) -> None:
        """End what still runs: ask, and after the grace period kill. All that was printed is written down."""
        deadline = time.monotonic() + grace
        for group in self._groups_left():
            signal_group(group, signal.SIGTERM)
        while self._is_anything_left() and time.monotonic() < deadline + _PATIENCE:
            self._signal_what_is_left(is_time=time.monotonic() >= deadline)
            self._turn(_TURN)
        for node in self._nodes:
            node.read_rest()
        self._selector.close()

    def _turn(self, seconds: float) -> None:
        standing = [left for node in self._nodes if node.is_open and (left := node.show_standing()) is not None]
        read = [self._serve(key) for key, _ in self._selector.select(min([seconds, *standing]))]
        self._reap()
        if 0 < max(read, default=0) < MOST_AT_ONCE:
            time.sleep(_BREATH)

    def _serve(self, key: selectors.SelectorKey) -> int:
        node: NodeProcess | None = key.data
        if node is None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._told.wakes, MOST_AT_ONCE)
            return 0
        count = node.read()
        if not node.is_open:
            self._selector.unregister(node.output)
        return count

    def _reap(self) -> bool:
        """Note which children have ended, and tell whether there are others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            for node in self._nodes:
                if node.id.pid == pid:
                    self._exits[node.node.name] = os.waitstatus_to_exitcode(status)
                    node.has_ended(self._exits[node.node.name])
                    # Mostly nobody is left in its group, and from now on others can be given its number.
                    if not node.id.may_have_group():
                        self._groups.discard(node.id)

    def _groups_left(self) -> set[int]:
        """Give the process groups of nodes that can still be there. One that has gone is never asked for again."""
        self._groups = {group for group in self._groups if group.may_have_group()}
        return {group.pid for group in self._groups}

    def _is_anything_left(self) -> bool:
        return self._reap() or bool(self._groups_left())

    def _signal_what_is_left(self, *, is_time: bool) -> None:
        groups = self._groups_left()
        if is_time:
            for group in groups:
                signal_group(group, signal.SIGKILL)
        # Those that have left their group come here when their parents have ended.
        for pid, group in children():
            if is_time:
                kill(pid)
            elif group not in groups and pid not in self._asked:
                self._asked.add(pid)
                kill(pid, signal.SIGTERM)
