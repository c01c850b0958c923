"""A minimal server around a process runner, for tests to kill: `minimal_server.py DIRECTORY STORE`.

The store is a JSON file with the experiments. What a client would see is printed as JSON arrays, one a line: a handle
with a line and its message, or with an outcome. The server runs until it gets SIGTERM.
"""

import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from gradient_api.constants import TERMINAL_STATES

from gradient_server.clock import Clock, Reading
from gradient_server.runners.base import RunSpec, state_at
from gradient_server.runners.process.runner import ProcessRunner


def main(directory: Path, store: dict) -> None:
    epoch = datetime.fromtimestamp(store["epoch"], UTC)
    clock = Clock(earlier=Reading(epoch=epoch, passed=0.0, scale=1.0, real=store["epoch"]))
    runner = ProcessRunner(directory, slots=store["slots"], grace=1.0)
    runner.attach(clock, lambda handle: None)
    runs = {given["handle"]: runner.admit(RunSpec(created=0.0, **given)) for given in store["experiments"]}
    runner.recover()
    ended = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    seen = dict.fromkeys(runs, 0)
    outcomes = set()
    while not ended:
        for handle, run in runs.items():
            now = clock.now()
            for _, row in run.rows(seen[handle], 100, now):
                seen[handle] = row.line
                print(json.dumps([handle, row.line, row.message]), flush=True)
            state = state_at(run.transitions, now)
            if state in TERMINAL_STATES and handle not in outcomes and not run.rows(seen[handle], 1, now):
                outcomes.add(handle)
                print(json.dumps([handle, state, None, run.error(now)]), flush=True)
        time.sleep(0.001)
    runner.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
