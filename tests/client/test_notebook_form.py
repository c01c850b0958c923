"""What notebooks show: tables in which everything is escaped, secrets are masked and states are coloured words."""

import re
from html.parser import HTMLParser

import pytest
from gradient_api.constants import TERMINAL_STATES
from hypothesis import given
from hypothesis import strategies as st

from gradient import ExperimentList, ExperimentState, LogRow, LogRows, SingleNodeExperiment
from tests.client.shown import EXPERIMENTS, KINDS, LOG_ROWS, with_secrets

STATES = {name: number for name, number in vars(ExperimentState).items() if isinstance(number, int)}


class Page(HTMLParser):
    """The tags, attributes and texts of some HTML, which closes whatever it opens."""

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

    def error(self, message):
        raise AssertionError(message)


def one(**attributes):
    return SingleNodeExperiment(**{"id": "es1", "state": 4, "experiment_type_id": 1, **attributes})


@given(st.lists(EXPERIMENTS, max_size=3), st.lists(LOG_ROWS, max_size=3))
def test_nothing_that_is_shown_is_taken_for_html(experiments, rows):
    """Whatever texts hold, there are the tags and attributes of a table and no others, and it can be sent as UTF-8."""
    for thing in (*experiments, ExperimentList(experiments), LogRows(rows)):
        shown = thing._repr_html_()
        page = Page(shown)
        assert page.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "span"}
        assert page.attributes <= {"style", "scope", "colspan"}
        assert len({len(row) for row in page.rows}) <= 1
        assert shown.encode()


def test_an_experiment():
    """A row for each attribute that is set: its name, and its value as it is."""
    name = """<script>alert("1")</script> & 'more'"""
    shown = one(name=name, experiment_env={"EPOCHS": 2, "<b>": None}, experiment_error="exit code 1")._repr_html_()
    assert Page(shown).rows == [
        ["name", name],
        ["experiment_env", "EPOCHS=2\n<b>=None"],
        ["id", "es1"],
        ["state", "running (4)"],
        ["experiment_error", "exit code 1"],
        ["experiment_type_id", "single node (1)"],
    ]
    assert "<script" not in shown


def test_an_id_is_not_taken_for_html_either():
    """It stands in the caption, too."""
    assert "<b>" not in one(id="<b>es1")._repr_html_()


def test_a_list_of_experiments():
    """A row for each, under the names of the columns."""
    head, row = Page(ExperimentList([one(name="mnist", container="tf", machine_type="K80")])._repr_html_()).rows
    assert head == ["id", "name", "type", "state", "project_id", "container", "machine"]
    assert row == ["es1", "mnist", "single node", "running", "", "tf", "K80"]


@pytest.mark.parametrize("kind", KINDS)
def test_secrets(kind):
    """None is in the page, neither of an experiment nor of a list nor of a log."""
    experiment = with_secrets(kind)
    log = LogRows([LogRow(1, "cloning https://me:sesame@example.com/r.git", "")])
    shown = experiment._repr_html_() + ExperimentList([experiment])._repr_html_() + log._repr_html_()
    assert "********" in shown
    assert "sesame" not in shown


def test_colours_say_how_it_is():
    """Failures have one, what went well has another; a state that nobody knows has none, and every one is a word."""
    shown = {name: Page(ExperimentList([one(state=number)])._repr_html_()) for name, number in STATES.items()}
    colours = {}
    for name, page in shown.items():
        (word,) = page.backgrounds
        assert word == ExperimentState.get_state_str(STATES[name])
        colours.setdefault(page.backgrounds[word], set()).add(name)
    assert len(colours) == 4
    going = STATES.keys() - {name for name in STATES if STATES[name] in TERMINAL_STATES} - {"CREATED"}
    assert {frozenset(names) for names in colours.values()} == {
        frozenset({"ERROR", "FAILED"}),
        frozenset({"STOPPED"}),
        frozenset({"CREATED", "CANCELLED"}),
        frozenset(going),
    }
    page = Page(ExperimentList([one(state=99)])._repr_html_())
    assert (page.backgrounds, page.rows[1][3]) == ({}, "undefined (99)")


def test_badges_can_be_read():
    """White on each of the colours has the contrast that WCAG asks of text, whatever the page is like."""
    shown = "".join(ExperimentList([one(state=number)])._repr_html_() for number in STATES.values())

    def light(color):
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    backgrounds = set(re.findall(r"color:#fff;background:(#\w{6})", shown))
    assert len(backgrounds) == 4
    assert all(1.05 / (light(color) + 0.05) >= 4.5 for color in backgrounds)


def test_long_lists_are_cut():
    """Of experiments the first are shown, of logs also the last, and how many there are besides."""
    experiments = ExperimentList(one(id=f"es{number}") for number in range(120))
    _, *rows = Page(experiments._repr_html_()).rows
    assert [row[0] for row in rows] == [*(f"es{number}" for number in range(50)), "… 70 more"]
    log = LogRows(LogRow(number, "text", "") for number in range(1, 121))
    _, *rows = Page(log._repr_html_()).rows
    assert [row[0] for row in rows] == [*map(str, range(1, 26)), "… 70 more", *map(str, range(96, 121))]
    for whole in (experiments[:50], log[:50]):
        assert len(Page(whole._repr_html_()).rows) == 51
        assert "more" not in whole._repr_html_()


@pytest.mark.parametrize(("empty", "said"), [(ExperimentList(), "no experiments"), (LogRows(), "no log rows")])
def test_nothing(empty, said):
    """An empty list says so."""
    shown = empty._repr_html_()
    assert f">{said}</caption>" in shown
    # The table is as wide as its rows are: there are none.
    assert "white-space:nowrap" in re.search(r"<caption[^>]*>", shown)[0]


def test_jobs_are_named_where_there_are_several():
    """A single node has one, and its id says nothing."""
    alone, together = ([LogRow(1, "a", "", job) for job in jobs] for jobs in (["js1", "js1"], ["js1", "js2"]))
    assert Page(LogRows(alone)._repr_html_()).rows[0] == ["line", "timestamp", "message"]
    assert Page(LogRows(together)._repr_html_()).rows[0] == ["job_id", "line", "timestamp", "message"]
