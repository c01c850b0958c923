"""Does what it is told, one line of JSON after the other, and says how long that took. Needs the standard library only.

It is given the name of a contender, a module beside it with a class `Contender`, whose methods are what can be done.
"""

import importlib
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Answer each line until there are no more; what a contender prints itself goes to standard error."""
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
    """Say how much memory it takes at its peak, beyond what there was before. Looking takes time; none is told."""
    act(**given)  # What is made once and kept is not meant.
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(times):
        result = act(**given)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return {"peak": peak, "result": result}


if __name__ == "__main__":
    main()
