"""What the server keeps on its disk, and what deleting experiments frees: with commands that really run."""

import contextlib
import errno
import os
import time

import pytest

from gradient import ExperimentsClient, NotFoundError
from gradient_server import LocalServer
from gradient_server.api import storage
from gradient_server.runners.process.runner import ProcessRunner
from gradient_server.runners.supervised import deletion

GIVEN = {"name": "train", "project_id": "p", "machine_type": "m", "container": "c"}
SIMULATED = {"experiment_env": {"GRADIENT_MOCK_SECONDS": 0.1}}


@pytest.fixture
def start(tmp_path):
    """Start a server with real runs, which finds what earlier ones have left."""
    with contextlib.ExitStack() as opened:

        def start():
            opened.close()
            runner = ProcessRunner(tmp_path / "runs", slots=2, grace=1.0)
            server = opened.enter_context(LocalServer(runner=runner, store=tmp_path / "store", check_answers=True))
            return opened.enter_context(ExperimentsClient(server.api_key, base_url=server.experiments_url))

        yield start


@pytest.fixture
def client(start):
    return start()


def done(client, command):
    experiment_id = client.run_single_node(**GIVEN, command=command)
    client.wait(experiment_id, timeout=60)
    return experiment_id


def test_deleting_frees_what_the_list_says(client):
    small, large = done(client, "true"), done(client, "head -c 3000000 /dev/urandom > model; chmod -R a-w .")
    first, second = client.storage()
    assert (first.id, second.id) == (large, small)
    assert (first.kind, first.name, first.state, first.shared) == ("experiment", "train", 5, 0)
    assert 3_000_000 < first.size < 3_200_000
    assert first.dt_ended > first.dt_created
    client.delete(large)
    removal = client.wait_for_removal(large)
    assert (removal.id, removal.is_done, removal.freed, removal.reason) == (large, True, first.size, None)
    assert [entry.id for entry in client.storage()] == [small]


def test_a_running_experiment_is_ended_before_its_removal_is_over(client):
    experiment_id = client.run_single_node(**GIVEN, command="head -c 100000 /dev/urandom > a; sleep 600")
    client.wait(experiment_id, until="running", timeout=60)
    client.delete(experiment_id)
    removal = client.wait_for_removal(experiment_id)
    assert removal.is_done
    assert removal.freed > 0
    assert client.storage() == []


def test_what_could_not_be_removed_is_listed_with_the_reason_until_a_later_server_removes_it(start, monkeypatch):
    client = start()
    unlink = os.unlink

    def refuse(name, **options):
        if name == "theirs":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(name, **options)

    experiment_id = done(client, "echo > theirs; echo > mine")
    monkeypatch.setattr(deletion.os, "unlink", refuse)
    client.delete(experiment_id)
    removal = client.wait_for_removal(experiment_id)
    assert removal.is_done
    assert "theirs': Operation not permitted" in removal.reason
    (left,) = client.storage()
    assert (left.kind, left.reason, left.state) == ("leftover", removal.reason, None)
    assert experiment_id in left.id
    assert left.size > 0
    monkeypatch.undo()
    client = start()
    deadline = time.monotonic() + 20
    while client.storage():
        assert time.monotonic() < deadline


def test_an_experiment_that_was_not_deleted_has_no_removal(client):
    experiment_id = client.create_single_node(**GIVEN, command="true")
    for handle in (experiment_id, "esunknown"):
        with pytest.raises(NotFoundError, match="The experiment was not deleted"):
            client.wait_for_removal(handle)
    client.delete(experiment_id)
    removal = client.wait_for_removal(experiment_id)
    assert (removal.is_done, removal.freed) == (True, 0)


def test_simulated_experiments_take_nothing(gradient_server):
    with ExperimentsClient(gradient_server.api_key, base_url=gradient_server.experiments_url) as client:
        experiment_id = client.run_single_node(**GIVEN, command="true", **SIMULATED)
        (entry,) = client.storage()
        assert (entry.id, entry.kind, entry.size, entry.shared) == (experiment_id, "experiment", 0, 0)
        client.delete(experiment_id)
        assert client.wait_for_removal(experiment_id).freed == 0
        assert client.storage() == []


def test_uploaded_workspaces_are_listed_until_the_last_experiment_that_has_them_is_deleted(client, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(200_000))
    experiment_id = client.create_single_node(**GIVEN, command="true", workspace=str(folder))
    entries = {entry.kind: entry for entry in client.storage()}
    assert entries.keys() == {"experiment", "uploads"}
    assert 200_000 < entries["uploads"].size < 250_000
    client.delete(experiment_id)
    assert client.storage() == []


@pytest.mark.parametrize(("name", "value"), [("MAX_ENTRIES", 2), ("MEASURING_TIME", 0.0)])
def test_a_list_of_many_pages_is_complete(gradient_server, monkeypatch, name, value):
    """A page ends when measuring has taken long, or with its thousandth entry."""
    monkeypatch.setattr(storage, name, value)
    with ExperimentsClient(gradient_server.api_key, base_url=gradient_server.experiments_url) as client:
        made = {client.create_single_node(**GIVEN, command="true") for _ in range(7)}
        assert {entry.id for entry in client.storage()} == made
