"""The log rows of a run: numbered for each job, in order, in pages, with a marker at the end."""

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from tests.server.runners.suite.bench import ALL

SOME = (0, 1, 5)


def assert_numbered(run, rows, now):
    """The rows of each job are 1, 2, 3 ..., none from the future, and they are ordered by line and then by job."""
    for job in run.jobs:
        own = [row for found, row in rows if found == job]
        assert [row.line for row in own] == list(range(1, len(own) + 1))
        moments = [row.timestamp for row in own]
        assert moments == sorted(moments)
        assert all(moment <= now + 1e-6 for moment in moments)
    places = [(row.line, run.jobs.index(job)) for job, row in rows]
    assert places == sorted(places)


@pytest.mark.parametrize("rows", SOME)
def test_the_whole_log(bench, kind, rows):
    """As many rows as were printed, and the marker, once and last."""
    run = bench.started(kind.prints(rows))
    bench.until_ended(run)
    found = bench.rows(run)
    assert_numbered(run, found, bench.clock.now())
    assert [row.message == END_OF_LOG for _, row in found] == [False] * (kind.notes + rows) + [True]


@pytest.mark.parametrize("rows", SOME)
def test_several_jobs(bench, kind, rows):
    """Each numbers its own rows, and has a marker of its own at its end."""
    run = bench.started(kind.prints_on_several_nodes(rows))
    assert len(run.jobs) > 1
    assert len({job.id for job in run.jobs}) == len({job.name for job in run.jobs}) == len(run.jobs)
    assert bench.until_ended(run) == State.STOPPED
    found = bench.rows(run)
    assert_numbered(run, found, bench.clock.now())
    for job in run.jobs:
        messages = [row.message for printer, row in found if printer == job]
        assert len(messages) >= 1 + rows
        assert [message == END_OF_LOG for message in messages] == [False] * (len(messages) - 1) + [True]


@pytest.mark.parametrize("several", [False, True], ids=["one job", "several jobs"])
def test_pages(bench, kind, several):
    """After any line and with any limit comes what there is of the log after that line, cut at the limit."""
    run = bench.started((kind.prints_on_several_nodes if several else kind.prints)(4))
    bench.until_ended(run)
    everything, now = bench.rows(run), bench.clock.now()
    for line in range(everything[-1][1].line + 2):
        after = [(job, row) for job, row in everything if row.line > line]
        for limit in (*range(len(everything) + 2), ALL):
            assert run.rows(line, limit, now) == after[:limit]
    assert run.rows(10**30, ALL, now) == []


@pytest.mark.parametrize("several", [False, True], ids=["one job", "several jobs"])
def test_each_job_alone(bench, kind, several):
    """Of each job it is known where its log ends, and its rows are those that are among the rows of all."""
    run = bench.started((kind.prints_on_several_nodes if several else kind.prints)(4))
    bench.until_ended(run)
    everything, now = bench.rows(run), bench.clock.now()
    ends = run.last_lines(now)
    assert tuple(ends) == run.jobs
    for job in run.jobs:
        own = [row for printer, row in everything if printer == job]
        assert ends[job] == own[-1].line
        for line in (*range(len(own) + 2), 10**30):
            for limit in (0, 1, 3, ALL):
                assert run.job_rows(job, line, limit, now) == own[line:][:limit]


def test_each_job_before_it_is_started(bench, kind):
    """No log has begun, whatever came of it later."""
    run = bench.prepare(kind.prints_on_several_nodes(1))
    now = bench.clock.now()
    assert dict(run.last_lines(now)) == dict.fromkeys(run.jobs, 0)
    assert [run.job_rows(job, 0, ALL, now) for job in run.jobs] == [[]] * len(run.jobs)


def test_while_it_runs(bench, kind):
    """Rows are there before it has ended; the marker is not, and it comes together with the outcome."""
    run = bench.started(kind.prints(3))
    seen = []

    def look():
        (end,) = run.last_lines(bench.clock.now()).values()
        # The rows first: what comes in between is then only the end.
        rows, now = bench.rows(run), bench.clock.now()
        assert len(seen) <= end <= len(rows)
        assert rows[: len(seen)] == seen
        assert_numbered(run, rows, now)
        seen[:] = rows
        ended = bench.state(run) in TERMINAL_STATES
        assert ended or END_OF_LOG not in [row.message for _, row in rows]
        return ended

    bench.until(run, look)
    assert bench.rows(run)[-1][1].message == END_OF_LOG


def test_one_that_waits(bench, kind):
    """Its row is there although it has not ended."""
    run = bench.started(kind.waits())
    rows = bench.until_printed(run)
    assert bench.state(run) == State.RUNNING
    assert END_OF_LOG not in [row.message for _, row in rows]
    assert run.next_row_at(0, bench.clock.now()) <= bench.clock.now()


def test_after_the_end_no_row_is_promised(bench, kind):
    """After whatever line."""
    run = bench.started(kind.prints(2))
    bench.until_ended(run)
    last = bench.rows(run)[-1][1].line
    assert [run.next_row_at(line, bench.clock.now()) for line in (0, last - 1, last, last + 1, 10**30)] == [None] * 5


def test_what_never_ran_has_no_rows_of_a_command(bench, kind):
    """Where it could not be set up, at most the runner says something, and then comes the marker."""
    run = bench.started(kind.cannot_be_set_up())
    bench.until_ended(run)
    messages = [row.message for _, row in bench.rows(run)]
    assert END_OF_LOG not in messages[:-1]
    assert run.next_row_at(0, bench.clock.now()) is None
