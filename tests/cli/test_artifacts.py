"""`gradient experiments artifacts`: a list, and a download."""

import json

import pytest

from tests.cli.conftest import FAST


@pytest.fixture
def experiment_id(server, client):
    parameters = {"name": "n", "project_id": "p", "machine_type": "m", "container": "c", "command": "true"}
    found = client.run_single_node(**parameters, experiment_env=FAST)
    server.advance(10)
    return found


def test_artifacts_are_a_table_or_json(cli, experiment_id):
    table = cli("experiments", "artifacts", "list", experiment_id)
    assert table.code == 0
    assert table.output.split("\n")[0].split() == ["name", "size", "modified"]
    assert "model/model.txt" in table.output
    found = json.loads(cli("experiments", "artifacts", "list", experiment_id, "--json", "--pattern", "*.txt").output)
    assert [each["name"] for each in found] == ["model/model.txt"]


def test_no_artifacts_are_a_message(cli, experiment_id):
    for command in ("list", "download"):
        assert cli("experiments", "artifacts", command, experiment_id, "--pattern", "x") == (
            0,
            "",
            "No artifacts found\n",
        )


def test_a_download_prints_the_paths(cli, experiment_id, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = cli("experiments", "artifacts", "download", experiment_id)
    names = ["artifacts/settings.json", "model/model.txt"]
    assert done == (0, "".join(f"{experiment_id}/{name}\n" for name in names), "")
    assert "simulated" in (tmp_path / experiment_id / "model/model.txt").read_text()
    done = cli("experiments", "artifacts", "download", experiment_id, "-o", "here", "--pattern", "*.txt")
    assert done.output == "here/model/model.txt\n"


def test_a_download_that_is_not_possible_is_an_error(cli, experiment_id, tmp_path):
    (tmp_path / "file").write_text("")
    done = cli("experiments", "artifacts", "download", experiment_id, "-o", str(tmp_path / "file"))
    assert done.code == 1
    assert "File exists" in done.errors
    assert cli("experiments", "artifacts", "list", "esnone").code == 5
