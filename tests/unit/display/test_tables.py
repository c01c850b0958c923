"""Experiments, log rows and lists of them as tables: text for terminals, HTML for notebooks."""

import copy
import io
import pickle
import re
import sys
import time
import types
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from gradient_api.constants import TERMINAL_STATES
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gradient import ExperimentList, ExperimentState, LogRow, LogRows, MultiNodeExperiment
from tests.unit.examples import EXPERIMENTS, KINDS, LOG_ROWS, one, with_secrets

STATES = {name: number for name, number in vars(ExperimentState).items() if isinstance(number, int)}
MULTI = MultiNodeExperiment(
    id="es2", state=5, experiment_type_id=2, worker_machine_type="K80", parameter_server_machine_type="P100"
)
ROWS = LogRows([LogRow(9, "one two three", "T", "js1", "worker 0"), LogRow(10, "\x1b[31mred\r", "T", "js2")])
EMPTY = pytest.mark.parametrize(("empty", "text"), [(ExperimentList(), "no experiments"), (LogRows(), "no log rows")])


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Page(HTMLParser):
    """The tags, attributes and texts of some HTML, in which every tag is closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.rows, self.open = set(), set(), [], []
        self.backgrounds = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)
        self.style = dict(attrs).get("style", "")
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] == "span":
            self.backgrounds[data] = re.search(r"background:(#\w+)", self.style)[1]
        if self.rows:
            self.rows[-1][-1] += data


def page(thing):
    return Page(thing._repr_html_())


def test_an_experiment_is_a_table_of_names_and_values():
    """Long values are wrapped in their column, and what is None is left out."""
    experiment = one(state=7, name="mnist", command="pip install -r requirements.txt &&\npython mnist.py --epochs 100")
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
    name = """<script>alert("1")</script> & 'more'"""
    experiment = one(name=name, experiment_env={"EPOCHS": 2, "<b>": None}, experiment_error="exit code 1")
    assert page(experiment).rows == [
        ["name", name],
        ["experiment_env", "EPOCHS=2\n<b>=None"],
        ["id", "es1"],
        ["state", "running (4)"],
        ["experiment_error", "exit code 1"],
        ["experiment_type_id", "single node (1)"],
    ]


def test_a_list_of_experiments_is_a_table_with_a_row_for_each():
    """Columns line up, also with wide characters, and every machine of a multi node experiment is named.

    Each takes one line: what is too long is cut, the id last of all. Columns without values are left out.
    """
    experiments = ExperimentList([one(state=7, name="日本語", container="a/very/long/name/of/a/container"), MULTI])
    assert experiments.pretty(width=72).splitlines() == [
        "id   name    state    type             container               machine",
        "es1  日本語  failed   single node      a/very/long/name/of/a…",
        "es2          stopped  GRPC multi node                          K80, P100",
    ]
    (row,) = ExperimentList([one(id="esxfbgzu7xanst", name="mnist" * 30)]).pretty(width=80).splitlines()[1:]
    assert row.startswith("esxfbgzu7xanst  mnistm")
    head, first, second = page(experiments).rows
    assert head == ["id", "name", "state", "type", "container", "machine"]
    assert first == ["es1", "日本語", "failed", "single node", "a/very/long/name/of/a/container", ""]
    assert second == ["es2", "", "stopped", "GRPC multi node", "", "K80, P100"]


def test_a_list_shows_when_experiments_began_for_how_long_they_ran_and_why_they_failed(monkeypatch):
    """Before container and machine; the time is that of here, and a duration goes on while a command runs."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    created = "2019-08-06T17:20:11.462913+00:00"
    ended = {"dt_started": "2019-08-06T17:21:00+00:00", "dt_finished": "2019-08-06T18:22:05+00:00"}
    began = (datetime.now(UTC) - timedelta(seconds=75)).isoformat()
    rows = page(
        ExperimentList(
            [
                one(state=7, dt_created=created, experiment_error="exit code 1", container="c", **ended),
                one(state=4, dt_created=created, dt_started=began),
                one(state=1, dt_created=created),
                one(state=8, dt_created="no date"),
            ]
        )
    ).rows
    assert rows[0] == ["id", "created", "duration", "state", "error", "type", "container"]
    assert rows[1][1:5] == ["2019-08-07 02:20", "1:01:05", "failed", "exit code 1"]
    assert rows[2][2] in ("1:15", "1:16")
    assert [row[1:4] for row in rows[3:]] == [["2019-08-07 02:20", "", "created"], ["", "", "canceled"]]
    monkeypatch.undo()
    time.tzset()


