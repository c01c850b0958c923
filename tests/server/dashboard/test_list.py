"""The list of runs and the comparison, over HTTP: filters, order, columns and the selection come from the URL."""

import re
from urllib.parse import urlencode

import pytest

NAME = r'<th scope="row">(?:<span[^>]*></span>)?<a href="/page/experiments/\w+">([^<]*)</a>'


@pytest.fixture
def listed(visitor):
    """Return the page that a query asks for, and the names of its runs."""

    def get(path="/page/", **query):
        page = visitor.get(f"{path}?{urlencode(query, doseq=True)}")
        assert page.status == 200
        return page, re.findall(NAME, page.body)

    return get


def column_of(page, column):
    """Return the texts in a chosen column."""
    return re.findall(rf'<td class="chosen[^"]*" data-label="{column}">(?:<a[^>]*>)?([^<]*)', page.body)


@pytest.fixture
def sweep(run, frozen_server):
    """Three runs: a, b and c, from the oldest to the newest."""
    handles = {"b": run(name="b", project_id="pr1", experiment_env={"LR": "1e-2", "GRADIENT_MOCK_SECONDS": 100})}
    frozen_server.advance(1)
    handles["a"] = run(name="a", project_id="pr1", experiment_env={"LR": 0.5, "WANDB_API_KEY": "sesame-1"})
    frozen_server.advance(1)
    handles["c"] = run(name="c", project_id="pr2", command="python other.py", experiment_env={"SEED": 3}, start=False)
    frozen_server.advance(58)
    return handles


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, "cab"),
        ({"q": "OTHER.py"}, "c"),
        ({"q": "lr=0.5"}, "a"),
        ({"q": "lr 1e"}, "b"),
        ({"q": "lr nothing"}, ""),
        ({"q": "sesame"}, ""),
        ({"project": "pr1"}, "ab"),
        ({"state": "running"}, "b"),
        ({"state": "stopped", "project": "pr1"}, "a"),
        ({"tag": "none"}, ""),
        ({"sort": "name"}, "abc"),
        ({"sort": "-name"}, "cba"),
        ({"sort": "created"}, "bac"),
        ({"sort": "-ran"}, "bac"),
        ({"sort": "state"}, "cba"),
        ({"sort": "env:LR"}, "bac"),
        ({"sort": "-env:LR"}, "abc"),
        ({"sort": "metric:loss"}, "abc"),
        ({"sort": "-metric:loss"}, "bac"),
        ({"sort": "env:", "q": " "}, "cab"),
        ({"sort": "<script>", "offset": "-1"}, "cab"),
    ],
    ids=str,
)
def test_a_query_finds_and_sorts_runs_and_those_without_a_value_come_last(listed, sweep, query, names):
    page, found = listed(**query)
    assert found == list(names)
    assert ("of 3 runs" in page.text) == (len(names) < 3)


def test_a_run_is_found_by_its_id(listed, sweep):
    assert listed(q=sweep["a"])[1] == ["a"]


def test_chosen_columns_have_values_of_the_environment_without_secrets_and_the_last_metrics(listed, sweep):
    page, _ = listed(column=["env:LR", "env:WANDB_API_KEY", "metric:loss", "project", "env:<b>", "nothing"])
    assert column_of(page, "LR") == ["", "0.5", "1e-2"]
    assert column_of(page, "WANDB_API_KEY") == ["", "********", ""]
    assert column_of(page, "project") == ["pr2", "pr1", "pr1"]
    assert [bool(loss) for loss in column_of(page, "loss")] == [False, True, True]
    assert "sesame" not in page.body
    assert "<b>" not in page.body
    assert column_of(page, "nothing") == []


def test_the_list_shows_metrics_unless_no_column_is_chosen(listed, sweep):
    page, _ = listed()
    assert [name for name in ("project", "loss", "accuracy", "LR") if column_of(page, name)] == [
        "project",
        "loss",
        "accuracy",
    ]
    assert 'class="chosen' not in listed(column="")[0].body


def test_last_metrics_follow_the_log(listed, run, frozen_server):
    run(rows=10)
    losses = set()
    for _ in range(3):
        frozen_server.advance(8)
        losses.add(tuple(column_of(listed()[0], "loss")))
    assert len(losses) == 3


def test_metrics_of_a_deleted_run_are_not_those_of_another_one_with_its_id(listed, run, frozen_server):
    run()
    frozen_server.advance(60)
    assert column_of(listed()[0], "loss")
    frozen_server.reset()
    run(start=False)
    assert column_of(listed()[0], "loss") == []


