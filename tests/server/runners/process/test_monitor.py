"""The monitor of a run: supervisors that fail, are killed or are signalled, and files that are removed by hand."""

import contextlib
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process import monitor as monitor_module
from gradient_server.runners.process.monitor import LocalMonitor
from gradient_server.runners.supervised.environment import nodes_of
from gradient_server.runners.supervised.log_file import LogWriter
from gradient_server.runners.supervised.processes import ProcessId, kill
from gradient_server.runners.supervised.run_files import EventReader, EventWriter, LaunchSpec, RunDirectory
from tests.server.runners.conftest import LEAVING, is_alive, left_over, only_linux, stop, wait_until

STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.05; done"


FIRST_PROCESS = """
import sys
from pathlib import Path
import psutil
from gradient_server.runners.supervised.processes import become_subreaper
from tests.server.runners.conftest import Bench, wait_until
become_subreaper()
bench = Bench(Path(sys.argv[1]))
bench.runner.recover()
bench.done()
bench.done("setsid sleep 60 & sleep 60 & sleep 0.1; kill -9 $PPID; sleep 60")
deleted = bench.run("echo begun; sleep 60")
bench.wait_for_row(deleted, "begun")
deleted.delete()
wait_until(lambda: not psutil.Process().children(), "the end of all children")
bench.runner.close()
"""


class LateDirectory(RunDirectory):
    """A run whose last event becomes visible when its lock is taken."""

    def hide_last_event(self):
        first, _, last = self.events.read_bytes().removesuffix(b"\n").rpartition(b"\n")
        self.events.write_bytes(first + b"\n")
        self.hidden = last + b"\n"

    @contextlib.contextmanager
    def locked(self):
        with super().locked() as is_locked, self.events.open("ab") as events:
            events.write(self.hidden)
            events.flush()
            yield is_locked


def test_a_run_that_ends_while_its_supervisor_is_checked_has_its_outcome(tmp_path):
    """The process that has launched the supervisor is reaped all the same."""
    directory = LateDirectory(tmp_path / "es1")
    body = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": "true"}
    monitor = LocalMonitor(
        directory,
        1,
        LaunchSpec(
            handle="es1",
            body=body,
            nodes=nodes_of(["worker 0"], body),
            grace=1.0,
            variables={"PATH": os.environ["PATH"]},
        ),
    )
    monitor.launch()
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read() and reader.history.has_ended, "the end")
    wait_until(lambda: not reader.history.supervisor.is_alive(), "the end of the supervisor")
    directory.hide_last_event()
    monitor.poll()
    assert monitor.history.states[-1][1] == State.STOPPED
    assert monitor.is_over


def test_rows_that_are_newer_than_the_known_state_are_not_visible(tmp_path):
    """States and rows come from different files."""
    directory = RunDirectory(tmp_path / "es1")
    (directory.path / "jobs").mkdir(parents=True)
    monitor, events, log = LocalMonitor(directory, 1), EventWriter(directory.events), LogWriter(directory.log(0))
    for state, visible in ((State.NETWORK_SETUP, 0), (State.RUNNING, 1)):
        events.write(state=state)
        assert monitor.poll()
        monitor.show_rows()
        log.write(1, ["a row"])
        assert monitor.logs[0].count() == len(list(monitor.logs[0].after(0))) == visible


def test_a_run_whose_supervisor_fails_to_start_ends_with_its_last_error(make_bench, monkeypatch, broken_supervisor):
    bench = make_bench(slots=1)
    broken = bench.done("true")
    monkeypatch.undo()
    assert bench.outcome(broken) == (
        "error",
        "The process that supervises the run could not be started: RuntimeError: broken on purpose",
    )
    assert bench.rows(bench.done("echo other")) == ["other"]


@pytest.mark.parametrize(("folder", "entry"), [(".", "broken"), ("broken", ""), (".", "./not-there/../broken")])
def test_a_supervisor_finds_modules_where_the_server_does(
    make_bench, monkeypatch, tmp_path, broken_supervisor, folder, entry
):
    """Also if that is relative to the working directory of the server, or is that itself."""
    monkeypatch.chdir(tmp_path / folder)
    monkeypatch.setattr(sys, "path", [entry, *sys.path[1:]])
    bench = make_bench()
    assert "RuntimeError: broken on purpose" in bench.outcome(bench.done("true"))[1]


