"""The process that runs one experiment, without a server."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.supervised.environment import nodes_of
from gradient_server.runners.supervised.log_file import LogReader
from gradient_server.runners.supervised.processes import kill_run
from gradient_server.runners.supervised.run_files import EventReader, LaunchSpec, RunDirectory
from tests.server.runners.conftest import only_linux, only_root, wait_until

SUPERVISOR = [sys.executable, "-m", "gradient_server.runners.supervised.supervisor"]
NOBODY = 65534
SUPERVISOR_OF_NOBODY = f"""
import os, sys
from pathlib import Path
from gradient_server.runners.supervised.supervisor import main
os.setgroups([])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
sys.exit(main(Path(sys.argv[1])))
"""
# A supervisor that keeps what it has written to the disk for good.
SUPERVISOR_THAT_SHOWS_WHAT_IS_SYNCED = """
import os, sys
from pathlib import Path
from gradient_server.runners.supervised.supervisor import main
os.fsync = lambda file: Path(sys.argv[2]).write_bytes(Path(f"/proc/self/fd/{file}").read_bytes())
sys.exit(main(Path(sys.argv[1])))
"""


@pytest.fixture
def spec(tmp_path):
    """A run whose command leaves a line each time it runs."""
    body = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": f"echo ran >> {tmp_path}/ran"}
    return LaunchSpec(
        handle="es1", body=body, nodes=nodes_of(["worker 0"], body), grace=1.0, variables={"PATH": os.environ["PATH"]}
    )


@pytest.fixture
def directory(tmp_path, spec):
    """The directory of that run, which nobody has claimed."""
    directory = RunDirectory(tmp_path / "es1")
    directory.create(spec)
    return directory


def start(directory, **options):
    command = [*SUPERVISOR, str(directory.path)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)


def with_command(spec, command):
    return evolve(spec, nodes=(evolve(spec.nodes[0], command=command),))


def is_unlocked(directory):
    with directory.locked() as is_locked:
        return is_locked


def states_at_end(directory):
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read() and reader.history.has_ended, "the end")
    return [state for _, state in reader.history.states]


def test_only_one_of_several_supervisors_runs_the_experiment(directory, tmp_path):
    """Servers that do not know of each other may start them. All of them report that the run is claimed."""
    assert [each.wait() for each in [start(directory) for _ in range(4)]] == [0] * 4
    assert states_at_end(directory)[-1] == State.STOPPED
    assert (tmp_path / "ran").read_text() == "ran\n"


def other_processes_with(path):
    """The other processes that have a file open."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if entry.readlink() == path:
                found.append(int(entry.parts[2]))
    return set(found) - {os.getpid()}


@only_linux
def test_a_claim_is_on_the_disk_before_the_server_knows_of_it(directory, tmp_path):
    """Otherwise a run that a power failure has ended could run again."""
    synced = tmp_path / "synced"
    program = [sys.executable, "-c", SUPERVISOR_THAT_SHOWS_WHAT_IS_SYNCED, directory.path, synced]
    assert subprocess.run(program, check=False).returncode == 0
    assert b'"claimed"' in synced.read_bytes()
    assert states_at_end(directory)[-1] == State.STOPPED


@only_linux
def test_a_supervisor_waits_for_a_lock_that_is_held_for_a_moment(directory, tmp_path):
    """As by a server that looks whether there is one."""
    with directory.locked() as is_locked:
        assert is_locked
        process = start(directory)
        wait_until(lambda: other_processes_with(directory.path / "lock"), "that it waits")
    assert process.wait() == 0
    assert states_at_end(directory)[-1] == State.STOPPED
    assert (tmp_path / "ran").read_text() == "ran\n"


@pytest.mark.parametrize("is_killed", [False, True], ids=["ended", "killed"])
def test_a_run_does_not_run_again_after_its_supervisor_has_ended_or_was_killed(directory, spec, tmp_path, is_killed):
    """Even if a server writes its spec again, which may hold secrets."""
    if is_killed:
        spec = with_command(spec, f"echo ran >> {tmp_path}/ran; echo $PPID; exec sleep 60")
        directory.create(spec)
    assert start(directory).wait() == 0
    if is_killed:
        log = LogReader(directory.log(0))
        wait_until(log.count, "the row")
        ((_, _, supervisor),) = log.after(0)
        os.kill(int(supervisor), signal.SIGKILL)
    wait_until(lambda: is_unlocked(directory), "the end of the supervisor")
    reader = EventReader(directory.events)
    reader.read()
    assert reader.history.has_ended == (not is_killed)
    kill_run(reader.history.supervisor, reader.history.groups)
    directory.create(spec)
    assert start(directory).wait() == 0
    wait_until(lambda: is_unlocked(directory), "the end of the second supervisor")
    assert not reader.read()
    assert (tmp_path / "ran").read_text() == "ran\n"
    assert not list(directory.path.glob("spec*"))


