"""examples/digits, on one node and on many: what they learn, print and save, and what they refuse."""

import base64
import contextlib
import gzip
import hashlib
import json
import os
import random
import re
import runpy
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
TIMEOUT = 30
EPOCH = re.compile(r"epoch +(\d+)/(\d+)  loss (\d+\.\d{4})  accuracy (\d\.\d{4})")
QUICKLY = {"LEARNING_RATE": "0.3", "EPOCHS": "3"}
"""Settings with which more than 95 % are reached early."""
HEADER = struct.Struct("<4sII")
ONE = ["127.0.0.1:1"]


@contextlib.contextmanager
def script(name, **environment):
    """Run a script with an environment that holds nothing else; it does not outlive the test."""
    # Several processes on few processors: threads of numpy would only be in each other's way.
    given = {"PATH": os.defpath, "OPENBLAS_NUM_THREADS": "1", **environment}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(DIGITS / name)], env=given, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def result(process):
    """Wait until a script has ended. Return its exit code, its output, and its errors."""
    output, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, output, errors


def result_of(name, **environment):
    with script(name, **environment) as process:
        return result(process)


def epochs(output):
    """Return the numbers of the lines about epochs."""
    found = [EPOCH.fullmatch(line) for line in output.splitlines() if line.startswith("epoch")]
    return [(int(match[1]), int(match[2]), float(match[3]), float(match[4])) for match in found]


def saved(folder):
    with np.load(folder / "digits.npz", allow_pickle=False) as model:
        return {name: model[name] for name in model.files}


def test_a_single_node_learns_prints_each_epoch_and_saves_a_model_that_reads_digits(tmp_path):
    folder = tmp_path / "models" / "first"
    code, output, errors = result_of("train.py", **QUICKLY, PS_MODEL_PATH=str(folder))
    assert (code, errors) == (0, "")
    rows = epochs(output)
    assert [(epoch, of) for epoch, of, _, _ in rows] == [(1, 3), (2, 3), (3, 3)]
    losses = [loss for _, _, loss, _ in rows]
    assert losses == sorted(losses, reverse=True)
    *_, accuracy, path = output.splitlines()
    assert accuracy == f"accuracy {rows[-1][3]:.4f} on 360 images that were not used to learn"
    assert rows[-1][3] > 0.95
    assert path == f"The model is saved in {folder / 'digits.npz'}"
    table, model = np.loadtxt(DIGITS / "digits.csv.gz", delimiter=","), saved(folder)
    hidden = np.maximum(table[:, :-1] / 16 @ model["hidden_weights"] + model["hidden_biases"], 0)
    scores = hidden @ model["output_weights"] + model["output_biases"]
    assert np.mean(scores.argmax(axis=1) == table[:, -1]) > 0.95


def test_an_epoch_is_printed_when_it_ends(tmp_path):
    with script("train.py", EPOCHS="100000", PS_MODEL_PATH=str(tmp_path)) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        assert process.poll() is None
    assert [line[:18] for line in lines[1:]] == ["epoch      1/10000", "epoch      2/10000"]


def test_the_same_seed_leads_to_the_same_numbers_and_another_one_to_others(tmp_path):
    first, again, other = (
        epochs(result_of("train.py", EPOCHS="1", SEED=seed, PS_MODEL_PATH=str(tmp_path))[1]) for seed in "778"
    )
    assert len(first) == 1
    assert first == again != other


@pytest.mark.parametrize(
    ("environment", "error"),
    [
        ({"EPOCHS": "many"}, "EPOCHS has to be a whole number of at least 1, not 'many'."),
        ({"BATCH_SIZE": "0"}, "BATCH_SIZE has to be a whole number of at least 1, not '0'."),
        ({"LEARNING_RATE": "nan"}, "LEARNING_RATE has to be a number above 0, not 'nan'."),
        ({"SEED": "-1"}, "SEED has to be a whole number of at least 0, not '-1'."),
    ],
)
def test_an_invalid_setting_is_named(environment, error):
    with pytest.raises(SystemExit, match=re.escape(error)):
        runpy.run_path(str(DIGITS / "settings.py"))["Settings"].read(environment)


def test_a_model_folder_that_cannot_be_made_is_an_error_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    code, output, errors = result_of("train.py", PS_MODEL_PATH=str(tmp_path / "file" / "model"))
    assert (code, output) == (1, "")
    assert errors.startswith("PS_MODEL_PATH has to be a folder that can be made: ")
    assert errors.count("\n") == 1


