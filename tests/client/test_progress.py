"""The live line of `wait` and `yield_logs`: on terminals, elsewhere, and without rich."""

import functools
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentState

from gradient import ExperimentFailedError, ExperimentsClient, GradientSdkError
from tests.client.blocking import KINDS, client_of
from tests.client.live import LiveServer
from tests.client.terminals import Terminal

ROOT = Path(__file__).parents[2]
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
FRAME = r"[\u2800-\u28ff] "
SEVERAL_FRAMES = rf"es1(.*\r.*{FRAME}){{3}}"


@pytest.fixture
def live():
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture(params=KINDS)
def live_client(request, live):
    with client_of(request.param, "a-key", base_url=live.url, logs_url=live.url, timeout=5) as client:
        yield client


@pytest.fixture
def plain_client(live):
    """For what is the same in both clients."""
    with ExperimentsClient("a-key", base_url=live.url, logs_url=live.url, timeout=5) as client:
        yield client


@pytest.fixture
def terminal(monkeypatch):
    """A terminal, and nothing in the environment that says something else."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal()
    yield terminal
    terminal.close()


def seen(terminal, pattern):
    """Wait for the last that is written, and give what is to be seen, with all times as if no time had passed."""
    terminal.wait_for(pattern)
    return [re.sub(r"\d:\d\d", "0:00", line) for line in terminal.screen]


def when(terminal, pattern, do):
    """Do something when a terminal shows something."""

    def wait_and_do():
        terminal.wait_for(pattern)
        do()

    threading.Thread(target=wait_and_do, daemon=True).start()


def test_rows_that_are_followed(live, live_client, terminal):
    """The line moves while nothing comes, and is out of the way of what is printed; it ends with how it all ended."""
    when(terminal, SEVERAL_FRAMES, lambda: live.print(3))
    with terminal.printed_to():
        for row in live_client.yield_logs("es1", progress=True):
            print(row.message)
            if row.line == 3:
                terminal.wait_for("row 3\r\n")
                assert terminal.written.rindex(SHOWN) > terminal.written.rindex(HIDDEN)
                live.print(0, end=True)
                live.change(state=ExperimentState.STOPPED)
    assert seen(terminal, "stopped.*\n$") == ["row 1", "row 2", "row 3", "es1 stopped, 0:00, 3 rows"]
    assert "\x1b[36mrunning\x1b[0m, 0:00, 0 rows" in terminal.written
    assert "\x1b[32mstopped\x1b[0m" in terminal.written
    assert terminal.written.count(SHOWN) == terminal.written.count(HIDDEN)


def test_the_state_while_rows_come(live, plain_client, terminal):
    """It is read again when the first ones have come, as an experiment that prints is not pending any more."""
    live.change(state=ExperimentState.PENDING)
    when(terminal, "pending", lambda: (live.change(state=ExperimentState.RUNNING), live.print(1)))
    when(terminal, "running.*, 1 row", lambda: (live.change(state=ExperimentState.STOPPED), live.print(0, end=True)))
    with terminal.printed_to():
        assert [row.line for row in plain_client.yield_logs("es1", progress=True)] == [1]
    assert seen(terminal, "stopped.*\n$") == ["es1 stopped, 0:00, 1 row"]


def test_a_last_look_that_fails(live, plain_client, terminal):
    """It takes nothing from who has read all rows: the line ends with what was known."""
    live.print(1, end=True)
    with terminal.printed_to():
        for _ in plain_client.with_options(max_attempts=1).yield_logs("es1", progress=True):
            live.state = "no state"
    assert seen(terminal, r"1 row\r\n$") == ["es1 running, 0:00, 1 row"]


def test_an_experiment_that_is_waited_for(live, live_client, terminal):
    """Its failure is the last word of the line, before the error."""
    when(terminal, "running", lambda: live.change(state=ExperimentState.FAILED))
    with terminal.printed_to(), pytest.raises(ExperimentFailedError):
        live_client.wait("es1", progress=True, on_state=lambda state: print("now", state))
    assert seen(terminal, "failed.*\n$") == ["now 4", "now 7", "es1 failed, 0:00"]
    assert "\x1b[31mfailed" in terminal.written


def test_errors(live, live_client, terminal):
    """The line is gone, and the cursor there, whatever ends it."""
    with terminal.printed_to():
        with pytest.raises(TimeoutError):
            live_client.wait("es1", progress=True, timeout=0.2)
        live.stop()
        with pytest.raises(GradientSdkError):
            next(live_client.with_options(max_attempts=1, patience=0.001).yield_logs("es1", progress=True))
        print("over")
    assert seen(terminal, "over\r\n") == ["over"]
    assert terminal.written.count(SHOWN) == terminal.written.count(HIDDEN) > 1


def test_a_loop_that_is_left(live, live_client, terminal):
    """Nothing of the line is left, also while nobody has closed the generator."""
    live.print(2)
    with terminal.printed_to():
        rows = live_client.yield_logs("es1", progress=True)
        print(next(rows).message)
    assert seen(terminal, "row 1\r\n") == ["row 1"]
    assert terminal.written.endswith(f"{SHOWN}\r\x1b[1A\x1b[2Krow 1\r\n")
    rows.close()


def test_several_at_once(live, plain_client, terminal):
    """One line moves; the states of the others are said above it, and all of them end."""
    said_above = r"\x1b\[2Kes1 \S*running\S*, 0:00\r\n"
    when(terminal, said_above, lambda: live.change(state=ExperimentState.STOPPED))
    with terminal.printed_to():
        wait = functools.partial(plain_client.wait, "es1", progress=True)
        threads = [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print("over")
    lines = seen(terminal, "over\r\n")
    assert lines.count("es1 stopped, 0:00") == 2
    assert set(lines) == {"es1 stopped, 0:00", "es1 running, 0:00", "over"}


@pytest.mark.parametrize("variable", ["NO_COLOR", "TERM"])
def test_users_who_want_less(live, plain_client, terminal, monkeypatch, variable):
    """Without colours, if they say so; and nothing moves on a terminal that cannot do it."""
    monkeypatch.setenv(variable, "dumb")
    live.change(state=ExperimentState.STOPPED)
    with terminal.printed_to():
        plain_client.wait("es1", progress=True)
    assert seen(terminal, "stopped.*\n$") == ["es1 stopped, 0:00"]
    assert not re.search(r"\x1b\[\d*m", terminal.written)
    assert (HIDDEN in terminal.written) == (variable == "NO_COLOR")


def test_no_terminal(live, live_client, capsys, monkeypatch):
    """A line for each state goes to stderr and only rows to stdout, also where colours are forced."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    live.print(2, end=True)
    for row in live_client.yield_logs("es1", progress=True):
        print(row.message)
        live.change(state=ExperimentState.STOPPED)
    live_client.wait("es1", progress=True)
    printed = capsys.readouterr()
    assert printed.out == "row 1\nrow 2\n"
    assert [re.sub(r"\d:\d\d", "0:00", line) for line in printed.err.splitlines()] == [
        "es1 running, 0:00, 0 rows",
        "es1 stopped, 0:00, 2 rows",
        "es1 stopped, 0:00",
    ]


