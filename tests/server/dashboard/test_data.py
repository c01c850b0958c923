"""Which rows of a log a page reads: little of a long log, and something of every job."""

from contextlib import closing

import pytest
from gradient_api.constants import ExperimentState as State
from hypothesis import given
from hypothesis import strategies as st

from gradient import ExperimentsClient
from gradient_server import LocalServer
from gradient_server.clock import Clock
from gradient_server.dashboard.data import DashboardData, parse_lines
from gradient_server.runners.base import LogRow, RunSpec
from tests.server.dashboard.conftest import Visitor
from tests.server.runners.manual_runner import ManualRun, ManualRunner

NODES = 64
MAX_ROWS = 500
LENGTHS = st.lists(st.integers(0, 60) | st.integers(0, 10_000), min_size=1, max_size=5)


class CountingRun(ManualRun):
    """Counts how often the log of a job is read, and how many of its rows."""

    reads = rows_read = 0

    def print_rows(self, *lengths):
        """Print more rows, a number for each job."""
        for rows, length in zip(self._printed.values(), lengths, strict=True):
            first = len(rows) + 1
            rows += [LogRow(line, 0.0, f"loss {line}") for line in range(first, first + length)]

    def rows(self, line, limit, now):
        self.reads += len(self.jobs)
        return super().rows(line, limit, now)

    def job_rows(self, job, line, limit, now):
        rows = super().job_rows(job, line, limit, now)
        self.reads += 1
        self.rows_read += len(rows)
        return rows


class CountingRunner(ManualRunner):
    def new_run(self, spec):
        return CountingRun(spec)


@given(LENGTHS, st.data())
def test_the_last_rows_are_those_that_a_page_does_not_know(lengths, data):
    run = CountingRun(RunSpec(handle="es1", created=0.0, body={"workerCount": len(lengths)}))
    run.print_rows(*lengths)
    known = {job.id: data.draw(st.integers(0, length)) for job, length in zip(run.jobs, lengths, strict=True)}
    part = DashboardData(None, None, Clock()).last_rows(run, known)
    size = MAX_ROWS // len(lengths)
    assert run.rows_read <= MAX_ROWS + len(lengths)
    for job, length in zip(run.jobs, lengths, strict=True):
        lines = [row.line for row in part.rows if row.job == job.name]
        assert lines == list(range(max(known[job.id], length - size) + 1, length + 1))
        assert part.lines[job.id] == length
    assert part.skipped == any(length - size > known[job.id] for job, length in zip(run.jobs, lengths, strict=True))
    assert part.total == sum(lengths)


def test_rows_are_ordered_by_time_then_job_then_line():
    run = CountingRun(RunSpec(handle="es1", created=0.0, body={"workerCount": 2}))
    for job, timestamps in zip(run.jobs, ([1.0, 1.0, 3.0], [1.0, 2.0]), strict=True):
        run._printed[job] += [LogRow(line, timestamp, "") for line, timestamp in enumerate(timestamps, start=1)]
    rows = DashboardData(None, None, Clock()).last_rows(run).rows
    assert [(row.job, row.line) for row in rows] == [
        ("worker 0", 1),
        ("worker 0", 2),
        ("worker 1", 1),
        ("worker 1", 2),
        ("worker 0", 3),
    ]


@pytest.mark.parametrize("after", [None, 0])
def test_rows_of_a_job_keep_their_order_where_the_clock_was_set_back(after):
    run = CountingRun(RunSpec(handle="es1", created=0.0, body={"workerCount": 2}))
    for job, timestamps in zip(run.jobs, ([10.0, 20.0, 5.0, 6.0, 30.0], [15.0, 16.0, 5.5]), strict=True):
        run._printed[job] += [LogRow(line, timestamp, "") for line, timestamp in enumerate(timestamps, start=1)]
    data = DashboardData(None, None, Clock())
    rows = data.last_rows(run).rows if after is None else data.rows_after(run, after).rows
    lines = {job.name: [row.line for row in rows if row.job == job.name] for job in run.jobs}
    assert lines == {"worker 0": [1, 2, 3, 4, 5], "worker 1": [1, 2, 3]}
    assert [row.job[-1] for row in rows] == list("01110000")


def test_the_lines_of_the_longest_log_are_read():
    assert parse_lines(f"js1:{10**9 + 1},js2:{'9' * 15}") == {"js1": 1_000_000_001, "js2": 999_999_999_999_999}


@pytest.fixture
def runner():
    return CountingRunner({})


@pytest.fixture
def visitor(runner, multi_node):
    with LocalServer(runner=runner) as server:
        hosts = {"base_url": server.experiments_url, "logs_url": server.logs_url}
        with closing(ExperimentsClient(server.api_key, **hosts)) as client:
            client.run_multi_node(**multi_node | {"worker_count": NODES - 1, "parameter_server_count": 1})
        runner.step()
        visitor = Visitor(server.url, server.api_key)
        assert visitor.log_in().status == 303
        yield visitor


@pytest.mark.parametrize("path", ["experiments/{}/charts", "compare/charts?run={}"])
def test_charts_name_how_many_metrics_they_leave_out(visitor, runner, path):
    (run,) = runner.kept.values()
    message = " ".join(f"loss_{name} 0.5" for name in "abcdefghij")
    run._printed[run.jobs[0]] += [LogRow(line, 0.0, message) for line in (1, 2)]
    answer = visitor.get(f"/page/{path.format(run.handle)}").json
    assert (len(answer["charts"]), answer["note"]) == (8, "2 more metrics not shown.")


def test_a_log_of_many_jobs_is_read_in_few_pieces(visitor, runner):
    (run,) = runner.kept.values()
    lengths = [1 + 7 * number % 50 for number in range(NODES)]
    for _ in range(10):
        run.print_rows(*lengths)
    url = f"/page/experiments/{run.handle}"
    page = visitor.get(url)
    assert page.body.count("<tr>") > MAX_ROWS // 2
    assert run.reads < 5 * NODES
    lines = page.attribute("data-lines")
    assert len(lines.split(",")) == NODES

    run.reads = 0
    (chart,) = visitor.get(f"{url}/charts").json["charts"]
    assert len(chart["series"]) == NODES
    assert run.reads < 5 * NODES
    run.reads = 0
    visitor.get(f"{url}/charts")
    assert run.reads <= NODES  # what was read is known

    run.reads = 0
    updates = f"{url}/updates?state={State.RUNNING}&lines={lines}&wait=0"
    assert visitor.get(updates).json == {}
    run.print_rows(*lengths)
    assert visitor.get(updates).json["rows"].count("<tr>") == sum(min(length, MAX_ROWS // NODES) for length in lengths)
    assert run.reads < 10 * NODES