def test_a_narrow_terminal_shows_the_first_columns_of_a_list_and_no_time_or_state_is_cut():
    experiment = one(
        id="es5wsjezuj6rym", state=7, name="python train.py --epochs 30", container="tensorflow/tensorflow",
        dt_created="2026-11-29T02:07:39+00:00", dt_started="2026-11-29T02:07:39+00:00",
        dt_finished="2026-11-29T02:08:39+00:00", experiment_error="The command ended with exit code 1",
    )  # fmt: skip
    lines = [ExperimentList([experiment]).pretty(width=width).splitlines() for width in (80, 60, 20)]
    assert [head.split() for head, _ in lines] == [
        ["id", "name", "created", "duration", "state", "error"],
        ["id", "name", "created", "duration"],
        ["id"],
    ]
    assert all(max(map(len, table)) <= width for table, width in zip(lines, (80, 60, 20), strict=True))
    assert re.search(r"es5wsjezuj6rym  python \w+…  2026-11-\d\d \d\d:\d\d +1:00  failed  The [ \w]+…", lines[0][1])


def test_log_rows_are_a_table_that_names_the_jobs_where_there_are_several():
    assert ROWS.pretty(width=41).splitlines() == [
        "node      line  timestamp  message",
        "worker 0     9  T          one two three",
        "js2         10  T          \\x1b[31mred",
    ]
    assert ROWS[:1].pretty(width=28).splitlines() == [
        "line  timestamp  message",
        "   9  T          one two",
        "                 three",
    ]
    assert page(ROWS).rows[0] == ["node", "line", "timestamp", "message"]
    assert page(ROWS[:1]).rows[0] == ["line", "timestamp", "message"]


@EMPTY
def test_an_empty_list_says_so(empty, text):
    assert empty.pretty() == text
    assert f">{text}</caption>" in empty._repr_html_()


@given(st.lists(EXPERIMENTS, max_size=3), st.lists(LOG_ROWS, max_size=3), st.integers(80, 200))
def test_a_table_is_plain_text_and_nothing_else(experiments, rows, width):
    """No control characters, no markup of rich, no tags but those of a table, no line wider than asked for."""
    for thing in (*experiments, ExperimentList(experiments), LogRows(rows)):
        text = thing.pretty(width=width)
        assert all(line.isprintable() and cell_len(line) <= width for line in text.split("\n"))
        html = thing._repr_html_()
        parsed = Page(html)
        assert parsed.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "span"}
        assert parsed.attributes <= {"style", "scope", "colspan"}
        assert len({len(row) for row in parsed.rows}) <= 1
        assert (text + html).encode()


def test_messages_are_no_markup_of_rich():
    assert LogRows([LogRow(1, "[red]:smile: [/red]", "")]).pretty(width=80).endswith("[red]:smile: [/red]")


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_are_masked(kind):
    experiment = with_secrets(kind)
    log = LogRows([LogRow(1, "cloning https://me:sesame@example.com/r.git", "")])
    for thing in (experiment, ExperimentList([experiment]), log):
        assert "sesame" not in thing.pretty() + thing._repr_html_()
    assert "********" in experiment.pretty()
    assert "********" in experiment._repr_html_()
    assert "sesame" not in repr(experiment)


def test_a_width_that_is_too_small_is_no_error():
    assert one(name="a long name of an experiment").pretty(width=1)
    assert ExperimentList([one(name="日本語" * 9)]).pretty(width=1)


