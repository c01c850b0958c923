"""Vectors over a socket.

A message is a header and a vector. The header has four letters for what is meant, the number of the node that sends,
and the length of the vector; the vector's numbers are float32, little-endian. Nothing that arrives is executed, as it
would be with pickled objects, and nothing longer than what is expected is read. Nobody is asked for a key: this is for
nodes that only reach each other.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import NamedTuple

import numpy as np
from network import Vector

PULL = b"PULL"
"""A worker asks for the parameters, to begin with."""
PUSH = b"PUSH"
"""A worker brings a gradient, and asks for the parameters that come of it."""
DONE = b"DONE"
"""A worker has trained enough."""
PARAMETERS = b"PARM"
"""What a parameter server answers."""

HEADER = Struct("<4sII")
NUMBERS = np.dtype("<f4")
NOTHING: Vector = np.empty(0, NUMBERS)


class BrokenOffError(Exception):
    """The other side has gone, or does not talk like this."""


class Message(NamedTuple):
    """What a node says to another."""

    kind: bytes
    sender: int
    vector: Vector = NOTHING


class Connection:
    """A connected socket that carries messages with vectors of one length."""

    def __init__(self, connected: socket.socket, length: int, peer: str) -> None:
        # Each side waits for what the other one says: holding back small packets would only delay both.
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
        """Wait for a message."""
        kind, sender, length = HEADER.unpack(self._read(HEADER.size))
        if length not in (0, self._length):
            raise self.broken_off(f"a vector of {self._length} numbers was expected, not of {length}")
        return Message(kind, sender, np.frombuffer(self._read(length * NUMBERS.itemsize), NUMBERS))

    def broken_off(self, reason: object) -> BrokenOffError:
        """Make the error that says who has broken off, and how that was noticed."""
        return BrokenOffError(f"{self.peer} broke off ({reason})")

    def close(self) -> None:
        """End the connection."""
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
