"""Rows of a log as HTML."""

import html
import re

from gradient_server.dashboard.log_view import rows_html

JOBS = {"js1": "worker 1", "js2": "worker 2"}


def row(line, message="step", job="js1", second=0):
    return {"jobId": job, "line": line, "message": message, "timestamp": f"2026-01-02T03:04:{second:02}Z"}


def cells(rows, jobs=JOBS):
    written = re.findall(r"<tr>(.*?)</tr>", rows_html(rows, jobs))
    return [[html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<td.*?</td>", one)] for one in written]


def test_what_is_secret_in_a_row_is_masked():
    """As the client masks it: a page is shown to others more often than a log."""
    ((*_, message),) = cells([row(1, "cloning https://me:sesame@example.com/r.git")])
    assert "sesame" not in message
    assert message.endswith("example.com/r.git")


def test_what_does_not_print_is_written_as_python_does():
    """Colours of a terminal and signs that turn the direction round do nothing on a page."""
    ((*_, message),) = cells([row(1, "\x1b[31mred\x07\u202e")])
    assert message == r"\x1b[31mred\x07\u202e"


def test_rows_come_by_their_time():
    """Of equal times by job and line."""
    rows = [row(2, job="js2"), row(1, job="js2", second=1), row(2), row(1, second=2), row(1)]
    assert [(job, line) for job, line, *_ in cells(rows)] == [
        ("worker 1", "1"),
        ("worker 1", "2"),
        ("worker 2", "2"),
        ("worker 2", "1"),
        ("worker 1", "1"),
    ]


def test_one_job_needs_no_name():
    """Where there is but one, no column says so."""
    assert [len(found) for found in (*cells([row(1)]), *cells([row(1)], {"js1": "worker"}))] == [4, 3]
