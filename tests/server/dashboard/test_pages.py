"""What the pages show, over HTTP."""

import asyncio
import html
import re
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import pytest
from gradient_api.constants import ExperimentState as State

from gradient import ExperimentsClient
from gradient_ext.display.tables import BACKGROUNDS
from gradient_server import LocalServer
from gradient_server.api.long_poll import LongPolls
from gradient_server.app import application
from gradient_server.clock import Clock
from gradient_server.dashboard.data import LogPart, Row
from gradient_server.dashboard.views import update
from gradient_server.runners.process import ProcessRunner
from gradient_server.runners.simulated import SimulatedRunner
from gradient_server.store.store import Store
from tests.server.dashboard.conftest import Visitor

BAD = "<script>alert('1')</script>\"'><img src=x onerror=alert(2)>"
MANY = 1_000_000


def test_an_empty_list_says_what_to_expect(visitor):
    page = visitor.get("/page/")
    assert page.status == 200
    assert "There are no experiments yet" in page.text
    assert "<title>0 experiments · Gradient</title>" in page.body


def test_pages_say_that_runs_are_simulated(visitor, run):
    handle = run(start=False)
    for path in ("/page/", f"/page/experiments/{handle}"):
        assert "Simulated: no command is executed" in visitor.get(path).text


def test_pages_of_real_runs_have_no_word_of_simulations(tmp_path):
    with (
        LocalServer(runner=ProcessRunner(tmp_path / "runs", slots=1, keep=False)) as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url) as client,
    ):
        parameters = {"container": "c", "machine_type": "local", "command": "true"}
        handle = client.create_single_node(name="real", project_id="pr1", **parameters)
        assert client.get(handle).simulated is None
        visitor = Visitor(server.url, server.api_key)
        visitor.log_in()
        pages = [visitor.get(path) for path in ("/page/", f"/page/experiments/{handle}")]
    assert [page.status for page in pages] == [200, 200]
    assert not any("simulated" in page.text.lower() for page in pages)
    assert "This runs as a process of the server's machine: container c is not used." in pages[1].text


def test_the_list_has_the_newest_experiments_first_with_coloured_states_and_links(visitor, run, frozen_server):
    created, failed = run(start=False, name="one"), run(outcome="failed", name="two")
    frozen_server.advance(100)
    running = run(name="three")
    frozen_server.advance(10)
    page = visitor.get("/page/")
    assert re.findall(r'<a href="/page/experiments/(\w+)">', page.body) == [running, failed, created]
    for style, word in [("quiet", "created"), ("failed", "failed"), ("going", "running")]:
        assert f'<span class="badge {style}">{word}</span>' in page.body
    assert "<title>3 experiments · Gradient</title>" in page.body
    assert visitor.get(f"/page/experiments/{running}").status == 200


def test_pages_of_a_long_list_lead_to_each_other_and_leave_nothing_out(visitor, run, frozen_server):
    handles = [run(start=False) for _ in range(103)]
    first = visitor.get("/page/")
    assert "1 to 100 of 103" in first.text
    assert "newer" not in first.text
    second = visitor.get("/page/?offset=100")
    assert 'href="/page/?offset=100"' in first.body
    assert "older" not in second.text
    assert 'href="/page/"' in second.body
    shown = re.findall(r'href="/page/experiments/(\w+)"', first.body + second.body)
    assert shown == handles[::-1]
    for offset in ("103", "1000000000", "9" * 15):
        assert "none of them here" in visitor.get(f"/page/?offset={offset}").text
    for offset in ("-1", "x", "1.5", "\u0663", "9" * 5000):
        assert visitor.get(f"/page/?offset={quote(offset)}").body == first.body