def test_a_spec_that_is_written_again_while_the_run_goes_on_is_removed(directory, spec, tmp_path):
    directory.create(with_command(spec, f"until [ -e {tmp_path}/go ]; do sleep 0.01; done"))
    assert start(directory).wait() == 0
    wait_until(lambda: directory.log(0).exists(), "the log")
    directory.create(spec)
    (tmp_path / "go").touch()
    states_at_end(directory)
    assert not list(directory.path.glob("spec*"))


def test_the_spec_is_readable_by_its_owner_alone_until_it_is_taken(directory, spec):
    """It may hold passwords."""
    (file,) = directory.path.glob("spec*")
    assert file.stat().st_mode & 0o777 == 0o600
    assert directory.take_spec() == spec
    assert not file.exists()


def test_a_run_that_was_stopped_before_it_was_claimed_does_not_run(directory, tmp_path):
    """The server may have been killed between the start and the stop."""
    directory.request_stop()
    assert start(directory).wait() == 0
    assert states_at_end(directory) == [State.CANCELLED]
    assert not (tmp_path / "ran").exists()


def test_a_run_that_cannot_be_claimed_is_an_error_of_the_supervisor(directory):
    """The exit code says so, and standard error why."""
    directory.events.mkdir()
    process = subprocess.run([*SUPERVISOR, str(directory.path)], capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert "NotAFileError" in process.stderr


def test_the_grace_period_is_among_the_events(directory, spec):
    """A later server, which may have another one, does not kill the run too early."""
    directory.create(evolve(spec, grace=7.5))
    assert start(directory).wait() == 0
    states_at_end(directory)
    reader = EventReader(directory.events)
    reader.read()
    assert reader.history.grace == 7.5


@only_root
def test_rights_that_a_command_has_taken_away_are_restored_when_it_ends(directory, spec):
    """Shown as root, who can look at it at any time."""
    directory.create(with_command(spec, f"chmod 000 {directory.path} {directory.log(0)}"))
    assert start(directory).wait() == 0
    assert states_at_end(directory)[-1] == State.STOPPED
    assert [path.stat().st_mode & 0o777 for path in (directory.path, directory.log(0))] == [0o700, 0o600]


def block_and_ignore_signals():
    """As launchers and services may leave signals to the programs that they start."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR2})
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGRTMIN):
        signal.signal(number, signal.SIG_IGN)


@only_linux
def test_signals_that_the_server_has_blocked_or_ignores_reach_the_supervisor_and_its_commands(directory, spec):
    directory.create(with_command(spec, "grep -E 'Sig(Blk|Ign)' /proc/self/status; echo $PPID; exec sleep 60"))
    assert start(directory, preexec_fn=block_and_ignore_signals).wait() == 0
    log = LogReader(directory.log(0))
    wait_until(lambda: log.count() == 3, "the rows")
    *masks, supervisor = (message for _, _, message in log.after(0))
    # The C library keeps two signals for itself; a program may inherit that they are ignored.
    settable = sum(1 << (number - 1) for number in signal.valid_signals())
    assert [(name, int(mask, 16) & settable) for name, mask in map(str.split, masks)] == [
        ("SigBlk:", 0),
        ("SigIgn:", 0),
    ]
    os.kill(int(supervisor), signal.SIGTERM)
    assert states_at_end(directory)[-1] == State.ERROR


@only_root
def test_a_process_of_another_user_is_named_in_the_outcome_and_does_not_change_it(spec):
    """As sudo makes them: the supervisor may not end them."""
    with TemporaryDirectory() as folder:
        become_root = Path(folder, "setpriv")
        shutil.copy(shutil.which("setpriv"), become_root)
        become_root.chmod(0o4755)
        directory = RunDirectory(Path(folder, "es1"))
        directory.create(
            evolve(with_command(spec, f"{become_root} --reuid=0 sleep 60 & echo $!; sleep 0.5"), grace=0.1)
        )
        for path in [Path(folder), *directory.path.rglob("*"), directory.path]:
            if path != become_root:
                os.chown(path, NOBODY, NOBODY)
        subprocess.run([sys.executable, "-c", SUPERVISOR_OF_NOBODY, directory.path], check=True)
        reader = EventReader(directory.events)
        wait_until(lambda: reader.read() and reader.history.has_ended, "the end")
        ((_, _, pid),) = LogReader(directory.log(0)).after(0)
        os.kill(int(pid), signal.SIGKILL)
        assert reader.history.states[-1][1] == State.STOPPED
        assert reader.history.error == f"These processes could not be ended: {pid} (sleep of root)"


def test_the_supervisor_imports_no_web_server_or_client():
    """It starts fast. Those who download a workspace load more."""
    program = "import sys, gradient_server.runners.supervised.supervisor; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "psutil" in modules
    assert {"starlette", "uvicorn", "httpx", "http.client", "ssl", "jinja2", "jsonschema_rs"}.isdisjoint(modules)
