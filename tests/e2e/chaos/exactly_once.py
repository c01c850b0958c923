"""Threads share one client and create and start experiments over a bad network; then the outcome is compared."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

from attrs import define, frozen
from gradient_api.constants import ExperimentState

from gradient import (
    BaseExperiment,
    ConflictError,
    ExperimentsClient,
    GradientSdkError,
    MultiNodeExperiment,
    NotFoundError,
)
from tests.e2e.chaos.servers import Server

CLIENT_TIMEOUT = 0.5
"""Seconds for which the client waits for a response; delayed ones come later."""
COMMON = {"project_id": "prfaults"}
SINGLE_NODE = {**COMMON, "container": "c", "machine_type": "K80", "command": "python mnist.py"}
MULTI_NODE = {
    **COMMON,
    "experiment_type_id": "GRPC",
    "worker_container": "c",
    "worker_machine_type": "K80",
    "worker_command": "python mnist.py",
    "worker_count": 2,
    "parameter_server_container": "c",
    "parameter_server_machine_type": "K80",
    "parameter_server_command": "python mnist.py",
    "parameter_server_count": 1,
}
RETRY_AFTER: Sequence[dict[str, Any]] = ({}, {"retry_after": 1}, {"retry_after": 1, "retry_after_date": True})


@frozen(kw_only=True)
class Plan:
    """What to try.

    :param int count: how many experiments to create and start
    :param int threads: how many threads share the client
    :param int seed: determines which requests are hit, and when the server goes away
    :param int times_away: how often the server goes away
    :param float rate: share of the requests that are hit
    """

    count: int
    threads: int = 32
    seed: int = 1
    times_away: int = 0
    rate: float = 0.3

    def faults(self, period: int) -> dict[str, Any]:
        """Return every fault but those of log pages, for the time between two restarts."""
        return {
            "rate": self.rate,
            "seed": self.seed * 1_000_003 + period,
            "statuses": [408, 429, 500, 502, 503, 504],
            "statuses_after": [500, 502, 503, 504],
            "resets": ["before", "after"],
            "bodies": ["truncated", "half"],
            "latency": [CLIENT_TIMEOUT * 1.2, CLIENT_TIMEOUT * 2],
            "slow": [0.02, 0.2],
            **RETRY_AFTER[period % len(RETRY_AFTER)],
        }

    def restarts(self) -> list[int]:
        """Return after how many experiments the server goes away, each time in the middle of the work."""
        return sorted(Random(self.seed).sample(range(self.count // 20, self.count - self.count // 20), self.times_away))


@define
class Experiment:
    """What the caller of one create and one start got."""

    name: str
    is_multi_node: bool = False
    handle: str | None = None
    is_started: bool = False
    error: Exception | None = None


@frozen
class Verdict:
    """The result of a trial.

    :param wrong: by kind, a sentence for each thing that must not happen
    :param gave_up: errors of calls that used up their retries; what they were to do is done once or not at all
    """

    wrong: Mapping[str, Sequence[str]]
    gave_up: Sequence[Exception]


@frozen(kw_only=True)
class Outcome:
    """The figures of a trial, and its verdict."""

    figures: Mapping[str, int]
    injected: Mapping[str, int]
    verdict: Verdict


class _LogCounter(logging.Handler):
    """Counts what the client logs: a request at DEBUG, a retry at INFO."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[int] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.counts[record.levelno] += 1


