"""Logs that grow, a server that responds well or badly, and pollers of it: no I/O, no clock."""

import random

from gradient_api.constants import END_OF_LOG, TERMINAL_STATES, ExperimentState

from gradient import BaseExperiment, LogRow, MultiNodeExperiment, SingleNodeExperiment
from gradient_ext.logs import LogPosition, LogRange
from gradient_ext.polling import ExperimentQuery, LogFollower, LogsQuery, Pause, StateQuery, Waiter

RUNNING, STOPPED = ExperimentState.RUNNING, ExperimentState.STOPPED


class SimulatedLogs:
    """The logs of the jobs of one experiment, and the pages that a server sends of them.

    :param int jobs: how many jobs there are
    :param bool inclusive: whether the row with the line in the query is in the page
    :param int overlap: how many rows before it are in the page, too
    :param int most: the most rows in a page, whatever the limit in the query
    :param float pace: after how many seconds the first job prints a row while a query is held; None: never
    """

    def __init__(self, jobs, *, inclusive=False, overlap=0, most=10**9, seed=0, pace=None):
        self.jobs = [[] for _ in range(jobs)]
        self.ended = [False] * jobs
        self.shift = inclusive + overlap
        self.most = most
        self.pace = pace
        self.sent = []
        self.random = random.Random(seed)

    def print(self, job, count):
        """Print rows of a job, unless its log has ended."""
        if not self.ended[job]:
            start = len(self.jobs[job]) + 1
            self.jobs[job] += [self.row(job, line, f"row {line}") for line in range(start, start + count)]

    def end(self, job):
        """End the log of a job with its marker."""
        if not self.ended[job]:
            self.jobs[job].append(self.row(job, len(self.jobs[job]) + 1, END_OF_LOG))
            self.ended[job] = True

    def row(self, job, line, message):
        return LogRow(line, message, "2019-08-06T17:21:18.528Z", f"js{job}")

    def rows(self, job):
        """Return the rows of a job, without the marker."""
        return [row for row in self.jobs[job] if row.message != END_OF_LOG]

    def answer(self, query, fault=None):
        """Return the page for a query, right or with a fault, and remember it."""
        page = FAULTS[fault](self, query) if fault else self.page(query)
        self.sent.append(page)
        return page

    def page(self, query):
        """Return the rows of all jobs after a line, ordered by line, at most as many as the limit."""
        after = max(0, query.line - self.shift)
        limit = min(query.limit, self.most)
        # Only these can be in the page; sorting all rows would take long.
        found = [row for log in self.jobs for row in log[after : after + limit]]
        return sorted(found, key=lambda row: (row.line, row.job_id))[:limit]


def shuffled(logs, query):
    page = logs.page(query)
    logs.random.shuffle(page)
    return page


def late(logs, query):
    """Return a page without the rows at the end of each log, which arrive later."""
    known = SimulatedLogs(0)
    known.jobs = [log[: logs.random.randint(0, len(log))] for log in logs.jobs]
    known.shift, known.most = logs.shift, logs.most
    return known.page(query)


FAULTS = {
    "the last page again": lambda logs, query: logs.sent[-1] if logs.sent else logs.page(query),
    "an older page": lambda logs, query: logs.random.choice(logs.sent) if logs.sent else logs.page(query),
    "rows in another order": shuffled,
    "rows twice": lambda logs, query: [row for row in logs.page(query) for _ in range(2)],
    "rows from before": lambda logs, query: logs.page(LogRange(max(0, query.line - 3), query.limit)),
    "a later page": lambda logs, query: logs.page(LogRange(query.line + 3, query.limit)),
    "a part of the page": lambda logs, query: logs.page(query)[: query.limit // 2],
    "nothing": lambda logs, query: [],
    "rows that arrive late": late,
}
DETECTABLE = [fault for fault in FAULTS if fault not in ("nothing", "a part of the page", "rows that arrive late")]
"""The faults that a reader can tell from a right page. After the others nobody can know that there is more."""


class Simulation:
    """A poller of a simulated experiment, whose time goes by in steps.

    :param bool holds: whether the server holds requests open as long as it may
    :param bool known: whether the experiment says how many jobs it has
    """

    def __init__(self, poller, logs, *, state=RUNNING, holds=False, known=True):
        self.poller = poller
        self.logs = logs
        self.state = state
        self.holds = holds
        self.known = known
        self.now = 1000.0
        self.events = []
        self.requests = []
        """The queries with the time of each."""
        self.rows_sent = 0
        self.finished = False

    def step(self, fault=None):
        """Take a step of the poller and return it; a fault is a name in FAULTS, or the error of a request."""
        step = self.poller.next_step(self.now)
        if step is None:
            self.finished = True
        elif isinstance(step, Pause):
            assert step.seconds > 0
            self.now += step.seconds
        else:
            self.requests.append((self.now, step))
            self.now += 0.001
            if isinstance(fault, Exception):
                self.now += 1
                self.poller.on_error(fault, self.now)
            else:
                self.events += self.poller.on_response(self.respond(step, fault))
        return step

    def go(self, seconds, error=None):
        """Take steps until some seconds have passed; with an error, every request ends in it."""
        end = self.now + seconds
        while self.now < end and not self.finished:
            self.step(error)

    def run(self, steps=100_000):
        """Take steps until the poller is done."""
        for _ in range(steps):
            self.step()
            if self.finished:
                return
        raise AssertionError(f"the poller does not come to an end in {steps} steps")

    def result(self):
        """Return what a waiter returns in the end."""
        self.run()
        return self.poller.result()

    def queries(self, kind):
        """Return the queries of a kind."""
        return [query for _, query in self.requests if isinstance(query, kind)]

    def rows(self, job):
        """Return the rows of one job that have come."""
        return [row for row in self.events if row.job_id == f"js{job}"]

    def respond(self, step, fault):
        match step:
            case ExperimentQuery():
                return self._experiment()
            case StateQuery():
                if self.holds and self.state not in TERMINAL_STATES:
                    self.now += step.wait
                return self.state
            case LogsQuery():
                page = self.logs.answer(step.range, fault)
                if not page and self.holds and self.state not in TERMINAL_STATES:
                    page = self._hold(step)
                self.rows_sent += len(page)
                return page

    def _experiment(self):
        jobs = len(self.logs.jobs)
        common = {"id": "es1", "state": self.state, "experiment_error": "out of memory"}
        if not self.known:
            return BaseExperiment(experiment_type_id=9, **common)
        if jobs == 1:
            return SingleNodeExperiment(experiment_type_id=1, **common)
        return MultiNodeExperiment(experiment_type_id=3, worker_count=jobs, **common)

    def _hold(self, step):
        """Hold a query to its end, or until a row is printed if they are printed regularly."""
        if not step.wait or self.logs.pace is None:
            self.now += step.wait
            return []
        self.now += self.logs.pace
        self.logs.print(0, 1)
        return self.logs.answer(step.range)


def following(logs, *, line=0, limit=10_000, holds=False, known=True, **follower):
    """Return the simulation of a follower of logs."""
    poller = LogFollower(handle="es1", start=LogPosition(line), limit=limit, **follower)
    return Simulation(poller, logs, holds=holds, known=known)


def waiting(state, *, rows=0, holds=False, **waiter):
    """Return the simulation of a waiter for an experiment in a state, with rows in its log."""
    logs = SimulatedLogs(1)
    logs.print(0, rows)
    logs.end(0)
    return Simulation(Waiter(handle="es1", **waiter), logs, state=state, holds=holds)
