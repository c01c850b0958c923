"""What the pages show, over HTTP."""

import json
import re

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_ext.html_tables import BACKGROUNDS
from gradient_server.dashboard.list_view import AT_ONCE
from gradient_server.dashboard.log_view import MOST_CHARACTERS, MOST_ROWS, rows_html

BAD = "<script>alert('1')</script>\"'><img src=x onerror=alert(2)>"
MANY = 1_000_000


def test_there_are_no_experiments_yet(visitor):
    """The page says what one could wait for."""
    seen = visitor.get("/")
    assert seen.status == 200
    assert "There are no experiments yet" in seen.text
    assert "<title>0 experiments · Gradient</title>" in seen.body


def test_the_list(visitor, run, still):
    """The newest first, with states as coloured words, and a link to each."""
    created, failed = run(start=False, name="one"), run(outcome="failed", name="two")
    still.advance(100)
    running = run(name="three")
    still.advance(10)
    seen = visitor.get("/")
    assert re.findall(r'<a href="/page/experiments/(\w+)">', seen.body) == [running, failed, created]
    for tone, word in [("quiet", "created"), ("failed", "failed"), ("going", "running")]:
        assert f'<span class="badge {tone}">{word}</span>' in seen.body
    assert "<title>3 experiments · Gradient</title>" in seen.body
    assert visitor.get(f"/page/experiments/{running}").status == 200


def test_a_long_list_is_cut_into_pages(visitor, run, still):
    """They lead to each other, and none is left out."""
    handles = [run(start=False) for _ in range(AT_ONCE + 3)]
    first = visitor.get("/")
    assert f"1 to {AT_ONCE} of {AT_ONCE + 3}" in first.text
    assert "newer" not in first.text
    second = visitor.get(f"/?offset={AT_ONCE}")
    assert f'href="/?offset={AT_ONCE}"' in first.body
    assert "older" not in second.text
    assert 'href="/"' in second.body
    shown = re.findall(r'href="/page/experiments/(\w+)"', first.body + second.body)
    assert shown == handles[::-1]
    assert visitor.get("/?offset=100000").status == 200


def test_an_experiment(visitor, run, still):
    """Its name, state, times, parameters, rows and curves; the title begins with the state."""
    handle = run(name="mnist & co", rows=20)
    still.advance(11)
    seen = visitor.get(f"/page/experiments/{handle}")
    assert "<title>running · mnist &amp; co · Gradient</title>" in seen.body
    assert '<span class="badge going">running</span>' in seen.body
    for text in ("started (UTC)", "GRADIENT_MOCK_LOG_LINES=20", "tensorflow/tensorflow:1.13.1-gpu-py3", "step 11/20"):
        assert text in seen.text
    assert "step 12/20" not in seen.text
    assert re.findall(r"<figcaption><b>([^<]*)", seen.body) == ["loss", "accuracy"]
    assert "11 rows" in seen.text


@pytest.mark.parametrize(
    ("outcome", "word", "tone"),
    [("stopped", "stopped", "succeeded"), ("failed", "failed", "failed"), ("error", "error", "failed")],
)
def test_an_experiment_that_has_ended(visitor, run, still, outcome, word, tone):
    """How it ended, and why it failed; such a page is not loaded anew."""
    handle = run(outcome=outcome)
    assert "http-equiv" in visitor.get(f"/page/experiments/{handle}").body
    still.advance(20)
    seen = visitor.get(f"/page/experiments/{handle}")
    assert f'<span class="badge {tone}">{word}</span>' in seen.body
    assert "http-equiv" not in seen.body
    assert ('class="problem"' in seen.body) == (outcome == "error")
    assert ("finished (UTC)" in seen.text) == (outcome != "error")
    assert "PSEOF" not in seen.body


def test_secrets_are_masked(visitor, run, client):
    """As the client masks them, in the parameters, in the environment and in the list."""
    handle = run(
        start=False,
        name="https://me:sesame-1@example.com/",
        workspace_url="https://me:sesame-2@example.com/r.git",
        workspace_username="me-sesame-3",
        workspace_password="sesame-4",
        registry_password="sesame-5",
        experiment_env={"URL": "https://me:sesame-6@example.com/"},
    )
    for path in ("/", f"/page/experiments/{handle}"):
        seen = visitor.get(path)
        assert seen.status == 200
        assert "sesame" not in seen.body
        assert "********" in seen.text
    assert client.get(handle).workspace_password == "sesame-4"