def test_a_supervisor_starts_though_the_working_directory_of_the_server_was_deleted(make_bench, monkeypatch, tmp_path):
    bench = make_bench()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (tmp_path / "gone").rmdir()
    assert bench.rows(bench.done("echo fine")) == ["fine"]


@only_linux
def test_a_supervisor_uses_utf_8_in_every_locale(bench):
    """In others, a command with a character that they do not have could not be started."""
    run = bench.done("tr '\\0' ' ' </proc/$PPID/cmdline; echo; echo é🚀 $E", experimentEnv={"E": "ß"})
    command_line, *rows = bench.rows(run)
    assert " -X utf8 " in command_line
    assert rows == ["é🚀 ß"]


@only_linux
def test_a_run_whose_supervisor_is_killed_ends_with_an_error_and_its_processes_are_killed(bench):
    """Those that have left their group are found by a variable in their environment. The error claims no more."""
    leave = f'{sys.executable} -c "{LEAVING}" sleep 60'
    command = f"echo $PPID; echo $$; sleep 60 & echo $!; {leave}; wait"
    run = bench.run(command, experimentEnv={"GRADIENT_RUN": "an experiment cannot override it"})
    supervisor, *commands = bench.pids(run, 4)
    os.kill(supervisor, signal.SIGKILL)
    bench.wait_for_end(run)
    assert bench.outcome(run) == (
        "error",
        "The process that supervised the run was killed: how its commands went on is unknown. The server has killed "
        "those that it found; one of another user, or one that has left its process group and cleared its environment, "
        "may go on",
    )
    assert not any(map(is_alive, commands))
    last = [row.message for _, row in run.rows(4, 10, bench.clock.now())]
    assert last == [run.error(bench.clock.now()), END_OF_LOG]


@only_linux
def test_a_run_is_stopped_if_its_supervisor_has_been_stopped_by_a_signal(bench):
    run = bench.run("echo $PPID; echo $$; exec sleep 60")
    supervisor, pid = bench.pids(run, 2)
    os.kill(supervisor, signal.SIGSTOP)
    begin = bench.clock.now()
    stop(bench, run)
    assert bench.clock.now() - begin < 9  # later, the server would have killed it
    assert bench.outcome(run) == ("canceled", None)
    assert not is_alive(pid)


@pytest.fixture
def passed(monkeypatch):
    """Seconds that have passed for monitors, in addition to those that have."""
    passed = SimpleNamespace(seconds=0.0)
    shifted = SimpleNamespace(monotonic=lambda: time.monotonic() + passed.seconds)
    monkeypatch.setattr(monitor_module, "time", shifted)
    return passed


@pytest.fixture
def stack():
    """What is to be done at the end of a test."""
    with contextlib.ExitStack() as stack:
        yield stack


@only_linux
def test_the_server_ends_a_run_whose_supervisor_does_not(tmp_path, passed, stack):
    """It sends SIGTERM after 5 seconds, and SIGKILL 10 seconds after the grace period."""
    command = "trap 'echo >> asked' TERM; touch ready; while :; do sleep 0.05; done"
    deaf = f"setsid sh -c {shlex.quote(command)} & trap '' TERM; echo $!; sleep 60; sleep 60"
    directory = RunDirectory(tmp_path / "es1")
    directory.log(0).parent.mkdir(parents=True)
    supervisor = subprocess.Popen(["/bin/sh", "-c", deaf], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    pid = int(supervisor.stdout.readline())
    stack.callback(supervisor.communicate)
    stack.callback(supervisor.kill)
    stack.callback(kill, pid)
    with contextlib.closing(EventWriter(directory.events)) as events:
        events.write(claimed=ProcessId.of(supervisor.pid))
        events.write(state=State.PROVISIONING, grace=20.0)
    wait_until((tmp_path / "ready").exists)
    monitor = LocalMonitor(directory, 1)
    monitor.poll()
    monitor.stop()
    for passed.seconds in (4, 28):
        assert not (tmp_path / "asked").exists()
        monitor.stop()
    wait_until((tmp_path / "asked").exists, "SIGTERM")
    assert is_alive(pid)
    assert is_alive(supervisor.pid)
    passed.seconds = 30.1
    monitor.stop()
    wait_until(lambda: not is_alive(pid) and not is_alive(supervisor.pid), "SIGKILL")
    passed.seconds = 31
    monitor.poll()
    assert (monitor.history.states[-1][1], monitor.history.error) == (State.CANCELLED, None)
    assert (tmp_path / "asked").read_text() == "\n"
    assert monitor.is_over


def test_a_launcher_that_hangs_is_killed_when_its_run_is_stopped(make_bench, passed, monkeypatch, tmp_path):
    """Its slot is free then."""
    bench = make_bench(slots=1)
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o700)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(hanging))
        run = bench.run()
        wait_until((bench.directory / run.handle / "supervisor.log").exists, "the launch")
        run.stop(bench.clock.now())
        wait_until((bench.directory / run.handle / "stop").exists, "the stop")
        passed.seconds = 11
        bench.wait_for_end(run)
    assert bench.outcome(run) == ("canceled", None)
    assert bench.rows(bench.done("echo other")) == ["other"]


