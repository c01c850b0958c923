"""The live line of `wait` and `yield_logs`, in a terminal and without one."""

import functools
import io
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gradient_api.constants import ExperimentState
from rich.console import Console

from gradient import ExperimentFailedError, ExperimentsClient, GradientSdkError
from gradient_ext import LazyModule, async_reader, reader
from gradient_ext.display.progress import TerminalLine
from tests.client.terminals import Terminal

ROOT = Path(__file__).parents[2]
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
FRAME = r"[\u2800-\u28ff] "
SEVERAL_FRAMES = rf"es1(.*\r.*{FRAME}){{3}}"


@pytest.fixture
def plain_client(live):
    """A synchronous client, where both behave the same."""
    with ExperimentsClient("a-key", base_url=live.url, logs_url=live.url, timeout=5) as client:
        yield client


@pytest.fixture
def terminal(monkeypatch):
    """A terminal, without variables in the environment that contradict it."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    terminal = Terminal()
    yield terminal
    terminal.close()


def seen(terminal, pattern):
    """Wait for a pattern and return the lines on the screen, with all durations replaced by 0:00."""
    terminal.wait_for(pattern)
    return [re.sub(r"\d:\d\d", "0:00", line) for line in terminal.screen]


def when(terminal, pattern, do):
    """Call a function when a pattern has been written to the terminal."""

    def wait_and_do():
        terminal.wait_for(pattern)
        do()

    threading.Thread(target=wait_and_do, daemon=True).start()


def test_the_line_moves_while_nothing_comes_and_makes_way_for_rows(live, client, terminal):
    when(terminal, SEVERAL_FRAMES, lambda: live.print(3))
    with terminal.printed_to():
        for row in client.yield_logs("es1", progress=True):
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


@pytest.mark.parametrize("method", ["wait", "yield_logs"])
def test_the_line_says_what_a_pending_experiment_waits_for(live, plain_client, terminal, monkeypatch, method):
    monkeypatch.setattr("gradient_ext.polling._DISPLAYED_STATE_AGE", 0.1)
    live.change(state=ExperimentState.PENDING, remark="It is number 2 in the queue.")

    def go_on():
        terminal.wait_for(r"pending.*, \d:\d\d.*\. It is number 2 in the queue\.")
        live.change(remark="It is\x1b[31m number 1.")
        terminal.wait_for(r"It is\\x1b\[31m number 1\.")
        live.change(state=ExperimentState.RUNNING, remark="Not used: c.")
        terminal.wait_for("running")
        live.print(0, end=True)
        live.change(state=ExperimentState.STOPPED)

    threading.Thread(target=go_on, daemon=True).start()
    with terminal.printed_to():
        if method == "wait":
            plain_client.wait("es1", progress=True)
        else:
            assert list(plain_client.yield_logs("es1", progress=True)) == []
    assert seen(terminal, "stopped.*\n$")[-1].startswith("es1 stopped, 0:00")
    assert "Not used" not in terminal.written


def test_the_state_is_read_again_when_the_first_rows_have_come(live, plain_client, terminal):
    """An experiment that prints is not pending any more."""
    live.change(state=ExperimentState.PENDING)
    when(terminal, "pending", lambda: (live.change(state=ExperimentState.RUNNING), live.print(1)))
    when(terminal, "running.*, 1 row", lambda: (live.change(state=ExperimentState.STOPPED), live.print(0, end=True)))
    with terminal.printed_to():
        assert [row.line for row in plain_client.yield_logs("es1", progress=True)] == [1]
    assert seen(terminal, "stopped.*\n$") == ["es1 stopped, 0:00, 1 row"]


def test_a_failure_to_read_the_last_state_is_no_error(live, plain_client, terminal):
    live.print(1, end=True)
    with terminal.printed_to():
        for _ in plain_client.with_options(max_attempts=1).yield_logs("es1", progress=True):
            live.state = "no state"
    assert seen(terminal, r"1 row\r\n$") == ["es1 running, 0:00, 1 row"]


def test_a_failure_of_the_experiment_is_the_last_state_of_the_line(live, client, terminal):
    when(terminal, "running", lambda: live.change(state=ExperimentState.FAILED))
    with terminal.printed_to(), pytest.raises(ExperimentFailedError):
        client.wait("es1", progress=True, on_state=lambda state: print("now", state))
    assert seen(terminal, "failed.*\n$") == ["now 4", "now 7", "es1 failed, 0:00"]
    assert "\x1b[31mfailed" in terminal.written


def test_errors_remove_the_line_and_restore_the_cursor(live, client, terminal):
    with terminal.printed_to():
        with pytest.raises(TimeoutError):
            client.wait("es1", progress=True, timeout=0.2)
        live.stop()
        with pytest.raises(GradientSdkError):
            next(client.with_options(max_attempts=1, patience=0.001).yield_logs("es1", progress=True))
        print("over")
    assert seen(terminal, "over\r\n") == ["over"]
    assert terminal.written.count(SHOWN) == terminal.written.count(HIDDEN) > 1


@pytest.mark.parametrize("step", ["set_live", "push_render_hook", "show_cursor"])
def test_ctrl_c_while_the_line_starts_ends_the_wait_and_leaves_the_cursor(plain_client, terminal, monkeypatch, step):
    def interrupted(*args):
        monkeypatch.undo()
        raise KeyboardInterrupt

    with terminal.printed_to():
        monkeypatch.setattr(Console, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            plain_client.wait("es1", progress=True)
        print("over")
    terminal.wait_for("over\r\n")
    assert HIDDEN not in terminal.written or terminal.written.rindex(SHOWN) > terminal.written.rindex(HIDDEN)
    assert TerminalLine._current is None


def test_a_loop_that_is_left_removes_the_line(live, client, terminal):
    """Even while nobody has closed the generator."""
    live.print(2)
    with terminal.printed_to():
        rows = client.yield_logs("es1", progress=True)
        print(next(rows).message)
    assert seen(terminal, "row 1\r\n") == ["row 1"]
    assert terminal.written.endswith(f"{SHOWN}\r\x1b[1A\x1b[2Krow 1\r\n")
    rows.close()


def test_of_several_reporters_one_moves_and_the_others_print_a_line_for_each_state(live, plain_client, terminal):
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
def test_nothing_is_coloured_or_moves_where_the_environment_says_so(
    live, plain_client, terminal, monkeypatch, variable
):
    monkeypatch.setenv(variable, "dumb")
    live.change(state=ExperimentState.STOPPED)
    with terminal.printed_to():
        plain_client.wait("es1", progress=True)
    assert seen(terminal, "stopped.*\n$") == ["es1 stopped, 0:00"]
    assert not re.search(r"\x1b\[\d*m", terminal.written)
    assert (HIDDEN in terminal.written) == (variable == "NO_COLOR")


def test_without_a_terminal_each_state_is_a_line_on_stderr(live, client, capsys, monkeypatch):
    """Also where colours are forced."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    live.print(2, end=True)
    for row in client.yield_logs("es1", progress=True):
        print(row.message)
        live.change(state=ExperimentState.STOPPED)
    client.wait("es1", progress=True)
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


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ([(ExperimentState.RUNNING, 75)], "es1 running, 1:15, 3 rows"),
        ([(ExperimentState.PENDING, None), (ExperimentState.RUNNING, 75)], "es1 running, 1:15, 3 rows"),
        ([(ExperimentState.PENDING, None)], "es1 pending, 0:00, 3 rows"),
        ([(ExperimentState.RUNNING, -60)], "es1 running, 0:00, 3 rows"),
    ],
)
def test_the_time_counts_from_the_start_of_the_command(shown, text):
    """A clock of the server that is ahead makes no negative times."""
    output = io.StringIO()
    line = TerminalLine("es1", Console(file=output, width=80))
    for state, seconds in shown:
        began = None if seconds is None else (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
        line.show(state, 3, began)
    assert output.getvalue().splitlines()[-1] == text


@pytest.mark.parametrize("kind", WAITING)
def test_ctrl_c_restores_the_terminal_and_waiting_without_progress_does_not_load_it(live, kind):
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


def test_without_rich_the_error_says_what_to_install_and_nothing_is_sent(live, client, monkeypatch):
    monkeypatch.delitem(sys.modules, "gradient_ext.display.progress", raising=False)
    for module in (async_reader, reader):
        monkeypatch.setattr(module, "live_display", LazyModule("gradient_ext.display.progress"))
    monkeypatch.setitem(sys.modules, "rich.console", None)  # as if it were not installed
    for method in (client.wait, client.yield_logs):
        with pytest.raises(ImportError, match=r"needs rich, .*: pip install 'rich>=13'"):
            method("es1", progress=True)
    assert live.requests == []
