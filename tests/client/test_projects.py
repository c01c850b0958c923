"""The clients of projects against the local server, and against servers that misbehave."""

import json
import pydoc

import pytest

from gradient import (
    AsyncProjectsClient,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    GradientSdkError,
    InvalidParametersError,
    MalformedResponseError,
    NotFoundError,
    Project,
    ProjectsClient,
    SdkClient,
)
from gradient_server import LocalServer
from tests.client.blocking import client_of
from tests.conftest import PROJECT_METHODS
from tests.fake_servers import status

KINDS_OF_CLIENT = {"threads": ProjectsClient, "asyncio": AsyncProjectsClient}


@pytest.fixture
def projects(request, kind):
    """A client of the server that the test uses: `flaky`, or the local server."""
    server = request.getfixturevalue("flaky" if "flaky" in request.fixturenames else "gradient_server")
    url = server.url if "flaky" in request.fixturenames else server.api_url
    with client_of(kind, server.api_key, api_url=url, of="projects") as client:
        yield client


def page(*handles, total=None):
    return status(200, {"data": [{"handle": handle} for handle in handles], "meta": {"totalItems": total}})


def test_the_table_of_methods_is_complete():
    """So the contract tests call all of them."""
    public = {name for name in dir(ProjectsClient) if not name.startswith("_")}
    assert public - {"close", "with_options"} == set(PROJECT_METHODS)


def test_a_project_has_what_it_was_created_with(projects, gradient_server):
    project_id = projects.create("mnist", "mnist-sample", repository_url="https://example.com/mnist.git")
    project = projects.get(project_id)
    assert (project.id, project.name, project.repository_name) == (project_id, "mnist", "mnist-sample")
    assert project.repository_url == "https://example.com/mnist.git"
    assert project.created.endswith("Z")
    assert list(projects.list()) == [project]


def test_the_list_has_the_newest_first_and_those_that_experiments_name(projects, client, gradient_server, single_node):
    first = projects.create("first")
    gradient_server.advance(1)
    client.create_single_node(**single_node)
    gradient_server.advance(1)
    last = projects.create("last")
    assert [project.id for project in projects.list()] == [last, single_node["project_id"], first]
    assert projects.get(single_node["project_id"]).name == single_node["project_id"]


def test_a_project_is_deleted_once_its_experiments_are_gone(projects, client, single_node):
    project_id = projects.create("mnist")
    experiment_id = client.create_single_node(**{**single_node, "project_id": project_id})
    with pytest.raises(ConflictError, match="has an experiment; delete it first"):
        projects.delete(project_id)
    client.delete(experiment_id)
    projects.delete(project_id)
    assert projects.list() == []
    with pytest.raises(BadRequestError, match=f'Project "{project_id}" is already deleted'):
        projects.delete(project_id)


@pytest.mark.parametrize("name", ["my project", "a/b?c#d", "é"])
def test_what_experiments_name_may_be_any_text(projects, client, single_node, name):
    client.create_single_node(**{**single_node, "project_id": name})
    assert [project.id for project in projects.list()] == [name]
    assert projects.get(name).name == name


def test_an_unknown_project_is_not_found(projects):
    for call in (projects.get, projects.delete):
        with pytest.raises(NotFoundError, match="Project not found"):
            call("prunknown")


def test_a_server_that_ignores_the_filter_gives_the_right_project(projects, flaky):
    flaky.plan = [page("pr1", "pr2"), page("pr1")]
    assert projects.get("pr2").id == "pr2"
    with pytest.raises(NotFoundError):
        projects.get("pr2")


def test_all_pages_are_requested(projects, flaky):
    flaky.plan = [page("pr3", "pr2", total=3), page("pr2", "pr1", total=3)]
    assert [project.id for project in projects.list()] == ["pr3", "pr2", "pr1"]
    filters = [json.loads(request.query["filter"]) for request in flaky.requests]
    assert [each["offset"] for each in filters] == [0, 2]
    assert filters[0] == {"offset": 0, "where": {"dtDeleted": None}, "order": "dtCreated desc"}


def test_a_server_that_repeats_a_page_does_not_hold_up_a_list(projects, flaky):
    flaky.plan = [page("pr1", total=5), page("pr1", total=5)]
    assert [project.id for project in projects.list()] == ["pr1"]


