"""A parameter server: it keeps parameters, and updates them with the mean of the gradients of all workers."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack, closing

import numpy as np
from cluster import Address, Node
from messages import DONE, PARAMETERS, PULL, PUSH, BrokenOffError, Connection, Message
from network import Network, Vector
from settings import Settings

HANDSHAKE_TIMEOUT = 10


def serve(node: Node, settings: Settings) -> None:
    """Serve one group of workers after the other, until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = node.parameter_servers[node.index]
    try:
        with listen(address) as listener:
            print(f"Parameter server {node.index} listens at {address} for {len(node.workers)} workers", flush=True)
            while True:
                serve_group(listener, node, settings)
    except KeyboardInterrupt:
        print("Stopped", flush=True)


def serve_group(listener: socket.socket, node: Node, settings: Settings) -> None:
    """Serve workers for one training."""
    # With several parameter servers, each keeps a part.
    parameters = np.array_split(Network(settings.seed).parameters, len(node.parameter_servers))[node.index]
    with ExitStack() as connections:
        workers = gather(listener, len(node.workers), parameters.size, connections)
        print(f"All {len(workers)} workers are here", flush=True)
        rounds, end = average(workers, parameters, settings.learning_rate, node.index)
        print(f"The training has ended after {rounds} rounds: {end}", flush=True)


def listen(address: Address) -> socket.socket:
    """Return a socket that listens at the address of this node."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        raise SystemExit(f"Cannot listen at {address}: {error}.") from None


def gather(listener: socket.socket, count: int, length: int, connections: ExitStack) -> list[Connection]:
    """Return the connections of all workers, once each has requested the parameters; others are rejected."""
    workers: dict[int, Connection] = {}
    while len(workers) < count:
        connected, (host, port, *_) = listener.accept()
        connected.settimeout(HANDSHAKE_TIMEOUT)
        connection = connections.enter_context(closing(Connection(connected, length, f"{host}:{port}")))
        try:
            message = connection.receive()
            if message.kind != PULL or message.sender >= count:
                raise connection.broken_off("it is no worker of this experiment")
        except BrokenOffError as error:
            print(error, flush=True)
            connection.close()
            continue
        connected.settimeout(None)
        connection.peer = f"worker {message.sender}"
        workers[message.sender] = connection
    return [workers[index] for index in range(count)]


def average(workers: list[Connection], parameters: Vector, learning_rate: float, index: int) -> tuple[int, str]:
    """Send the parameters to all workers and update them with the mean of their gradients, until they have finished.

    Workers are read in the order of their numbers, so that the same settings lead to the same model.

    :returns: the number of rounds, and why it has ended
    """
    rounds = 0
    try:
        while True:
            for worker in workers:
                worker.send(Message(PARAMETERS, index, parameters))
            messages = [worker.receive() for worker in workers]
            kinds = {message.kind for message in messages}
            if kinds == {DONE}:
                return rounds, "the workers are done"
            if kinds != {PUSH}:
                return rounds, "some workers are done before others: EPOCHS and BATCH_SIZE have to be the same for all"
            parameters -= learning_rate * np.mean([message.vector for message in messages], axis=0)
            rounds += 1
    except BrokenOffError as error:
        return rounds, str(error)
