"""`LocalServer` with a runner that executes commands has the same restrictions as the command line."""

import pytest
from gradient_api.constants import ExperimentState as State

from gradient import ExperimentsClient, PermissionDeniedError
from gradient_server import LocalServer
from gradient_server.runners.process import ProcessRunner
from gradient_server.settings import DEFAULT_KEY, MIN_KEY_LENGTH

SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "m"}


@pytest.fixture
def runner(tmp_path):
    return ProcessRunner(tmp_path / "runs", slots=2, keep=False, grace=1.0)


def test_each_server_has_a_random_key(runner, tmp_path):
    """The documented key opens nothing."""
    with LocalServer(runner=runner) as server, LocalServer(runner=ProcessRunner(tmp_path / "others", slots=1)) as other:
        assert len(server.api_key) >= 40
        assert server.api_key != other.api_key
        places = {"base_url": server.experiments_url, "logs_url": server.logs_url}
        with ExperimentsClient(DEFAULT_KEY, **places) as stranger, pytest.raises(PermissionDeniedError):
            stranger.run_single_node(**SMALL, command="true")
        with ExperimentsClient(server.api_key, **places) as client:
            assert client.list() == []
            handle = client.run_single_node(**SMALL, command="echo done")
            assert "done" in [row.message for row in client.yield_logs(handle)]
            assert client.wait(handle).state == State.STOPPED


@pytest.mark.parametrize("key", [DEFAULT_KEY, "k" * (MIN_KEY_LENGTH - 1)])
def test_keys_that_can_be_guessed_are_refused(runner, key):
    """Anyone with the key can run commands."""
    with pytest.raises(ValueError, match=f"at least {MIN_KEY_LENGTH} characters"):
        LocalServer(runner=runner, api_key=key)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_addresses_than_the_loopback_are_refused(runner, host):
    """Unless `expose` is set."""
    with pytest.raises(ValueError, match="--expose"):
        LocalServer(runner=runner, host=host)
    with LocalServer(runner=runner) as server:
        assert server.url.startswith("http://127.0.0.1:")


def test_an_exposed_server_listens_on_other_addresses(runner):
    """Its key is random as well."""
    with LocalServer(runner=runner, host="0.0.0.0", expose=True) as server:
        assert len(server.api_key) >= 40


def test_simulated_time_is_refused(runner, tmp_path):
    """Commands run in real time."""
    with LocalServer(runner=runner) as server:
        for move in (
            lambda: server.advance(10),
            lambda: server.clock.advance(10),
            lambda: setattr(server.clock, "scale", 5),
        ):
            with pytest.raises(RuntimeError, match="Commands run in real time"):
                move()
        assert server.clock.scale == 1
        assert server.clock.now() < 10
    with pytest.raises(ValueError, match="time scale must be 1"):
        LocalServer(runner=ProcessRunner(tmp_path / "others", slots=1), time_scale=5)