def test_an_experiment_has_its_name_state_times_parameters_and_rows(visitor, run, frozen_server):
    handle = run(name="mnist & co", rows=20)
    frozen_server.advance(11)
    page = visitor.get(f"/page/experiments/{handle}")
    assert "<title>running · mnist &amp; co · Gradient</title>" in page.body
    assert '<span class="badge going">running</span>' in page.body
    for text in ("started (UTC)", "GRADIENT_MOCK_LOG_LINES=20", "tensorflow/tensorflow:1.13.1-gpu-py3", "step 11/20"):
        assert text in page.text
    assert "step 12/20" not in page.text
    assert "11 rows" in page.text
    assert [len(cells) for cells in page.cells("rows")] == [3] * 11, "a single job needs no name"


@pytest.mark.parametrize(
    ("outcome", "word", "style"),
    [("stopped", "stopped", "succeeded"), ("failed", "failed", "failed"), ("error", "error", "failed")],
)
def test_an_experiment_that_has_ended_shows_its_outcome_and_is_not_reloaded(
    visitor, run, frozen_server, outcome, word, style
):
    handle = run(outcome=outcome)
    assert '<meta http-equiv="refresh" content="5">' in visitor.get(f"/page/experiments/{handle}").body
    frozen_server.advance(20)
    page = visitor.get(f"/page/experiments/{handle}")
    assert f'<span class="badge {style}">{word}</span>' in page.body
    assert "http-equiv" not in page.body
    assert ('class="problem"' in page.body) == (outcome != "stopped")
    assert ("finished (UTC)" in page.text) == (outcome != "error")
    assert "PSEOF" not in page.body


def test_secrets_are_redacted_in_parameters_environment_and_list(visitor, run, client):
    handle = run(
        start=False,
        name="https://me:sesame-1@example.com/",
        workspace_url="https://me:sesame-2@example.com/r.git",
        workspace_username="me-sesame-3",
        workspace_password="sesame-4",
        registry_password="sesame-5",
        experiment_env={
            "URL": "https://me:sesame-6@example.com/",
            "WANDB_API_KEY": "sesame-7",
            "dbPassword": "sesame-8",
        },
    )
    for path in ("/page/", f"/page/experiments/{handle}"):
        page = visitor.get(path)
        assert page.status == 200
        assert "sesame" not in page.body
        assert "********" in page.text
    assert client.get(handle).workspace_password == "sesame-4"


def test_nothing_in_an_experiment_becomes_markup(visitor, run, frozen_server):
    handle = run(name=BAD, command=BAD, container=BAD, project_id=BAD, experiment_env={BAD: BAD}, workspace_url=BAD)
    frozen_server.advance(11)
    for path in ("/page/", f"/page/experiments/{handle}", f"/page/experiments/{handle}/updates?state=1&lines="):
        page = visitor.get(path)
        assert page.status == 200
        # The script uses the title of an update as text.
        body = page.json["summary"] + page.json["rows"] if "updates" in path else page.body
        assert "alert" in body
        assert "<script>" not in body
        assert "<img" not in body
        assert not re.search(r"<[^>]*\son\w+=", re.sub('"[^"]*"', '""', body))


def test_a_log_of_a_million_rows_is_shown_in_parts_that_lead_to_each_other(visitor, run, frozen_server):
    handle = run(rows=MANY)
    frozen_server.advance(100)
    page = visitor.get(f"/page/experiments/{handle}")
    assert re.search(rf"The last\s+499\s+of {MANY:,} rows", page.text)
    assert f"step {MANY}/{MANY}" in page.text
    assert len(page.body) < 300_000
    assert 'href="?after=0#log"' in page.body
    first = visitor.get(f"/page/experiments/{handle}?after=0")
    assert "step 1/" in first.text
    assert "Lines 1 to 500 of 1,000,001" in first.text
    assert 'href="?after=500#log"' in first.body
    assert "earlier" not in first.text
    last = visitor.get(f"/page/experiments/{handle}?after={MANY - 10}")
    assert "later" not in last.text
    assert f'href="?after={MANY - 510}#log"' in last.body
    end = MANY - 499
    assert "later" not in visitor.get(f"/page/experiments/{handle}?after={end}").text
    assert f'href="?after={MANY}#log"' in visitor.get(f"/page/experiments/{handle}?after={end - 1}").body