def run_trial(plan: Plan, server: Server) -> Outcome:
    """Create and start experiments while faults happen, and compare the result with what callers got.

    :param Server server: a running server without experiments
    """
    began = time.monotonic()
    experiments = [Experiment(f"exactly once {number}", number % 2 == 1) for number in range(plan.count)]
    logger, counter = logging.getLogger("gradient"), _LogCounter()
    logger.addHandler(counter)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        with ExperimentsClient(
            server.api_key, base_url=server.experiments_url, logs_url=server.logs_url, timeout=CLIENT_TIMEOUT
        ) as client:
            _work(plan, server, client, experiments)
            injected = server.injected()
            server.inject(None)
            requests, retries = counter.counts[logging.DEBUG], counter.counts[logging.INFO]
            seconds = time.monotonic() - began
            reader = client.with_options(timeout=30)
            listed = reader.list()
            with ThreadPoolExecutor(plan.threads) as pool:
                handles = {one.handle for one in experiments if one.handle}
                found = dict(zip(handles, pool.map(lambda handle: _get(reader, handle), handles), strict=True))
    finally:
        logger.removeHandler(counter)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    figures = {
        "calls": 2 * plan.count,
        "requests": requests,
        "retries": retries,
        "faults injected": sum(injected.values()),
        "times the server went away": server.times_away,
        "experiments on the server": len(listed),
        "seconds": round(seconds),
    }
    return Outcome(figures=figures, injected=injected, verdict=judge(experiments, listed, found))


def _work(plan: Plan, server: Server, client: ExperimentsClient, experiments: Sequence[Experiment]) -> None:
    finished = threading.Semaphore(0)

    def call(experiment: Experiment) -> None:
        try:
            _create_and_start(client, experiment)
        except Exception as error:  # the verdict tells whether it may be
            experiment.error = error
        finally:
            finished.release()

    server.inject(plan.faults(0))
    pool = ThreadPoolExecutor(plan.threads)
    try:
        calls = [pool.submit(call, experiment) for experiment in experiments]
        done = 0
        for period, count in enumerate(plan.restarts(), start=1):
            for _ in range(count - done):
                finished.acquire()
            done = count
            server.go_away()
            server.inject(plan.faults(period))
        for future in calls:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _create_and_start(client: ExperimentsClient, experiment: Experiment) -> None:
    # One dictionary for all threads, as in a script.
    create, body = (
        (client.create_multi_node, MULTI_NODE) if experiment.is_multi_node else (client.create_single_node, SINGLE_NODE)
    )
    experiment.handle = create(name=experiment.name, **body)
    client.start(experiment.handle)
    experiment.is_started = True


def _get(client: ExperimentsClient, handle: str) -> BaseExperiment | None:
    try:
        return client.get(handle)
    except NotFoundError:
        return None


def judge(
    experiments: Sequence[Experiment], listed: Sequence[BaseExperiment], found: Mapping[str, BaseExperiment | None]
) -> Verdict:
    """Compare what callers got with what the server has.

    :param listed: all experiments, as the server lists them
    :param found: what the server returns for each handle that a caller got; None: nothing
    """
    copies = Counter(experiment.name for experiment in listed)
    created = [(one, found.get(one.handle)) for one in experiments if one.handle]
    failed = [one for one in experiments if one.error]
    gave_up = [one for one in failed if isinstance(one.error, GradientSdkError) and one.error.retryable]
    conflicts = [one for one in failed if one.handle and isinstance(one.error, ConflictError)]
    rejected = [one for one in failed if one not in gave_up and one not in conflicts]
    is_multi_node = {one.handle: isinstance(there, MultiNodeExperiment) for one, there in created}
    wrong = {
        "lost": [one.name for one, there in created if there is None or not copies[one.name]],
        "doubled": [f"{name}: {count} times" for name, count in copies.items() if count > 1],
        "response of another call": [
            f"{one.name} got {one.handle}, which is {there.name}"
            for one, there in created
            if there and (there.id, there.name, is_multi_node[one.handle]) != (one.handle, one.name, one.is_multi_node)
        ],
        "requested by nobody": [str(name) for name in copies.keys() - {one.name for one in experiments}],
        "not started": [
            one.name for one, there in created if one.is_started and there and there.state == ExperimentState.CREATED
        ],
        "started twice": [f"{one.name}: {one.error}" for one in conflicts],
        "rejected": [f"{one.name}: {one.error!r}" for one in rejected],
    }
    return Verdict(wrong, [one.error for one in gave_up if one.error])
