"""Where connections belong: they cannot be used in another process, and asynchronous ones in no other event loop."""

from __future__ import annotations

import os

Home = tuple[object, ...]
MOVED = (
    "The http_client of this client was made before the process forked, or for another event loop, and would share its "
    "connections with what it was made for; make both after forking, and in the event loop that uses them"
)
"""What is said to who gave a client that belongs elsewhere."""


def process() -> Home:
    """Give the home of connections that are used here."""
    return (os.getpid(),)


def process_and_loop() -> Home:
    """Give the home of asynchronous connections that are used here; the loop is None where none runs."""
    import anyio.lowlevel  # which takes longer to load than all that a program without event loops needs

    try:
        return os.getpid(), anyio.lowlevel.current_token()
    except RuntimeError:
        return os.getpid(), None


def is_elsewhere(home: Home, here: Home) -> bool:
    """Say whether connections with a home belong elsewhere; what is None has not been decided yet.

    >>> is_elsewhere((1, None), (1, "a loop")), is_elsewhere((1, "a loop"), (1, "another one"))
    (False, True)
    """
    return any(part is not None and part != other for part, other in zip(home, here, strict=True))
