"""What a person gets to see: the table at the end, and how far it is until then."""

import io

from gradient import RequestFailedError
from tests.e2e.chaos.progress import Progress
from tests.e2e.chaos.report import is_right, report
from tests.e2e.chaos.trial import Figures
from tests.e2e.chaos.verdict import Verdict

ESCAPE = "\x1b["


def figures(gave_up=(), **wrong):
    return Figures(
        calls=200,
        requests=260,
        retries=60,
        injected={"status": 50, "reset_after": 7},
        times_away=3,
        experiments=100,
        seconds=2.0,
        verdict=Verdict(wrong={"lost": [], "doubled": [], **wrong}, gave_up=gave_up),
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_good_end():
    """Everything is counted and aligned, and no colours come where none are wanted."""
    text = report(figures(), "kills", "", colours=False)
    lines = text.splitlines()
    for name, number in [("logical calls", 200), ("retries", 60), ("faults injected", 57), ("kills of the server", 3)]:
        assert [line.split() for line in lines if line.startswith(name)] == [[*name.split(), str(number)]]
    assert len({len(line) for line in lines[: lines.index("")]}) == 1
    assert lines[-1].startswith("Everything was done exactly once")
    assert ESCAPE not in text
    assert ESCAPE in report(figures(), "kills", "", colours=True)
    assert is_right(figures(), "")


def test_a_bad_end():
    """What is wrong is told in full, the complaints of the server too; either makes it bad."""
    bad = figures(lost=["'a': created as es1, and not there"])
    text = report(bad, "kills", "", colours=False)
    assert "lost: 'a': created as es1, and not there" in text
    assert "Something was lost" in text.splitlines()[-1]
    assert not is_right(bad, "")
    text = report(figures(), "kills", "Traceback", colours=False)
    assert "Traceback" in text
    assert "Something was lost" in text.splitlines()[-1]
    assert not is_right(figures(), "Traceback")


def test_calls_that_gave_up():
    """They are no lie, but they are counted by their kind and told."""
    text = report(figures([RequestFailedError("Failed to create resource: no answer")]), "kills", "", colours=False)
    assert "RequestFailedError" in text
    assert "gave up: Failed to create resource: no answer" in text
    assert "Everything was done exactly once" in text


def test_progress_in_a_file():
    """A line for what is done at the end, and no escape codes."""
    stream = io.StringIO()
    with Progress("calls", 20, lambda: 20, stream):
        pass
    assert stream.getvalue() == "  20 of 20 calls after 0 s\n"


def test_progress_on_a_terminal():
    """One line that is written anew."""
    stream = Terminal()
    with Progress("calls", 20, lambda: 7, stream):
        pass
    assert stream.getvalue() == "\r   7 of 20 calls after 0 s\x1b[K\n"
