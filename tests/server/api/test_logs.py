"""Logs over HTTP: rows of all jobs by line, in pages of any size, while they are printed and afterwards."""

import re
from datetime import datetime
from itertools import pairwise

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES

from gradient_server.api.descriptions import MOST_ROWS_AT_ONCE

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"
ROWS = 5


@pytest.fixture
def run(ask, contract):
    """Run an experiment of one node or of three; its id."""

    def run(kind="MultiNodeRequest", rows=ROWS):
        body = contract["components"]["examples"][kind]["value"]
        body = {**body, "experimentEnv": {"GRADIENT_MOCK_LOG_LINES": rows}}
        return ask("POST", EXPERIMENTS + "run/", body).body["handle"]

    return run


@pytest.fixture
def logs(ask):
    def logs(handle, **query):
        parts = "".join(f"&{name}={value}" for name, value in query.items())
        answered = ask("GET", f"/jobs/logs?experimentId={handle}{parts}")
        assert answered.status == (200 if answered.body else 204)
        return answered.body or []

    return logs


def places(rows):
    return [(row["jobId"], row["line"]) for row in rows]


@pytest.mark.parametrize(("kind", "jobs"), [("SingleNodeRequest", 1), ("MultiNodeRequest", 3)])
def test_every_job_counts_its_own_lines(still, run, logs, kind, jobs):
    """From 1, one after the other, with the end marker last; the rows of all jobs come ordered by line."""
    handle = run(kind)
    still.advance(20)
    rows = logs(handle)
    assert len({row["jobId"] for row in rows}) == jobs
    for job in {row["jobId"] for row in rows}:
        own = [row for row in rows if row["jobId"] == job]
        assert [row["line"] for row in own] == list(range(1, ROWS + 2))
        assert [row["message"] == END_OF_LOG for row in own] == [False] * ROWS + [True]
    assert [row["line"] for row in rows] == sorted(row["line"] for row in rows)


def test_rows_appear_while_it_runs(still, run, logs):
    """None before it runs, then more and more, none of which changes; the marker comes at the end."""
    handle = run("SingleNodeRequest")
    assert logs(handle) == []
    seen = [[]]
    for _ in range(201):  # once more than it takes: small steps do not add up exactly
        still.advance(0.1)
        seen.append(logs(handle))
    assert {len(rows) for rows in seen} == set(range(ROWS + 2))
    assert all(later[: len(sooner)] == sooner for sooner, later in pairwise(seen))
    assert [row["message"] for row in seen[-1]][-1] == END_OF_LOG


def test_the_marker_comes_with_the_end(ask, still, run, logs):
    """Who has followed a log to its end finds the experiment ended, never still being torn down."""
    handle = run("SingleNodeRequest")
    ended = False
    for _ in range(210):
        still.advance(0.1)
        state = ask("GET", f"{EXPERIMENTS}{handle}/state/").body["data"]["state"]
        complete = [row["message"] for row in logs(handle)][-1:] == [END_OF_LOG]
        assert complete == (state in TERMINAL_STATES)
        ended = ended or complete
    assert ended


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 17, 18, 19, 100])
def test_a_page_is_the_beginning_of_the_rest(still, run, logs, limit):
    """After any line, a page of any size has the first rows of those that come later."""
    handle = run()
    still.advance(20)
    rows = logs(handle)
    for line in range(ROWS + 3):
        rest = [row for row in rows if row["line"] > line]
        assert logs(handle, line=line) == rest
        assert logs(handle, line=line, limit=limit) == rest[:limit]


@pytest.mark.parametrize("line", [ROWS + 1, 10**6, 10**30])
def test_nothing_after_the_last_line(ask, still, run, line):
    """Is 204 without a body."""
    handle = run()
    still.advance(20)
    answered = ask("GET", f"/jobs/logs?experimentId={handle}&line={line}")
    assert (answered.status, answered.body) == (204, "")


def test_no_rows(still, run, logs):
    """A job that prints nothing has the marker as its line 1."""
    handle = run("SingleNodeRequest", rows=0)
    still.advance(20)
    assert [(row["line"], row["message"]) for row in logs(handle)] == [(1, END_OF_LOG)]


@pytest.mark.parametrize("after", [2, 5, 10, 18.9])
def test_stopping_ends_the_log(ask, still, run, logs, after):
    """The rows so far stay, each job has its marker when the run has been torn down, and nothing comes later."""
    handle = run()
    still.advance(after)
    before = logs(handle)
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    assert logs(handle) == before
    still.advance(1.1)
    rows = logs(handle)
    assert rows[: len(before)] == before
    assert [row["message"] for row in rows[len(before) :]] == [END_OF_LOG] * 3
    still.advance(100)
    assert logs(handle) == rows


@pytest.mark.parametrize("started", [False, True])
def test_an_experiment_that_never_runs(ask, still, single_node_body, started):
    """Has no log: neither when it is canceled before it starts, nor before it runs."""
    handle = ask("POST", EXPERIMENTS + "run/" * started, single_node_body).body["handle"]
    ask("PUT", f"{EXPERIMENTS}{handle}/stop/")
    still.advance(100)
    assert ask("GET", f"/jobs/logs?experimentId={handle}").status == 204


def test_timestamps(still, run, logs):
    """UTC with `Z`, milliseconds without zeros at their end; no row of a job is earlier than the one before."""
    handle = run(rows=200)
    still.advance(20)
    rows = logs(handle)
    stamps = [row["timestamp"] for row in rows]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,2}[1-9])?Z", stamp) for stamp in stamps)
    moments = [datetime.fromisoformat(stamp) for stamp in stamps]
    for job in {row["jobId"] for row in rows}:
        own = [moment for moment, row in zip(moments, rows, strict=True) if row["jobId"] == job]
        assert own == sorted(own)


def test_a_log_longer_than_memory(ask, still, run, logs):
    """Its end is found as fast as its beginning, and no answer has more rows than fit."""
    handle = run(rows=10**9)
    still.advance(20)
    assert places(logs(handle, limit=4)) == places(logs(handle, limit=4, line=0))
    last = logs(handle, line=10**9)
    assert [(row["line"], row["message"]) for row in last] == [(10**9 + 1, END_OF_LOG)] * 3
    assert len(logs(handle, limit=MOST_ROWS_AT_ONCE + 1)) == MOST_ROWS_AT_ONCE