def test_a_run_whose_files_cannot_be_read_ends_when_its_supervisor_has_ended(make_bench, passed):
    """What is left of it is killed, and its slot is free."""
    bench = make_bench(slots=1)
    run = bench.run("echo $PPID; echo $$; exec sleep 60")
    supervisor, pid = bench.pids(run, 2)
    (bench.directory / run.handle / "events.jsonl").unlink()
    os.mkfifo(bench.directory / run.handle / "events.jsonl")
    os.kill(supervisor, signal.SIGKILL)
    passed.seconds = 11
    wait_until(lambda: not is_alive(supervisor))
    passed.seconds = 22
    bench.wait_for_end(run)
    state, error = bench.outcome(run)
    assert (state, "cannot be read" in error) == ("error", True)
    assert not is_alive(pid)
    assert bench.rows(bench.done("echo other")) == ["other"]


@only_linux
def test_nothing_is_left_of_supervisors_in_a_container_whose_first_process_is_the_server(tmp_path):
    """Orphans are children of the server there: it reaps them."""
    subprocess.run([sys.executable, "-c", FIRST_PROCESS, tmp_path / "runs"], check=True, timeout=60)


def test_supervisors_can_be_killed_at_any_time(make_bench, tmp_path):
    """Each run ends with its outcome or an error, runs once at most, and leaves nothing."""
    bench = make_bench(slots=4)
    chance = random.Random(2)
    runs = [bench.run(f"echo {number} >> {tmp_path}/ran; echo one; sleep 0.1; echo two") for number in range(16)]
    while not all(bench.state(run) in TERMINAL_STATES for run in runs):
        time.sleep(chance.uniform(0, 0.3))
        supervisors = [pid for pid in left_over(bench.directory) if b"process.supervisor" in command_of(pid)]
        if supervisors:
            os.kill(chance.choice(supervisors), signal.SIGKILL)
    ran = (tmp_path / "ran").read_text().split()
    assert len(ran) == len(set(ran))
    for run in runs:
        state, error = bench.outcome(run)
        assert state in ("stopped", "error"), error
        assert state == "error" or bench.rows(run) == ["one", "two"]
    wait_until(lambda: left_over(bench.directory) == [])


def command_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_a_run_can_be_stopped_at_any_time(bench):
    """During launch, setup or execution; nothing is left."""
    for pause in (0.0, 0.05, 0.1, 0.2, 0.4):
        run = bench.run(f"echo $$ >> {bench.directory}/started; exec sleep 60", workspaceUrl="none")
        begin = bench.clock.now()
        wait_until(lambda begin=begin, pause=pause: bench.clock.now() > begin + pause)
        stop(bench, run)
        assert bench.outcome(run) == ("canceled", None)
    started = bench.directory / "started"
    assert not any(is_alive(int(line)) for line in (started.read_text().split() if started.exists() else []))


@pytest.mark.parametrize("is_pipe", [False, True])
def test_a_run_can_be_stopped_if_the_stop_request_cannot_be_written(bench, is_pipe):
    """As on a full disk, or if its command has put something else there."""
    run = bench.run("echo $$; exec sleep 60")
    (pid,) = bench.pids(run)
    path = bench.directory / run.handle / "stop"
    os.mkfifo(path) if is_pipe else path.symlink_to("/no/such/folder/stop")
    stop(bench, run)
    assert not is_alive(pid)


