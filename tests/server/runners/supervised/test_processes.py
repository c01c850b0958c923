"""Processes are not confused with later ones of the same number, and never killed in their place."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from gradient_server.runners.supervised.processes import ProcessId, available_processors, kill_run, signal_group
from tests.server.runners.conftest import is_alive, only_linux, wait_until


@pytest.mark.parametrize(
    ("group", "files", "count"),
    [
        ("0::/", {}, 1000),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "max 100000"}, 1000),
        ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 2),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/not/in/this/container", {"cpu.max": "50000 100000"}, 1),
        ("5:cpu,cpuacct:/a\n2:memory:/b", {"cpu,cpuacct/a/cpu.cfs_quota_us": "400000"}, 4),
        ("5:cpu:/a", {"cpu/a/cpu.cfs_quota_us": "-1"}, 1000),
        ("0::/", {"cpu.max": "damaged"}, 1000),
    ],
)
def test_the_number_of_processors_respects_the_quotas_of_control_groups(monkeypatch, tmp_path, group, files, count):
    """As they are set for containers and services."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(1000), raising=False)
    (tmp_path / "own").write_text(f"{group}\n")
    for name, text in files.items():
        path = tmp_path / "cgroups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
        path.with_name("cpu.cfs_period_us").write_text("100000\n")
    assert available_processors(tmp_path / "own", tmp_path / "cgroups") == count


@only_linux
def test_the_number_of_processors_respects_the_affinity(tmp_path):
    program = "import os; from gradient_server.runners.supervised.processes import available_processors as count; "
    program += "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(count())"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"


def test_a_process_is_alive_until_it_ends(stranger):
    """A zombie is not alive."""
    process = ProcessId.of(stranger.pid)
    assert process.is_alive()
    stranger.kill()
    wait_until(lambda: not process.is_alive(), "the end")
    assert stranger.returncode is None


def test_a_later_process_with_the_same_number_is_another_one(stranger):
    """Neither the process nor its group is the one that is meant."""
    earlier = ProcessId(stranger.pid, ProcessId.of(os.getpid()).start_time)
    assert not earlier.is_alive()
    assert not earlier.may_have_group()
    assert ProcessId.of(stranger.pid).may_have_group()


def test_killing_a_run_spares_later_processes_with_its_numbers(stranger):
    """Only the recorded processes are killed."""
    threading.Thread(target=stranger.wait).start()
    earlier = ProcessId(stranger.pid, ProcessId.of(os.getpid()).start_time)
    kill_run(earlier, [earlier])
    assert stranger.poll() is None
    kill_run(None, [ProcessId.of(stranger.pid)])
    # It would sleep for a minute. The signal is not known if `kill_run` was the one that waited for it.
    assert stranger.wait(timeout=20) in (-signal.SIGKILL, 0)


@only_linux
def test_a_group_is_found_after_its_leader_has_ended():
    """But not after the machine was started again, when the number means nothing."""
    command = "sleep 60 & read -r _"
    leader = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, process_group=0)
    known = ProcessId.of(leader.pid)
    leader.communicate(b"\n")
    try:
        assert not known.is_alive()
        assert known.may_have_group()
        assert not ProcessId(leader.pid, f"another-boot {known.start_time.split()[-1]}").may_have_group()
    finally:
        kill_run(None, [known])
    assert not signal_group(leader.pid, 0)


@only_linux
def test_the_identity_of_a_process_has_the_format_that_earlier_versions_wrote():
    """Supervisors that an earlier version has started are recognized: id of the boot, and start time in clock ticks."""
    with open("/proc/sys/kernel/random/boot_id") as boot_id, open("/proc/self/stat") as stat:
        ticks = stat.read().rpartition(")")[2].split()[19]
        assert ProcessId.of(os.getpid()) == (os.getpid(), f"{boot_id.read().strip()} {ticks}")


GUARDED = """
import os, signal, subprocess, sys, time
from gradient_server.runners.supervised.processes import run_guarded
def run():
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(3))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    left = subprocess.Popen(["setsid", "sleep", "60"])
    print(os.getpid(), left.pid, flush=True)
    time.sleep(60)
sys.exit(run_guarded(run))
"""


@only_linux
@pytest.mark.parametrize(
    ("whom", "number", "code"),
    [("child", signal.SIGKILL, 137), ("guard", signal.SIGUSR1, 3), ("guard", signal.SIGTERM, 143)],
)
def test_whatever_ends_a_guarded_function_nothing_that_it_has_started_is_left(whom, number, code):
    with subprocess.Popen([sys.executable, "-c", GUARDED], stdout=subprocess.PIPE, text=True) as guard:
        child, left = map(int, guard.stdout.readline().split())
        os.kill(child if whom == "child" else guard.pid, number)
        assert guard.wait(20) == code
    assert not is_alive(left)
