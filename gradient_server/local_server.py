"""A server that runs beside the program that started it: in a thread, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gradient_server.api.contract import Contract
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.security import (
    OriginCheckMiddleware,
    RateLimiter,
    TrustedHosts,
    check_bind_host,
    check_host_name,
)
from gradient_server.app import application
from gradient_server.chosen_key import key_for
from gradient_server.clock import Clock
from gradient_server.faults.injection import FaultInjection, FaultPeriod
from gradient_server.faults.settings import Faults
from gradient_server.http_server import http_server, listen, listen_again
from gradient_server.ready_file import ATTRIBUTES, PID
from gradient_server.runners.base import Runner
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.settings import checked_scale
from gradient_server.signatures import takes
from gradient_server.store.sqlite import StoreFile
from gradient_server.store.store import Store

PATIENCE = 10.0
"""Seconds in which a server that was started serves."""


class LocalServer:
    """A local Gradient API. Start it with `start()`, or in a `with` statement.

    :param str host: the address to listen on
    :param int port: the port to listen on; 0: a free one
    :param str api_key: the key that clients must give; default: the one of the documentation, or, where commands are
        executed, a random one
    :param float time_scale: simulated seconds in a real second
    :param int seed: what the ids of experiments and jobs follow from
    :param bool check_answers: check every answer against the contract
    :param store: path of a file to keep everything in, so that a server which is started with it later goes on where
        this one ended, and for its experiments time has gone on; None: everything is in memory, and is forgotten
    :param Runner runner: what runs the experiments, and nobody else's: the server attaches, begins and closes it;
        default: runs are simulated
    :param bool expose: whether other machines may reach it where commands are executed
    :param allow_hosts: further names by which clients may call it, of a proxy in front of it for instance

    :raises OSError: the port is in use, or the machine does not have the address; or the file cannot be used, and then
        the error has its `filename`
    :raises ValueError: no client could send that key, or others could guess it where commands are executed; other
        machines could reach it then; time would not go forward; a name is none; or the runner cannot run like that

    >>> with LocalServer() as server:
    ...     server.experiments_url.endswith("/experiments/v1/")
    True
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        time_scale: float = 1.0,
        seed: int = 0,
        check_answers: bool = False,
        store: str | os.PathLike[str] | None = None,
        runner: Runner | None = None,
        allow_hosts: Iterable[str] = (),
        expose: bool = False,
    ) -> None:
        self._runner = runner or SimulatedRunner()
        is_real = self._runner.executes_commands
        self.api_key = key_for(api_key, runner_is_real=is_real)
        check_bind_host(host, executes_commands=is_real, expose=expose)
        scale = checked_scale(time_scale)
        also = tuple(check_host_name(name) for name in allow_hosts)
        with contextlib.ExitStack() as opened:
            self._sockets = [opened.enter_context(listen(host, port))]
            kept = StoreFile(Path(store), self._runner.name) if store is not None else None
            file = opened.enter_context(contextlib.closing(kept)) if kept else None
            self.clock = _clock_of(file, scale) if file else Clock(scale)
            self._polls = LongPolls(self.clock)
            self._runner.attach(self.clock, self._polls.wake)
            opened.callback(self._runner.close)
            self._store = Store(self.clock, seed, self._runner, file)
            self._opened = opened.pop_all()
        self._injection = FaultInjection(self._store, self.clock)
        self._rate_limiter = RateLimiter()
        app = application(
            self._store,
            self.clock,
            self.api_key,
            check_answers=check_answers,
            polls=self._polls,
            injection=self._injection,
            rate_limiter=self._rate_limiter,
        )
        address, bound_port, *_ = self._sockets[0].getsockname()
        names = TrustedHosts(host=host, address=address, allowed=also)
        self._http = http_server(OriginCheckMiddleware(app, names), before_stopping=self._polls.end)
        self._place = host, bound_port
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._place[1]}"
        self._thread = threading.Thread(target=self.run, daemon=True, name="gradient_server")

    @property
    def experiments_url(self) -> str:
        """Where the experiments are."""
        return f"{self.url}{_prefixes()[0]}/"

    @property
    def experiments_url_v2(self) -> str:
        """Where later clients look for experiments."""
        return f"{self.url}{_prefixes()[1]}/"

    @property
    def logs_url(self) -> str:
        """Where the logs are."""
        return self.url

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point a client here."""
        return {
            "PAPERSPACE_CONFIG_EXPERIMENTS_HOST": self.experiments_url,
            "PAPERSPACE_CONFIG_EXPERIMENTS_HOST_V2": self.experiments_url_v2,
            "PAPERSPACE_CONFIG_LOG_HOST": self.logs_url,
            "PAPERSPACE_API_KEY": self.api_key,
        }

    def advance(self, seconds: float) -> None:
        """Let some simulated seconds go by at once.

        :raises RuntimeError: commands are executed, which takes the time that it takes
        """
        self.clock.advance(seconds)

    def reset(self) -> None:
        """Forget all experiments, idempotency keys and wrong API keys; nothing goes wrong on purpose any more."""
        self._injection.reset()
        self._rate_limiter.reset()
        self._store.reset()
        self._polls.wake()

    @takes(Faults)
    def faults(self, **settings: Any) -> FaultPeriod:
        """Let things go wrong from now on, in place of what went wrong until now; without settings, nothing.

        What is set stays until it is set anew or all is reset. In a `with` statement it ends with the block, and what
        was set before is back. Which request is hit by what follows from the seed and from the number of the request,
        counted from here among those that can be hit. `faults_injected` says what has happened. An answer with which
        something is wrong says so in the header `X-Gradient-Fault`.

        {parameters}

        All seconds are real ones.

        :raises ValueError: something of it cannot be, or nothing would go wrong

        >>> with LocalServer() as server, server.faults(rate=0.3, statuses=[502, 503], resets="after", seed=7):
        ...     server.faults_injected
        {}
        """
        return self._injection.begin(Faults(**settings) if settings else None)

    @property
    def faults_injected(self) -> dict[str, int]:
        """How often what has gone wrong on purpose since the last reset: `{"reset_after": 3, "status": 12}`."""
        # Copied first: it is the thread of the server that counts.
        return dict(sorted(dict(self._injection.injected).items()))

    def restart(self, *, keep: bool = True, pause: float = 0.0) -> None:
        """Break all connections, stop listening, and serve again at the same address.

        The clock goes on, and what goes wrong on purpose goes on going wrong.

        :param bool keep: whether the experiments are still there; default: True
        :param float pause: real seconds for which nobody listens; default: 0

        :raises RuntimeError: it does not run
        :raises OSError: somebody else listens there now
        """
        if not self._http.serving.wait(PATIENCE if self._thread.is_alive() else 0) or self._http.loop is None:
            raise RuntimeError("Only a server that runs can be restarted")
        asyncio.run_coroutine_threadsafe(self._http.suspend(), self._http.loop).result()
        if not keep:
            self._store.reset()
        time.sleep(pause)
        self._sockets[:] = [listen_again(*self._place)]
        asyncio.run_coroutine_threadsafe(self._http.startup(self._sockets), self._http.loop).result()

    def run(self) -> None:
        """Serve until stopped. In the main thread SIGINT and SIGTERM stop it, and are passed on when it has stopped."""
        self._runner.recover()
        self._http.run(sockets=self._sockets)

    def start(self) -> Self:
        """Serve in a thread; connections are accepted from now on."""
        self._thread.start()
        return self

    def ask_to_stop(self) -> None:
        """Let the server stop soon, and do not wait for it. A signal handler can call this."""
        self._http.should_exit = True

    def stop(self) -> None:
        """Stop serving and close all connections; where nothing is served, that is already so."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join()
        for found in self._sockets:
            found.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def ready_text(self, pid: int) -> str:
        """Say in JSON where everything is, for the ready file."""
        return json.dumps({**{name: getattr(self, name) for name in ATTRIBUTES}, PID: pid}, indent=1) + "\n"


def _clock_of(file: StoreFile, scale: float) -> Clock:
    return Clock(scale, earlier=file.found.clock, at_least=file.found.last_moment, keep=file.write_clock)


def _prefixes() -> tuple[str, ...]:
    return max((operation.prefixes for operation in Contract().operations), key=len)
