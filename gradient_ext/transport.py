"""Sending: a call, again where that may help; a question; and a task, step after step until it is done."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from gradient_ext.asking import Ask, Value_co
from gradient_ext.attempts import RETRIES, Attempts
from gradient_ext.calls import Answer, Call, Reply
from gradient_ext.config import Configuration, Options
from gradient_ext.connections import Connections
from gradient_ext.display import ProgressReporter
from gradient_ext.errors import GradientSdkError, ResourceFetchingError
from gradient_ext.exchange import FOLLOWS_REDIRECTS, Exchange
from gradient_ext.experiments import BaseExperiment
from gradient_ext.paging import ListCursor
from gradient_ext.places import NoPlaceError
from gradient_ext.redaction import without_frames_of
from gradient_ext.tasks import MOST_HELD, News, Pause, Task

if TYPE_CHECKING:
    import httpx


@frozen
class Transport:
    """What sends the calls of one client.

    :param Configuration configuration: the key and the addresses
    :param Options options: timeouts and retries
    :param Connections connections: what to send through
    """

    configuration: Configuration
    options: Options
    connections: Connections = field(repr=False)

    def send(self, call: Call[Answer], options: Options | None = None) -> Answer:
        """Send a call, again where that may help, and return its answer.

        :param Call call: what to send
        :param Options options: the options of this call; default: those of the client

        :raises ResourceFetchingError: the server answered with an error
        :raises MalformedResponseError: it answered with success, but not with what the contract says
        :raises RequestFailedError: there was no answer
        :raises RequestTimeoutError: there was no answer in time
        """
        attempts = Attempts(options or self.options)
        if call.wait:
            self.connections.held.add(id(call))
        try:
            try:
                return self._attempt(call, attempts)
            except GradientSdkError as error:
                if not error.retryable:
                    raise
                attempts.first_failure = error
            for attempt in attempts.each():
                with attempt:
                    attempts.begin()
                    return self._attempt(call, attempts)
            raise AssertionError("the last attempt has neither answered nor failed")
        except GradientSdkError as error:
            failure = without_frames_of(RETRIES, attempts.most_telling(error))
            if failure is error:
                raise
        finally:
            self.connections.held.discard(id(call))
        raise failure

    def ask(self, handle: str, ask: Ask[Value_co]) -> Value_co:
        """Ask about an experiment, in another way where the server does not know this one.

        :raises GradientSdkError: what `send` raises
        """
        if len(self.connections.held) >= MOST_HELD:
            ask = evolve(ask, wait=0.0)
        try:
            answer: Value_co = self.send(ask.call(handle), ask.options(self.options))
            return answer
        except ResourceFetchingError as error:
            if ask.otherwise is None or error.status not in (404, 405):
                raise
            otherwise = ask.otherwise
        return self.ask(handle, otherwise)

    def carry_out(self, task: Task[News], watcher: ProgressReporter) -> Generator[News, None, None]:
        """Do what a task says until there is nothing to do any more, give its news, and tell who watches."""
        with watcher:
            while step := task.next_step(time.monotonic()):
                watcher.show(task.state, task.row_count)
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    continue
                try:
                    answer = self.ask(task.handle, step)
                except GradientSdkError as error:
                    task.fail(error, time.monotonic())
                else:
                    if news := task.take(answer):
                        watcher.hide()
                        yield from news
                    del answer, news  # The next page needs its memory.
            watcher.show(task.state, task.row_count)

    def walk(self, cursor: ListCursor) -> Generator[BaseExperiment, None, None]:
        """Give the experiments of a list, page by page."""
        while not cursor.finished:
            yield from self.send(cursor.call())

    def _attempt(self, call: Call[Answer], attempts: Attempts) -> Answer:
        self.connections.check()
        exchange = Exchange(
            call=call,
            configuration=self.configuration,
            options=attempts.options,
            attempt=attempts.number,
            ends=attempts.ends,
        )
        try:
            with self.connections.places.within(exchange.remaining):
                outcome = self._outcome(exchange)
        except NoPlaceError as error:
            outcome = exchange.outcome(error)
        if isinstance(outcome, BaseException):
            if isinstance(outcome, RuntimeError):
                self.connections.check()  # httpx says so of what has been closed meanwhile.
            exchange.fail(outcome)
        self.connections.tidy()
        answer: Answer = exchange.meaning(outcome)
        return answer

    def _outcome(self, exchange: Exchange) -> Reply | BaseException:
        client = self.connections.take(exchange.host)
        try:
            outcome: Reply | BaseException = self._exchange(client, exchange)
        except BaseException as error:
            outcome = exchange.outcome(error)
        if isinstance(outcome, BaseException):
            self.connections.drop(client, outcome)
        else:
            self.connections.give_back(client, exchange.host)
        return outcome

    def _exchange(self, client: httpx.Client, exchange: Exchange) -> Reply:
        request = exchange.request(client, self.connections.drafts)
        response = client.send(request, stream=True, follow_redirects=FOLLOWS_REDIRECTS)
        try:
            body: list[bytes] = []
            for chunk in response.iter_bytes():
                body.append(chunk)
                exchange.check_time()
            return exchange.reply(response, body)
        finally:
            response.close()