@pytest.mark.parametrize("thing", [one(state=7), ExperimentList([one(state=7)])], ids=["experiment", "list"])
def test_states_are_coloured_in_terminals_of_users_who_did_not_refuse_it(monkeypatch, thing):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = thing.pretty() + "\n"

    def printed(file, **options):
        thing.show(file=file, **options)
        return file.getvalue()

    colored = printed(Terminal())
    assert "\x1b[31mfailed" in colored
    assert colored.replace("\x1b[31m", "").replace("\x1b[0m", "") == plain
    assert printed(io.StringIO()) == printed(Terminal(), color=False) == plain
    assert printed(io.StringIO(), color=True) == colored
    monkeypatch.setenv("NO_COLOR", "1")
    assert printed(Terminal()) == plain
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert printed(Terminal()) == plain


def test_show_prints_to_stdout_or_to_any_file(capsys):
    """A file that cannot encode a character gets another one; `write` is all that a file needs."""
    one().show(width=80)
    assert capsys.readouterr().out == one().pretty(width=80) + "\n"
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    ExperimentList([one(name="日本")]).show(file=file, width=80)
    file.flush()
    assert b"\\u65e5\\u672c" in raw.getvalue()
    written = []
    one().show(file=types.SimpleNamespace(write=written.append), width=80)
    assert "".join(written) == one().pretty(width=80) + "\n"


def test_without_rich_columns_line_up_and_nothing_is_wrapped(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert ROWS.pretty(width=20).splitlines() == [
        "node      line  timestamp  message",
        "worker 0     9  T          one two three",
        "js2         10  T          \\x1b[31mred",
    ]
    one(command="a\nb").show(color=True)
    assert "command             a\n                    b\n" in capsys.readouterr().out


def test_a_badge_has_the_colour_of_its_state():
    """Failure, success, activity and rest have a colour each; an unknown state has none."""
    styles = {}
    for name, number in STATES.items():
        ((word, color),) = page(ExperimentList([one(state=number)])).backgrounds.items()
        assert word == ExperimentState.get_state_str(number)
        styles.setdefault(color, set()).add(name)
    active = STATES.keys() - {name for name in STATES if STATES[name] in TERMINAL_STATES} - {"CREATED"}
    assert {frozenset(names) for names in styles.values()} == {
        frozenset({"ERROR", "FAILED"}),
        frozenset({"STOPPED"}),
        frozenset({"CREATED", "CANCELLED"}),
        frozenset(active),
    }
    unknown = page(ExperimentList([one(state=99)]))
    assert (unknown.backgrounds, unknown.rows[1][1]) == ({}, "undefined (99)")


def test_badges_have_the_contrast_that_wcag_requires():
    html = "".join(ExperimentList([one(state=number)])._repr_html_() for number in STATES.values())

    def luminance(color):
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    backgrounds = set(re.findall(r"color:#fff;background:(#\w{6})", html))
    assert len(backgrounds) == 4
    assert all(1.05 / (luminance(color) + 0.05) >= 4.5 for color in backgrounds)


def test_notebooks_display_50_rows_of_a_long_list():
    """The first experiments; of logs, the first and the last rows."""
    experiments = ExperimentList(one(id=f"es{number}") for number in range(120))
    _, *rows = page(experiments).rows
    assert [row[0] for row in rows] == [*(f"es{number}" for number in range(50)), "… 70 more"]
    log = LogRows(LogRow(number, "text", "") for number in range(1, 121))
    _, *rows = page(log).rows
    assert [row[0] for row in rows] == [*map(str, range(1, 26)), "… 70 more", *map(str, range(96, 121))]
    for whole in (experiments[:50], log[:50]):
        assert len(page(whole).rows) == 51


@pytest.mark.parametrize("rows", [ExperimentList([one(), MULTI]), ROWS], ids=["experiments", "log rows"])
def test_a_list_is_a_list_and_what_is_made_of_it_displays_itself_too(rows):
    plain = list(rows)
    assert isinstance(rows, list)
    assert rows == plain
    assert repr(rows) == repr(plain)
    made = {
        "slice": (rows[1:], plain[1:]),
        "sum": (rows + plain, plain + plain),
        "copy": (rows.copy(), plain),
        "shallow copy": (copy.copy(rows), plain),
        "deep copy": (copy.deepcopy(rows), plain),
        "pickle": (pickle.loads(pickle.dumps(rows)), plain),
    }
    for copied, expected in made.values():
        assert type(copied) is type(rows)
        assert copied == expected
        assert copied is not rows
