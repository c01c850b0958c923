"""`LocalServer` in Python: start, stop, and the restrictions of runners that execute commands."""

import contextlib
import socket
import threading
import time

import pytest
from gradient_api.constants import ExperimentState as State

from gradient import ExperimentsClient, PermissionDeniedError
from gradient_server import LocalServer
from gradient_server.runners.process import ProcessRunner

SMALL = {"name": "n", "project_id": "p", "container": "c", "machine_type": "K80", "command": "echo done"}


def client_of(server, key=None):
    return ExperimentsClient(key or server.api_key, base_url=server.experiments_url, logs_url=server.logs_url)


def address_of(server):
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    return host, int(port)


def is_listening(server):
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address_of(server)):
        return True
    return False


def test_several_servers_have_addresses_keys_and_experiments_of_their_own():
    with LocalServer(api_key="one") as one, LocalServer(api_key="two") as two:
        assert one.url != two.url
        with client_of(one) as first, client_of(two) as second:
            first.create_single_node(**SMALL)
            assert (len(first.list()), len(second.list())) == (1, 0)


def test_a_client_that_connects_before_the_server_runs_is_served_when_it_does():
    server, found = LocalServer(), []
    with client_of(server) as client:
        listing = threading.Thread(target=lambda: found.append(client.list()))
        listing.start()
        with server:
            listing.join(10)
    assert found == [[]]


def test_a_server_stops_when_its_block_ends():
    server = LocalServer()
    with contextlib.suppress(ZeroDivisionError), server:
        assert is_listening(server)
        raise ZeroDivisionError
    assert not is_listening(server)


def test_stop_works_before_the_start_twice_and_with_an_open_request():
    LocalServer().stop()
    server = LocalServer().start()
    with socket.create_connection(address_of(server), timeout=10) as connection:
        connection.sendall(
            b"POST /experiments/v1/experiments/ HTTP/1.1\r\nHost: localhost\r\nX-API-Key: gradient-local\r\n"
            b"Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 4
    server.stop()


def test_a_server_can_be_restarted_as_soon_as_it_is_started():
    with LocalServer() as server, client_of(server) as client:
        server.restart()
        assert client.list() == []


def test_a_restart_waits_for_a_port_that_is_lent_to_somebody_else():
    """As the kernel lends ports to outgoing connections."""
    with LocalServer() as server, client_of(server) as client:

        def borrow():
            while True:
                with contextlib.suppress(OSError), socket.create_server(address_of(server)):
                    return time.sleep(0.6)

        borrowing = threading.Thread(target=borrow)
        borrowing.start()
        server.restart(pause=0.3)
        borrowing.join()
        assert client.list() == []


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        *(({"api_key": key}, "key") for key in ("", " ", "é", "two\nlines")),
        *(({"time_scale": scale}, "time scale") for scale in (0, -1, float("nan"), float("inf"), 1e13)),
        *(({"port": port}, "no port") for port in (-1, 65536, 10**20)),
        *(({"host": host}, "no address") for host in ("", "127.0.0.1 ", "two\nlines", "\udcff")),
        ({"allow_hosts": ["box:8090"]}, "without a port"),
    ],
)
def test_invalid_settings_raise_a_value_error(settings, text):
    with pytest.raises(ValueError, match=text):
        LocalServer(**settings)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_is_in_brackets():
    with LocalServer(host="::1") as server, client_of(server) as client:
        assert server.url.startswith("http://[::1]:")
        assert client.list() == []


def test_a_port_in_use_raises_an_os_error():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        LocalServer(port=taken.getsockname()[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_machines_do_not_reach_a_server_by_the_documented_key(host):
    with pytest.raises(ValueError, match="documented key"):
        LocalServer(host=host)


# Runners that execute commands


@pytest.fixture
def runner(tmp_path):
    return ProcessRunner(tmp_path / "runs", slots=2, keep=False, grace=1.0)


def test_a_server_that_executes_commands_has_a_random_key(runner, tmp_path):
    with LocalServer(runner=runner) as server, LocalServer(runner=ProcessRunner(tmp_path / "others", slots=1)) as other:
        assert len(server.api_key) >= 40
        assert server.api_key != other.api_key
        with client_of(server, "gradient-local") as stranger, pytest.raises(PermissionDeniedError):
            stranger.run_single_node(**SMALL)
        with client_of(server) as client:
            assert client.list() == []
            handle = client.run_single_node(**SMALL)
            assert "done" in [row.message for row in client.yield_logs(handle)]
            assert client.wait(handle).state == State.STOPPED


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"api_key": "gradient-local"}, "at least 20 characters"),
        ({"api_key": "k" * 19}, "at least 20 characters"),
        ({"api_key": "k" * 40}, "easy to guess"),
        ({"host": "0.0.0.0"}, "--expose"),
        ({"host": "::"}, "--expose"),
        ({"time_scale": 5}, "time scale must be 1"),
    ],
)
def test_a_server_that_executes_commands_rejects_what_is_unsafe_or_simulated(runner, settings, text):
    with pytest.raises(ValueError, match=text):
        LocalServer(runner=runner, **settings)


def test_a_server_that_executes_commands_listens_on_other_addresses_if_exposed(runner):
    with LocalServer(runner=runner, host="0.0.0.0", expose=True) as server:
        assert len(server.api_key) >= 40


@pytest.mark.parametrize(
    "move",
    [
        lambda server: server.advance(10),
        lambda server: server.clock.advance(10),
        lambda server: setattr(server.clock, "scale", 5),
    ],
    ids=["server.advance", "clock.advance", "clock.scale"],
)
def test_the_clock_of_a_server_that_executes_commands_cannot_be_moved(runner, move):
    with LocalServer(runner=runner) as server:
        with pytest.raises(RuntimeError, match="Commands run in real time"):
            move(server)
        assert server.clock.scale == 1
        assert server.clock.now() < 10
