"""examples/digits with workers and parameter servers: what they learn, and what happens if one is missing."""

import contextlib
import signal
import socket
import struct

import numpy as np
import pytest

from tests.e2e.examples.nodes import (
    PATIENCE,
    QUICKLY,
    ended,
    epochs,
    free_addresses,
    outcome,
    plain_variables,
    ps_config,
    ps_config_with_master,
    script,
)

HEADER = struct.Struct("<4sII")
ONE = ["127.0.0.1:1"]


class Cluster:
    """The nodes of one experiment, which end with the test."""

    def __init__(self, stack, folder, workers, servers, tell=ps_config, **environment):
        addresses = free_addresses(workers + servers)
        self.addresses = addresses[:workers], addresses[workers:]
        self.folder = folder
        self._stack = stack
        self._tell = tell
        self._environment = environment

    def start(self, kind, index, **environment):
        """Start a node with an environment of its own, besides that of all nodes."""
        told = self._tell(kind, index, *self.addresses)
        folder = {"PS_MODEL_PATH": str(self.folder / f"{kind}-{index}")}
        return self._stack.enter_context(
            script("distributed.py", **told, **folder, **{**self._environment, **environment})
        )

    def start_server(self, index=0):
        """Start a parameter server, and wait until it listens."""
        server = self.start("ps", index)
        assert server.stdout.readline().startswith(f"Parameter server {index} listens at {self.addresses[1][index]}")
        return server


@pytest.fixture
def cluster(tmp_path):
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: Cluster(stack, tmp_path, *arguments, **options)


def stopped(server):
    """Stop a parameter server as a runner does, and return its output."""
    server.send_signal(signal.SIGTERM)
    code, output, errors = ended(server)
    assert (code, errors) == (0, "")
    *lines, last = output.splitlines()
    assert last == "Stopped"
    return lines


def saved(folder):
    with np.load(folder / "digits.npz", allow_pickle=False) as model:
        return {name: model[name] for name in model.files}


@pytest.mark.parametrize("tell", [ps_config, ps_config_with_master])
def test_two_workers_learn_the_same_model(cluster, tell):
    """They wait for the parameter server, learn the same from different images, and one of them saves the model."""
    nodes = cluster(2, 1, tell, **{**QUICKLY, "EPOCHS": "4"})
    workers = [nodes.start("worker", index) for index in (0, 1)]
    server = nodes.start_server()
    outcomes = [ended(worker) for worker in workers]
    assert [(code, errors) for code, _, errors in outcomes] == [(0, ""), (0, "")]
    first, second = (epochs(output) for _, output, _ in outcomes)
    assert len(first) == 4
    assert [row[3] for row in first] == [row[3] for row in second]
    assert [row[2] for row in first] != [row[2] for row in second]
    assert first[-1][3] > 0.95
    *_, accuracy, place = outcomes[0][1].splitlines()
    assert accuracy == f"accuracy {first[-1][3]:.4f} on 360 images that were not used to learn"
    assert place == f"The model is saved in {nodes.folder / 'worker-0' / 'digits.npz'}"
    assert [path.name for path in nodes.folder.iterdir()] == ["worker-0"]
    assert saved(nodes.folder / "worker-0")["hidden_weights"].shape == (64, 512)
    assert server.poll() is None
    rounds = 4 * -(-718 * 9 // 16)
    assert stopped(server) == [
        "All 2 workers are here",
        f"The training has ended after {rounds} rounds: the workers are done",
    ]


def test_one_worker_learns_what_a_single_node_learns(cluster):
    """Three parameter servers lead to exactly the same model."""
    nodes = cluster(1, 3, plain_variables, EPOCHS="1")
    started = [nodes.start_server(index) for index in range(3)]
    code, output, errors = ended(nodes.start("worker", 0))
    assert (code, errors) == (0, "")
    for server in started:
        stopped(server)
    alone = nodes.folder / "alone"
    _, expected, _ = outcome("train.py", EPOCHS="1", PS_MODEL_PATH=str(alone))
    assert epochs(output) == epochs(expected)
    np.testing.assert_equal(saved(nodes.folder / "worker-0"), saved(alone))


def test_parameters_are_updated_with_the_mean_of_the_gradients(cluster):
    """The mean of the gradients of two workers is applied, and both receive the result."""
    nodes = cluster(2, 1, LEARNING_RATE="0.5")
    server = nodes.start_server()
    host, port = nodes.addresses[1][0].split(":")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(socket.create_connection((host, int(port)), PATIENCE)) for _ in range(2)]
        for index, worker in enumerate(workers):
            worker.sendall(HEADER.pack(b"PULL", index, 0))
        first, same = (received(worker) for worker in workers)
        np.testing.assert_array_equal(first, same)
        for index, worker in enumerate(workers):
            gradient = np.full(first.size, [1, 3][index], "<f4")
            worker.sendall(HEADER.pack(b"PUSH", index, gradient.size) + gradient.tobytes())
        for worker in workers:
            np.testing.assert_array_equal(received(worker), first - 1)
    stopped(server)