WAITING = {
    "threads": """
        with ExperimentsClient("a-key", base_url=url) as client:
            client.wait("es1", until="running")
            say()
            client.wait("es1", progress=True)
    """,
    "asyncio": """
        async def main():
            async with AsyncExperimentsClient("a-key", base_url=url) as client:
                await client.wait("es1", until="running")
                say()
                await client.wait("es1", progress=True)
        asyncio.run(main())
    """,
}
PROGRAM = """
import asyncio, sys
from gradient import AsyncExperimentsClient, ExperimentsClient
url = sys.argv[1]
def say():
    print("loaded before:", "gradient_ext.display.progress" in sys.modules)
try:
{waiting}
except KeyboardInterrupt:
    print("left")
"""


@pytest.mark.parametrize("kind", WAITING)
def test_ctrl_c(live, kind):
    """In the middle of waiting it leaves a terminal as it was. Who waits without a line does not load what shows it."""
    program = PROGRAM.format(waiting=textwrap.indent(textwrap.dedent(WAITING[kind]).strip(), "    "))
    terminal = Terminal()
    child = subprocess.Popen(
        [sys.executable, "-c", program, live.url],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm"},
        stdout=terminal.end,
        stderr=terminal.end,
    )
    terminal.wait_for("es1 .*running")
    child.send_signal(signal.SIGINT)
    assert child.wait(10) == 0
    assert seen(terminal, "left\r\n") == ["loaded before: False", "left"]
    assert terminal.written.count(SHOWN) == terminal.written.count(HIDDEN) > 0
    terminal.close()


def test_without_rich(live, live_client, monkeypatch):
    """The error says at once what to install, and nothing is sent."""
    monkeypatch.delitem(sys.modules, "gradient_ext.display.progress", raising=False)
    monkeypatch.setitem(sys.modules, "rich.console", None)  # as if it were not installed
    for method in (live_client.wait, live_client.yield_logs):
        with pytest.raises(ImportError, match=r"needs rich, .*: pip install 'gradient-experiments\[progress\]'"):
            method("es1", progress=True)
    assert live.requests == []
