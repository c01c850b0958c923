"""One trial: callers at work over a bad network, while the server goes away and comes back; then what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

from attrs import frozen

from gradient import BaseExperiment, ExperimentsClient, NotFoundError
from tests.e2e.chaos.attempts import Attempts
from tests.e2e.chaos.bad_network import RATE, TIMEOUT, bad_network, moments
from tests.e2e.chaos.callers import Callers
from tests.e2e.chaos.servers import ServerInAProcess
from tests.e2e.chaos.verdict import Verdict, verdict

Watch = Callable[[str, int, Callable[[], int]], AbstractContextManager[object]]
"""What shows how far something is: what it is, how much there is to do, and what gives how much is done."""


@frozen(kw_only=True)
class Plan:
    """What is tried.

    :param int count: how many experiments are created and started
    :param int threads: how many threads share the client
    :param int seed: what follows from it: what goes wrong with the first, second, third request and so on, and when the
        server goes away; not which thread sends that request
    :param int times_away: how often the server goes away
    :param float rate: share of the requests with which something goes wrong
    """

    count: int
    threads: int = 32
    seed: int = 1
    times_away: int = 0
    rate: float = RATE


@frozen(kw_only=True)
class Figures:
    """What came of it, in numbers, and what came of every single call."""

    calls: int
    requests: int
    retries: int
    injected: Mapping[str, int]
    times_away: int
    experiments: int
    seconds: float
    verdict: Verdict


def figures_of(plan: Plan, server: ServerInAProcess, watch: Watch = lambda *_: nullcontext()) -> Figures:
    """Carry out a plan.

    :param Plan plan: what is tried
    :param ServerInAProcess server: a server that runs, without experiments
    :param Watch watch: what shows how far it is
    """
    began = time.monotonic()
    with ExperimentsClient(
        server.api_key, base_url=server.experiments_url, logs_url=server.logs_url, timeout=TIMEOUT
    ) as client:
        callers = Callers(client, plan.count, plan.threads)
        with Attempts() as attempts, watch("calls", callers.calls, lambda: callers.finished):
            _work(plan, callers, server)
        injected = server.injected()
        server.let_go_wrong(None)
        seconds = time.monotonic() - began
        # What follows is no part of the trial; pages of a long list take their time.
        listed, got = _read_back(client.with_options(timeout=30), callers, plan.threads, watch)
    return Figures(
        calls=callers.calls,
        requests=attempts.requests,
        retries=attempts.retries,
        injected=injected,
        times_away=server.times_away,
        experiments=len(listed),
        seconds=seconds,
        verdict=verdict(callers.told, listed, got),
    )


def _work(plan: Plan, callers: Callers, server: ServerInAProcess) -> None:
    server.let_go_wrong(bad_network(plan.seed, 0, plan.rate))
    callers.start()
    for period, moment in enumerate(moments(plan.seed, plan.times_away, callers.calls), start=1):
        callers.wait_for(moment)
        server.go_away()
        server.let_go_wrong(bad_network(plan.seed, period, plan.rate))
    callers.wait_for(callers.calls)


def _read_back(
    client: ExperimentsClient, callers: Callers, threads: int, watch: Watch
) -> tuple[Sequence[BaseExperiment], Mapping[str, BaseExperiment | None]]:
    handles = list({told.handle for told in callers.told if told.handle})
    got: dict[str, BaseExperiment | None] = {}

    def read(handle: str) -> None:
        try:
            got[handle] = client.get(handle)
        except NotFoundError:
            got[handle] = None

    listed = client.list()
    with watch("experiments read back", len(handles), lambda: len(got)), ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(read, handles):
            pass  # so that what goes wrong is raised
    return listed, got
