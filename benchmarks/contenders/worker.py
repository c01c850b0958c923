"""Run commands, one line of JSON after the other, and measure them. Needs the standard library only.

The argument is the name of a module in this folder with a class `Contender`, whose methods are the commands.
"""

import importlib
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Run each line; what a contender prints itself goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    contender = importlib.import_module(sys.argv[1]).Contender(json.loads(sys.argv[2]))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        act = getattr(contender, told["do"])
        measure = _traced if told["traced"] else _timed
        print(json.dumps(measure(act, told["times"], told["given"])), file=answers, flush=True)


def _timed(act: Callable[..., Any], times: int, given: dict[str, Any]) -> dict[str, Any]:
    began, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        result = act(**given)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return {"seconds": took / times, "cpu": used / times, "result": result}


def _traced(act: Callable[..., Any], times: int, given: dict[str, Any]) -> dict[str, Any]:
    """Return the peak of the memory that it takes. Measuring it takes time, so there are no times."""
    act(**given)  # What is made once and kept does not count.
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(times):
        result = act(**given)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return {"peak": peak, "result": result}


if __name__ == "__main__":
    main()
