"""A server with `keep` deletes ended runs beyond its limits, the oldest first, and logs what that has freed."""

import re
import time

import pytest

from gradient import ExperimentsClient
from gradient_server import LocalServer, retention
from gradient_server.runners.process.runner import ProcessRunner
from tests.server.runners.conftest import wait_until

GIVEN = {"name": "train", "project_id": "p", "machine_type": "m", "container": "c"}


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Start a server with real runs and limits, which checks them often, also of what has just ended."""
    monkeypatch.setattr(retention, "INTERVAL", 0.02)
    monkeypatch.setattr(retention, "GRACE_PERIOD", 0.0)

    def serve(keep=()):
        runner = ProcessRunner(tmp_path / "runs", slots=2, grace=1.0)
        return LocalServer(runner=runner, store=tmp_path / "store", keep=keep)

    return serve


def client_of(server):
    return ExperimentsClient(server.api_key, base_url=server.experiments_url)


def done(client, command="true"):
    experiment_id = client.run_single_node(**GIVEN, command=command)
    client.wait(experiment_id, timeout=60)
    return experiment_id


def ids(client):
    return [each.id for each in client.list()]


def test_the_latest_runs_stay_and_what_goes_is_logged_with_what_it_has_freed(serve, caplog):
    caplog.set_level("INFO", "gradient_server")
    with serve() as server, client_of(server) as client:
        old = [done(client, "head -c 100000 /dev/urandom > model"), done(client)]
        kept = done(client)
        never_started = client.create_single_node(**GIVEN, command="true")
        latest = done(client)
    caplog.clear()
    with serve(["2"]) as server, client_of(server) as client:
        wait_until(lambda: ids(client) == [latest, never_started, kept], "the deletion")
        wait_until(lambda: len([text for text in caplog.messages if "which freed" in text]) == 2, "the removal")
        assert [entry.id for entry in client.storage() if entry.kind != "experiment"] == []
    lines = [text.partition(", which freed ") for text in caplog.messages if "deleted" in text]
    assert [line for line, _, _ in lines] == [f'{each} "train" was deleted by --keep 2' for each in old]
    assert re.fullmatch(r"1[0-4]\d\.\d kB", lines[0][2])


def test_only_ended_runs_go_and_the_size_is_that_of_all_ended_ones(serve):
    with serve(["2.5MB"]) as server, client_of(server) as client:
        running = client.run_single_node(**GIVEN, command="head -c 5000000 /dev/urandom > model; sleep 600")
        client.wait(running, until="running", timeout=60)
        first, second, third = (done(client, "head -c 1000000 /dev/urandom > model") for _ in range(3))
        wait_until(lambda: ids(client) == [third, second, running], "the deletion")
        assert first not in ids(client)
        # The latest one stays, whatever it takes.
        large = done(client, "head -c 5000000 /dev/urandom > model")
        wait_until(lambda: ids(client) == [large, running], "the deletion")
        client.delete(running)


def test_a_run_stays_for_a_while_after_its_end_for_those_who_wait_for_it(serve, monkeypatch):
    monkeypatch.setattr(retention, "GRACE_PERIOD", 60.0)
    with serve(["1"]) as server, client_of(server) as client:
        made = [done(client) for _ in range(3)]
        until = time.monotonic() + 0.2  # ten checks
        while time.monotonic() < until:
            assert ids(client) == made[::-1]


def test_one_limit_may_be_a_text(serve):
    """It is not taken for a list of characters."""
    with serve("12") as server, client_of(server) as client:
        made = [done(client) for _ in range(2)]
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            assert ids(client) == made[::-1]


@pytest.mark.parametrize("limit", ["0", "many"])
def test_a_limit_that_is_none_is_refused(serve, limit):
    with pytest.raises(ValueError, match="neither a number such as 50"):
        serve([limit])
