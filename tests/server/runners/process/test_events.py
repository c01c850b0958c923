"""The file of what has happened to a run: where there is no room for it, and where there is half an event."""

import contextlib

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.process.events import EventReader, EventWriter
from tests.server.runners.process.conftest import room_for


@pytest.mark.parametrize("room", range(0, 60, 7))
def test_an_event_is_written_as_a_whole_or_not_at_all(tmp_path, room):
    """What comes when there is room again can be read."""
    path = tmp_path / "events.jsonl"
    with contextlib.closing(EventWriter(path)) as events:
        events.entered(State.PENDING)
        size = path.stat().st_size
        fits = True
        with room_for(size + room):
            try:
                events.entered(State.RUNNING)
            except OSError:
                fits = False
        assert fits == (path.stat().st_size > size)
        events.entered(State.STOPPED)
    reader = EventReader(path)
    assert reader.read_on()
    expected = [State.PENDING, State.RUNNING, State.STOPPED] if fits else [State.PENDING, State.STOPPED]
    assert [state for _, state in reader.history.states] == expected


def test_half_an_event_is_not_there_yet(tmp_path):
    """Whoever reads while events are written misses none, however little of one is there at the time."""
    path = tmp_path / "events.jsonl"
    with contextlib.closing(EventWriter(path)) as events:
        events.entered(State.PENDING)
        events.ended(State.STOPPED, None, [1])
    data = path.read_bytes()
    path.write_bytes(b"")
    reader, seen = EventReader(path), []
    for place in range(len(data)):
        is_end = data[place : place + 1] == b"\n"
        with path.open("ab") as file:
            file.write(data[place : place + 1])
        assert reader.read_on() == is_end
        seen += [len(reader.history.states)] if is_end else []
    assert seen == [1, 2]
    assert [state for _, state in reader.history.states] == [State.PENDING, State.STOPPED]
    assert reader.history.rows == (1,)


def test_half_an_event_of_one_that_was_killed_is_no_event(tmp_path):
    """The next one who writes can be read, by those who come then and by those who have read before."""
    path = tmp_path / "events.jsonl"
    with contextlib.closing(EventWriter(path)) as events:
        events.entered(State.PENDING)
        events.entered(State.RUNNING)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        reader = EventReader(path)
        reader.read_on()
        with contextlib.closing(EventWriter(path)) as events:
            events.ended(State.ERROR, "killed", [])
        expected = ([State.PENDING] if length >= first else []) + [State.ERROR]
        later = EventReader(path)
        for each in (reader, later):
            each.read_on()
            assert [state for _, state in each.history.states] == expected
