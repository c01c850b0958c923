"""`make faults` on a small scale, and that its verdicts notice what is wrong."""

import copy

import pytest
import stamina
from gradient_api.constants import ExperimentState

from gradient import ConflictError, MultiNodeExperiment, NotFoundError, RequestFailedError, SingleNodeExperiment
from tests.e2e.chaos import exactly_once, real_runs
from tests.e2e.chaos.exactly_once import Experiment, Plan, run_trial
from tests.e2e.chaos.real_runs import KINDS, ROWS, SLOTS, FollowedRun, follow_while_killing
from tests.e2e.chaos.servers import Server

ACTED = {"half_body", "latency", "reset_after", "status_after", "truncated_body"}
"""Faults in which the server has acted and the client does not know."""


@pytest.fixture
def without_pauses():
    """Retry at once."""
    stamina.set_testing(True, attempts=10)
    yield
    stamina.set_testing(False)


def assert_exactly_once(outcome, server):
    assert {kind: found for kind, found in outcome.verdict.wrong.items() if found} == {}
    assert outcome.verdict.gave_up == []
    assert outcome.figures["experiments on the server"] == outcome.figures["calls"] / 2
    assert outcome.figures["requests"] == outcome.figures["calls"] + outcome.figures["retries"]
    assert server.complaints == ""


@pytest.mark.usefixtures("without_pauses")
def test_threads_that_share_a_client_do_everything_once_over_a_bad_network(tmp_path):
    """Nobody gets the response of another call."""
    with Server(tmp_path) as server:
        outcome = run_trial(Plan(count=150), server)
        assert_exactly_once(outcome, server)
    assert outcome.injected.keys() >= ACTED


@pytest.mark.parametrize("kill", [False, True], ids=["restarted", "killed"])
def test_everything_is_done_once_while_the_server_goes_away(tmp_path, kill):
    """What it has acknowledged is there when it comes back."""
    with Server(tmp_path, kill=kill) as server:
        outcome = run_trial(Plan(count=100, times_away=3, rate=0.1), server)
        assert_exactly_once(outcome, server)
        assert server.times_away == 3


def test_real_runs_are_followed_while_the_server_is_killed(tmp_path):
    """No row is lost or comes twice, each command runs once, and no process is left over."""
    options = ("--runner", "process", "--slots", str(SLOTS), "--grace", "2", "--api-key", "k" * 32)
    with Server(tmp_path, *options, kill=True) as server:
        wrong = follow_while_killing(server, tmp_path, kills=5, seed=1)
        assert {kind: found for kind, found in wrong.items() if found} == {}
        assert server.complaints == ""


def single(handle, name, state=ExperimentState.RUNNING):
    return SingleNodeExperiment(id=handle, name=name, state=state, experiment_type_id=1)


def got(name, handle=None, **further):
    return Experiment(name, handle=handle, is_started=handle is not None, **further)


RESPONSE = {"method": "PUT", "url": "http://localhost/"}
CONFLICT = ConflictError("Failed to start experiment", status=409, **RESPONSE)
MISSING = NotFoundError("Failed to start experiment", status=404, **RESPONSE)
NO_RESPONSE = RequestFailedError("Failed to create resource: no answer", **RESPONSE)
A, B = single("es1", "a"), single("es2", "b")
MULTI = MultiNodeExperiment(id="es1", name="a", state=ExperimentState.RUNNING, experiment_type_id=2)
BOTH = [got("a", "es1"), got("b", "es2")]
VERDICTS = [
    (BOTH, [A, B], {}, set()),
    ([Experiment("a", True, "es1", True)], [MULTI], {}, set()),
    (BOTH, [A], {"es2": None}, {"lost"}),
    (BOTH, [A], {"es2": B}, {"lost"}),
    (BOTH, [A, B], {"es2": None}, {"lost"}),
    (BOTH, [A, B, single("es3", "b")], {}, {"doubled"}),
    (BOTH, [A, B, single("es3", "c")], {}, {"requested by nobody"}),
    ([got("a", "es2"), got("b", "es1")], [A, B], {}, {"response of another call"}),
    ([got("a", "es1")], [MULTI], {}, {"response of another call"}),
    (BOTH, [A, single("es2", "b", ExperimentState.CREATED)], {}, {"not started"}),
    ([got("a", "es1", error=CONFLICT)], [A], {}, {"started twice"}),
    ([got("a", "es1", error=MISSING)], [A], {}, {"rejected"}),
    ([got("a", error=CONFLICT)], [], {}, {"rejected"}),
    ([got("a", error=NO_RESPONSE)], [], {}, set()),
    ([got("a", error=NO_RESPONSE)], [A], {}, set()),
    ([got("a", error=NO_RESPONSE)], [A, single("es3", "a")], {}, {"doubled"}),
]


@pytest.mark.parametrize(("experiments", "listed", "found", "kinds"), VERDICTS)
def test_the_verdict_names_what_did_not_happen_exactly_once(experiments, listed, found, kinds):
    """And nothing else."""
    verdict = exactly_once.judge(experiments, listed, {one.id: one for one in listed} | found)
    assert {kind for kind, sentences in verdict.wrong.items() if sentences} == kinds


class RightRuns:
    """One run of each kind, with which all is right."""

    def __init__(self):
        self.runs, self.began = [], []
        for number, kind in enumerate(KINDS):
            name, notice = f"run-{number}", (1, "container c is not used")
            printed = [notice, *((row + 1, f"{name} {row}") for row in range(1, ROWS + 1))]
            rows = {f"js{index}": list(printed) for index in range(kind.workers)}
            if kind.workers > 1:
                rows["ps"] = [notice]
            self.runs.append(FollowedRun(name, kind, f"es{number}", kind.state, rows))
            self.began += [name] * kind.nodes
        self.again = {run.handle: copy.deepcopy(run.rows) for run in self.runs}
        self.listed = [run.handle for run in self.runs]


LOG = {"logs not as printed", "logs that have changed"}
CHANGES = {
    "nothing": (lambda right: None, set()),
    "a row is lost": (lambda right: right.runs[0].rows["js0"].pop(), LOG),
    "a row comes twice": (lambda right: right.runs[0].rows["js0"].append((2, "run-0 1")), LOG),
    "rows come in another order": (lambda right: right.runs[3].rows["js1"].reverse(), LOG),
    "a row has gone since": (lambda right: right.again["es3"]["js1"].pop(), {"logs that have changed"}),
    "another state": (lambda right: setattr(right.runs[1], "state", KINDS[0].state), {"wrong final states"}),
    "an error": (lambda right: setattr(right.runs[2], "error", OSError()), {"errors of the client"}),
    "one never ran": (lambda right: right.began.remove("run-3"), {"commands not run once"}),
    "one ran twice": (lambda right: right.began.append("run-0"), {"commands not run once"}),
    "one is not listed": (lambda right: right.listed.pop(), {"experiments not listed once"}),
    "one is listed twice": (lambda right: right.listed.append("es0"), {"experiments not listed once"}),
    "one that nobody created": (lambda right: right.listed.append("es9"), {"experiments of nobody"}),
}


@pytest.mark.parametrize(("change", "kinds"), CHANGES.values(), ids=CHANGES)
def test_the_verdict_of_real_runs_names_what_is_wrong(change, kinds):
    """And nothing else."""
    right = RightRuns()
    change(right)
    wrong = real_runs.judge(right.runs, right.again, right.began, right.listed)
    assert {kind for kind, sentences in wrong.items() if sentences} == kinds
