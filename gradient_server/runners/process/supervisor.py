"""The process that runs one experiment: `python -m gradient_server.runners.process.supervisor DIRECTORY`.

It outlives the server that has started it, and tells what happens in the files of its directory. Whoever starts it gets
the exit code 0 as soon as the run is claimed, by it or by one that was earlier: it has gone into the background then.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.events import EventReader, EventWriter
from gradient_server.runners.process.outcome import Outcome
from gradient_server.runners.process.process_groups import ProcessId, adopt_orphans, end_children
from gradient_server.runners.process.run_directory import RunDirectory
from gradient_server.runners.process.set_up import CannotSetUp
from gradient_server.runners.process.stopping import Interrupted, Told
from gradient_server.runners.process.supervised_run import SupervisedRun

_PATIENCE = 2.0
"""Seconds for which another one may hold the run without having claimed it."""
_STOPPED_BY_HAND = Outcome(State.CANCELLED)
_ENDED_FROM_OUTSIDE = Outcome(
    State.ERROR, "The run was ended from outside: its supervisor was sent SIGTERM, as when a machine shuts down"
)


def main(path: Path) -> int:
    """Run an experiment in the background, and wait until it is claimed."""
    told, claimed = os.pipe()
    if os.fork():
        os.close(claimed)
        return 0 if os.read(told, 1) else 1
    os.close(told)
    # Everything is found from here, also when the directory gets another name.
    os.chdir(path)
    directory = RunDirectory(Path())
    stop = Told()
    with contextlib.ExitStack() as opened:
        events = _claim(directory, opened)
        os.write(claimed, b"\n")
        os.close(claimed)
        if events:
            supervise(directory, path, events, stop)
    return 0


def _claim(directory: RunDirectory, opened: contextlib.ExitStack) -> EventWriter | None:
    """Hold the run, and claim it; None: it has been claimed before, and must not run again."""
    deadline = time.monotonic() + _PATIENCE
    while (lock := directory.lock()) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if lock is None:
        return None
    opened.callback(os.close, lock)
    reader = EventReader(directory.events)
    reader.read_on()
    if reader.history.supervisor or reader.history.has_ended:
        directory.drop_spec()
        return None
    events = opened.enter_context(contextlib.closing(EventWriter(directory.events)))
    events.claimed(ProcessId.of(os.getpid()))
    return events


def supervise(directory: RunDirectory, path: Path, events: EventWriter, told: Told) -> None:
    """Run what is to be run, and write down how it has ended, however that is."""
    outcome: Outcome | None = Outcome(State.ERROR, f"The run cannot go on; {path / directory.complaints} says why")
    run = SupervisedRun(directory, path, events, told)
    try:
        adopt_orphans()
        outcome = run.run()
    except Interrupted:
        outcome = None
    except CannotSetUp as error:
        outcome = Outcome(State.ERROR, str(error))
    finally:
        # Of what was interrupted, there may be something left.
        end_children()
        # A server that did not know of this run may have written down once more what to run.
        directory.drop_spec()
        outcome = outcome or (_STOPPED_BY_HAND if directory.stop.exists() else _ENDED_FROM_OUTSIDE)
        events.ended(outcome.state, outcome.error, [log.count for log in run.logs])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
