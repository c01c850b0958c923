"""The log rows of a run: numbered by job, in order, in pages, with an end marker."""

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from tests.server.runners.suite.conftest import ALL, MULTI_NODE, SINGLE_NODE

NODES = pytest.mark.parametrize("nodes", [SINGLE_NODE, MULTI_NODE], ids=["one node", "several nodes"])


def assert_numbered(run, rows, now):
    """The rows of each job are 1, 2, 3 ..., none from the future, and they are ordered by line and then by job."""
    for job in run.jobs:
        own = [row for owner, row in rows if owner == job]
        assert [row.line for row in own] == list(range(1, len(own) + 1))
        timestamps = [row.timestamp for row in own]
        assert timestamps == sorted(timestamps)
        assert all(timestamp <= now + 1e-6 for timestamp in timestamps)
    order = [(row.line, run.jobs.index(job)) for job, row in rows]
    assert order == sorted(order)


@NODES
def test_each_job_of_an_ended_run_has_one_marker_at_its_end(bench, kind, nodes):
    run = bench.finish(kind.succeeds(nodes=nodes))
    rows, now = bench.rows(run), bench.clock.now()
    assert_numbered(run, rows, now)
    assert len({job.id for job in run.jobs}) == len({job.name for job in run.jobs}) == len(run.jobs)
    assert len(run.jobs) == (1 if nodes is SINGLE_NODE else 3)
    for job in run.jobs:
        messages = [row.message for owner, row in rows if owner == job]
        assert [message == END_OF_LOG for message in messages] == [False] * (len(messages) - 1) + [True]
    last = rows[-1][1].line
    assert [run.next_row_at(line, now) for line in (0, last - 1, last, last + 1, 10**30)] == [None] * 5


@NODES
def test_pages_are_cut_from_the_log_after_any_line_with_any_limit(bench, kind, nodes):
    """Those of one job are its rows among those of all."""
    run = bench.finish(kind.succeeds(nodes=nodes))
    everything, now = bench.rows(run), bench.clock.now()
    for line in (*range(everything[-1][1].line + 2), 10**30):
        after = [(job, row) for job, row in everything if row.line > line]
        for limit in (*range(len(everything) + 2), ALL):
            assert run.rows(line, limit, now) == after[:limit]
            for job in run.jobs:
                assert run.job_rows(job, line, limit, now) == [row for owner, row in after if owner == job][:limit]
    lasts = run.last_lines(now)
    assert tuple(lasts) == run.jobs
    assert list(lasts.values()) == [max(row.line for owner, row in everything if owner == job) for job in run.jobs]


def test_the_jobs_of_a_run_that_is_not_started_have_no_rows(bench, kind):
    run = bench.admit(kind.succeeds(nodes=MULTI_NODE))
    now = bench.clock.now()
    assert dict(run.last_lines(now)) == dict.fromkeys(run.jobs, 0)
    assert [run.job_rows(job, 0, ALL, now) for job in run.jobs] == [[]] * 3


@pytest.mark.parametrize("count", [0, 1, 5])
def test_there_are_as_many_rows_as_were_printed_and_the_marker(bench, prints, count):
    run = bench.finish(prints(count))
    assert bench.printed(run) == count


def test_several_nodes_number_their_own_rows(bench, prints_on_several_nodes):
    run = bench.finish(prints_on_several_nodes(5))
    assert bench.state(run) == State.STOPPED
    rows = bench.rows(run)
    assert_numbered(run, rows, bench.clock.now())
    assert all(sum(owner == job for owner, _ in rows) >= 6 for job in run.jobs)


def test_rows_appear_while_the_command_runs_and_the_marker_with_the_last_state(bench, prints):
    run = bench.start(prints(3))
    seen = []

    def has_ended():
        (last,) = run.last_lines(bench.clock.now()).values()
        # The state after the rows: only the end can come in between.
        rows, now = bench.rows(run), bench.clock.now()
        assert len(seen) <= last <= len(rows)
        assert rows[: len(seen)] == seen
        assert_numbered(run, rows, now)
        seen[:] = rows
        ended = bench.state(run) in TERMINAL_STATES
        assert ended or END_OF_LOG not in [row.message for _, row in rows]
        return ended

    bench.until(run, has_ended)
    assert bench.rows(run)[-1][1].message == END_OF_LOG


def test_a_run_that_waits_has_its_row_and_no_marker(bench, waits):
    run = bench.start(waits())
    rows = bench.until_printed(run)
    assert bench.state(run) == State.RUNNING
    assert END_OF_LOG not in [row.message for _, row in rows]
    assert run.next_row_at(0, bench.clock.now()) <= bench.clock.now()


def assert_follows_to_the_end(bench, run):
    """A poll for rows sees all of them: it is woken for each, and each is there at the announced time."""
    seen, line = [], 0

    def look():
        nonlocal line
        # Before the rows are read: what comes in between is then announced, not missed.
        timestamp = run.next_row_at(line, bench.clock.now())
        new = run.rows(line, ALL, bench.clock.now())
        if new:
            seen.extend(new)
            line = new[-1][1].line
            return bench.clock.now()
        assert timestamp is None or timestamp > bench.clock.now(), "the row should be there"
        return timestamp

    bench.poll(look)
    assert seen == bench.rows(run)
    assert bench.state(run) in TERMINAL_STATES


def test_a_poll_for_rows_is_woken_for_each_and_ends(bench, kind):
    assert_follows_to_the_end(bench, bench.start(kind.succeeds()))


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("rows", [0, 3])
def test_a_poll_for_printed_rows_is_woken_for_each_and_ends(bench, prints, rows, code):
    assert_follows_to_the_end(bench, bench.start(prints(rows, code)))


def test_a_poll_for_rows_ends_if_the_run_cannot_be_set_up(bench, cannot_be_set_up):
    assert_follows_to_the_end(bench, bench.start(cannot_be_set_up()))