def test_what_experiments_say_is_text(visitor, run, still):
    """No element of it, no attribute, no script, wherever it comes from: list, page, title, news."""
    handle = run(name=BAD, command=BAD, container=BAD, project_id=BAD, experiment_env={BAD: BAD}, workspace_url=BAD)
    still.advance(11)
    for path in ("/", f"/page/experiments/{handle}", f"/page/experiments/{handle}/news?state=1&seen="):
        seen = visitor.get(path)
        assert seen.status == 200
        # The title of news is a text, and is used as one.
        body = seen.json["summary"] + seen.json["rows"] if "news" in path else seen.body
        assert "alert" in body
        assert "<script>" not in body
        assert "<img" not in body
        assert not re.search(r"<[^>]*\son\w+=", body)


def test_the_end_of_a_log_of_a_million_rows(visitor, run, still):
    """The last rows, and it is said which those are; the others can be gone through; curves are drawn of samples."""
    handle = run(rows=MANY)
    still.advance(100)
    seen = visitor.get(f"/page/experiments/{handle}")
    assert re.search(rf"The last\s+499\s+of {MANY:,} rows", seen.text)
    assert f"step {MANY}/{MANY}" in seen.text
    assert "from 4,000 of 1,000,001 rows, evenly spread" in seen.text
    assert len(seen.body) < 300_000
    first = visitor.get(f"/page/experiments/{handle}?after=0")
    assert 'href="?after=0#log"' in seen.body
    assert "step 1/" in first.text
    assert f"Lines 1 to {MOST_ROWS} of 1,000,001" in first.text
    assert f'href="?after={MOST_ROWS}#log"' in first.body
    assert "earlier" not in first.text
    last = visitor.get(f"/page/experiments/{handle}?after={MANY - 10}")
    assert "later" not in last.text
    end = MANY + 1 - MOST_ROWS
    assert "later" not in visitor.get(f"/page/experiments/{handle}?after={end}").text
    assert f'href="?after={MANY}#log"' in visitor.get(f"/page/experiments/{handle}?after={end - 1}").body
    assert f'href="?after={MANY - 10 - MOST_ROWS}#log"' in last.body


@pytest.mark.parametrize("character", ["x", "\0"])
def test_rows_of_many_characters(character):
    """A page of them stays one that a browser can show: of each the beginning, and how long it is."""
    row = {"jobId": "js1", "line": 1, "timestamp": "2026-01-02T03:04:05Z", "message": character * 65_536}
    written = str(rows_html([row], {"js1": "worker"}))
    assert "of 65,536 characters" in written
    assert len(written) < 4 * MOST_CHARACTERS + 500
    assert "characters" not in str(rows_html([{**row, "message": character * MOST_CHARACTERS}], {"js1": "worker"}))


def test_a_password_that_is_cut_through():
    """It is masked before."""
    message = f"{'x' * (MOST_CHARACTERS - 20)} https://me:sesame-open@example.org/"
    row = {"jobId": "js1", "line": 1, "timestamp": "2026-01-02T03:04:05Z", "message": message}
    assert "sesame" not in str(rows_html([row], {"js1": "worker"}))


