"""The file that says where a server is. Who waits for a server waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from pathlib import Path

from gradient_server.private_files import write_new

Write = Callable[[str], None]


@contextlib.contextmanager
def ready_file(path: Path | None) -> Generator[Write, None, None]:
    """Give a function that writes the file, and see to it that the file is not there before that and after the block.

    :param Path path: where the file is to be; None: nowhere

    :raises OSError: it cannot be written there; the error has its `filename`
    """
    if path is None:
        yield lambda text: None
        return
    path.unlink(missing_ok=True)  # of a server that was killed
    draft = path.with_name(path.name + ".part")

    def write(text: str) -> None:
        draft.unlink(missing_ok=True)
        write_new(draft, text)  # a key is in it
        draft.replace(path)  # at once, so that nobody reads half of it

    try:
        yield write
    finally:
        path.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
