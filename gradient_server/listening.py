"""Where the server listens: from the moment on in which it is made, and again at the same place after a restart."""

from __future__ import annotations

import errno
import socket
import time

BACKLOG = 2048
"""Connections that the machine keeps until somebody accepts them."""
PATIENCE = 10.0
"""Seconds in which a port is free again that the machine has lent to others in the meantime."""


def listening(host: str, port: int) -> socket.socket:
    """Listen: who connects from now on is served as soon as somebody serves.

    :param str host: the address
    :param int port: the port; 0: a free one

    :raises OSError: the port is in use, or the machine does not have the address
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.create_server((host, port), family=family, backlog=BACKLOG)
    # Its connections inherit that. Otherwise each answer would wait for the acknowledgment of its first half.
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def listening_again(host: str, port: int) -> socket.socket:
    """Listen where something listened before; where the machine has lent the port to a connection, wait for its end.

    :raises OSError: the port is still in use after some patience
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return listening(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
