"""The pages in Chromium: they keep themselves up to date, charts can be zoomed, and the console stays empty."""

import threading

import pytest

from tests.server.dashboard.chromium import PROGRAM, Chromium

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")
ROWS = "document.querySelectorAll('#rows tr').length"
LINES = "[...document.querySelectorAll('#rows .number')].map((cell) => Number(cell.textContent))"
CHARTS = "[...document.querySelectorAll('.chart figcaption')].map((caption) => caption.textContent).join()"
LEGEND = "[...document.querySelectorAll('.chart .u-value')].map((value) => value.textContent)"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture
def browser(chromium, gradient_server):
    """A browser with a session. After the test, it must have had no errors and sent no requests to other servers."""
    chromium.set_scripts(True)
    chromium.open(f"{gradient_server.url}/page/login")
    if chromium.run("document.querySelector('#key') !== null"):
        chromium.log_in(gradient_server.api_key)
    chromium.errors.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.errors == []
    assert [url for url in chromium.requests if not url.startswith(gradient_server.url)] == []


def test_rows_state_and_charts_appear_while_an_experiment_runs(browser, gradient_server, run):
    browser.open(f"{gradient_server.url}/")
    assert "no experiments yet" in browser.text()
    gradient_server.clock.scale = 5
    handle = run(name="mnist", rows=40, seconds=40)
    browser.wait_for("document.querySelector('.runs .badge')?.textContent === 'running'")
    browser.run("document.querySelector('tbody a').click()")
    browser.wait_for("location.pathname.startsWith('/page/experiments/') && document.readyState === 'complete'")
    assert handle in browser.text()
    browser.run("window.kept = true")
    rows = 0
    for _ in range(4):
        rows = browser.wait_for(f"{ROWS} > {rows} && {ROWS}")
    assert rows < 40
    assert browser.run("document.title") == "running · mnist · Gradient"
    assert browser.wait_for(CHARTS) == "loss,accuracy"
    browser.wait_for(f"document.querySelector('h1 .badge').textContent === 'stopped' && {ROWS} === 40")
    assert browser.run("document.title") == "stopped · mnist · Gradient"
    assert browser.wait_for(f"{LEGEND}[0] === '40' && {LEGEND}.length") == 4
    assert browser.run("document.querySelector('#range').textContent.trim()") == "40 rows"
    assert browser.run("window.kept"), "the page was loaded again"
    assert browser.run(
        "document.querySelector('#rows tr:last-child').getBoundingClientRect().bottom"
        " <= document.querySelector('.log').getBoundingClientRect().bottom"
    ), "the last row is not in view"
    browser.run("document.querySelector('header button').click()")
    browser.wait_for("location.pathname === '/page/login'")


def test_charts_show_values_under_the_cursor_and_zoom(browser, gradient_server, run):
    handle = run(rows=100)
    gradient_server.advance(30)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    assert browser.wait_for(f"{LEGEND}[0]") == "100"
    box = "document.querySelector('.u-over').getBoundingClientRect()"
    left, top, width = (browser.run(f"{box}.{name}") for name in ("left", "top", "width"))
    browser.move_mouse(left + width / 4, top + 40)
    step = int(browser.wait_for(f"{LEGEND}[0] !== '100' && {LEGEND}[0]"))
    assert 20 <= step <= 30
    loss = browser.run(f"{LEGEND}[1]")
    assert f"step {step}/100  loss {float(loss):.4f}" in browser.text()
    browser.drag_mouse(left + width / 4, top + 40, left + width / 2, top + 40)
    browser.move_mouse(left + 1, top + 40)
    assert 20 <= int(browser.wait_for(f"{LEGEND}[0] > '19' && {LEGEND}[0]")) <= 30, "it is not zoomed"


def test_a_zoomed_chart_stays_zoomed_while_rows_are_added(browser, gradient_server, run):
    gradient_server.clock.scale = 0
    handle = run(rows=100, seconds=100)
    gradient_server.advance(60)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    last = int(browser.wait_for(f"{LEGEND}[0]"))
    box = "document.querySelector('.u-over').getBoundingClientRect()"
    left, top, width = (browser.run(f"{box}.{name}") for name in ("left", "top", "width"))
    browser.drag_mouse(left + width / 4, top + 40, left + width / 2, top + 40)
    browser.move_mouse(0, 0)
    gradient_server.advance(20)
    browser.wait_for(f"{LEGEND}[0] > {last}")
    browser.move_mouse(left + width - 1, top + 40)
    assert int(browser.wait_for(f"{LEGEND}[0] < {last} && {LEGEND}[0]")) == pytest.approx(last / 2, abs=2)