def test_sigterm_to_the_supervisor_ends_the_run_with_an_error_and_other_signals_do_not(bench):
    """SIGTERM comes when the machine shuts down, SIGHUP and SIGINT when a terminal is closed or Ctrl-C is pressed."""
    run = bench.run("echo $$; echo $PPID; until [ -e go ]; do sleep 0.01; done; echo on; exec sleep 60")
    command, supervisor = bench.pids(run, 2)
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(supervisor, number)
    (bench.directory / run.handle / "workspace" / "go").touch()
    bench.wait_for_row(run, "on")
    assert bench.state(run) == State.RUNNING
    os.kill(supervisor, signal.SIGTERM)
    bench.wait_for_end(run)
    state, error = bench.outcome(run)
    assert (state, "ended from outside" in error) == ("error", True)
    assert not is_alive(command)


@pytest.fixture
def killed_server(tmp_path):
    """Start a server with a run, and kill its process group. Return the pids of the supervisor and of the command."""

    def killed_server(keep):
        program = f"""
import sys, time
from pathlib import Path
from tests.server.runners.conftest import Bench
bench = Bench(Path({str(tmp_path / "runs")!r}), keep={keep})
bench.runner.recover()
print(*bench.pids(bench.run("echo $PPID; echo $$; exec sleep 60"), 2), flush=True)
time.sleep(60)
"""
        server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, process_group=0)
        with server:
            pids = [int(pid) for pid in server.stdout.readline().split()]
            os.killpg(server.pid, signal.SIGKILL)
        return pids

    return killed_server


def test_runs_that_are_not_kept_end_with_a_killed_server(killed_server):
    _, command = killed_server(keep=False)
    wait_until(lambda: not is_alive(command), "the end of the command")


def test_a_run_that_is_kept_outlives_all_processes_in_the_terminal_of_its_server(killed_server):
    supervisor, command = killed_server(keep=True)
    assert is_alive(supervisor)
    os.kill(supervisor, signal.SIGTERM)
    wait_until(lambda: not is_alive(command), "the end of the command")


@pytest.mark.parametrize("removed", ["the directory of the run", "the directory of all runs"])
@pytest.mark.parametrize("is_stopped", [False, True], ids=["", "stopped"])
def test_a_run_whose_files_are_removed_ends_with_an_error(make_bench, removed, is_stopped):
    """Its processes are killed, followers of its log find the end, and its slot is free."""
    bench = make_bench(slots=1, grace=0.3)
    run = bench.run(STUBBORN)
    (pid,) = bench.pids(run)
    shutil.rmtree(bench.directory / run.handle if removed == "the directory of the run" else bench.directory)
    if is_stopped:
        run.stop(bench.clock.now())
    bench.wait_for_end(run)
    state, error = bench.outcome(run)
    assert (state, "have been removed" in error) == ("error", True)
    assert not is_alive(pid)
    assert run.next_row_at(0, bench.clock.now()) is None
    assert bench.rows(bench.done("echo other")) == ["other"]


def test_a_deleted_run_whose_files_were_removed_ends_before_its_slot_is_free(make_bench):
    bench = make_bench(slots=1, grace=0.3)
    run = bench.run(STUBBORN)
    (pid,) = bench.pids(run)
    shutil.rmtree(bench.directory / run.handle)
    run.delete()
    other = bench.done(f"kill -0 {pid} 2>/dev/null && echo still there || echo gone")
    assert bench.rows(other) == ["gone"]
    wait_until(lambda: not list(bench.directory.glob(".*")), "the end of its files")


@pytest.mark.parametrize("name", ["supervisor.log", "events.jsonl"])
def test_files_can_be_removed_while_a_run_is_launched(make_bench, name):
    bench = make_bench(slots=1, grace=0.3)
    run = bench.run("sleep 60")
    wait_until((bench.directory / run.handle / name).exists)
    wait_until(lambda: is_removed(bench.directory / run.handle), "the removal")
    bench.wait_for_end(run)
    assert bench.outcome(run)[0] == "error"
    wait_until(lambda: left_over(bench.directory) == [], "that nothing is left")


def is_removed(folder):
    """Remove a folder while others may create files in it. Return whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@only_linux
def test_a_supervisor_whose_files_were_removed_ends_the_run_without_a_server(make_bench, tmp_path):
    bench = make_bench(tmp_path / "kept", keep=True)
    run = bench.run("echo $$; exec sleep 60")
    (pid,) = bench.pids(run)
    bench.runner.close()
    shutil.rmtree(bench.directory / run.handle)
    wait_until(lambda: left_over(bench.directory) == [], "that nothing is left")
    assert not is_alive(pid)
