"""Which states a simulated run enters, and when. Pure functions of a plan and of what was done."""

from __future__ import annotations

from attrs import field, frozen
from gradient_api.constants import ExperimentState as State

# When each state begins, as a share of the time from start to end, in the documented order. At 1 the run has ended.
_BEGINNINGS = {
    State.PENDING: 0.0,
    State.PROVISIONING: 0.02,
    State.PROVISIONED: 0.07,
    State.NETWORK_SETTING_UP: 0.08,
    State.NETWORK_SETUP: 0.09,
    State.RUNNING: 0.10,
    State.NETWORK_TEARING_DOWN: 0.95,
    State.NETWORK_TEARDOWN: 0.98,
}
_TEAR_DOWN = (State.NETWORK_TEARING_DOWN, State.NETWORK_TEARDOWN)


@frozen(kw_only=True)
class Plan:
    """How a run is to go if nobody stops it.

    :param float seconds: simulated seconds from start to end
    :param int outcome: the state in which it ends; with `State.ERROR` it ends before it runs
    """

    seconds: float
    outcome: int


@frozen(kw_only=True)
class Life:
    """What has happened to an experiment, in simulated seconds; None: it has not.

    :param Plan plan: how its run is to go
    :param float started: when it was started
    :param float stopped: when it was told to stop
    """

    plan: Plan
    started: float | None = None
    stopped: float | None = None
    transitions: tuple[tuple[float, int], ...] = field(init=False)
    """Every state that it enters, with the moment, in order."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "transitions", tuple(_entered(self)))

    @property
    def running(self) -> tuple[float, float] | None:
        """From when to when its command runs; None: never."""
        moments = {state: moment for moment, state in self.transitions}
        if State.RUNNING not in moments:
            return None
        return moments[State.RUNNING], moments[State.NETWORK_TEARING_DOWN]


def _entered(life: Life) -> list[tuple[float, int]]:
    if life.started is None:
        return [] if life.stopped is None else [(life.stopped, State.CANCELLED)]
    path = _planned(life.plan, life.started)
    moments = {state: moment for moment, state in path}
    stopped = life.stopped
    if stopped is None or stopped >= moments.get(State.NETWORK_TEARING_DOWN, path[-1][0]):
        return path
    before = [(moment, state) for moment, state in path if moment <= stopped]
    if stopped < moments.get(State.RUNNING, path[-1][0]):
        return [*before, (stopped, State.CANCELLED)]
    return [*before, *_torn_down(life.plan, stopped, State.CANCELLED)]


def _planned(plan: Plan, start: float) -> list[tuple[float, int]]:
    path = [(start + plan.seconds * share, state) for state, share in _BEGINNINGS.items()]
    if plan.outcome == State.ERROR:
        # It could not be set up: it ends where its network would be next.
        set_up = list(_BEGINNINGS).index(State.NETWORK_SETTING_UP)
        return [*path[:set_up], (path[set_up][0], State.ERROR)]
    return [*path, (start + plan.seconds, plan.outcome)]


def _torn_down(plan: Plan, begin: float, outcome: int) -> list[tuple[float, int]]:
    first = _BEGINNINGS[_TEAR_DOWN[0]]
    path = [(begin + plan.seconds * (_BEGINNINGS[state] - first), state) for state in _TEAR_DOWN]
    return [*path, (begin + plan.seconds * (1 - first), outcome)]
