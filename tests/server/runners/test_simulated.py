"""Simulated runs: for any options, and whenever they are started, stopped and looked at."""

import math

import pytest
from gradient_api.constants import END_OF_LOG, TERMINAL_STATES
from gradient_api.constants import ExperimentState as State
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.base import RunRejectedError, RunSpec, state_at
from gradient_server.runners.simulated import SimulatedRunner

DOCUMENTED_ORDER = [
    State.PENDING,
    State.PROVISIONING,
    State.PROVISIONED,
    State.NETWORK_SETTING_UP,
    State.NETWORK_SETUP,
    State.RUNNING,
    State.NETWORK_TEARING_DOWN,
    State.NETWORK_TEARDOWN,
]
OUTCOMES = {"stopped": State.STOPPED, "failed": State.FAILED, "error": State.ERROR}
FOREVER = 1e15
SECONDS = st.sampled_from([0.0, 5e-324, 1e-300, 1e-9, 1.0, 20.0, 1e9]) | st.floats(0, 1e9)
TIMES = st.sampled_from([0.0, 1.0, 12345.678]) | st.floats(0, 1e9)
SHARES = st.sampled_from([0.0, 0.1, 0.5, 0.95, 1.0]) | st.floats(0, 1.2)
MANY_ROWS = st.sampled_from([0, 1, 2, 10**9]) | st.integers(0, 100)
FEW_ROWS = st.integers(0, 60)
OPTIONS = st.fixed_dictionaries({"outcome": st.sampled_from(sorted(OUTCOMES)), "seconds": SECONDS, "rows": MANY_ROWS})
OPTIONS_WITH_FEW_ROWS = st.fixed_dictionaries(
    {"outcome": st.sampled_from(sorted(OUTCOMES)), "seconds": SECONDS, "rows": FEW_ROWS}
)


def run_with(*, started=None, stopped=None, **options):
    """Return a run with one job, of an experiment that has these options."""
    names = {"outcome": "OUTCOME", "seconds": "SECONDS", "rows": "LOG_LINES"}
    variables = {f"GRADIENT_MOCK_{names[name]}": value for name, value in options.items()}
    spec = RunSpec(handle="es1", body={"experimentEnv": variables}, created=0.0, started=started, stopped=stopped)
    return SimulatedRunner().admit(spec)


def last_line(run, now):
    (line,) = run.last_lines(now).values()
    return line


def row(run, line, now=FOREVER):
    (found,) = run.job_rows(run.jobs[0], line - 1, 1, now)
    return found


@st.composite
def times_around(draw, run, started, seconds):
    """A time at which something happens to a run, shortly before or after that, or any other time."""
    transitions = st.sampled_from([started, *(timestamp for timestamp, _ in run.transitions)])
    timestamp = draw(transitions | SHARES.map(lambda share: started + seconds * share))
    return draw(st.sampled_from([timestamp, math.nextafter(timestamp, 0), math.nextafter(timestamp, math.inf)]))


@given(options=OPTIONS, started=TIMES)
def test_a_run_enters_the_documented_states_and_ends_as_requested(options, started):
    run = run_with(**options, started=started)
    timestamps, states = zip(*run.transitions, strict=True)
    outcome = OUTCOMES[options["outcome"]]
    assert list(states) == [*(DOCUMENTED_ORDER[:3] if outcome == State.ERROR else DOCUMENTED_ORDER), outcome]
    assert list(timestamps) == sorted(timestamps)
    assert timestamps[0] == started
    assert state_at(run.transitions, started + options["seconds"]) == outcome
    assert (run.error(FOREVER) is not None) == (outcome != State.STOPPED)


def test_the_first_row_says_that_the_run_is_simulated():
    rows = [row(run_with(rows=2, started=0.0), line).message for line in (1, 2)]
    assert ["(simulated: no command is executed)" in message for message in rows] == [True, False]


@given(data=st.data(), options=OPTIONS, started=TIMES)
def test_a_stopped_run_is_torn_down_and_cancelled_unless_it_is_already_ending(data, options, started):
    undisturbed = run_with(**options, started=started)
    stopped = data.draw(times_around(undisturbed, started, options["seconds"]).filter(lambda time: time >= started))
    run = run_with(**options, started=started, stopped=stopped)
    before = state_at(undisturbed.transitions, stopped)
    if before in {State.NETWORK_TEARING_DOWN, State.NETWORK_TEARDOWN, *TERMINAL_STATES}:
        assert run.transitions == undisturbed.transitions
    else:
        past = [entry for entry in undisturbed.transitions if entry[0] <= stopped]
        teardown = DOCUMENTED_ORDER[-2:] if before == State.RUNNING else []
        assert list(run.transitions[: len(past)]) == past
        assert [state for _, state in run.transitions[len(past) :]] == [*teardown, State.CANCELLED]


@given(data=st.data(), options=OPTIONS, started=TIMES)
def test_a_stop_does_not_change_what_was_seen_before_it(data, options, started):
    undisturbed = run_with(**options, started=started)
    seen, stopped = sorted(data.draw(st.lists(SHARES, min_size=2, max_size=2)))
    seen, stopped = started + options["seconds"] * seen, started + options["seconds"] * stopped
    run = run_with(**options, started=started, stopped=stopped)
    if seen < stopped:
        assert state_at(run.transitions, seen) == state_at(undisturbed.transitions, seen)
        line = last_line(undisturbed, seen)
        assert last_line(run, seen) == line
        assert not line or row(run, line) == row(undisturbed, line)