def test_tags_and_notes_are_shown_and_found_also_when_they_change(listed, visitor, run, client, frozen_server):
    handle = run(start=False, name="one", tags=["first try", "<b>"], note="looks good")
    run(start=False, name="two")
    page, names = listed(tag="first try")
    assert names == ["one"]
    assert "looks good" in page.text
    assert "<b>" not in page.body
    assert 'href="/page/?tag=first+try"' in page.body
    for text in ("first try", "looks good"):
        assert text in visitor.get(f"/page/experiments/{handle}").text
    client.add_tags(handle, tags=["baseline"])
    assert listed(q="baseline good")[1] == listed(tag="baseline")[1] == ["one"]


def test_links_of_the_list_keep_filters_columns_and_the_selection(listed, sweep):
    query = {"q": "lr", "project": "pr1", "column": ["env:LR"], "run": [sweep["a"], sweep["c"]]}
    page, names = listed(**query)
    assert names == ["a", "b"]
    link = re.search(r'id="sort-name" href="([^"]*)"', page.body)[1].replace("&amp;", "&")
    expected = [("q", "lr"), ("project", "pr1"), ("sort", "name"), ("column", "env:LR")]
    assert link == "/page/?" + urlencode([*expected, *(("run", handle) for handle in query["run"])])
    assert re.findall(r'name="run" value="(\w+)"[^>]* checked', page.body) == [sweep["a"]]
    # It is not on the page, and stays selected all the same.
    assert f'<input type="hidden" name="run" value="{sweep["c"]}">' in page.body
    assert "2 selected" in page.text


def test_how_long_a_running_run_has_been_running_is_told_to_the_script(listed, sweep):
    page, _ = listed()
    assert re.findall(r'<span data-elapsed="([\d.]+)">([\d:]+)</span>', page.body) == [("50.0", "0:50")]


def test_runs_are_compared_by_what_differs_and_by_their_curves(listed, visitor, sweep):
    query = {"run": [sweep["b"], sweep["a"], "esnothing"]}
    page, names = listed("/page/compare", **query)
    assert names == ["b", "a"]
    heads = re.findall(r'<th scope="col"[^>]*>([^<]*)', page.body)
    assert [name for name in heads if name in ("LR", "project", "loss", "command", "ran")] == ["LR", "loss", "ran"]
    charts = visitor.get(f"/page/compare/charts?{urlencode(query, doseq=True)}").json["charts"]
    assert [(chart["name"], chart["axis"]) for chart in charts] == [("loss", "step"), ("accuracy", "step")]
    assert [(series["name"], series["run"]) for series in charts[0]["series"]] == [("b", 0), ("a", 1)]


def test_nodes_of_compared_runs_have_their_names(visitor, client, multi_node, frozen_server):
    handle = client.run_multi_node(**{**multi_node, "name": "m"})
    frozen_server.advance(15)
    charts = visitor.get(f"/page/compare/charts?run={handle}").json["charts"]
    assert [series["name"] for series in charts[0]["series"]] == [
        "m · worker 0",
        "m · worker 1",
        "m · parameter server 0",
    ]


def test_a_comparison_of_nothing_leads_to_the_list(listed):
    page, names = listed("/page/compare")
    assert names == []
    assert "No run is selected" in page.text
    assert listed("/page/compare", run="esnothing")[1] == []


def test_the_login_leads_back_to_the_link_that_was_shared(stranger):
    link = "/page/compare?q=a+b&column=env%3ALR&run=es1&smooth=0.6"
    response = stranger.get(link)
    assert response.status == 303
    assert stranger.log_in(link).headers["Location"] == link


def test_a_list_of_two_hundred_runs_has_two_pages_with_the_same_query(listed, run, frozen_server):
    for number in range(200):
        run(start=False, name=f"run {number:03}")
    page, names = listed(sort="name")
    assert names[0] == "run 000"
    assert 'href="/page/?sort=name&amp;offset=100"' in page.body
    assert listed(sort="name", offset=100)[1][-1] == "run 199"
    assert listed(q="15 run", sort="name")[1][-10:] == [f"run {number}" for number in range(150, 160)]


def test_states_can_be_chosen_by_the_words_that_there_are(listed, sweep):
    page, _ = listed()
    assert re.findall(r'<option value="(\w+)">\w+ \(1\)</option>', page.body) == [
        "pr2",
        "created",
        "running",
        "stopped",
    ]
