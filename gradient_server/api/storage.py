"""Responses to the operations on storage: the files that the server keeps on its disk, measured page by page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from gradient_api.constants import TERMINAL_STATES

from gradient_server.api.responses import ApiResponse
from gradient_server.clock import Clock
from gradient_server.runners.base import state_at
from gradient_server.store.records import Experiment
from gradient_server.store.store import Store

MEASURING_TIME = 3.0
"""Seconds after which a page ends, beside what the last entry takes."""
MAX_ENTRIES = 1000
"""The most entries of a page."""
# One thread: several would make the disk slower, and nobody waits for it but who asks.
MEASURING = ThreadPoolExecutor(1, "gradient_server measuring")


def storage_page(store: Store, after: str, clock: Clock) -> ApiResponse:
    """Return the entries that follow a name: as many as can be measured in a few seconds, at least one."""
    experiments = {found.handle: found for found in store.newest_first()}
    others = {found.name: found for found in store.other_files()}
    names = sorted(name for name in {**others, **experiments} if name > after)

    def entries() -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + MEASURING_TIME
        for name in names:
            if experiment := experiments.get(name):
                yield _serialize(experiment, clock)
            else:
                files = others[name]
                own, shared = files.usage()
                yield {"handle": name, "kind": files.kind, "size": own, "shared": shared, "reason": files.reason}
            if time.monotonic() > deadline:
                return

    data = list(islice(entries(), MAX_ENTRIES))
    following = data[-1]["handle"] if len(data) < len(names) else None
    return ApiResponse(200, {"data": data, "meta": {"next": following}})


def _serialize(experiment: Experiment, clock: Clock) -> dict[str, Any]:
    own, shared = experiment.run.disk_usage()
    transitions = experiment.run.transitions
    state = state_at(transitions, clock.now())
    ended = transitions[-1][0] if state in TERMINAL_STATES else None
    return {
        "handle": experiment.handle,
        "kind": "experiment",
        "size": own,
        "shared": shared,
        "name": experiment.body.get("name"),
        "state": state,
        "dtCreated": clock.date(experiment.created).isoformat(timespec="microseconds"),
        "dtEnded": None if ended is None else clock.date(ended).isoformat(timespec="microseconds"),
        "reason": None,
    }