NAMES = "[...document.querySelectorAll('.runs tbody th a')].map((link) => link.textContent).join()"
STATUS = "document.querySelector('#status').textContent"
FIRST_BADGE = "document.querySelector('.badge').textContent"


def test_what_is_typed_chosen_and_selected_is_in_the_link(browser, gradient_server, run):
    for name in ("one", "two", "three"):
        run(name=name, experiment_env={"LR": len(name)})
    gradient_server.advance(30)
    browser.open(f"{gradient_server.url}/page/")
    browser.run("document.querySelector('[name=q]').focus()")
    browser.type("LR=3")
    browser.wait_for(f"{NAMES} === 'two,one'")
    assert browser.run("document.activeElement.name + document.activeElement.value") == "qLR=3"
    browser.run("document.querySelector('#sort-name').click()")
    browser.run("document.querySelector('[value=\"env:LR\"]').click()")
    browser.wait_for("document.querySelector('[data-label=LR]') !== null")
    browser.run("document.querySelectorAll('.runs [name=run]').forEach((box) => box.click())")
    browser.wait_for("document.querySelector('[role=status]').textContent.includes('2 selected')")
    link = browser.run("location.search")
    assert "q=LR%3D3" in link
    assert link.count("column=") == 3, link
    browser.open(f"{gradient_server.url}/page/{link}")
    assert browser.run(f"document.querySelectorAll('.runs :checked').length + {NAMES}") == "2one,two"
    browser.run("document.querySelector('[formaction]').click()")
    browser.wait_for("document.querySelectorAll('.chart canvas').length === 2")
    assert browser.run(
        "[...document.querySelector('.chart').querySelectorAll('.u-label')].map((one) => one.textContent)"
    ) == [
        "step",
        "one",
        "two",
    ]
    assert browser.run("document.querySelector('main a').getAttribute('href')") == f"/page/{link}"


def test_curves_are_smoothed_and_drawn_on_a_log_scale_by_options_in_the_link(browser, gradient_server, run):
    handles = [run(name=name, rows=rows) for name, rows in (("one", 40), ("two", 30))]
    gradient_server.advance(30)
    browser.open(f"{gradient_server.url}/page/compare?run={handles[0]}&run={handles[1]}")
    raw = browser.wait_for(f"{LEGEND}[1] && {LEGEND}")
    browser.run("document.querySelector('[name=smooth]').value = 0.9")
    browser.run("document.querySelector('[name=smooth]').dispatchEvent(new Event('input', {bubbles: true}))")
    browser.run("document.querySelector('[name=log]').click()")
    assert browser.run("location.search").endswith("&smooth=0.9&log=1")
    browser.open(f"{gradient_server.url}/page/compare{browser.run('location.search')}")
    smooth = browser.wait_for(f"{LEGEND}[1] && {LEGEND}")
    assert float(smooth[2]) > float(raw[1]), "the loss goes down, and its average lags behind"
    assert browser.run("document.querySelector('[name=log]').checked")
    # Steps that one run does not have show its nearest value.
    box = "document.querySelector('.u-over').getBoundingClientRect()"
    browser.move_mouse(browser.run(f"{box}.right - 2"), browser.run(f"{box}.top + 20"))
    assert browser.wait_for(f"{LEGEND}.slice(0, 5).every(Boolean) && {LEGEND}[0]") == "40"


def test_a_server_that_is_gone_is_said_and_what_was_running_is_unknown_until_it_is_back(browser, gradient_server, run):
    handle = run(name="mnist", seconds=1000)
    gradient_server.clock.scale = 0
    gradient_server.advance(500)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    assert browser.run(FIRST_BADGE) == "running"
    restart = threading.Thread(target=gradient_server.restart, kwargs={"pause": 1.5})
    restart.start()
    browser.wait_for(f"{STATUS}.includes('has not responded') && {FIRST_BADGE} === 'unknown'")
    assert browser.run("document.title") == "unknown · mnist · Gradient"
    browser.wait_for(f"{STATUS} === '' && {FIRST_BADGE} === 'running'")
    assert browser.run("document.title") == "running · mnist · Gradient"
    restart.join()
    browser.errors.clear()


def test_how_long_a_run_has_been_running_counts_up_and_times_have_the_local_time(browser, gradient_server, run):
    run(seconds=1000)
    gradient_server.advance(500)
    browser.open(f"{gradient_server.url}/page/")
    elapsed = "document.querySelector('[data-elapsed]').textContent"
    before = browser.wait_for(elapsed)
    browser.wait_for(f"{elapsed} !== '{before}'")
    browser.run("document.querySelector('time').dispatchEvent(new Event('mouseover', {bubbles: true}))")
    assert "(local time)" in browser.run("document.querySelector('time').title")


