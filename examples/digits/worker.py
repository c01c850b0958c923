"""A worker: it trains on its part of the images, in step with the other workers."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, closing, suppress

import numpy as np
from cluster import Address, Node
from images import load, moved, share
from messages import DONE, PARAMETERS, PULL, PUSH, BrokenOffError, Connection, Message
from network import Network, Vector
from settings import Settings
from training import finish, make_folder, train

SECONDS_BETWEEN_ATTEMPTS = 0.1


def work(node: Node, settings: Settings) -> None:
    """Train together with the other workers. Worker 0 saves the model, which all of them have."""
    saves = node.index == 0
    if saves:
        make_folder(settings.model_folder)
    images, test = load()
    part = share(images, node.index, len(node.workers))
    network = Network(settings.seed)
    with ExitStack() as connections:
        servers = ParameterServers(node, network.parameters, settings.wait_seconds, connections)
        print(f"Worker {node.index} of {len(node.workers)} learns from {len(part)} of {len(images)} images", flush=True)
        servers.exchange(PULL)
        train(network, moved(part), test, settings, lambda gradient: servers.exchange(PUSH, gradient))
        servers.leave()
    if saves:
        finish(network, test, settings.model_folder)


class ParameterServers:
    """The connections to the parameter servers, each of which keeps a part of the parameters."""

    def __init__(self, node: Node, parameters: Vector, wait_seconds: float, connections: ExitStack) -> None:
        self._index = node.index
        # Views: what is written to them is in the network.
        self._parts = np.array_split(parameters, len(node.parameter_servers))
        deadline = time.monotonic() + wait_seconds
        self._connections = [
            connections.enter_context(closing(connect(address, deadline, len(part))))
            for address, part in zip(node.parameter_servers, self._parts, strict=True)
        ]

    def exchange(self, kind: bytes, gradient: Vector | None = None) -> None:
        """Send a gradient, if there is one, and receive the parameters for the next round."""
        try:
            self._send(kind, gradient)
            for connection, part in zip(self._connections, self._parts, strict=True):
                message = connection.receive()
                if message.kind != PARAMETERS:
                    raise connection.broken_off(f"it said {message.kind!r}")
                part[:] = message.vector
        except BrokenOffError as error:
            raise SystemExit(f"The {error}. Its log may say why, or that of another worker.") from None

    def leave(self) -> None:
        """Report that this worker has finished; a parameter server that has disconnected does not matter."""
        with suppress(BrokenOffError):
            self._send(DONE)

    def _send(self, kind: bytes, gradient: Vector | None = None) -> None:
        parts = [None] * len(self._parts) if gradient is None else np.array_split(gradient, len(self._parts))
        for connection, part in zip(self._connections, parts, strict=True):
            connection.send(Message(kind, self._index) if part is None else Message(kind, self._index, part))


def connect(address: Address, deadline: float, length: int) -> Connection:
    """Return a connection to a parameter server, which may start later than this worker."""
    began = time.monotonic()
    while True:
        remaining = deadline - time.monotonic()
        try:
            connected = socket.create_connection((address.host, address.port), timeout=max(remaining, 0.1))
            if connected.getsockname() == connected.getpeername():
                # If nothing listens at an ephemeral port, the system can connect a socket to itself.
                connected.close()
                raise ConnectionRefusedError("nobody listens")
        except OSError as error:
            if remaining < 0:
                waited = time.monotonic() - began
                raise SystemExit(f"No parameter server at {address} after {waited:.1f} seconds: {error}.") from None
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        else:
            # From here on, a response takes as long as the slowest worker.
            connected.settimeout(None)
            return Connection(connected, length, f"parameter server at {address}")