@given(data=st.data(), options=OPTIONS_WITH_FEW_ROWS, started=TIMES, share=st.none() | SHARES)
def test_rows_appear_while_the_command_runs_and_the_marker_at_the_end(data, options, started, share):
    stopped = None if share is None else started + options["seconds"] * share
    run = run_with(**options, started=started, stopped=stopped)
    now = data.draw(times_around(run, started, options["seconds"]))
    timestamps = {state: timestamp for timestamp, state in run.transitions}
    rows = [row for _, row in run.rows(0, 10**9, now)]
    assert [row.line for row in rows] == list(range(1, last_line(run, now) + 1))
    assert [row.timestamp for row in rows] == sorted(row.timestamp for row in rows)
    assert all(row.timestamp <= now + 1e-6 for row in rows)
    state = state_at(run.transitions, now)
    ended = state == State.ERROR or (state in TERMINAL_STATES and State.RUNNING in timestamps)
    assert [row.message == END_OF_LOG for row in rows] == [False] * (len(rows) - ended) + [True] * ended
    if state == State.ERROR:
        assert [(row.message, row.timestamp) for row in rows[:-1]] == [(run.error(now), timestamps[State.ERROR])]
        return
    for row in rows[: len(rows) - ended]:
        assert timestamps[State.RUNNING] <= row.timestamp <= timestamps[State.NETWORK_TEARING_DOWN]
    if ended and stopped is None:
        assert len(rows) == options["rows"] + 1


def test_rows_are_evenly_spread_over_the_time_that_the_command_runs():
    run = run_with(seconds=1000, rows=4, started=0.0)
    timestamps = [row.timestamp for _, row in run.rows(0, 10, FOREVER)]
    assert timestamps == pytest.approx([270.0, 440.0, 610.0, 780.0, 1000.0])
    for line, timestamp in enumerate(timestamps, start=1):
        assert (last_line(run, timestamp - 0.001), last_line(run, timestamp + 0.001)) == (line - 1, line)


@pytest.mark.parametrize(("outcome", "stopped"), [("failed", None), ("failed", 50.0), ("stopped", None)])
def test_the_last_row_of_a_run_that_fails_names_the_exit_code(outcome, stopped):
    run = run_with(seconds=100, rows=50, outcome=outcome, started=0.0, stopped=stopped)
    *messages, marker = (row.message for _, row in run.rows(0, 100, FOREVER))
    assert marker == END_OF_LOG
    expected = [False] * (len(messages) - 1) + [outcome == "failed" and stopped is None]
    assert ["exit code 1" in message for message in messages] == expected


@given(data=st.data(), options=OPTIONS, started=st.none() | TIMES, share=st.none() | SHARES, beyond=st.integers(0, 3))
def test_the_next_row_is_there_when_announced_and_not_before(data, options, started, share, beyond):
    stopped = None if share is None else (started or 0.0) + options["seconds"] * share
    run = run_with(**options, started=started, stopped=stopped)
    now = data.draw(times_around(run, started or 0.0, options["seconds"]))
    count = last_line(run, now)
    line = min(count + beyond, data.draw(st.integers(0, options["rows"] + 3)))
    timestamp = run.next_row_at(line, now)
    assert (timestamp is None) == (state_at(run.transitions, now) in TERMINAL_STATES)
    if timestamp is None:
        return
    if count > line:
        assert timestamp <= now
        return
    assert timestamp > now
    assert (timestamp == math.inf) == (started is None and stopped is None)
    if timestamp < math.inf:
        assert last_line(run, timestamp) > line or state_at(run.transitions, timestamp) in TERMINAL_STATES
    earlier = now + (min(timestamp, FOREVER) - now) * data.draw(st.floats(0, 1))
    earlier = min(max(now, earlier), math.nextafter(timestamp, 0))
    # Rounding may move the timestamp by less than anybody notices.
    if timestamp - earlier > 4 * math.ulp(timestamp):
        assert last_line(run, earlier) <= line
    assert state_at(run.transitions, earlier) not in TERMINAL_STATES


@pytest.mark.parametrize("write", [lambda value: value, str], ids=["numbers", "text"])
def test_options_are_numbers_or_text(write):
    run = run_with(seconds=write(0.5), rows=write(7), started=100.0)
    assert (run.transitions[-1], last_line(run, FOREVER)) == ((100.5, State.STOPPED), 8)


def test_a_run_takes_20_seconds_and_prints_20_rows_by_default():
    run = run_with(started=0.0)
    assert (run.transitions[-1], last_line(run, FOREVER)) == ((20.0, State.STOPPED), 21)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *[("GRADIENT_MOCK_OUTCOME", value) for value in ("", "canceled", "running", "Stopped", "5", 5, True, None)],
        *[("GRADIENT_MOCK_LOG_LINES", value) for value in ("", "x", -1, "-1", 2.5, "2.5", 1e10, "nan", True, None)],
        *[("GRADIENT_MOCK_SECONDS", value) for value in ("", "x", -0.1, "inf", "nan", 1e10, 10**400, False, None)],
    ],
)
def test_a_wrong_option_is_rejected_by_its_name(variable, value):
    spec = RunSpec(handle="es1", body={"experimentEnv": {variable: value}}, created=0.0)
    with pytest.raises(RunRejectedError, match=f"^{variable} must be ") as caught:
        SimulatedRunner().admit(spec)
    assert caught.value.member == "experimentEnv"