def test_charts_of_a_long_log_have_the_points_that_a_screen_can_show(visitor, run, frozen_server):
    handle = run(rows=30_000)
    frozen_server.advance(100)
    answer = visitor.get(f"/page/experiments/{handle}/charts").json
    assert [(chart["name"], chart["axis"]) for chart in answer["charts"]] == [("loss", "step"), ("accuracy", "step")]
    (series,) = answer["charts"][0]["series"]
    assert (series["x"][0], series["x"][-1], len(series["x"])) == (1, 30_000, len(series["y"]))
    assert 200 < len(series["x"]) <= 1000
    assert answer["note"] == ""


def test_jobs_have_names_in_the_log_and_in_charts(visitor, client, multi_node, frozen_server):
    handle = client.run_multi_node(**{**multi_node, "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 20}})
    frozen_server.advance(11)
    page = visitor.get(f"/page/experiments/{handle}")
    names = ["worker 0", "worker 1", "parameter server 0"]
    assert [cells[0] for cells in page.cells("rows")] == names * 11
    chart = visitor.get(f"/page/experiments/{handle}/charts").json["charts"][0]
    assert [series["name"] for series in chart["series"]] == names


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("cloning https://me:sesame@example.com/r.git", "cloning https://me:********@example.com/r.git"),
        ("\x1b[1;31mred\x1b[0m\x1b[K\x07\u202e\x1b", r"red\x07\u202e\x1b"),
        ("https://me:ses\x1b[0mame@example.org/", "https://me:********@example.org/"),
        ("x" * 2000, "x" * 2000),
        ("x" * 65_536, "x" * 2000 + " … of 65,536 characters"),
        ("\0" * 65_536, r"\x00" * 2000 + " … of 65,536 characters"),
        ("x" * (1980) + " https://me:sesame@example.org/", None),
    ],
    ids=[
        "a password",
        "escape sequences",
        "a coloured password",
        "a long row",
        "a row that is too long",
        "control characters",
        "cut",
    ],
)
def test_messages_are_redacted_escaped_and_cut(client, run, message, shown):
    rows = [Row(datetime(2026, 1, 2, tzinfo=UTC), "worker", 1, message)]
    log = LogPart(
        rows=rows, has_jobs=False, lines={}, total=1, page_size=1, after=None, skipped=False, is_complete=True
    )
    written = update(client.get(run()), log, datetime.now(UTC))["rows"]
    text = re.search("<td>([^<]*)</td></tr>", written)[1]
    assert "sesame" not in text
    assert shown in (text, None)


def test_an_experiment_that_does_not_exist_is_not_found(visitor, run, client):
    handle = run()
    client.delete(handle)
    for name in (handle, "esnothing", "%3Cscript%3E", "a" * 1000):
        page = visitor.get(f"/page/experiments/{name}")
        assert (page.status, "<script>" in page.body) == (404, False)
        assert "no such experiment" in page.text
        assert visitor.get(f"/page/experiments/{name}/updates?state=1").status == 404
        assert visitor.get(f"/page/experiments/{name}/charts").status == 404
    assert visitor.get("/page/files/nothing").status == 404
    assert visitor.get("/page/files/..%2Fviews.py").status == 404


FILES = ["page.css", "page.js", "list.js", "chart.js", "updates.js", "icon.svg", "uPlot.iife.min.js", "uPlot.min.css"]


@pytest.mark.parametrize(
    "path", ["/", "/page/", "/page/login", "/page/experiments/es1", *map("/page/files/{}".format, FILES)]
)
@pytest.mark.parametrize("logged_in", [True, False])
def test_security_headers_are_on_every_response(visitor, path, logged_in):
    if not logged_in:
        visitor.cookies.clear()
    headers = visitor.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    forbidden = dict.fromkeys(("default-src", "base-uri", "frame-ancestors"), "'none'")
    own = dict.fromkeys(("script-src", "style-src", "img-src", "connect-src", "form-action"), "'self'")
    assert policy == forbidden | own
    for name in ("Referrer-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy"):
        assert headers[name] == "same-origin"


