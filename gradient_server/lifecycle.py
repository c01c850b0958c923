"""What state an experiment is in at a moment, and when it came there. Pure functions of a plan and of what was done."""

from __future__ import annotations

from attrs import field, frozen
from gradient_api.constants import ExperimentState as State

# What share of the time from start to end each phase takes, in the documented order. Running takes the rest.
_SET_UP = (
    (State.PENDING, 0.02),
    (State.PROVISIONING, 0.05),
    (State.PROVISIONED, 0.01),
    (State.NETWORK_SETTING_UP, 0.01),
    (State.NETWORK_SETUP, 0.01),
)
_TEAR_DOWN = ((State.NETWORK_TEARING_DOWN, 0.03), (State.NETWORK_TEARDOWN, 0.02))
_SHARE_OF_SET_UP = sum(share for _, share in _SET_UP)
_SHARE_OF_TEAR_DOWN = sum(share for _, share in _TEAR_DOWN)


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
    entered: tuple[tuple[float, int], ...] = field(init=False)
    """Every state that it enters, with the moment, in order."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "entered", tuple(_entered(self)))

    def state(self, now: float) -> int:
        """Say in which state it is."""
        return next((state for moment, state in reversed(self.entered) if moment <= now), State.CREATED)

    def entry(self, state: int, now: float) -> float | None:
        """Say when it came into a state, if it has."""
        return next((moment for moment, entered in self.entered if entered == state and moment <= now), None)

    @property
    def running(self) -> tuple[float, float] | None:
        """From when to when its command runs; None: never."""
        moments = {state: moment for moment, state in self.entered}
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
    return [*before, *_ending(life.plan, stopped, State.CANCELLED)]


def _planned(plan: Plan, start: float) -> list[tuple[float, int]]:
    path, moment = [], start
    for state, share in _SET_UP:
        path.append((moment, state))
        moment += plan.seconds * share
        if state == State.PROVISIONED and plan.outcome == State.ERROR:
            return [*path, (moment, State.ERROR)]
    path.append((moment, State.RUNNING))
    moment += plan.seconds * (1 - _SHARE_OF_SET_UP - _SHARE_OF_TEAR_DOWN)
    return [*path, *_ending(plan, moment, plan.outcome)]


def _ending(plan: Plan, moment: float, outcome: int) -> list[tuple[float, int]]:
    path = []
    for state, share in _TEAR_DOWN:
        path.append((moment, state))
        moment += plan.seconds * share
    return [*path, (moment, outcome)]
