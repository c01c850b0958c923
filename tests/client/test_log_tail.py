"""The last rows of a log, however long it is."""

from gradient_api.constants import END_OF_LOG
from hypothesis import example, given
from hypothesis import strategies as st

from gradient import LogRow
from gradient_ext.log_tail import LogTail


@example(jobs=[14, 14, 14], inclusive=False, most=40, marked=False)
@example(jobs=[147, 147, 146], inclusive=True, most=40, marked=False)
@given(
    jobs=st.lists(st.integers(0, 30_000), min_size=1, max_size=3),
    inclusive=st.booleans(),
    most=st.sampled_from([10**9, 40]),
    marked=st.booleans(),
)
def test_the_last_rows_are_found_without_reading_all(jobs, inclusive, most, marked):
    """Of logs of any length, with few questions."""
    tail = LogTail(10)

    def page(question):
        after = max(0, question.line - inclusive)
        rows = [
            LogRow(line, END_OF_LOG if marked and line == length else "text", "", str(job))
            for line in range(after + 1, min(max(jobs), after + question.limit) + 1)
            for job, length in enumerate(jobs)
            if line <= length
        ]
        return rows[: min(question.limit, most)]

    questions = 0
    while not tail.finished:
        tail.take(page(tail.question))
        questions += 1
    everything = sorted(
        ((line, str(job)) for job, length in enumerate(jobs) for line in range(1, length + 1 - marked)),
    )
    assert [(row.line, row.job_id) for row in tail.rows] == everything[-10:]
    assert questions < 40
