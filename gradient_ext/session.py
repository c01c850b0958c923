"""What the methods of a client share: one way to the server, with options, and what is done with it."""

from __future__ import annotations

import time
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self, Unpack

from attrs import evolve
from gradient_api.operations import Operation

from gradient_ext.asking import Ask, Value_co
from gradient_ext.calls import call_of, nothing
from gradient_ext.errors import GradientSdkError, ResourceFetchingError
from gradient_ext.experiments import BaseExperiment
from gradient_ext.options import ClientOptions, changed_options
from gradient_ext.paging import ListCursor
from gradient_ext.tasks import MOST_HELD, News, Pause, Task
from gradient_ext.transport import Transport


class Session:
    """A transport that is open from the beginning until it is closed.

    :param Transport transport: what to send through
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __repr__(self) -> str:
        places = self._transport.configuration
        return f"{type(self).__name__}(base_url={places.experiments_url!r}, logs_url={places.logs_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> Self:
        return self.with_options()

    def __deepcopy__(self, memo: object) -> Self:
        return self.with_options()

    def __reduce__(self) -> str:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it holds an API key and open connections; "
            "make one where it is needed"
        )

    def close(self) -> None:
        """Close the connections of this client; it cannot be used afterwards."""
        self._transport.connections.close()

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """Give a client that differs in these options and shares everything else, the connections too.

        :param float timeout: seconds to wait for each part of an answer; None waits for ever
        :param float connect_timeout: seconds to wait for a connection, if that is shorter
        :param int max_attempts: how often to try a call that fails in a way that may pass, the first time included
        :param float deadline: seconds for all attempts of one call together; None: no end
        :param float patience: seconds for which following and waiting ride out failures; None: no end

        :returns: another client; closing either of them closes both

        >>> client = ExperimentsClient("a key")
        >>> patient = client.with_options(timeout=300, deadline=None)
        """
        twin = object.__new__(type(self))
        options = changed_options(self._transport.options, changes, "with_options()")
        twin._transport = evolve(self._transport, options=options)
        return twin

    def _carry_out(self, task: Task[News]) -> Generator[News, None, None]:
        while step := task.next_step(time.monotonic()):
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                continue
            try:
                answer = self._ask(task.handle, step)
            except GradientSdkError as error:
                task.fail(error, time.monotonic())
            else:
                yield from task.take(answer)

    def _walk(self, cursor: ListCursor) -> Generator[BaseExperiment, None, None]:
        while not cursor.finished:
            yield from self._transport.send(cursor.call())

    def _ask(self, handle: str, ask: Ask[Value_co]) -> Value_co:
        if len(self._transport.connections.held) >= MOST_HELD:
            ask = evolve(ask, wait=0.0)
        transport = evolve(self._transport, options=ask.options(self._transport.options))
        try:
            answer: Value_co = transport.send(ask.call(handle))
            return answer
        except ResourceFetchingError as error:
            if ask.otherwise is None or error.status not in (404, 405):
                raise
            otherwise = ask.otherwise
        return self._ask(handle, otherwise)

    def _act(self, operation: Operation[Any], action: str, handle: str) -> None:
        self._transport.send(call_of(operation, action, handle, meaning=nothing))
