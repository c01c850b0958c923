"""Log rows, and the cursors against a model server: every row once, in order per job, whatever the pages are like."""

import pytest
from gradient_api.constants import END_OF_LOG
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gradient import LogRow
from gradient_ext.logs import LogCursor, LogPosition, LogTail, rows_from


def log_of(job, rows, *, ended=True):
    messages = [f"row {number} of {job}" for number in range(1, rows + 1)] + [END_OF_LOG] * ended
    return [LogRow(line, message, "2019-08-06T17:21:18.528Z", job) for line, message in enumerate(messages, start=1)]


def answer(rows, query, *, inclusive=False):
    """Return the page of a server: rows of all jobs after the line, ordered by line, up to the limit."""
    after = query.line - 1 if inclusive else query.line
    found = [row for row in rows if row.line > after]
    return sorted(found, key=lambda row: (row.line, row.job_id))[: query.limit]


@given(
    jobs=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    limit=st.integers(1, 15),
    inclusive=st.booleans(),
    known=st.booleans(),
    schedule=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 13)), max_size=20),
    resumed=st.sets(st.integers(0, 30), max_size=3),
)
def test_every_row_comes_once_and_in_order_whatever_the_pages_are_like(
    jobs, limit, inclusive, known, schedule, resumed
):
    """For any number of jobs, page size, kind of server, and order in which rows appear between two responses.

    In between, another reader goes on from the cursor, or from the rows that came.
    """
    whole = [log_of(f"js{number}", rows) for number, rows in enumerate(jobs)]
    visible = [0] * len(jobs)
    cursor = LogCursor(LogPosition(), limit, len(jobs) if known else None)
    got, ended = [], False
    for step in range(1000):
        rows = [row for log, count in zip(whole, visible, strict=True) for row in log[:count]]
        got += cursor.take(answer(rows, cursor.query, inclusive=inclusive))
        if cursor.finished or (ended and cursor.pass_is_over):
            break
        if cursor.pass_is_over and visible == [len(log) for log in whole]:
            ended = True  # a follower now makes one more pass, as the experiment has ended
        if step in resumed:
            position = LogPosition.after(got) if step % 2 else LogPosition.parse(str(cursor.position))
            cursor = LogCursor(position, limit, len(jobs) if known else None)
            ended = False
        job, count = schedule[step] if step < len(schedule) else (step % len(jobs), 100)
        visible[job % len(jobs)] = min(len(whole[job % len(jobs)]), visible[job % len(jobs)] + count)
    else:
        raise AssertionError("the cursor does not come to an end")
    for number, log in enumerate(whole):
        assert [row for row in got if row.job_id == f"js{number}"] == log[:-1]


@settings(max_examples=300)
@given(
    line=st.integers(0, 1),
    places=st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["js0", None])), max_size=6),
    ends=st.sets(st.integers(0, 5)),
)
def test_of_any_page_the_cursor_takes_the_rows_that_continue_a_job(line, places, ends):
    """Whatever is duplicated, missing or marked as the end."""
    messages = [END_OF_LOG if number in ends else f"row {number}" for number in range(len(places))]
    page = [LogRow(at, message, "", job) for (at, job), message in zip(places, messages, strict=True)]
    last, expected = {}, []
    for row in sorted(page, key=lambda row: row.line):
        if row.line == last.get(row.job_id, line) + 1:
            last[row.job_id] = row.line
            expected.append(row)
    jobs = {row.job_id for row in page}
    cursor = LogCursor(LogPosition(line), 100, len(jobs))
    assert cursor.take(page) == [row for row in expected if row.message != END_OF_LOG]
    assert cursor.finished == ({row.job_id for row in expected if row.message == END_OF_LOG} == jobs)


def test_logs_go_on_while_any_job_goes_on_even_an_unexpected_one():
    """A count may lack the jobs of a second attempt."""
    cursor = LogCursor(jobs=1)
    rows = [*log_of("js0", 3), *log_of("js1", 5, ended=False)]
    got = cursor.take(answer(rows, cursor.query))
    assert not cursor.finished
    rows += log_of("js1", 9)[5:]
    while not cursor.finished:
        got += cursor.take(answer(rows, cursor.query))
    assert [row.line for row in got if row.job_id == "js1"] == list(range(1, 10))


def test_a_gap_that_stays_is_skipped():
    rows = [
        *log_of("js0", 50),
        LogRow(1, "a", "", "js1"),
        LogRow(40, "b", "", "js1"),
        LogRow(41, END_OF_LOG, "", "js1"),
    ]
    cursor, got = LogCursor(LogPosition(), 5, 2), []
    for _ in range(200):
        got += cursor.take(answer(rows, cursor.query))
        if cursor.finished:
            break
    assert [row.line for row in got if row.job_id == "js1"] == [1, 40]