def test_jobs_are_told_apart(visitor, client, multi_node, still):
    """By what they are, in the log and beside the curves."""
    handle = client.run_multi_node(**{**multi_node, "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 20}})
    still.advance(11)
    seen = visitor.get(f"/page/experiments/{handle}")
    for title in ("worker 1", "worker 2", "parameter server 1"):
        assert seen.body.count(f"<td>{title}</td>") == 11
        assert re.search(rf'<span class="key line-\d"></span>{title}</li>', seen.body)
    assert "js" not in seen.text


def test_an_experiment_that_is_not_there(visitor, run, client):
    """Any more, or never was; the page says so, and so do the parts that scripts ask for."""
    handle = run()
    client.delete(handle)
    for name in (handle, "esnothing", "%3Cscript%3E", "a" * 1000):
        seen = visitor.get(f"/page/experiments/{name}")
        assert (seen.status, "<script>" in seen.body) == (404, False)
        assert "no such experiment" in seen.text
        assert visitor.get(f"/page/experiments/{name}/news?state=1").status == 404
    assert visitor.get("/page/files/nothing").status == 404
    assert visitor.get("/page/files/..%2Fmarkup.py").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/page/login",
        "/page/files/page.css",
        "/page/files/page.js",
        "/page/files/icon.svg",
        "/page/experiments/es1",
    ],
)
@pytest.mark.parametrize("is_in", [True, False])
def test_what_browsers_are_told(visitor, path, is_in):
    """No scripts from elsewhere and none within a page, no guessing of types, no copies, no address told to others."""
    if not is_in:
        visitor.cookies.clear()
    headers = visitor.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_a_page_has_nothing_that_the_policy_forbids(visitor, run, still):
    """No styles and no scripts of its own, and nothing from elsewhere."""
    handle = run()
    still.advance(15)
    for path in ("/", f"/page/experiments/{handle}", "/page/login"):
        body = visitor.get(path).body
        assert not re.search(r"\sstyle=|<style|\son\w+=", body)
        assert re.findall(r"<script[^>]*>", body) in ([], ['<script src="/page/files/page.js" type="module">'])
        assert all(re.match(r"[/?](?!/)", address) for address in re.findall(r'(?:src|href|action)="([^"]*)"', body))


def test_states_have_the_colours_that_they_have_in_notebooks(visitor):
    """The style sheet has one for each."""
    seen = visitor.get("/page/files/page.css")
    assert seen.headers.get_content_type() == "text/css"
    for tone, colour in BACKGROUNDS.items():
        assert f".badge.{tone} {{ background: {colour}; }}" in seen.body


def test_news_of_what_is_known(visitor, run, still):
    """Nothing, at once, if nobody waits; `over` when there will be none any more."""
    handle = run(rows=5)
    place = f"/page/experiments/{handle}/news"
    still.advance(11)
    first = visitor.get(f"{place}?state={State.PENDING}&seen=").json
    assert (first["state"], first["count"], first["skipped"]) == (State.RUNNING, 3, False)
    assert first["rows"].count("<tr>") == 3
    assert first["title"].startswith("running · ")
    again = visitor.get(f"{place}?state={State.RUNNING}&seen={first['seen']}").json
    assert again == {}
    still.advance(100)
    last = visitor.get(f"{place}?state={State.RUNNING}&seen={first['seen']}").json
    assert (last["state"], last["count"]) == (State.STOPPED, 2)
    assert visitor.get(f"{place}?state={State.STOPPED}&seen={last['seen']}&wait=30").json == {"over": True}


def test_news_that_somebody_waits_for(visitor, run, still):
    """They come when they are there: a row, a state, or that it is deleted."""
    handle = run(rows=5, seconds=20)
    place = f"/page/experiments/{handle}/news"
    still.advance(3)
    known = visitor.get(f"{place}?state=0&seen=").json
    still.clock.scale = 5
    news = visitor.get(f"{place}?state={known['state']}&seen={known['seen']}&wait=20").json
    assert news["count"] == 1
    assert "step 1/5" in news["rows"]


@pytest.mark.parametrize(
    "seen", ["x", "js1:", ":1", "js1:99999999999999999999", "js1:-1", ",,,", "{job}:1000000", "%00"]
)
def test_rows_that_nobody_can_have_seen(visitor, run, still, seen):
    """What is wrong of what a script says it knows is as if it knew nothing."""
    handle = run(rows=5)
    still.advance(100)
    place = f"/page/experiments/{handle}/news?state={State.STOPPED}&seen="
    job = visitor.get(place).json["seen"].partition(":")[0]
    news = visitor.get(place + seen.format(job=job)).json
    assert news["count"] == 5
    assert news["seen"] == f"{job}:6"


def test_what_comes_too_fast_is_skipped(visitor, run, still):
    """A page that is far behind gets the last rows, and is told that others are missing."""
    handle = run(rows=MANY)
    still.advance(100)
    news = visitor.get(f"/page/experiments/{handle}/news?state={State.STOPPED}&seen=").json
    assert (news["count"], news["skipped"]) == (MOST_ROWS - 1, True)


def test_a_page_that_does_not_show_the_end_is_told_no_rows(visitor, run, still):
    """But the state."""
    handle = run()
    still.advance(11)
    news = visitor.get(f"/page/experiments/{handle}/news?state=1").json
    assert set(news) == {"state", "title", "summary"}
    assert json.dumps(news).count("running") >= 2
