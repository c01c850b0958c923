"""The protocol between nodes: vectors over a socket.

A message is a header and a vector. The header has the kind of the message (four letters), the number of the sender and
the length of the vector, which consists of little-endian float32 numbers. Unlike pickled objects, messages execute
nothing, and nothing longer than expected is read. There is no authentication: nobody else may reach the nodes.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import NamedTuple

import numpy as np
from network import Vector

PULL = b"PULL"
"""A worker requests the first parameters."""
PUSH = b"PUSH"
"""A worker sends a gradient, and requests the updated parameters."""
DONE = b"DONE"
"""A worker has finished."""
PARAMETERS = b"PARM"
"""The response of a parameter server."""

HEADER = Struct("<4sII")
NUMBERS = np.dtype("<f4")
NOTHING: Vector = np.empty(0, NUMBERS)


class BrokenOffError(Exception):
    """The peer has disconnected, or does not speak this protocol."""


class Message(NamedTuple):
    """A message from one node to another."""

    kind: bytes
    sender: int
    vector: Vector = NOTHING


class Connection:
    """A connected socket that carries messages with vectors of one length."""

    def __init__(self, connected: socket.socket, length: int, peer: str) -> None:
        # Each side waits for the other one, so delaying small packets would delay both.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connected
        self.peer = peer
        self._length = length
        self._incoming = connected.makefile("rb")

    def send(self, message: Message) -> None:
        """Send a message."""
        header = HEADER.pack(message.kind, message.sender, len(message.vector))
        try:
            self.socket.sendall(header + message.vector.astype(NUMBERS, copy=False).tobytes())
        except OSError as error:
            raise self.broken_off(error) from error

    def receive(self) -> Message:
        """Return the next message."""
        kind, sender, length = HEADER.unpack(self._read(HEADER.size))
        if length not in (0, self._length):
            raise self.broken_off(f"a vector of {self._length} numbers was expected, not of {length}")
        return Message(kind, sender, np.frombuffer(self._read(length * NUMBERS.itemsize), NUMBERS))

    def broken_off(self, reason: object) -> BrokenOffError:
        """Return the error that names the peer and the reason."""
        return BrokenOffError(f"{self.peer} broke off ({reason})")

    def close(self) -> None:
        """Close the connection."""
        self._incoming.close()
        self.socket.close()

    def _read(self, size: int) -> bytes:
        try:
            read = self._incoming.read(size)
        except OSError as error:
            raise self.broken_off(error) from error
        if len(read) < size:
            raise self.broken_off("the connection was closed")
        return read
