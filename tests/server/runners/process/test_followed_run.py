"""A run as the server sees it, at moments that are hard to meet."""

import os
import resource

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.events import EventReader
from gradient_server.runners.process.followed_run import FollowedRun
from gradient_server.runners.process.nodes import nodes_of
from gradient_server.runners.process.run_directory import RunDirectory
from gradient_server.runners.process.supervised_run import Spec
from tests.server.runners.process.conftest import wait_until

BODY = {"experimentTypeId": 1, "name": "test", "projectHandle": "p", "command": "true"}


class LateDirectory(RunDirectory):
    """One in which the last event is seen only by whoever holds it, as if it had come at that very moment."""

    @property
    def late(self):
        return self.path / "late"

    def hide_the_end(self):
        first, _, last = self.events.read_bytes().removesuffix(b"\n").rpartition(b"\n")
        self.late.write_bytes(last + b"\n")
        self.events.write_bytes(first + b"\n")

    def lock(self):
        file = super().lock()
        if file is not None and self.late.exists():
            with self.events.open("ab") as events:
                events.write(self.late.read_bytes())
            self.late.unlink()
        return file


def followed_in(directory):
    return FollowedRun(directory, 1, Spec(handle="es1", body=BODY, nodes=nodes_of(["worker"], BODY), grace=1.0))


def test_a_run_that_ends_while_it_is_looked_at_leaves_no_process(tmp_path):
    """Its end is found when its supervisor is gone; the process that started that one is waited for all the same."""
    directory = LateDirectory(tmp_path / "es1")
    followed = followed_in(directory)
    followed.launch()
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read_on() and reader.history.has_ended, "the end")
    wait_until(lambda: holds(directory), "the end of its supervisor")
    directory.hide_the_end()
    followed.look()
    assert followed.history.states[-1][1] == State.STOPPED
    assert followed.is_over


@pytest.fixture
def few_files():
    """Have so many files that can still be opened."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.open(os.devnull, os.O_RDONLY)
    opened = [highest]
    # Where the numbers have gaps, those are filled: the limit is one for numbers.
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 64, before[1]))
    while opened[-1] < highest + 63:
        opened.append(os.open(os.devnull, os.O_RDONLY))
    closed = []

    def leave(count):
        while len(closed) < count:
            os.close(opened.pop())
            closed.append(None)

    yield leave
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for file in opened:
        os.close(file)


def test_a_supervisor_that_cannot_be_started_leaves_no_secrets(tmp_path, few_files):
    """What it was to run is removed, wherever there are too few files for it."""
    directory = RunDirectory(tmp_path / "es1")
    followed = followed_in(directory)
    failed = 0
    for count in range(1, 20):
        few_files(count)
        try:
            followed.launch()
        except OSError:
            failed += directory.complaints.exists()
            assert not list(tmp_path.rglob("spec*"))
        else:
            break
    assert failed
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read_on() and reader.history.has_ended, "the end")
    followed.wait_for_launch()


def holds(directory):
    with directory.locked() as is_alone:
        return is_alone


def test_a_supervisor_that_cannot_be_started_is_an_error_once_that_can_be_written(tmp_path, broken_supervisor):
    """What could not be written down is not forgotten: it is tried again."""
    directory = RunDirectory(tmp_path / "es1")
    (directory.path / "lock").mkdir(parents=True)
    followed = followed_in(directory)
    followed.launch()

    def fails():
        try:
            followed.look()
        except IsADirectoryError:
            return True
        return False

    wait_until(fails, "the look that finds it out")
    assert not followed.is_over
    (directory.path / "lock").rmdir()

    def is_over():
        followed.look()
        return followed.is_over

    wait_until(is_over, "the end")
    assert followed.history.states[-1][1] == State.ERROR
    assert "broken on purpose" in followed.history.error