@pytest.mark.parametrize(
    "y", [[1e15, -1e15], [1e15, 1e15 - 1], [1e-300, 2e-300], [0, 0], [0.1, 0.1 + 1e-16], [5e-324, 1e15]]
)
def test_numbers_of_any_size_can_be_charted(browser, gradient_server, run, y):
    handle = run(start=False)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    for x in ([1, 2], [1e15 - 1, 1e15], [0, 1e-300], [-1e15, 1e15]):
        chart = {"name": "n", "axis": "step", "series": [{"name": "worker", "x": x, "y": y}]}
        browser.run(
            "import('/page/files/chart.js').then(({Chart}) => {"
            f"window.chart = new Chart({chart}); document.querySelector('.charts').append(window.chart.figure);"
            "window.chart.draw(); })"
        )
        assert browser.wait_for("window.chart.plot.status === 1 && document.querySelectorAll('canvas').length")


def test_a_log_longer_than_the_page_keeps_its_last_rows_in_order(browser, gradient_server, run):
    gradient_server.clock.scale = 10
    handle = run(rows=200_000, seconds=100)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    browser.wait_for(f"{LINES}.at(-1) > 5000")
    gradient_server.clock.scale = 0.1
    first = browser.run(f"{LINES}.at(-1)")
    browser.wait_for(f"{LINES}.at(-1) > {first} + 100")
    lines = browser.run(LINES)
    assert len(lines) <= 500
    assert lines == list(range(lines[0], lines[0] + len(lines)))
    shown = browser.run("document.querySelector('#shown').textContent")
    assert int(shown) == len(browser.run(LINES))


@pytest.mark.parametrize(
    ("rows", "jump"), [(10_000, 1000), (1000, 35)], ids=["rows are missing in between", "the oldest rows go"]
)
def test_rows_that_come_at_once_leave_no_gap(browser, gradient_server, run, rows, jump):
    gradient_server.clock.scale = 0
    handle = run(rows=rows, seconds=100)
    gradient_server.advance(50)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    first = browser.run(f"{LINES}.at(-1)")
    assert 0 < first < rows
    gradient_server.advance(jump)
    last = browser.wait_for(f"{LINES}.at(-1) > {first} && {LINES}.at(-1)")
    lines = browser.run(LINES)
    assert lines == list(range(lines[0], last + 1))
    assert 499 <= len(lines) <= 500


def test_everything_but_charts_is_there_without_javascript(browser, gradient_server, run):
    handle = run(rows=10)
    gradient_server.advance(30)
    browser.set_scripts(False)
    browser.open(f"{gradient_server.url}/page/?q=single")
    for text in ("1 run", "Apply", "stopped", "loss"):
        assert text in browser.text()
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    for text in ("stopped", "step 10/10", "loss", "Parameters", "Charts need JavaScript"):
        assert text in browser.text()


def test_a_page_says_that_its_experiment_was_deleted(chromium, browser, gradient_server, run, client):
    handle = run(start=False)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    client.delete(handle)
    browser.wait_for("document.querySelector('#status').textContent.includes('has been deleted')")
    # Chromium counts a response with status 404 as an error.
    assert all("404" in error for error in chromium.errors)
    chromium.errors.clear()


@pytest.mark.parametrize("width", [360, 800, 1200])
@pytest.mark.parametrize("dark", [True, False])
def test_no_page_is_wider_than_the_window(browser, gradient_server, run, width, dark):
    handle = run(name="a-name-without-spaces-" * 8, rows=600, command="python " + "x" * 400)
    gradient_server.advance(30)
    browser.resize(width, 800)
    browser.set_dark(dark)
    for path in ("/page/", f"/page/experiments/{handle}", f"/page/compare?run={handle}", "/page/login"):
        browser.open(gradient_server.url + path)
        if handle in path:
            browser.wait_for(CHARTS)
        assert browser.run("document.documentElement.scrollWidth") <= width
        background = browser.run("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") != dark
    browser.resize(1200, 900)
    browser.set_dark(False)


def test_scripts_that_an_experiment_prints_are_shown_and_do_not_run(browser, gradient_server, run):
    bad = "<script>document.title = 'caught'</script><img src=x onerror=\"document.title = 'caught'\">"
    handle = run(name=bad, experiment_env={"A": bad, "GRADIENT_MOCK_LOG_LINES": 3}, command=bad)
    for path in ("/page/", f"/page/experiments/{handle}"):
        browser.open(gradient_server.url + path)
        browser.wait_for("document.body.innerText.includes('caught')")
        assert "caught'</script>" in browser.text()
        assert browser.run("document.title") != "caught"
        assert browser.run("document.querySelector('img')") is None
