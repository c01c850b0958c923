"""Tags and notes: what the clients send and keep, against the local server and against servers that differ."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from gradient import (
    AsyncExperimentsClient,
    BadRequestError,
    ConflictError,
    ExperimentsClient,
    InvalidParametersError,
    MalformedResponseError,
    NotFoundError,
    ProjectsClient,
)
from tests.client.blocking import client_of
from tests.fake_servers import status

KINDS_OF_CLIENT = {"threads": ExperimentsClient, "asyncio": AsyncExperimentsClient}


@pytest.fixture
def projects(gradient_server):
    with ProjectsClient(gradient_server.api_key, api_url=gradient_server.api_url) as projects:
        yield projects


@pytest.fixture
def of_fake(flaky):
    """A client of a fake server."""
    with ExperimentsClient("sesame-key", base_url=flaky.url, max_attempts=1) as client:
        yield client


def rows(*names):
    return [{"tag": {"name": name}} for name in names]


def test_tags_and_note_come_with_the_creation(client, single_node):
    experiment_id = client.create_single_node(**single_node, tags=("b", "a", "b"), note="first try")
    experiment = client.get(experiment_id)
    assert (experiment.tags, experiment.note) == (["b", "a"], "first try")
    assert client.get(client.create_single_node(**single_node)).tags == []


def test_a_creation_with_tags_is_one_request(flaky, of_fake, single_node):
    flaky.otherwise = lambda request: status(200, {"handle": "es1", "tags": ["a"]})
    assert of_fake.create_single_node(**single_node, tags=["a"]) == "es1"
    (request,) = flaky.requests
    assert json.loads(request.body)["tags"] == ["a"]


def test_to_a_server_that_ignores_tags_of_a_creation_they_are_sent_again(flaky, of_fake, single_node):
    flaky.otherwise = lambda request: status(200, [] if request.method == "PUT" else {"handle": "es1"})
    assert of_fake.run_single_node(**single_node, tags=["a", "b"]) == "es1"
    assert flaky.requests[-1].path == "/entityTags/updateTags"
    assert json.loads(flaky.requests[-1].body) == {"entity": "experiment", "entityId": "es1", "tags": ["a", "b"]}


def test_tags_that_cannot_be_set_after_a_creation_are_an_error_that_names_the_experiment(flaky, of_fake, single_node):
    flaky.otherwise = lambda request: status(404) if request.method == "PUT" else status(200, {"handle": "es1"})
    with pytest.raises(NotFoundError, match="es1 was created, but its tags were not set"):
        of_fake.create_single_node(**single_node, tags=["a"])


@pytest.mark.parametrize("kind", KINDS_OF_CLIENT)
def test_tags_are_added_and_removed_in_any_state_and_keep_their_order(gradient_server, single_node, kind):
    urls = {"base_url": gradient_server.experiments_url, "logs_url": gradient_server.logs_url}
    with client_of(kind, gradient_server.api_key, **urls) as client:
        experiment_id = client.run_single_node(**single_node)
        client.add_tags(experiment_id, ["c", "a"])
        client.stop(experiment_id)
        client.add_tags(experiment_id, "b")
        client.remove_tags(experiment_id, ["a", "unknown"])
        assert client.list_tags([experiment_id]) == [{experiment_id: ["c", "b"]}]
        client.set_note(experiment_id, "stopped too early")
        assert client.get(experiment_id).note == "stopped too early"
        client.set_note(experiment_id, "")
        assert client.get(experiment_id).note is None


def test_lists_have_the_experiments_with_one_of_the_tags(client, single_node):
    a, b, _ = (client.create_single_node(**single_node, tags=tags) for tags in (["a", "c"], ["b"], ["d"]))
    assert {each.id for each in client.list(tags=["a", "b"])} == {a, b}
    assert [each.id for each in client.list("prlvf0u05", tags="a")] == [a]
    assert [each.id for each in client.iter_experiments(tags=["b"], page_size=1)] == [b]
    assert client.list("another", tags=["a"]) == client.list(tags=[]) == client.list(tags="e") == []


def test_a_run_again_has_the_tags(client, single_node):
    experiment_id = client.create_single_node(**single_node, tags=["sweep 3"])
    assert client.get(client.rerun(experiment_id)).tags == ["sweep 3"]
    assert client.get(client.rerun(experiment_id, tags=None)).tags == []


def test_no_tag_is_lost_when_many_add_some_at_once(client, single_node):
    experiment_id = client.create_single_node(**single_node)
    names = [f"tag {number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: client.add_tags(experiment_id, name), names))
    assert sorted(client.get(experiment_id).tags) == names


def test_tags_that_have_changed_in_between_are_read_again(flaky, of_fake):
    answers = iter(
        [status(200, {"es1": rows("a")}), status(409), status(200, {"es1": rows("a", "x")}), status(200, [])]
    )
    flaky.otherwise = lambda request: next(answers)
    of_fake.add_tags("es1", ["b"])
    sent = [json.loads(request.body) for request in flaky.requests if request.method == "PUT"]
    assert [(body["known"], body["tags"]) for body in sent] == [(["a"], ["a", "b"]), (["a", "x"], ["a", "x", "b"])]


def test_tags_that_change_all_the_time_are_an_error(flaky, of_fake):
    flaky.otherwise = lambda request: status(409) if request.method == "PUT" else status(200, {"es1": rows("a")})
    with pytest.raises(ConflictError):
        of_fake.remove_tags("es1", "a")


def test_nothing_is_sent_when_nothing_changes(flaky, of_fake):
    flaky.otherwise = lambda request: status(200, {"es1": rows("a")})
    of_fake.add_tags("es1", ["a"])
    of_fake.remove_tags("es1", ["b"])
    assert {request.method for request in flaky.requests} == {"GET"}


@pytest.mark.parametrize("answer", [[], {"es1": {}}, {"es1": [{}]}, {"es1": [{"tag": "a"}]}, {"es1": [{"tag": {}}]}])
def test_tags_that_are_none_are_a_malformed_response(flaky, of_fake, answer):
    flaky.otherwise = lambda request: status(200, answer)
    with pytest.raises(MalformedResponseError):
        of_fake.list_tags(["es1"])


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ([""], "'' is empty"),
        (["two\nlines"], "control character"),
        (["\x1b[31mred"], "control character"),
        (["x" * 101], "more than 100 characters"),
        ([f"{number}" for number in range(101)], "at most 100 members"),
        ([1], "must be one of a str"),
        (1, "must be a list"),
    ],
)
@pytest.mark.parametrize("method", ["add_tags", "remove_tags"])
def test_what_cannot_be_a_tag_is_refused_before_anything_is_sent(flaky, of_fake, method, tags, problem):
    with pytest.raises(InvalidParametersError, match=problem):
        getattr(of_fake, method)("es1", tags)
    assert flaky.requests == []


def test_a_note_that_is_too_long_is_refused_before_anything_is_sent(flaky, of_fake):
    with pytest.raises(InvalidParametersError, match="note: must have at most 10,000 characters, not 10,001"):
        of_fake.set_note("es1", "x" * 10_001)
    assert flaky.requests == []


def test_more_tags_than_there_can_be_are_refused_and_none_is_added(client, single_node):
    experiment_id = client.create_single_node(**single_node, tags=[f"{number}" for number in range(100)])
    with pytest.raises(BadRequestError, match="tags"):
        client.add_tags(experiment_id, "one more")
    assert len(client.get(experiment_id).tags) == 100


def test_the_tags_of_an_unknown_experiment_or_project(client, projects):
    for act in (client.add_tags, client.remove_tags, projects.add_tags):
        with pytest.raises(NotFoundError, match="not found: esunknown"):
            act("esunknown", ["a"])
    with pytest.raises(NotFoundError):
        client.set_note("esunknown", "text")


def test_projects_have_tags_too(projects):
    vision, _ = projects.create("vision", tags=["a", "b"]), projects.create("text")
    projects.add_tags(vision, "c")
    projects.remove_tags(vision, ["a"])
    assert projects.get(vision).tags == ["b", "c"]
    assert [project.id for project in projects.list(tags=["c", "d"])] == [vision]
    assert projects.list_tags([vision]) == [{vision: ["b", "c"]}]
    assert "b, c" in projects.list().pretty()
    assert "b, c" in projects.get(vision).pretty()


def test_a_project_that_only_experiments_name_cannot_have_tags(client, projects, single_node):
    client.create_single_node(**single_node)
    with pytest.raises(NotFoundError, match="has not been created"):
        projects.add_tags(single_node["project_id"], "a")


def test_what_people_see_has_tags_and_note_without_control_characters(client, single_node):
    experiment_id = client.create_single_node(**single_node, tags=["a", "b"], note="one\ntwo\x1b[2J")
    experiment = client.get(experiment_id)
    assert "tags=['a', 'b']" in repr(experiment)
    shown = [line.split() for line in experiment.pretty().splitlines()]
    assert ["tags", "a,", "b"] in shown
    assert ["note", "one"] in shown
    assert "\x1b" not in experiment.pretty()
    assert client.list().pretty().splitlines()[1].count("a, b") == 1
    assert "tags" not in client.list(tags="none").pretty()
