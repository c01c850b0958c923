"""The file of what has happened to a run, where there is no room for it."""

import contextlib
import resource

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.process.events import EventReader, EventWriter


@pytest.fixture
def room_for():
    """Have files that are not larger than so many bytes; with 0, of any size again."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size or before[0], before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", range(0, 60, 7))
def test_an_event_is_written_as_a_whole_or_not_at_all(tmp_path, room_for, room):
    """What comes when there is room again can be read."""
    path = tmp_path / "events.jsonl"
    with contextlib.closing(EventWriter(path)) as events:
        events.entered(State.PENDING)
        size = path.stat().st_size
        room_for(size + room)
        if room < 0.8 * size:
            with pytest.raises(OSError, match=r"No space left|File too large"):
                events.entered(State.RUNNING)
            assert path.stat().st_size == size
        room_for(0)
        events.entered(State.STOPPED)
    reader = EventReader(path)
    assert reader.read_on()
    assert [state for _, state in reader.history.states] in (
        [State.PENDING, State.STOPPED],
        [State.PENDING, State.RUNNING, State.STOPPED],
    )
