"""The page in a browser: what is new appears by itself, and there is nothing to complain about."""

import pytest

from gradient_server.dashboard.log_view import MOST_ROWS
from tests.server.dashboard.chromium import PROGRAM, Chromium

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")
ROWS = "document.querySelectorAll('#rows tr').length"
CURVES = "[...document.querySelectorAll('.curve b')].map((name) => name.textContent).join()"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture
def browser(chromium, gradient_server):
    """A browser that is logged in, and that sees the list; in the end it has had nothing to complain about."""
    chromium.set_scripts(True)
    chromium.open(f"{gradient_server.url}/page/login")
    if chromium.run("document.querySelector('#key') !== null"):
        chromium.log_in(gradient_server.api_key)
    chromium.complaints.clear()
    chromium.addresses.clear()
    yield chromium
    assert chromium.complaints == []
    assert [address for address in chromium.addresses if not address.startswith(gradient_server.url)] == []


def test_a_walk(browser, gradient_server, run):
    """Log in, see the list, open an experiment, see its rows, state and curves appear while it runs, and log out."""
    browser.open(f"{gradient_server.url}/")
    assert "no experiments yet" in browser.text()
    gradient_server.clock.scale = 5
    handle = run(name="mnist", rows=40, seconds=40)
    browser.wait_for("document.querySelector('td .badge')?.textContent === 'running'")
    browser.run("document.querySelector('tbody a').click()")
    browser.wait_for("location.pathname.startsWith('/page/experiments/') && document.readyState === 'complete'")
    assert handle in browser.text()
    browser.run("window.stays = true")
    rows = 0
    for _ in range(4):
        rows = browser.wait_for(f"{ROWS} > {rows} && {ROWS}")
    assert rows < 40
    assert browser.run("document.title") == "running · mnist · Gradient"
    assert browser.wait_for(CURVES) == "loss,accuracy"
    browser.wait_for(f"document.querySelector('h1 .badge').textContent === 'stopped' && {ROWS} === 40")
    assert browser.run("document.title") == "stopped · mnist · Gradient"
    browser.wait_for("document.querySelector('polyline').getAttribute('points').split(' ').length === 40")
    assert browser.run("document.querySelector('#which').textContent") == "40 rows"
    assert browser.run("window.stays"), "it was loaded anew"
    # The last row can be seen.
    assert browser.run(
        "document.querySelector('#rows tr:last-child').getBoundingClientRect().bottom"
        " <= document.querySelector('.log').getBoundingClientRect().bottom"
    )
    browser.run("document.querySelector('header button').click()")
    browser.wait_for("location.pathname === '/page/login'")


def test_a_log_that_is_longer_than_the_page(browser, gradient_server, run):
    """Only the last rows are kept, in order, whether they come slowly or faster than they can be shown."""
    gradient_server.clock.scale = 10
    handle = run(rows=200_000, seconds=100)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    numbers = "[...document.querySelectorAll('#rows .number')].map((cell) => Number(cell.textContent))"
    browser.wait_for(f"{numbers}.at(-1) > 5000")
    gradient_server.clock.scale = 0.1
    first = browser.run(f"{numbers}.at(-1)")
    browser.wait_for(f"{numbers}.at(-1) > {first} + 100")
    lines = browser.run(numbers)
    assert len(lines) <= MOST_ROWS
    assert lines == list(range(lines[0], lines[0] + len(lines)))
    shown = browser.run("document.querySelector('#shown').textContent")
    assert int(shown) == len(browser.run(numbers))


def test_rows_that_come_all_at_once(browser, gradient_server, run):
    """Those that were shown before go where others are missing in between."""
    gradient_server.clock.scale = 0
    handle = run(rows=10_000, seconds=100)
    gradient_server.advance(20)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    numbers = "[...document.querySelectorAll('#rows .number')].map((cell) => Number(cell.textContent))"
    assert 0 < browser.run(f"{numbers}.at(-1)") < 5000
    gradient_server.advance(1000)
    browser.wait_for(f"{numbers}.at(-1) === 10000")
    lines = browser.run(numbers)
    assert lines == list(range(lines[0], 10_001))
    assert str(len(lines)) == browser.run("document.querySelector('#shown').textContent")


def test_rows_that_are_too_many_in_the_end(browser, gradient_server, run):
    """Those that were printed first go, when others are added that the page has room for only without them."""
    gradient_server.clock.scale = 0
    handle = run(rows=1000, seconds=100)
    gradient_server.advance(50)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    numbers = "[...document.querySelectorAll('#rows .number')].map((cell) => Number(cell.textContent))"
    first = browser.run(f"{numbers}.at(-1)")
    assert MOST_ROWS / 2 < first < MOST_ROWS
    gradient_server.advance(35)
    last = browser.wait_for(f"{numbers}.at(-1) > {first} && {numbers}.at(-1)")
    assert MOST_ROWS < last < first + MOST_ROWS
    assert browser.run(numbers) == list(range(last - MOST_ROWS + 1, last + 1))


def test_without_javascript(browser, gradient_server, run):
    """All of it is there when the page is loaded."""
    handle = run(rows=10)
    gradient_server.advance(30)
    browser.set_scripts(False)
    browser.open(f"{gradient_server.url}/")
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    for text in ("stopped", "step 10/10", "loss", "Parameters"):
        assert text in browser.text()


def test_an_experiment_that_is_deleted_meanwhile(chromium, browser, gradient_server, run, client):
    """The page says so, and asks no more."""
    handle = run(start=False)
    browser.open(f"{gradient_server.url}/page/experiments/{handle}")
    client.delete(handle)
    browser.wait_for("document.querySelector('#news').textContent.includes('has been deleted')")
    # That it is not there any more is an answer, which Chromium counts among failures.
    assert all("404" in complaint for complaint in chromium.complaints)
    chromium.complaints.clear()


@pytest.mark.parametrize("width", [360, 800, 1200])
@pytest.mark.parametrize("dark", [True, False])
def test_a_narrow_window(browser, gradient_server, run, width, dark):
    """Nothing is wider than the window, and texts can be read on what is behind them."""
    handle = run(name="a-name-without-spaces-" * 8, rows=600, command="python " + "x" * 400)
    gradient_server.advance(30)
    browser.resize(width, 800)
    browser.set_dark(dark)
    for path in ("/", f"/page/experiments/{handle}", "/page/login"):
        browser.open(gradient_server.url + path)
        assert browser.run("document.documentElement.scrollWidth") <= width
        background = browser.run("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") != dark
    browser.resize(1200, 900)
    browser.set_dark(False)


def test_scripts_in_what_is_printed_do_not_run(browser, gradient_server, run):
    """They are shown."""
    bad = "<script>document.title = 'caught'</script><img src=x onerror=\"document.title = 'caught'\">"
    handle = run(name=bad, experiment_env={"A": bad, "GRADIENT_MOCK_LOG_LINES": 3}, command=bad)
    for path in ("/", f"/page/experiments/{handle}"):
        browser.open(gradient_server.url + path)
        browser.wait_for("document.body.innerText.includes('caught')")
        assert "caught'</script>" in browser.text()
        assert browser.run("document.title") != "caught"
        assert browser.run("document.querySelector('img')") is None