def test_pages_have_only_scripts_and_styles_from_files(visitor, run, frozen_server):
    handle = run()
    frozen_server.advance(15)
    for path in ("/page/", f"/page/experiments/{handle}", "/page/login"):
        body = visitor.get(path).body
        assert not re.search(r"\sstyle=|<style|\son\w+=", body)
        assert all('src="/page/files/' in script for script in re.findall(r"<script[^>]*>", body))
        assert all(re.match(r"[/?](?!/)", url) for url in re.findall(r'(?:src|href|action)="([^"]*)"', body))


def test_states_have_the_colours_of_notebooks(visitor):
    page = visitor.get("/page/files/page.css")
    assert page.headers.get_content_type() == "text/css"
    for style, color in BACKGROUNDS.items():
        assert f".badge.{style} {{ background: {color}; }}" in page.body


def test_updates_have_what_is_new_and_say_when_all_is_over(visitor, run, frozen_server):
    handle = run(rows=5)
    url = f"/page/experiments/{handle}/updates"
    frozen_server.advance(11)
    first = visitor.get(f"{url}?state={State.PENDING}&lines=").json
    assert (first["state"], first["rows"].count("<tr>"), first["skipped"]) == (State.RUNNING, 3, False)
    assert first["rows"].count("<tr>") == 3
    assert first["title"].startswith("running · ")
    assert visitor.get(f"{url}?state={State.RUNNING}&lines={first['lines']}").json == {}
    frozen_server.advance(100)
    last = visitor.get(f"{url}?state={State.RUNNING}&lines={first['lines']}").json
    assert (last["state"], last["rows"].count("<tr>")) == (State.STOPPED, 2)
    assert visitor.get(f"{url}?state={State.STOPPED}&lines={last['lines']}&wait=30").json == {"over": True}


def test_an_update_that_is_waited_for_comes_when_a_row_is_printed(visitor, run, frozen_server):
    handle = run(rows=5, seconds=20)
    url = f"/page/experiments/{handle}/updates"
    frozen_server.advance(3)
    known = visitor.get(f"{url}?state=0&lines=").json
    frozen_server.clock.scale = 5
    update = visitor.get(f"{url}?state={known['state']}&lines={known['lines']}&wait=20").json
    assert update["rows"].count("<tr>") >= 1
    assert "step 1/5" in update["rows"]


class ImpatientPolls(LongPolls):
    """Holds no request, and keeps for how long it was to be held."""

    seconds = None

    async def hold(self, respond, seconds, receive):
        self.seconds = seconds
        return await super().hold(respond, 0, receive)


@pytest.mark.parametrize(("wait", "seconds"), [("20", 20), ("30", 30), ("31", 30), ("3000", 30), ("", 0), ("-1", 0)])
def test_an_update_is_waited_for_half_a_minute_at_most(wait, seconds):
    clock = Clock()
    store, polls = Store(clock, 0, SimulatedRunner()), ImpatientPolls(clock)
    handle = store.add({"projectHandle": "p", "experimentTypeId": 1}).handle
    transport = httpx.ASGITransport(application(store, clock, "key", polls=polls))

    async def visit():
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as visitor:
            await visitor.post("/page/login", data={"key": "key"})
            return await visitor.get(f"/page/experiments/{handle}/updates?state={State.CREATED}&wait={wait}")

    assert asyncio.run(visit()).json() == {}
    assert polls.seconds == seconds


