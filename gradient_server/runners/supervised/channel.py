"""Connections between the supervisor of a run and the agents of its nodes: messages, and who is at the other end.

A message is a JSON object with a kind, and may carry bytes. Both ends prove that they know the token of the run without
sending it. What they send is not encrypted.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import struct
import sys
import threading
from collections import deque
from typing import Any

from attrs import frozen

from gradient_server.runners.supervised.node_group import READ_SIZE

_HEADER = struct.Struct("!II")
"""The sizes of the JSON object and of the bytes, before each message."""
_MAX_SIZE = 64 * 1024**2
"""Bytes of a message; those of rows have some MiB at most, and the spec of a run as many as a request."""
_MAX_UNKNOWN_SIZE = 64 * 1024
"""Bytes of a message of somebody who has not proved anything."""
# A machine that is gone closes no connection: the kernel finds out, which answers for a process however busy that is.
_KEEPALIVE_IDLE, _KEEPALIVE_INTERVAL, _KEEPALIVE_COUNT = 10, 3, 3


@frozen
class Message:
    """A message that one end has sent.

    :param str kind: what it is
    :param content: its members
    :param bytes data: what it carries
    """

    kind: str
    content: dict[str, Any]
    data: bytes = b""


class Channel:
    """One end of a connection. Several threads may send.

    :param socket connection: an open one
    :param int timeout: seconds for which the other end may receive nothing; then the connection breaks
    """

    def __init__(self, connection: socket.socket, timeout: int) -> None:
        self.is_trusted = False
        """Whether the other end has proved that it knows the token."""
        self.received = deque[Message]()
        """The messages that have come and nobody has taken yet."""
        self.challenge = secrets.token_hex(16)
        """The text that the other end has to make its proof for."""
        self._connection = connection
        self._buffer = bytearray()
        self._lock = threading.Lock()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if sys.platform == "linux":
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout * 1000)

    def fileno(self) -> int:
        """Return its descriptor, to wait until something can be received."""
        return self._connection.fileno()

    def send(self, kind: str, data: bytes = b"", **content: object) -> None:
        """Send a message. Wait while the other end receives nothing.

        :raises OSError: the connection is broken
        """
        text = json.dumps({"kind": kind, **content}).encode()
        with self._lock:
            self._connection.sendall(b"".join((_HEADER.pack(len(text), len(data)), text, data)))

    def receive(self) -> int:
        """Receive what has come, or wait for it, and append complete messages to `received`. Return a number of bytes.

        :raises OSError: the connection is broken or was closed, or what has come is no message
        """
        chunk = self._connection.recv(READ_SIZE)
        if not chunk:
            raise ConnectionResetError("the connection was closed")
        self._buffer += chunk
        begin = 0
        while len(self._buffer) >= begin + _HEADER.size:
            text_size, data_size = _HEADER.unpack_from(self._buffer, begin)
            if text_size + data_size > (_MAX_SIZE if self.is_trusted else _MAX_UNKNOWN_SIZE):
                raise ConnectionAbortedError("what was received is no message")
            text_end = begin + _HEADER.size + text_size
            end = text_end + data_size
            if len(self._buffer) < end:
                break
            self.received.append(_message(self._buffer[begin + _HEADER.size : text_end], self._buffer[text_end:end]))
            begin = end
        del self._buffer[:begin]
        return len(chunk)

    def expect(self, kind: str) -> Message:
        """Wait for the next message, and return it.

        :raises OSError: the connection is broken or was closed, or there is another message
        """
        while not self.received:
            self.receive()
        message = self.received.popleft()
        if message.kind != kind:
            raise ConnectionAbortedError(f"{message.kind!r:.40} was received where {kind!r} was expected")
        return message

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def proof(token: str, role: str, challenge: str) -> str:
    """Return what shows somebody who has sent a challenge that one in a role knows the token."""
    return hmac.new(token.encode(), f"{role} {challenge}".encode(), "sha256").hexdigest()


def is_proof(given: object, token: str, role: str, challenge: str) -> bool:
    """Whether something is the proof for a challenge."""
    return isinstance(given, str) and hmac.compare_digest(given.encode(), proof(token, role, challenge).encode())


def _message(text: bytearray, data: bytearray) -> Message:
    try:
        content = json.loads(text)
        return Message(content.pop("kind"), content, bytes(data))
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ConnectionAbortedError("what was received is no message") from error
