"""The public methods: what they send, what they return, and the options of a client."""

import copy
import inspect
import pickle
from fnmatch import fnmatch

import pytest
from gradient_api.constants import TERMINAL_STATES

from gradient import (
    AsyncExperimentsClient,
    ExperimentFailedError,
    ExperimentsClient,
    InvalidParametersError,
    NotFoundError,
    RequestFailedError,
    ResourceFetchingError,
)
from gradient_ext import pagination
from gradient_server.api.contract import packaged_contract
from tests.conftest import METHODS, call_method
from tests.fake_servers import EXPERIMENT, STATE, drop, respond_well, status


@pytest.mark.parametrize("kind", [ExperimentsClient, AsyncExperimentsClient])
def test_every_public_method_that_sends_something_is_in_the_table_of_methods(kind):
    public = {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}
    assert public - {"close", "with_options"} == set(METHODS)


def test_the_key_is_sent_in_its_header_and_the_project_filter_is_numbered(flaky, client):
    assert [experiment.id for experiment in client.list(("p1", "p2"))] == ["es1"]
    assert flaky.requests[0].target.endswith("projectHandle%5B0%5D=p1&projectHandle%5B1%5D=p2")
    assert flaky.requests[0].headers["x-api-key"] == "sesame-key"


def test_every_media_type_of_the_contract_is_accepted(flaky, client):
    """The plain text of the log host too."""
    client.logs("es1")
    accepted = flaky.requests[0].headers["accept"].split(",")
    responses = [each for operation in packaged_contract().operations for each in operation.responses.values()]
    for media_type in {media_type for response in responses for media_type in response}:
        assert any(fnmatch(media_type, kind.partition(";")[0].strip()) for kind in accepted), media_type


@pytest.mark.parametrize("name", [name for name, keywords in METHODS.items() if "experiment_id" in keywords])
def test_an_invalid_id_is_refused_before_anything_is_sent(flaky, client, name):
    for wrong in ("", "..", "a/b", "a?b", "a#b", "a b", 7, None, "é"):
        with pytest.raises(InvalidParametersError, match="experiment_id"):
            call_method(client, name, experiment_id=wrong)
    assert flaky.requests == []


@pytest.mark.parametrize("name", ["state", "wait"])
@pytest.mark.parametrize("number", [404, 405])
def test_of_an_old_server_without_the_state_operation_the_whole_experiment_is_read(flaky, client, name, number):
    flaky.otherwise = lambda request: status(number) if request.path.endswith(STATE) else respond_well(request)
    assert getattr(call_method(client, name), "state", 5) == 5


def test_a_server_that_is_not_there_is_a_connection_error():
    with (
        ExperimentsClient("k", base_url="http://127.0.0.1:9", max_attempts=1) as client,
        pytest.raises(RequestFailedError) as caught,
    ):
        client.get("es1")
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize("project", [None, "prlvf0u05"])
def test_a_list_has_all_pages_newest_first_whether_they_come_flat_or_in_groups(
    client, single_node, monkeypatch, project
):
    monkeypatch.setattr(pagination, "PAGE_SIZE", 2)
    newest_first = [client.create_single_node(**single_node) for _ in range(5)][::-1]
    for limit, offset in ((None, 0), (4, 0), (None, 2), (2, 2)):
        listed = client.list(project, limit=limit, offset=offset)
        assert [experiment.id for experiment in listed] == newest_first[offset:][:limit]


@pytest.mark.parametrize("project", [None, "prlvf0u05"])
def test_iterating_yields_what_the_list_has_and_requests_a_page_when_it_is_needed(client, single_node, project):
    listed = [client.create_single_node(**single_node) for _ in range(5)][::-1]
    iterator = client.iter_experiments(project, page_size=2)
    first = [next(iterator).id for _ in range(2)]
    client.create_single_node(**single_node)
    assert first + [experiment.id for experiment in iterator] == listed


@pytest.mark.parametrize("projects", [[], ()])
def test_an_empty_project_filter_has_no_experiments_and_sends_nothing(flaky, client, projects):
    assert client.list(projects) == []
    assert flaky.requests == []


@pytest.mark.parametrize("outcome", ["stopped", "failed", "error"])
def test_a_simulated_run_ends_as_requested_and_its_logs_end_with_it(client, gradient_server, single_node, outcome):
    environment = {"GRADIENT_MOCK_OUTCOME": outcome, "GRADIENT_MOCK_LOG_LINES": 3, "GRADIENT_MOCK_SECONDS": 1000}
    experiment_id = client.run_single_node(**{**single_node, "experiment_env": environment})
    gradient_server.advance(1001)
    rows = list(client.yield_logs(experiment_id, timeout=30))
    experiment = client.get(experiment_id)
    assert experiment.state in TERMINAL_STATES
    assert len(rows) == (1 if outcome == "error" else 3)
    assert experiment.experiment_error == (None if outcome == "stopped" else rows[-1].message)