def test_the_line_of_a_query_is_exclusive():
    cursor = LogCursor(LogPosition(2), 10, 1)
    assert [row.line for row in cursor.take(answer(log_of("js0", 4), cursor.query))] == [3, 4]
    assert cursor.finished


def test_the_next_query_is_about_the_job_that_is_furthest_behind():
    cursor = LogCursor(LogPosition(), 100, 2)
    cursor.take(answer(log_of("js0", 50, ended=False) + log_of("js1", 1, ended=False), cursor.query))
    assert cursor.query.line == 1
    new = cursor.take(answer(log_of("js0", 50, ended=False) + log_of("js1", 2, ended=False), cursor.query))
    assert [(row.job_id, row.line) for row in new] == [("js1", 2)]


def test_a_row_shows_as_documented_and_unpacks_like_a_tuple_and_carries_its_job():
    row = LogRow(1, "hello", "2019-08-06T17:21:18.528Z", "js1")
    assert repr(row) == "LogRow(line=1, message='hello', timestamp='2019-08-06T17:21:18.528Z')"
    line, message, timestamp = row
    assert (line, message, timestamp, row.job_id) == (1, "hello", "2019-08-06T17:21:18.528Z", "js1")


def test_a_row_without_line_message_or_timestamp_is_an_error():
    whole = {"line": 1.0, "message": "", "timestamp": "2019-08-06T17:21:18.528Z", "jobId": None}
    assert rows_from([whole]) == [LogRow(1, "", whole["timestamp"])]
    for name in ("line", "message", "timestamp"):
        with pytest.raises(ValueError, match=f"{name} is null"):
            rows_from([{**whole, name: None}])


TEXTS = st.sampled_from(["text", "", None, 7, True, []])
VALUES = {
    "line": st.sampled_from([1, 2, "3", 4.0, 1.5, None, True, "x"]),
    "message": TEXTS,
    "timestamp": TEXTS,
    "jobId": st.sampled_from(["js1", "js2", None, "", 7, {}]),
    "more": st.just("text"),
}
WHOLE_ROWS = st.builds(lambda line: {"line": line, "message": "m", "timestamp": "t", "jobId": "js1"}, st.integers(1, 9))
ANY_ROWS = (
    st.fixed_dictionaries({}, optional=VALUES) | st.fixed_dictionaries(VALUES) | st.sampled_from([None, 7, [], "x"])
)


def outcome(read):
    """Return what a function returns, or the kind and text of its error."""
    try:
        return read()
    except (TypeError, KeyError, ValueError) as error:
        return type(error), str(error)


@settings(max_examples=300)
@given(st.lists(WHOLE_ROWS | ANY_ROWS, max_size=4))
def test_a_page_is_read_as_each_of_its_rows_by_itself(page):
    """Errors included."""
    alone = outcome(lambda: [row for each in page for row in rows_from([each])])
    together = outcome(lambda: rows_from(page))
    assert together == alone
    if isinstance(together, list):
        assert {type(row.line) for row in together} <= {int}
        assert {type(row.job_id) for row in together} <= {str, type(None)}


def test_a_response_without_a_body_has_no_rows():
    assert rows_from(None) == []


@example(jobs=[14, 14, 14], inclusive=False, most=40, marked=False)
@example(jobs=[147, 147, 146], inclusive=True, most=40, marked=False)
@given(
    jobs=st.lists(st.integers(0, 30_000), min_size=1, max_size=3),
    inclusive=st.booleans(),
    most=st.sampled_from([10**9, 40]),
    marked=st.booleans(),
)
def test_the_last_rows_of_a_log_of_any_length_are_found_with_few_requests(jobs, inclusive, most, marked):
    tail = LogTail(10)

    def page(query):
        after = max(0, query.line - inclusive)
        rows = [
            LogRow(line, END_OF_LOG if marked and line == length else "text", "", str(job))
            for line in range(after + 1, min(max(jobs), after + query.limit) + 1)
            for job, length in enumerate(jobs)
            if line <= length
        ]
        return rows[: min(query.limit, most)]

    querys = 0
    while not tail.finished:
        tail.take(page(tail.query))
        querys += 1
    everything = sorted(
        ((line, str(job)) for job, length in enumerate(jobs) for line in range(1, length + 1 - marked)),
    )
    assert [(row.line, row.job_id) for row in tail.rows] == everything[-10:]
    assert querys < 40
