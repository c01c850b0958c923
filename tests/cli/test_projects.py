"""`gradient projects` against the local server."""

import json

import pytest

from gradient import ProjectsClient


@pytest.fixture
def projects(server):
    with ProjectsClient() as projects:
        yield projects


@pytest.mark.parametrize("spelled", ["--repositoryUrl", "--repository-url"])
def test_create_prints_the_id_on_stdout(cli, projects, spelled):
    result = cli("projects", "create", "--name", "mnist", spelled, "https://example.com/mnist.git")
    (project,) = projects.list()
    assert (result.code, result.output, result.errors) == (0, f"{project.id}\n", "Project created with ID:\n")
    assert (project.name, project.repository_url) == ("mnist", "https://example.com/mnist.git")


def test_create_without_a_name_is_a_usage_error(cli, projects):
    result = cli("projects", "create")
    assert (result.code, result.output) == (2, "")
    assert "--name: missing" in result.errors


def test_list_prints_a_table_or_json_or_ids(cli, projects):
    assert cli("projects", "list") == (0, "", "No projects found\n")
    first, last = projects.create("first"), projects.create("last")
    lines = cli("projects", "list").output.splitlines()
    assert [line.split()[:2] for line in lines] == [["id", "name"], [last, "last"], [first, "first"]]
    assert [project["name"] for project in json.loads(cli("projects", "list", "--json").output)] == ["last", "first"]
    assert cli("projects", "list", "-q").output == f"{last}\n{first}\n"


@pytest.mark.parametrize("named", [(), ("--id",), ("--projectId",), ("--project-id",)])
def test_details_prints_everything(cli, projects, named):
    project_id = projects.create("mnist")
    assert "mnist" in cli("projects", "details", *named, project_id).output
    assert json.loads(cli("projects", "details", *named, project_id, "--json").output)["id"] == project_id


def test_an_unknown_project_is_exit_code_5(cli, server):
    assert cli("projects", "details", "prunknown").code == 5


def test_delete_without_a_terminal_needs_a_yes(cli, projects):
    project_id = projects.create("mnist")
    assert cli("projects", "delete", project_id).code == 2
    assert len(projects.list()) == 1
    assert cli("projects", "delete", project_id, "-y") == (0, "", "Project deleted\n")
    assert projects.list() == []


def test_delete_goes_on_after_one_that_has_experiments(cli, client, projects, single_node):
    used, unused = projects.create("used"), projects.create("unused")
    client.create_single_node(**{**single_node, "project_id": used})
    result = cli("projects", "delete", used, unused, "-y")
    assert result.code == 1
    assert "has an experiment; delete it first" in result.errors
    assert [project.id for project in projects.list()] == [used]
