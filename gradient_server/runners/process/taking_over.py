"""What is left of a run whose supervisor was killed."""

from __future__ import annotations

import signal
import time

from gradient_server.runners.process.events import History
from gradient_server.runners.process.process_groups import kill, signal_group, with_variable
from gradient_server.runners.process.supervised_run import MARK

_PATIENCE = 5.0


def end_all_of(history: History) -> None:
    """Kill what the commands of a run have started, and wait until it is gone."""
    deadline = time.monotonic() + _PATIENCE
    while _kill(history) and time.monotonic() < deadline:
        time.sleep(0.005)


def _kill(history: History) -> bool:
    groups = [group.pid for group in history.groups if group.may_have_group()]
    for group in groups:
        signal_group(group, signal.SIGKILL)
    others = with_variable(MARK, str(history.supervisor)) if history.supervisor else []
    for pid in others:
        kill(pid)
    return bool(groups or others)