def test_a_learning_rate_that_is_too_high_is_an_error(tmp_path):
    code, output, errors = result_of("train.py", LEARNING_RATE="1e20", PS_MODEL_PATH=str(tmp_path))
    assert (code, epochs(output)) == (1, [])
    assert errors.splitlines()[-1] == "The loss is nan in epoch 1: a lower LEARNING_RATE than 1e+20 is needed."
    assert list(tmp_path.iterdir()) == []


def test_the_data_is_what_its_description_says():
    packed = (DIGITS / "digits.csv.gz").read_bytes()
    described = re.findall(r"\| ([\d,]+) \| `([0-9a-f]{64})` \|", (DIGITS / "DATA.md").read_text())
    assert described == [
        (f"{len(content):,}", hashlib.sha256(content).hexdigest()) for content in (packed, gzip.decompress(packed))
    ]


def ps_config(kind, index, workers, servers):
    """Return the role of a node in the form of TensorFlow."""
    config = {"cluster": {"worker": workers, "ps": servers}, "task": {"type": kind, "index": index}}
    return {"PS_CONFIG": base64.urlsafe_b64encode(json.dumps(config).encode()).decode()}


def ps_config_with_master(kind, index, workers, servers):
    """Return the same, where the first worker is the master, and the others are counted without it."""
    if kind == "worker":
        kind, index = ("worker", index - 1) if index else ("master", 0)
    cluster = {"master": workers[:1], "worker": workers[1:], "ps": servers}
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    return {"PS_CONFIG": base64.urlsafe_b64encode(json.dumps(config).encode()).decode()}


def plain_variables(kind, index, workers, servers):
    """Return the role of a node in variables of their own."""
    return {"TYPE": kind, "INDEX": str(index), "WORKER_HOSTS": ",".join(workers), "PS_HOSTS": ",".join(servers)}


def free_addresses(count):
    """Return addresses on this machine at which nobody listens."""
    addresses = []
    # Not of those that the system gives to outgoing connections of other tests.
    for port in random.SystemRandom().sample(range(20_000, 32_000), 1000):
        if len(addresses) == count:
            return addresses
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            addresses.append(f"127.0.0.1:{port}")
    raise AssertionError("no free ports")


class Cluster:
    """The nodes of one experiment; those that were started do not outlive the test."""

    def __init__(self, stack, folder, workers, servers, role=ps_config, **environment):
        addresses = free_addresses(workers + servers)
        self.workers, self.servers = addresses[:workers], addresses[workers:]
        self.folder = folder
        self._stack, self._role, self._environment = stack, role, environment

    def start(self, kind, index, **environment):
        """Start a node, with an environment beyond that of the others."""
        given = {**self._environment, "PS_MODEL_PATH": str(self.folder / f"{kind}-{index}"), **environment}
        role = self._role(kind, index, self.workers, self.servers)
        return self._stack.enter_context(script("distributed.py", **role, **given))

    def start_server(self, index=0):
        """Start a parameter server, and wait until it listens."""
        server = self.start("ps", index)
        assert server.stdout.readline().startswith(f"Parameter server {index} listens at {self.servers[index]}")
        return server


@pytest.fixture
def cluster(tmp_path):
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: Cluster(stack, tmp_path, *arguments, **options)


def stopped(server):
    """Stop a parameter server as a runner does. Return what it has printed."""
    server.send_signal(signal.SIGTERM)
    code, output, errors = result(server)
    assert (code, errors) == (0, "")
    *lines, last = output.splitlines()
    assert last == "Stopped"
    return lines