def test_the_error_of_a_simulated_run_that_failed_says_why_once_and_so_does_its_repr(
    client, gradient_server, single_node
):
    environment = {"GRADIENT_MOCK_OUTCOME": "failed", "GRADIENT_MOCK_LOG_LINES": 3}
    experiment_id = client.run_single_node(**{**single_node, "experiment_env": environment})
    gradient_server.advance(30)
    reason = "worker 0: the command ended with exit code 1 (simulated)"
    with pytest.raises(ExperimentFailedError) as caught:
        client.wait(experiment_id)
    assert str(caught.value).startswith(f"Experiment {experiment_id} has ended as failed: {reason}\n")
    assert str(caught.value).count(reason) == 1
    assert reason in repr(client.get(experiment_id))


def test_an_experiment_of_a_simulated_run_says_so(client, single_node, capsys):
    experiment = client.get(client.create_single_node(**single_node))
    assert experiment.simulated is True
    experiment.show()
    assert ["simulated", "True"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_starting_twice_and_stopping_after_the_end_are_conflicts(client, gradient_server, single_node):
    experiment_id = client.run_single_node(**single_node)
    with pytest.raises(ResourceFetchingError, match="only one that has not run can be started") as caught:
        client.start(experiment_id)
    assert caught.value.status == 409
    gradient_server.advance(30)
    with pytest.raises(ResourceFetchingError, match="cannot be stopped"):
        client.stop(experiment_id)


@pytest.mark.parametrize("nodes", ["single_node", "multi_node"])
def test_an_experiment_runs_again_with_changes(client, request, nodes):
    """Secrets, which are masked wherever they are shown, are the same."""
    parameters = request.getfixturevalue(nodes)
    password = "registry_password" if nodes == "single_node" else "worker_registry_password"
    first = getattr(client, f"create_{nodes}")(**{**parameters, "model_path": "/m", password: "sesame"})
    again = client.rerun(first, name="again", experiment_env={"STEPS": 1}, model_path=None)
    assert again != first
    before, after = (client.get(each).to_dict(secrets=True) for each in (first, again))
    changed = {name for name in before if before[name] != after[name] and not name.startswith("dt_")}
    assert changed - {"url"} == {"id", "name", "state", "experiment_env", "model_path"}
    assert (after["name"], after["experiment_env"], after["model_path"]) == ("again", {"STEPS": 1}, None)


def test_running_again_refuses_what_create_refuses_and_kinds_that_are_unknown(flaky, client, single_node):
    unknown = {**EXPERIMENT["data"], "experimentTypeId": 4}
    flaky.plan = [status(200, {"data": unknown})]
    with pytest.raises(InvalidParametersError, match="es1 is of an unknown kind"):
        client.rerun("es1")
    with pytest.raises(InvalidParametersError, match=r"rerun\(\): command: must be a str, not int"):
        client.rerun("es1", **{**single_node, "command": 1})
    with pytest.raises(TypeError, match="comand"):
        client.rerun("es1", **single_node, comand="true")


@pytest.mark.parametrize("name", [name for name, keywords in METHODS.items() if "experiment_id" in keywords])
def test_an_experiment_that_does_not_exist_is_not_found(client, name):
    with pytest.raises(NotFoundError):
        call_method(client, name, experiment_id="esnothing")


def test_other_options_are_for_the_other_client_which_shares_the_connections(flaky, client):
    flaky.plan = [drop]
    with pytest.raises(RequestFailedError):
        client.with_options(max_attempts=1).get("es1")
    flaky.plan = [status(503)]
    assert client.get("es1").id == "es1"
    assert repr(client.with_options(timeout=3)) == repr(client)


def test_options_and_copies_of_a_subclass_keep_its_attributes(flaky):
    class TeamClient(ExperimentsClient):
        def __init__(self, team, **given):
            super().__init__("k", **given)
            self.team = team

    with TeamClient("vision", base_url=flaky.url) as client:
        for other in (client.with_options(timeout=3), copy.copy(client), copy.deepcopy(client)):
            assert other.team == "vision"
            assert other.get("es1").id == "es1"
        with pytest.raises(TypeError, match="make one where it is needed"):
            pickle.dumps(client)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"timeout": 0}, "timeout: must be seconds"),
        ({"connect_timeout": "5"}, "connect_timeout: must be seconds"),
        ({"deadline": -1}, "deadline: must be seconds"),
        ({"patience": False}, "patience: must be seconds"),
        ({"max_attempts": 0}, "max_attempts: must be an int of at least 1"),
        ({"max_attempts": True, "timeout": "5"}, "timeout: must be seconds"),
    ],
)
def test_invalid_options_are_named(changes, problem):
    for make in (ExperimentsClient("k").with_options, lambda **given: ExperimentsClient("k", **given)):
        with pytest.raises(InvalidParametersError, match=problem):
            make(**changes)
    with pytest.raises(TypeError, match="'retries'"):
        ExperimentsClient("k").with_options(retries=3)