@pytest.mark.usefixtures("no_backoff")
def test_changes_take_effect_once_although_connections_break(projects, gradient_server):
    with gradient_server.faults(resets="after", rate=0.5, seed=3):
        created = [projects.create(str(number)) for number in range(10)]
        for project_id in created[:5]:
            projects.delete(project_id)
    assert gradient_server.faults_injected
    assert [project.id for project in projects.list()] == created[:4:-1]


@pytest.mark.parametrize(
    ("call", "problems"),
    [
        (lambda projects: projects.create(None, repository_url=7), {"name", "repository_url"}),
        (lambda projects: projects.create(""), {"name"}),
        (lambda projects: projects.get(""), {"project_id"}),
        (lambda projects: projects.delete("../x"), {"project_id"}),
        (lambda projects: projects.delete(7), {"project_id"}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_sent(projects, flaky, call, problems):
    with pytest.raises(InvalidParametersError) as caught:
        call(projects)
    assert {problem.partition(":")[0] for problem in caught.value.problems} == problems
    assert flaky.requests == []


def test_a_new_project_without_its_id_is_an_error(projects, flaky):
    flaky.plan = [status(201, {"name": "mnist"})]
    with pytest.raises(MalformedResponseError, match="handle is null"):
        projects.create("mnist")


def test_a_wrong_key_is_an_error_in_the_words_of_the_host(gradient_server):
    with (
        ProjectsClient("wrong", api_url=gradient_server.api_url) as projects,
        pytest.raises(AuthenticationError, match="No such API token"),
    ):
        projects.list()


@pytest.mark.parametrize("kind_of_client", KINDS_OF_CLIENT.values())
def test_help_says_what_a_method_does(kind_of_client):
    text = pydoc.plain(pydoc.render_doc(kind_of_client.list))
    assert "list(self, tags: 'str | Sequence[str] | None' = None) -> 'gradient.ProjectList'" in text
    assert "Return all projects, newest first" in text


def test_passwords_of_repositories_are_not_shown():
    project = Project(id="pr1", repository_url="https://me:sesame@example.com/x.git")
    shown = [repr(project), project.pretty(), project._repr_html_(), json.dumps(project.to_dict())]
    assert not any("sesame" in text for text in shown)


def test_the_client_of_everything_has_both(gradient_server, monkeypatch):
    for name, value in gradient_server.environment.items():
        monkeypatch.setenv(name, value)
    with SdkClient(gradient_server.api_key) as sdk:
        project_id = sdk.projects.create("mnist")
        assert sdk.experiments.list(project_id) == []
    for call in (sdk.projects.list, sdk.experiments.list):
        with pytest.raises(GradientSdkError, match="closed"):
            call()


def test_old_import_paths_lead_to_the_same():
    import gradient
    from gradient.api_sdk import constants, exceptions, models, sdk_exceptions
    from gradient.api_sdk.clients import experiment_client, project_client, sdk_client

    assert experiment_client.ExperimentsClient is gradient.ExperimentsClient
    assert project_client.ProjectsClient is gradient.ProjectsClient
    assert sdk_client.SdkClient is gradient.SdkClient
    assert constants.ExperimentState is gradient.ExperimentState
    assert models.Project is gradient.Project
    for module in (exceptions, sdk_exceptions):
        assert module.ResourceFetchingError is gradient.ResourceFetchingError


def test_projects_are_kept_with_a_store(tmp_path):
    with LocalServer(store=tmp_path / "store") as server, ProjectsClient(server.api_key, api_url=server.url) as client:
        kept, deleted = client.create("kept"), client.create("deleted")
        client.delete(deleted)
        before = client.list()
    with LocalServer(store=tmp_path / "store") as server, ProjectsClient(server.api_key, api_url=server.url) as client:
        assert client.list() == before
        assert [project.id for project in before] == [kept]
        with pytest.raises(BadRequestError, match="already deleted"):
            client.delete(deleted)
        assert client.create("new") not in (kept, deleted)


def test_a_reset_forgets_projects(tmp_path):
    with LocalServer(store=tmp_path / "store") as server, ProjectsClient(server.api_key, api_url=server.url) as client:
        project_id, _ = client.create("mnist"), client.create("another")
        server.reset()
        assert client.list() == []
        assert client.create("again") == project_id
    with LocalServer(store=tmp_path / "store") as server, ProjectsClient(server.api_key, api_url=server.url) as client:
        assert [project.name for project in client.list()] == ["again"]
