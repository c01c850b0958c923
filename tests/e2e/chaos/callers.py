"""Threads that share one client: each creates and starts experiments, and remembers what it was told of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define

from gradient import ExperimentsClient

SINGLE_NODE = {
    "project_id": "prfaults",
    "container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "machine_type": "K80",
    "command": "python mnist.py",
}
MULTI_NODE = {
    "project_id": "prfaults",
    "experiment_type_id": "GRPC",
    "worker_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "worker_machine_type": "K80",
    "worker_command": "python mnist.py",
    "worker_count": 2,
    "parameter_server_container": "tensorflow/tensorflow:1.13.1-gpu-py3",
    "parameter_server_machine_type": "K80",
    "parameter_server_command": "python mnist.py",
    "parameter_server_count": 1,
}


@define
class Told:
    """What the caller of one create and one start was told.

    :param str name: the name of the experiment; no other has it
    :param bool is_multi_node: whether it was to be a multi node experiment
    """

    name: str
    is_multi_node: bool
    handle: str | None = None
    is_started: bool = False
    create_error: Exception | None = None
    start_error: Exception | None = None

    @property
    def errors(self) -> list[Exception]:
        """What was raised to the caller."""
        return [error for error in (self.create_error, self.start_error) if error]


class Callers:
    """All callers. Each takes the next experiment that nobody has taken, until there are none left.

    :param ExperimentsClient client: the one client
    :param int count: how many experiments there are to be
    :param int threads: how many threads share the client
    """

    def __init__(self, client: ExperimentsClient, count: int, threads: int) -> None:
        self.told = [Told(f"exactly once {number}", number % 2 == 1) for number in range(count)]
        self.calls = 2 * count
        self.finished = 0
        """How many calls have come to an end, one way or the other."""
        self._client = client
        self._left: Iterator[Told] = iter(self.told)
        self._changed = threading.Condition()
        # As daemons, so that Ctrl-C does not have to wait for them.
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"caller {n}") for n in range(threads)]

    def start(self) -> None:
        """Let all of them begin."""
        for thread in self._threads:
            thread.start()

    def wait_for(self, finished: int) -> None:
        """Wait until so many calls have come to an end. Every call does, because a client has a deadline."""
        with self._changed:
            self._changed.wait_for(lambda: self.finished >= finished)

    def _work(self) -> None:
        while told := self._next():
            told.create_error = self._called(self._create, told)
            # What was not created cannot be started; then there is nothing that this call could come to.
            told.start_error = self._called(self._start, told) if told.handle else None
            with self._changed:
                self.finished += 2
                self._changed.notify_all()

    def _next(self) -> Told | None:
        with self._changed:
            return next(self._left, None)

    def _called(self, call: Callable[[Told], None], told: Told) -> Exception | None:
        try:
            call(told)
        except Exception as error:  # whatever it is: the verdict says whether it may be
            return error
        return None

    def _create(self, told: Told) -> None:
        # One dictionary for all callers, as in a script of a user.
        given: dict[str, Any] = MULTI_NODE if told.is_multi_node else SINGLE_NODE
        create = self._client.create_multi_node if told.is_multi_node else self._client.create_single_node
        told.handle = create(name=told.name, **given)

    def _start(self, told: Told) -> None:
        assert told.handle
        self._client.start(told.handle)
        told.is_started = True
