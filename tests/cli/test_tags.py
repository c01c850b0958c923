"""`gradient experiments tags`, `gradient experiments note`, and the options `--tag` and `--tags`."""

import json

import pytest

from gradient import ProjectsClient

TAGS = ("--tag", "a, b", "--tags", "c, d", "--tag", "a, b")


@pytest.mark.parametrize("before", [("experiments", "create", "singlenode", "--command", "true"), ("run", "--detach")])
def test_options_of_a_creation_are_its_tags(cli, client, before):
    needed = ("--name", "n", "--projectId", "p", "--container", "c", "--machineType", "m", *TAGS, "--note", "text")
    result = cli(*before, *needed, *(["true"] if before[0] == "run" else []))
    experiment = client.get(result.output.strip())
    assert (sorted(experiment.tags), experiment.note) == (["a, b", "c", "d"], "text")


def test_tags_come_from_an_options_file(cli, client, tmp_path):
    (tmp_path / "options.yaml").write_text("tag: [a]\ntags: b,c\n")
    result = cli("run", "--detach", "--optionsFile", str(tmp_path / "options.yaml"), "true")
    assert sorted(client.get(result.output.strip()).tags) == ["a", "b", "c"]


@pytest.mark.parametrize("named", [(), ("--id",), ("--experiment-id",)])
def test_tags_are_added_and_removed(cli, client, single_node, named):
    experiment_id = client.create_single_node(**single_node)
    added = cli("experiments", "tags", "add", *named, experiment_id, *TAGS)
    assert added == (0, "", "Tags added to experiment\n")
    assert sorted(client.get(experiment_id).tags) == ["a, b", "c", "d"]
    removed = cli("experiments", "tags", "remove", *named, experiment_id, "--tags", "c,d")
    assert removed == (0, "", "Tags removed from experiment\n")
    assert client.get(experiment_id).tags == ["a, b"]


def test_tags_without_a_tag_are_a_usage_error(cli, client, single_node):
    result = cli("experiments", "tags", "add", client.create_single_node(**single_node))
    assert (result.code, result.output) == (2, "")
    assert "--tag" in result.errors


def test_a_list_is_filtered_by_tags(cli, client, single_node):
    a, b, c = (client.create_single_node(**single_node, tags=[tag]) for tag in "abc")
    assert cli("experiments", "list", "-q", "--tag", "a").output == f"{a}\n"
    assert cli("experiments", "list", "-q", "--tags", "a,b").output == f"{b}\n{a}\n"
    assert "tags" in cli("experiments", "list").output.splitlines()[0]
    assert c not in cli("experiments", "list", "--tag", "a", "--tag", "b").output


def test_a_note_is_replaced_printed_and_removed(cli, client, single_node):
    experiment_id = client.create_single_node(**single_node)
    assert cli("experiments", "note", experiment_id).output == "No note\n"
    assert cli("experiments", "note", experiment_id, "one\ntwo\x1b[2J") == (0, "", "Note replaced\n")
    assert cli("experiments", "note", experiment_id).output == "one\ntwo\\x1b[2J\n"
    assert json.loads(cli("experiments", "details", experiment_id, "--json").output)["note"] == "one\ntwo\x1b[2J"
    assert cli("experiments", "note", experiment_id, "") == (0, "", "Note removed\n")
    assert client.get(experiment_id).note is None


def test_projects_have_tags(cli, server):
    with ProjectsClient() as projects:
        project_id = cli("projects", "create", "--name", "mnist", "--tag", "a").output.strip()
        assert cli("projects", "tags", "add", "--id", project_id, "--tag", "b").code == 0
        assert projects.get(project_id).tags == ["a", "b"]
        projects.create("other")
        assert cli("projects", "list", "-q", "--tag", "b").output == f"{project_id}\n"
