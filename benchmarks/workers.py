"""The contenders, each in a process of its own that waits for commands."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from benchmarks.servers import Server

PROGRAM = Path(__file__).parent / "contenders" / "worker.py"
THIS, GENERATED, RAW, OLD = CONTENDERS = ("this", "generated", "raw", "old")


@frozen
class Worker:
    """One contender."""

    name: str
    _process: subprocess.Popen[str] = field(repr=False)

    def do(self, what: str, times: int = 1, *, traced: bool = False, **given: Any) -> dict[str, Any]:
        """Do something a number of times, and return the result and what it took.

        :param bool traced: whether to measure memory instead of time

        :raises RuntimeError: it has failed; its standard error says why
        """
        told = {"do": what, "times": times, "traced": traced, "given": given}
        print(json.dumps(told), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.line())
        return answer

    def line(self) -> str:
        """Return its next line."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of the contender {self.name!r} has ended; see above")
        return line


@contextlib.contextmanager
def working(
    names: Sequence[str], server: Server, interpreters: Mapping[str, str | None]
) -> Iterator[dict[str, Worker]]:
    """Run contenders for the time of a block.

    :param names: which; those that cannot be installed are left out
    :param Server server: the server that they call
    :param interpreters: the Pythons of those that need another one; None: it cannot be installed
    """
    with contextlib.ExitStack() as ending:
        workers: dict[str, Worker] = {}
        for name in names:
            python = interpreters.get(name, sys.executable)
            if python is not None:
                program = [python, str(PROGRAM), name, json.dumps(server.places)]
                environment, pipe = {**os.environ, **server.environment}, subprocess.PIPE
                process = subprocess.Popen(program, env=environment, stdin=pipe, stdout=pipe, text=True)
                workers[name] = Worker(name, ending.enter_context(process))
        for worker in workers.values():
            worker.line()  # that it is ready
        yield workers
