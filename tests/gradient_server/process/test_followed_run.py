"""A run as the server sees it, at moments that are hard to meet."""

from gradient_api.constants import ExperimentState as State

from gradient_server.process.events import EventReader
from gradient_server.process.followed_run import FollowedRun
from gradient_server.process.nodes import nodes_of
from gradient_server.process.run_directory import RunDirectory
from gradient_server.process.supervised_run import Spec
from tests.gradient_server.process.conftest import wait_until

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


def test_a_run_that_ends_while_it_is_looked_at_leaves_no_process(tmp_path):
    """Its end is found when its supervisor is gone; the process that started that one is waited for all the same."""
    directory = LateDirectory(tmp_path / "es1")
    spec = Spec(handle="es1", body=BODY, nodes=nodes_of(["worker"], BODY), grace=1.0)
    followed = FollowedRun(directory, 1, spec)
    followed.launch()
    reader = EventReader(directory.events)
    wait_until(lambda: reader.read_on() and reader.history.has_ended, "the end")
    wait_until(lambda: holds(directory), "the end of its supervisor")
    directory.hide_the_end()
    followed.look()
    assert followed.history.states[-1][1] == State.STOPPED
    assert followed.is_over


def holds(directory):
    with directory.locked() as is_alone:
        return is_alone
