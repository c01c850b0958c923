"""The readable form for terminals: aligned, no wider than asked, without control characters and secrets."""

import io
import types
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient import ExperimentList, LogRow, LogRows, MultiNodeExperiment, SingleNodeExperiment
from tests.client.shown import EXPERIMENTS, KINDS, LOG_ROWS, with_secrets


class Terminal(io.StringIO):
    def isatty(self):
        return True


def one(**attributes):
    return SingleNodeExperiment(**{"id": "es1", "state": 7, "experiment_type_id": 1, **attributes})


def cells(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def test_an_experiment():
    """Names and values in two columns; long values go on below themselves, and what is None is left out."""
    experiment = one(name="mnist", command="pip install -r requirements.txt &&\npython mnist.py --epochs 100")
    assert experiment.pretty(width=44).splitlines() == [
        "name                mnist",
        "id                  es1",
        "state               failed (7)",
        "command             pip install -r",
        "                    requirements.txt &&",
        "                    python mnist.py --epochs",
        "                    100",
        "experiment_type_id  single node (1)",
    ]


def test_experiments():
    """A table with the names of its columns; what is too long is cut, and of several nodes all machines are named."""
    multi = MultiNodeExperiment(
        id="es2", state=5, experiment_type_id=2, worker_machine_type="K80", parameter_server_machine_type="P100"
    )
    shown = ExperimentList([one(name="日本語", container="a/very/long/name/of/a/container"), multi]).pretty(width=84)
    assert shown.splitlines() == [
        "id   name    type             state    project_id  container               machine",
        "es1  日本語  single node      failed               a/very/long/name/of/a…",
        "es2          GRPC multi node  stopped                                      K80, P100",
    ]


def test_log_rows():
    """Lines are aligned as numbers, messages go on below themselves, and jobs are named where there are several."""
    rows = LogRows([LogRow(9, "one two three", "T", "js1"), LogRow(10, "\x1b[31mred\r", "T", "js2")])
    assert rows.pretty(width=39).splitlines() == [
        "job_id  line  timestamp  message",
        "js1        9  T          one two three",
        "js2       10  T          \\x1b[31mred",
    ]
    assert rows[:1].pretty(width=28).splitlines() == [
        "line  timestamp  message",
        "   9  T          one two",
        "                 three",
    ]


@pytest.mark.parametrize(("empty", "said"), [(ExperimentList(), "no experiments"), (LogRows(), "no log rows")])
def test_nothing(empty, said):
    """An empty list says so."""
    assert empty.pretty() == said


@given(st.lists(EXPERIMENTS, max_size=3), st.lists(LOG_ROWS, max_size=3), st.integers(80, 200))
def test_whatever_is_shown(experiments, rows, width):
    """Nothing but text comes out: no control characters, no lines wider than asked, and no colours."""
    for thing in (*experiments, ExperimentList(experiments), LogRows(rows)):
        shown = thing.pretty(width=width)
        assert all(line.isprintable() for line in shown.split("\n"))
        assert all(cells(line) <= width for line in shown.split("\n"))
        assert shown.encode()


def test_no_room():
    """A width that cannot be kept to ends in narrow columns, not in an error."""
    assert one(name="a long name of an experiment").pretty(width=1)
    assert ExperimentList([one(name="日本語" * 9)]).pretty(width=1)


@pytest.mark.parametrize("kind", KINDS)
def test_secrets(kind):
    """None is printed, neither of an experiment nor of a list nor of a log."""
    experiment = with_secrets(kind)
    log = LogRows([LogRow(1, "cloning https://me:sesame@example.com/r.git", "")])
    shown = experiment.pretty() + ExperimentList([experiment]).pretty() + log.pretty() + repr(experiment)
    assert "********" in shown
    assert "sesame" not in shown


@pytest.mark.parametrize("thing", [one(), ExperimentList([one()])], ids=["experiment", "list"])
def test_colours(monkeypatch, thing):
    """They are for terminals of users who did not refuse them, or on request; what is aligned stays so."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = thing.pretty() + "\n"

    def printed(file, **options):
        thing.show(file=file, **options)
        return file.getvalue()

    coloured = printed(Terminal())
    assert "\x1b[31mfailed" in coloured
    assert coloured.replace("\x1b[31m", "").replace("\x1b[0m", "") == plain
    assert printed(io.StringIO()) == printed(Terminal(), color=False) == plain
    assert printed(io.StringIO(), color=True) == coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(Terminal()) == plain
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert printed(Terminal()) == plain


def test_it_is_printed(capsys):
    """To where `print` prints, if nothing else is said."""
    one().show(width=80)
    assert capsys.readouterr().out == one().pretty(width=80) + "\n"


def test_a_file_that_does_not_take_every_character():
    """It gets others in their place, and no error."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    ExperimentList([one(name="日本", container="x" * 99)]).show(file=file, width=80)
    file.flush()
    assert b"\\u65e5\\u672c" in raw.getvalue()


def test_a_file_that_only_writes():
    """As `print` takes it; it is no terminal."""
    written = []
    one().show(file=types.SimpleNamespace(write=written.append), width=80)
    assert "".join(written) == one().pretty(width=80) + "\n"


def test_a_long_log_line_is_shown_in_no_time():
    """A megabyte without a space is wrapped in one pass."""
    shown = LogRows([LogRow(1, "x" * 1_000_000, "T")]).pretty(width=100)
    assert shown.count("x") == 1_000_000
