"""Which rows are read for the page: also where jobs have printed differently much."""

from hypothesis import given
from hypothesis import strategies as st

from gradient_server.dashboard.log_parts import last_rows, samples

LENGTHS = st.lists(st.integers(0, 60) | st.integers(0, 10**6), min_size=1, max_size=5)
JOBS = "abcde"


class Logs:
    """Logs of jobs with some lengths; counts the rows that are asked for."""

    def __init__(self, lengths):
        self.lengths = dict(zip(JOBS, lengths, strict=False))
        self.given = 0

    def __call__(self, job, line, limit):
        lines = range(line + 1, self.lengths[job] + 1)[:limit]
        self.given += len(lines)
        return [{"jobId": job, "line": number} for number in lines]


@given(LENGTHS, st.data(), st.integers(1, 40))
def test_the_last_rows(lengths, data, most):
    """Of each job those that came last and were not known, without gaps."""
    logs = Logs(lengths)
    since = {job: data.draw(st.integers(0, length)) for job, length in logs.lengths.items()}
    found = last_rows(logs, logs.lengths, since, most)
    assert len(found.rows) == logs.given <= max(most, len(lengths))
    skipped = False
    for job, length in logs.lengths.items():
        lines = [row["line"] for row in found.rows if row["jobId"] == job]
        assert lines == list(range(length - len(lines) + 1, length + 1))
        assert len(lines) == min(length - since[job], max(1, most // len(lengths)))
        skipped |= length - len(lines) > since[job]
    assert found.skipped == skipped


@given(st.integers(0, 10**9), st.integers(1, 20), st.integers(1, 50))
def test_samples(last, jobs, at_once):
    """They are spread over all of it, do not overlap, and are not too many."""
    most = 4_000
    chosen = samples(last, jobs, most, at_once)
    reach = 0
    for line, lines in chosen:
        assert line >= reach
        reach = line + lines
    if last:
        assert chosen[0][0] == 0
        assert reach >= last
    assert sum(lines for _, lines in chosen) * jobs <= most + at_once