@pytest.mark.parametrize(
    "lines",
    ["x", "js1:", ":1", "js1:99999999999999999999", "js1:-1", ",,,", "{job}:1000000", "%00", "{job}:" + "9" * 4500],
)
def test_lines_that_a_page_cannot_know_are_ignored(visitor, run, frozen_server, lines):
    handle = run(rows=5)
    frozen_server.advance(100)
    url = f"/page/experiments/{handle}/updates?state={State.STOPPED}&lines="
    job = visitor.get(url).json["lines"].partition(":")[0]
    update = visitor.get(url + lines.format(job=job)).json
    assert (update["rows"].count("<tr>"), update["lines"]) == (5, f"{job}:6")


def test_lines_and_offsets_may_have_ten_digits(visitor, run, frozen_server):
    handle = run(rows=10**9)
    frozen_server.advance(100)
    url = f"/page/experiments/{handle}"
    page = visitor.get(url)
    lines = page.attribute("data-lines")
    assert lines.endswith(":1000000001")
    assert visitor.get(f"{url}/updates?state={State.STOPPED}&lines={lines}").json == {"over": True}
    assert [cells[0] for cells in visitor.get(f"{url}?after=999999998").cells("rows")] == ["999999999", "1000000000"]
    assert visitor.get(f"{url}?after=1000000000").cells("rows") == []


def test_an_update_of_many_rows_has_the_last_ones_and_says_that_it_skips(visitor, run, frozen_server):
    handle = run(rows=MANY)
    frozen_server.advance(100)
    update = visitor.get(f"/page/experiments/{handle}/updates?state={State.STOPPED}&lines=").json
    assert (update["rows"].count("<tr>"), update["skipped"]) == (499, True)


def test_an_update_of_a_page_that_does_not_show_the_end_has_no_rows(visitor, run, frozen_server):
    handle = run()
    frozen_server.advance(11)
    update = visitor.get(f"/page/experiments/{handle}/updates?state=1").json
    assert set(update) == {"state", "title", "summary"}
    assert "running" in update["summary"]


def test_artifacts_are_listed_and_their_links_download_them(visitor, stranger, run, frozen_server):
    handle = run(seconds=10)
    assert "Artifacts" not in visitor.get(f"/page/experiments/{handle}").text
    frozen_server.advance(20)
    page = visitor.get(f"/page/experiments/{handle}")
    links = [html.unescape(link) for link in re.findall('href="([^"]*)" download', page.body)]
    assert links == [
        f"/page/experiments/{handle}/artifact?name={name}" for name in ("artifacts/settings.json", "model/model.txt")
    ]
    content = visitor.get(links[1])
    assert content.body == "simulated: no command was executed\n"
    assert content.headers["Content-Disposition"] == "attachment; filename*=utf-8''model.txt"
    assert content.headers["Content-Type"] == "application/octet-stream"
    assert content.headers["Content-Length"] == str(len(content.body))
    assert visitor.get(links[1].replace("model.txt", "none")).status == 404
    visitor.cookies.clear()
    assert visitor.get(links[1]).status == 303


def test_an_artifact_that_changes_while_it_is_sent_is_a_download_that_breaks_off(tmp_path):
    with (
        LocalServer(runner=ProcessRunner(tmp_path / "runs", slots=1, keep=False)) as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url) as client,
    ):
        handle = client.run_single_node(
            name="n", project_id="p", machine_type="m", container="c", command="truncate -s 50M $PS_MODEL_PATH/weights"
        )
        client.wait(handle, timeout=30)
        visitor = Visitor(server.url, server.api_key)
        visitor.log_in()
        path = f"/page/experiments/{handle}/artifact?name=model/weights"
        with httpx.stream("GET", server.url + path, cookies=visitor.cookies) as response:
            assert (response.status_code, response.headers["Content-Length"]) == (200, str(50 * 2**20))
            chunks = response.iter_bytes()
            next(chunks)
            with next(tmp_path.rglob("weights")).open("r+b") as file:
                file.write(b"changed")
            with pytest.raises(httpx.RemoteProtocolError):
                list(chunks)
