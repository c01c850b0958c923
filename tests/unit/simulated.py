"""Logs that grow, a server that answers questions about them well or badly, and who follows them: no I/O, no clock."""

import random

from gradient_api.constants import END_OF_LOG, ExperimentState

from gradient import BaseExperiment, LogRow, MultiNodeExperiment, SingleNodeExperiment
from gradient_ext.logs import LogRange
from gradient_ext.polling import ExperimentQuery, LogFollower, LogsQuery, Pause, StateQuery

RUNNING, STOPPED = ExperimentState.RUNNING, ExperimentState.STOPPED


class SimulatedLogs:
    """The logs of the jobs of one experiment, and what a server says of them.

    :param int jobs: how many jobs there are
    :param bool inclusive: whether the row with the line that was asked for is in the answer
    :param int overlap: how many rows before it are in the answer, too
    :param int most: the most rows in an answer, whatever limit was asked for
    :param float pace: after how many seconds the first job prints a row while a question is held; None: never
    """

    def __init__(self, jobs, *, inclusive=False, overlap=0, most=10**9, seed=0, pace=None):
        self.jobs = [[] for _ in range(jobs)]
        self.ended = [False] * jobs
        self.shift = inclusive + overlap
        self.most = most
        self.pace = pace
        self.given = []
        self.random = random.Random(seed)

    def print(self, job, count):
        """Print rows of a job, unless its log has ended."""
        if not self.ended[job]:
            start = len(self.jobs[job]) + 1
            self.jobs[job] += [self.row(job, line, f"row {line}") for line in range(start, start + count)]

    def end(self, job):
        """End the log of a job."""
        if not self.ended[job]:
            self.jobs[job].append(self.row(job, len(self.jobs[job]) + 1, END_OF_LOG))
            self.ended[job] = True

    def row(self, job, line, message):
        return LogRow(line, message, "2019-08-06T17:21:18.528Z", f"js{job}")

    def rows(self, job):
        """The rows that a follower has to yield."""
        return [row for row in self.jobs[job] if row.message != END_OF_LOG]

    def answer(self, question, fault=None):
        """Return the rows after a line, of all jobs, ordered by line, up to the limit."""
        page = FAULTS[fault](self, question) if fault else self.page(question)
        self.given.append(page)
        return page

    def page(self, question):
        after = max(0, question.line - self.shift)
        limit = min(question.limit, self.most)
        # No more than that can be in the page: it would take long to sort what is not.
        found = [row for log in self.jobs for row in log[after : after + limit]]
        return sorted(found, key=lambda row: (row.line, row.job_id))[:limit]


def shuffled(logs, question):
    page = logs.page(question)
    logs.random.shuffle(page)
    return page


def late(logs, question):
    """Rows as they were when a part of each log had not come in yet."""
    known = SimulatedLogs(0)
    known.jobs = [log[: logs.random.randint(0, len(log))] for log in logs.jobs]
    known.shift, known.most = logs.shift, logs.most
    return known.page(question)


FAULTS = {
    "the last page again": lambda logs, question: logs.given[-1] if logs.given else logs.page(question),
    "an older page": lambda logs, question: logs.random.choice(logs.given) if logs.given else logs.page(question),
    "rows in another order": shuffled,
    "rows twice": lambda logs, question: [row for row in logs.page(question) for _ in range(2)],
    "rows from before": lambda logs, question: logs.page(LogRange(max(0, question.line - 3), question.limit)),
    "a later page": lambda logs, question: logs.page(LogRange(question.line + 3, question.limit)),
    "a part of the page": lambda logs, question: logs.page(question)[: question.limit // 2],
    "nothing": lambda logs, question: [],
    "rows that come in late": late,
}
TELLABLE = [fault for fault in FAULTS if fault not in ("nothing", "a part of the page", "rows that come in late")]
"""Answers in which something is odd. Of the others nobody can know that there is more."""


class Simulation:
    """A follower of simulated logs, whose time goes by in steps.

    :param bool holds: whether the server holds requests open as long as it may
    :param bool known: whether the experiment tells how many jobs it has
    """

    def __init__(self, logs, *, line=0, limit=10_000, holds=False, known=True, **follower):
        self.logs = logs
        self.follower = LogFollower(handle="es1", start=LogRange(line, limit), **follower)
        self.holds = holds
        self.known = known
        self.state = RUNNING
        self.now = 1000.0
        self.got = []
        self.asked = []
        self.rows_sent = 0
        self.finished = False

    def experiment(self):
        jobs = len(self.logs.jobs)
        if not self.known:
            return BaseExperiment(id="es1", state=self.state, experiment_type_id=9)
        if jobs == 1:
            return SingleNodeExperiment(id="es1", state=self.state, experiment_type_id=1)
        return MultiNodeExperiment(id="es1", state=self.state, experiment_type_id=3, worker_count=jobs)

    def step(self, fault=None):
        """Take one step of the follower and return it; a fault is a kind of response, or an error."""
        step = self.follower.next_step(self.now)
        if step is None:
            self.finished = True
        elif isinstance(step, Pause):
            assert step.seconds > 0
            self.now += step.seconds
        else:
            self.asked.append((self.now, step))
            self.now += 0.001
            if isinstance(fault, Exception):
                self.now += 1
                self.follower.on_error(fault, self.now)
            else:
                self.got += self.follower.on_response(self.answer(step, fault))
        return step

    def go(self, seconds, error=None):
        """Pass time; with an error, every request fails with it."""
        end = self.now + seconds
        while self.now < end:
            assert self.step(error) is not None

    def answer(self, step, fault):
        match step:
            case ExperimentQuery():
                return self.experiment()
            case StateQuery():
                return self.state
            case LogsQuery():
                page = self.logs.answer(step.range, fault)
                if not page and self.holds and self.state != STOPPED:
                    page = self.hold(step)
                self.rows_sent += len(page)
                return page

    def hold(self, step):
        """Hold a question to its end, or until a row is printed if they are printed regularly."""
        if not step.wait or self.logs.pace is None:
            self.now += step.wait
            return []
        self.now += self.logs.pace
        self.logs.print(0, 1)
        return self.logs.answer(step.range)

    def run(self, steps=100_000):
        """Go on until the follower is done."""
        for _ in range(steps):
            self.step()
            if self.finished:
                return
        raise AssertionError(f"the follower does not come to an end in {steps} steps")

    def rows(self, job):
        """What has come of one job."""
        return [row for row in self.got if row.job_id == f"js{job}"]
