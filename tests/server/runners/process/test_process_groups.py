"""Processes that are told apart from later ones with the same number, and are never ended for those."""

import os
import signal
import subprocess

import pytest

from gradient_server.runners.process.events import History
from gradient_server.runners.process.process_groups import ProcessId, signal_group
from gradient_server.runners.process.taking_over import end_all_of
from tests.server.runners.process.conftest import wait_until
from tests.server.runners.process.test_stopping import only_linux


@pytest.fixture
def stranger():
    """A process that has nothing to do with any run, in a group of its own."""
    with subprocess.Popen(["sleep", "60"], process_group=0) as process:
        yield process
        process.kill()


def test_a_process_is_there_until_it_ends(stranger):
    """One that has ended is not, also as long as nobody has waited for it."""
    known = ProcessId.of(stranger.pid)
    assert known.is_alive()
    stranger.kill()
    wait_until(lambda: not known.is_alive(), "the end")
    assert stranger.returncode is None


def test_a_later_process_with_the_number_is_another_one(stranger):
    """What began at another time is neither the process that is meant, nor has it the group of that one."""
    earlier = ProcessId(stranger.pid, ProcessId.of(os.getpid()).born)
    assert not earlier.is_alive()
    assert not earlier.may_have_group()
    assert ProcessId.of(stranger.pid).may_have_group()


def test_what_others_have_started_is_left_alone(stranger):
    """Where all of a run has ended long ago, and its numbers are those of other processes now, nobody ends these."""
    earlier = ProcessId(stranger.pid, ProcessId.of(os.getpid()).born)
    end_all_of(History(supervisor=earlier, groups=[earlier]))
    assert stranger.poll() is None
    end_all_of(History(groups=[ProcessId.of(stranger.pid)]))
    assert stranger.wait() == -signal.SIGKILL


@only_linux
def test_a_group_outlives_its_leader():
    """What is left of it is found, but not after another start of the machine, when the number means nothing."""
    command = "sleep 60 & read -r _"
    leader = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, process_group=0)
    known = ProcessId.of(leader.pid)
    leader.communicate(b"\n")
    try:
        assert not known.is_alive()
        assert known.may_have_group()
        assert not ProcessId(leader.pid, f"another-start {known.born.split()[-1]}").may_have_group()
    finally:
        end_all_of(History(groups=[known]))
    assert not signal_group(leader.pid, 0)
