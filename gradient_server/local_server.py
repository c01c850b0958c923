"""A server inside of the program that starts it: in a thread, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from gradient_server.api.contract import packaged_contract
from gradient_server.api.long_poll import LongPolls
from gradient_server.api.security import OriginCheckMiddleware, RateLimiter, TrustedHosts
from gradient_server.app import application
from gradient_server.clock import Clock
from gradient_server.console import RunReporter
from gradient_server.faults.injection import FaultInjection, FaultPeriod
from gradient_server.faults.settings import Faults
from gradient_server.http_server import http_server, listen
from gradient_server.keys import embedded_key
from gradient_server.retention import Retention
from gradient_server.runners.base import Runner
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.settings import check_bind_host, check_host_name, check_port, check_time_scale
from gradient_server.store.sqlite import StoreFile, check_store
from gradient_server.store.store import Store
from gradient_server.store.uploads import Uploads

START_TIMEOUT = 10.0
"""Seconds within which a started server serves."""
RESTART_TIMEOUT = 10.0
"""Seconds within which a restarted server has its port back."""
_Settings = ParamSpec("_Settings")
_Result = TypeVar("_Result")


def _takes(
    settings: Callable[_Settings, object],
) -> Callable[[Callable[..., _Result]], Callable[Concatenate[Any, _Settings], _Result]]:
    """Return a decorator that gives a method with `**settings` the parameters and `:param` lines of another callable.

    So `help()`, editors and type checkers show them. In the docstring, the lines replace `{parameters}`.
    """

    def decorate(method: Callable[..., _Result]) -> Callable[Concatenate[Any, _Settings], _Result]:
        own, accepted = inspect.signature(method), inspect.signature(settings)
        parameters = [own.parameters["self"], *accepted.parameters.values()]
        method.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined] # read by inspect
        paragraphs = inspect.cleandoc(settings.__doc__ or "").split("\n\n")
        lines = next((text for text in paragraphs if text.startswith(":param")), "")  # with -OO there are no docstrings
        method.__doc__ = inspect.cleandoc(method.__doc__ or "").replace("{parameters}", lines)
        return method

    return decorate


class LocalServer:
    """A local Gradient API. Start it with `start()`, or in a `with` statement.

    :param str host: the address to listen on; default: 127.0.0.1
    :param int port: the port to listen on; default: 0, a free one
    :param str api_key: the key that clients must send; default: the documented one, or a random one if the runner
        executes commands. Where other machines can reach a server with simulated runs, there is no default
    :param float time_scale: simulated seconds in a real second; default: 1
    :param int seed: determines the ids of simulated experiments and jobs; default: 0. Those of real runs are random
    :param bool check_answers: whether to check every response against the contract; default: False
    :param store: path of a file that keeps everything. A server that is started with it later continues where this one
        ended, and for its experiments time has passed; default: None, everything is in memory
    :param Runner runner: runs the experiments of this server only, which attaches and closes it; default: a simulation
    :param allow_hosts: further names by which clients may call it, such as that of a proxy in front of it
    :param bool expose: whether other machines may reach a server that executes commands; default: False
    :param keep: limits of what is kept of ended runs, such as `["50", "30d", "200GB"]`: those beyond one of them are
        deleted a minute after their end or later, the oldest first; default: all are kept

    The logger `gradient_server` gets a record at INFO when a real run starts, ends or is deleted, and when runs are
    taken over.

    :raises OSError: the port is in use, the machine does not have the address, or the store cannot be used; then the
        error has its `filename`
    :raises ValueError: the key, the port, the time scale, a name or a limit is invalid; the key is too short or easy to
        guess, and the server executes commands; other machines could reach it; or the runner cannot run with these
        settings

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
        keep: str | Iterable[str] = (),
    ) -> None:
        self._runner = runner or SimulatedRunner()
        executes_commands = self._runner.executes_commands
        self.api_key = embedded_key(api_key, executes_commands=executes_commands)
        has_own_key = api_key is not None
        check_bind_host(host, executes_commands=executes_commands, expose=expose, has_own_key=has_own_key)
        check_port(str(port))
        scale = check_time_scale(time_scale)
        allowed = tuple(check_host_name(name) for name in (*allow_hosts, *self._runner.host_names))
        with contextlib.ExitStack() as opened:
            self._sockets = [opened.enter_context(listen(host, port))]
            file = None
            if store is not None:
                check_store(Path(store))
                file = opened.enter_context(contextlib.closing(StoreFile(Path(store), self._runner.name)))
            self.clock = file.clock(scale) if file else Clock(scale)
            self._polls = LongPolls(self.clock)
            if file:
                self._runner.record_to(file.write_run)
            self._runner.attach(self.clock, self._on_change)
            opened.callback(self._runner.close)
            uploads = Uploads(None if store is None else Path(store).with_name(f"{Path(store).name}.uploads"))
            opened.callback(uploads.close)
            self._store = Store(self.clock, None if executes_commands else seed, self._runner, file, uploads)
            self._reporter = RunReporter(self._store, self.clock)
            self._retention = Retention(self._store, self.clock, keep, self._reporter.on_retention)
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
        address, self._port, *_ = self._sockets[0].getsockname()
        names = TrustedHosts(host=host, address=address, allowed=allowed)
        self._http = http_server(OriginCheckMiddleware(app, names), before_stopping=self._polls.end)
        self._host = host
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._port}"
        self._thread = threading.Thread(target=self.run, daemon=True, name="gradient_server")

    @property
    def experiments_url(self) -> str:
        """The base URL of experiments."""
        return f"{self.url}{_prefixes()[0]}/"

    @property
    def experiments_url_v2(self) -> str:
        """The base URL of experiments for later clients."""
        return f"{self.url}{_prefixes()[1]}/"

    @property
    def logs_url(self) -> str:
        """The base URL of logs."""
        return self.url

    @property
    def api_url(self) -> str:
        """The base URL of projects."""
        return self.url

    @property
    def simulated(self) -> bool:
        """Whether runs are simulated: no command is executed."""
        return not self._runner.executes_commands

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point a client to this server."""
        return {
            "PAPERSPACE_CONFIG_EXPERIMENTS_HOST": self.experiments_url,
            "PAPERSPACE_CONFIG_EXPERIMENTS_HOST_V2": self.experiments_url_v2,
            "PAPERSPACE_CONFIG_LOG_HOST": self.logs_url,
            "PAPERSPACE_CONFIG_HOST": self.api_url,
            "PAPERSPACE_API_KEY": self.api_key,
        }

    @property
    def unfinished(self) -> str | None:
        """The runs that were started and have not ended, in words; None if there are none."""
        return self._reporter.unfinished()

    def advance(self, seconds: float) -> None:
        """Move the clock forward by some simulated seconds.

        :raises RuntimeError: the runner executes commands, which run in real time
        """
        self.clock.advance(seconds)

    def reset(self) -> None:
        """Forget all experiments, idempotency keys and incorrect API keys, and end all faults."""
        self._injection.reset()
        self._rate_limiter.reset()
        self._store.reset()
        self._polls.wake()

    @_takes(Faults)
    def faults(self, **settings: Any) -> FaultPeriod:
        """Inject faults from now on, in place of any that were set before; without settings, none.

        They last until the next call or reset. In a `with` statement they end with the block, and those that were set
        before it go on. The seed and the number of a request decide which fault it gets; requests are counted from
        here, among those that can be hit. `faults_injected` counts the faults, and the header `X-Gradient-Fault` of a
        response names the one injected into it.

        {parameters}

        All seconds are real ones.

        :raises ValueError: settings are invalid, or no fault is chosen

        >>> with LocalServer() as server, server.faults(rate=0.3, statuses=[502, 503], resets="after", seed=7):
        ...     server.faults_injected
        {}
        """
        return self._injection.begin(Faults(**settings) if settings else None)

    @property
    def faults_injected(self) -> dict[str, int]:
        """How often each kind of fault was injected since the last reset: `{"reset_after": 3, "status": 12}`."""
        # Copied first: another thread counts.
        return dict(sorted(dict(self._injection.injected).items()))

    def restart(self, *, keep: bool = True, pause: float = 0.0) -> None:
        """Reset all connections, stop listening, and serve again at the same address.

        The clock and any faults go on.

        :param bool keep: whether to keep the experiments; default: True
        :param float pause: real seconds in which nothing listens; default: 0

        :raises RuntimeError: the server does not run
        :raises OSError: another program listens there by now
        """
        if not self._http.serving.wait(START_TIMEOUT if self._thread.is_alive() else 0) or self._http.loop is None:
            raise RuntimeError("Only a server that runs can be restarted")
        asyncio.run_coroutine_threadsafe(self._http.suspend(), self._http.loop).result()
        if not keep:
            self._store.reset()
        time.sleep(pause)
        self._sockets[:] = [listen(self._host, self._port, timeout=RESTART_TIMEOUT)]
        asyncio.run_coroutine_threadsafe(self._http.startup(self._sockets), self._http.loop).result()

    def run(self) -> None:
        """Serve until stopped. In the main thread, SIGINT and SIGTERM stop it and are raised again afterwards."""
        if not self.simulated:
            self._reporter.report_takeover()
        self._runner.recover()
        with self._retention:
            self._http.run(sockets=self._sockets)

    def start(self) -> Self:
        """Serve in a thread; connections are accepted from now on."""
        self._thread.start()
        return self

    def ask_to_stop(self) -> None:
        """Stop soon, without waiting for it. A signal handler can call this."""
        self._http.should_exit = True

    def stop(self) -> None:
        """Stop serving and close all connections. Does nothing if it does not serve."""
        self.ask_to_stop()
        if self._thread.ident is not None:
            self._thread.join()
        for listener in self._sockets:
            listener.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _on_change(self, handle: str) -> None:
        self._polls.wake(handle)
        self._reporter.report(handle)


def _prefixes() -> tuple[str, ...]:
    return max((operation.prefixes for operation in packaged_contract().operations), key=len)