def received(worker):
    """Return the parameters that a parameter server sends."""
    with worker.makefile("rb") as incoming:
        kind, sender, length = HEADER.unpack(incoming.read(HEADER.size))
        assert (kind, sender) == (b"PARM", 0)
        return np.frombuffer(incoming.read(length * 4), "<f4")


def test_a_worker_that_dies_ends_the_others_and_the_server_goes_on(cluster):
    """The others end with an error that says what happened, and the parameter server serves a new group."""
    nodes = cluster(2, 1, EPOCHS="100000")
    server = nodes.start_server()
    survivor, victim = (nodes.start("worker", index) for index in (0, 1))
    assert victim.stdout.readline().startswith("Worker 1 of 2 learns from 718 of 1437 images")
    assert victim.stdout.readline().startswith("epoch")
    victim.kill()
    code, _, errors = ended(survivor)
    assert code == 1
    assert errors.startswith(f"The parameter server at {nodes.addresses[1][0]} broke off (")
    assert errors.count("\n") == 1
    again = [nodes.start("worker", index) for index in (0, 1)]
    assert again[1].stdout.readline().startswith("Worker 1")
    assert again[1].stdout.readline().startswith("epoch")
    here, end, here_again = stopped(server)
    assert here == here_again == "All 2 workers are here"
    assert "rounds: worker 1 broke off (" in end
    assert [ended(worker)[0] for worker in again] == [1, 1]


def test_workers_with_different_settings_end_with_the_reason(cluster):
    """If one trains for longer than the other, the errors say why that is impossible."""
    nodes = cluster(2, 1, plain_variables)
    server = nodes.start_server()
    patient = nodes.start("worker", 0)
    hasty = nodes.start("worker", 1, EPOCHS="1")
    assert ended(hasty)[0] == 0
    assert ended(patient)[0] == 1
    assert stopped(server)[-1].endswith(
        "rounds: some workers are done before others: EPOCHS and BATCH_SIZE have to be the same for all"
    )


def test_connections_of_others_are_rejected(cluster):
    """They are rejected, and the workers are served."""
    nodes = cluster(1, 1, EPOCHS="1")
    server = nodes.start_server()
    host, port = nodes.addresses[1][0].split(":")
    for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"PULL\x07\0\0\0\0\0\0\0", b"PUSH\0\0\0\0\xff\xff\xff\xff", b""):
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as stranger:
            stranger.sendall(greeting)
            stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""
    assert ended(nodes.start("worker", 0))[0] == 0
    reasons = [line.partition(" broke off ")[2] for line in stopped(server) if line.startswith(f"{host}:")]
    assert reasons == [
        f"(a vector of 38410 numbers was expected, not of {int.from_bytes(b'TP/1', 'little')})",
        "(it is no worker of this experiment)",
        "(a vector of 38410 numbers was expected, not of 4294967295)",
        "(the connection was closed)",
    ]


def test_without_a_parameter_server_a_worker_ends_after_a_while(cluster):
    """It waits for the given time, and its error has the address."""
    nodes = cluster(1, 1, WAIT_SECONDS="0.3")
    code, output, errors = ended(nodes.start("worker", 0))
    assert (code, output) == (1, "")
    assert errors.startswith(f"No parameter server at {nodes.addresses[1][0]} after 0.")
    assert errors.count("\n") == 1


def test_a_port_in_use_is_an_error_with_the_address(cluster):
    nodes = cluster(1, 1)
    host, port = nodes.addresses[1][0].split(":")
    with socket.create_server((host, int(port))):
        code, output, errors = ended(nodes.start("ps", 0))
    assert (code, output) == (1, "")
    assert errors.startswith(f"Cannot listen at {host}:{port}: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "PS_CONFIG is missing, and so is TYPE, INDEX, WORKER_HOSTS, PS_HOSTS: this script is for the nodes"),
        ({"PS_CONFIG": "nonsense"}, "PS_CONFIG has to be URL-safe base64 of "),
        ({"PS_CONFIG": "eyJjbHVzdGVyIjpbXSwidGFzayI6W119"}, "PS_CONFIG has to be URL-safe base64 of "),
        (ps_config("master", 0, ONE, ONE), "This node is of the type 'master'; only 'worker' and 'ps' have a part."),
        (ps_config("worker", 0, ONE, []), "At least one worker and one parameter server are needed, not 1 and 0."),
        (ps_config("worker", 1, ONE, ONE), "This node is worker 1, which is not among the addresses."),
        (plain_variables("ps", 0, ["worker-0"], ONE), "The address of a node has to be host:port, not 'worker-0'."),
        (plain_variables("ps", "x", ONE, ONE), "INDEX has to be a whole number, not 'x'."),
    ],
)
def test_an_environment_without_a_role_is_an_error_in_a_sentence(environment, said):
    code, output, errors = outcome("distributed.py", **environment)
    assert (code, output) == (1, "")
    assert errors.startswith(said)
    assert errors.count("\n") == 1