def test_two_workers_learn_the_same_from_different_images_and_one_saves_it(cluster):
    """They wait for the parameter server."""
    nodes = cluster(2, 1, ps_config_with_master, **QUICKLY)
    workers = [nodes.start("worker", index) for index in (0, 1)]
    server = nodes.start_server()
    results = [result(worker) for worker in workers]
    assert [(code, errors) for code, _, errors in results] == [(0, ""), (0, "")]
    first, second = (epochs(output) for _, output, _ in results)
    assert len(first) == 3
    assert [row[3] for row in first] == [row[3] for row in second]
    assert [row[2] for row in first] != [row[2] for row in second]
    assert first[-1][3] > 0.9
    assert results[0][1].splitlines()[-1] == f"The model is saved in {nodes.folder / 'worker-0' / 'digits.npz'}"
    assert [path.name for path in nodes.folder.iterdir()] == ["worker-0"]
    rounds = 3 * -(-718 * 9 // 16)
    assert stopped(server) == [
        "All 2 workers are here",
        f"The training has ended after {rounds} rounds: the workers are done",
    ]


def test_one_worker_with_two_parameter_servers_learns_what_a_single_node_learns(cluster):
    """Not a bit of the model is different."""
    nodes = cluster(1, 2, plain_variables, EPOCHS="1")
    servers = [nodes.start_server(index) for index in range(2)]
    code, output, errors = result(nodes.start("worker", 0))
    assert (code, errors) == (0, "")
    for server in servers:
        stopped(server)
    alone = nodes.folder / "alone"
    _, expected, _ = result_of("train.py", EPOCHS="1", PS_MODEL_PATH=str(alone))
    assert epochs(output) == epochs(expected)
    np.testing.assert_equal(saved(nodes.folder / "worker-0"), saved(alone))


def test_both_workers_get_the_parameters_after_the_mean_of_their_gradients(cluster):
    nodes = cluster(2, 1, LEARNING_RATE="0.5")
    server = nodes.start_server()
    host, port = nodes.servers[0].split(":")
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(socket.create_connection((host, int(port)), TIMEOUT)) for _ in range(2)]
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


def test_when_a_worker_dies_the_other_says_so_and_the_server_serves_those_that_come_again(cluster):
    nodes = cluster(2, 1, EPOCHS="100000")
    server = nodes.start_server()
    survivor, victim = (nodes.start("worker", index) for index in (0, 1))
    assert victim.stdout.readline().startswith("Worker 1 of 2 learns from 718 of 1437 images")
    assert victim.stdout.readline().startswith("epoch")
    victim.kill()
    code, _, errors = result(survivor)
    assert code == 1
    assert errors.startswith(f"The parameter server at {nodes.servers[0]} broke off (")
    assert errors.count("\n") == 1
    again = [nodes.start("worker", index) for index in (0, 1)]
    assert again[1].stdout.readline().startswith("Worker 1")
    assert again[1].stdout.readline().startswith("epoch")
    here, end, here_again = stopped(server)
    assert here == here_again == "All 2 workers are here"
    assert "rounds: worker 1 broke off (" in end
    assert [result(worker)[0] for worker in again] == [1, 1]


def test_workers_with_different_settings_are_told_why_it_cannot_be(cluster):
    nodes = cluster(2, 1, plain_variables)
    server = nodes.start_server()
    patient, hasty = nodes.start("worker", 0), nodes.start("worker", 1, EPOCHS="1")
    assert [result(hasty)[0], result(patient)[0]] == [0, 1]
    assert stopped(server)[-1].endswith(
        "rounds: some workers are done before others: EPOCHS and BATCH_SIZE have to be the same for all"
    )


def test_strangers_are_turned_away_and_the_workers_are_served(cluster):
    nodes = cluster(1, 1, EPOCHS="1")
    server = nodes.start_server()
    host, port = nodes.servers[0].split(":")
    for greeting in (b"GET / HTTP/1.1\r\n\r\n", b"PULL\x07\0\0\0\0\0\0\0", b"PUSH\0\0\0\0\xff\xff\xff\xff", b""):
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as stranger:
            stranger.sendall(greeting)
            stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(1) == b""
    assert result(nodes.start("worker", 0))[0] == 0
    reasons = [line.partition(" broke off ")[2] for line in stopped(server) if line.startswith(f"{host}:")]
    assert reasons == [
        f"(a vector of 38410 numbers was expected, not of {int.from_bytes(b'TP/1', 'little')})",
        "(it is no worker of this experiment)",
        "(a vector of 38410 numbers was expected, not of 4294967295)",
        "(the connection was closed)",
    ]


def test_a_worker_without_a_parameter_server_and_a_server_without_a_port_name_the_address(cluster):
    nodes = cluster(1, 1, WAIT_SECONDS="0.3")
    code, output, errors = result(nodes.start("worker", 0))
    assert (code, output) == (1, "")
    assert errors.startswith(f"No parameter server at {nodes.servers[0]} after 0.")
    host, port = nodes.servers[0].split(":")
    with socket.create_server((host, int(port))):
        code, output, errors = result(nodes.start("ps", 0))
    assert (code, output) == (1, "")
    assert errors.startswith(f"Cannot listen at {host}:{port}: ")


@pytest.mark.parametrize(
    ("environment", "error"),
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
def test_an_invalid_role_of_a_node_is_named(environment, error):
    with pytest.raises(SystemExit, match=re.escape(error)):
        runpy.run_path(str(DIGITS / "cluster.py"))["Node"].read(environment)
