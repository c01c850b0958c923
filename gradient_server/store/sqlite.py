"""The file in which a store outlives its server: SQLite, written to before anything is answered.

What has been written survives the end of the server, whatever ends it, `kill -9` too. When the power fails, the last
changes may be lost; the file stays whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from gradient_server.clock import Reading
from gradient_server.store.changes import Change, Deleted, Stopped
from gradient_server.store.reserve import Reserve
from gradient_server.store.store_layout import (
    LAYOUT,
    NEW,
    PROGRAM,
    Contents,
    Statement,
    contents_of,
    runner_of,
    statement_of,
    statement_of_runner,
    statements_of,
    statements_to_clear,
)

_RESERVE = 2**20
"""Bytes that are kept free beside the file, for what makes room: that experiments are stopped or deleted."""
_PATIENCE = 1.0
"""Seconds that a server which is just ending has left to let go of the file."""


class StoreFile:
    """A file that is open, and nobody else's until it is closed or its server has ended.

    :param Path path: where it is. It is made where there is none, readable by its owner alone: what experiments were
        created with is in it, passwords of registries too
    :param str runner: the name of what runs the experiments: what another one has run, it would run again

    :raises OSError: it cannot be used; the error has its `filename`, and its text says why
    """

    found: Contents
    """What was in it when it was opened. It is not read again: a store takes this over, and goes on with it."""

    def __init__(self, path: Path, runner: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._reserve = Reserve(path.absolute().with_name(path.name + "-reserve"), _RESERVE)
        _make_if_missing(path)
        try:
            # Absolute, because names such as `:memory:` mean something else to SQLite.
            self._database = sqlite3.connect(
                path.absolute(), timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(self._database, runner)
                self.found = contents_of(self._database)
            except BaseException:
                self._database.close()
                raise
        except (sqlite3.Error, ValueError) as error:
            raise OSError(errno.EINVAL, _reason(error), str(path)) from error

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
        self._reserve.release()

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes, all or none. Where the disk is full, there is still some room for what makes room."""
        makes_room = any(isinstance(change, Stopped | Deleted) for change in changes)
        self._execute([each for change in changes for each in statements_of(change)], is_urgent=makes_room)

    def write_clock(self, reading: Reading) -> None:
        """Write what the clock shows, when it is set."""
        # Without that no server starts, and nothing could be deleted.
        self._execute([statement_of(reading)], is_urgent=True)

    def clear(self) -> None:
        """Forget all experiments and first answers."""
        self._execute(list(statements_to_clear()), is_urgent=True)

    def _execute(self, statements: Sequence[Statement], *, is_urgent: bool) -> None:
        # Several threads: the one that serves, and those that move the clock or reset the server.
        with self._lock:
            try:
                self._transact(statements)
            except CannotBeKept:
                if not is_urgent:
                    raise
                with self._reserve.released():
                    # What was written before goes into the file itself: its place in the log is free then.
                    with contextlib.suppress(sqlite3.OperationalError):
                        self._database.execute("PRAGMA wal_checkpoint(RESTART)")
                    self._transact(statements)
            self._reserve.fill()

    def _transact(self, statements: Iterable[Statement]) -> None:
        try:
            self._database.execute("BEGIN IMMEDIATE")
            for statement, values in statements:
                self._database.execute(statement, values)
            self._database.execute("COMMIT")
        except BaseException as error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise CannotBeKept(errno.EIO, f"cannot be written: {error}", str(self._path)) from error
            raise


class CannotBeKept(OSError):
    """Changes cannot be written, for want of space mostly; nothing of them is. `strerror` says why."""


class _Foreign(ValueError):
    """A database that is no store of this version."""


def _prepare(database: sqlite3.Connection, runner: str) -> None:
    # Before the first look at it, so that from then on nobody else can use it.
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    program, layout, tables = (
        database.execute(question).fetchone()[0]
        for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    is_new = not program and not tables
    if not is_new and program != PROGRAM:
        raise _Foreign("it is a database of another program")
    if not is_new and layout != LAYOUT:
        raise _Foreign(f"a server of another version wrote it (layout {layout}; this one reads {LAYOUT})")
    if not is_new and (other := runner_of(database)) != runner:
        raise _Foreign(
            f"its experiments are run by another runner ({other}; this server has {runner}); take another file"
        )
    # A log of what is changed: quick to write, and whole whenever the server ends.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if is_new:
        database.executescript(NEW)
        database.execute(*statement_of_runner(runner))
        database.execute("COMMIT")


def _reason(error: sqlite3.Error | ValueError) -> str:
    if isinstance(error, _Foreign):
        return str(error)
    if isinstance(error, ValueError):
        return "it is damaged"
    reasons = {
        "SQLITE_BUSY": "another server is using it",
        "SQLITE_NOTADB": "it is no store of a server",
        "SQLITE_CORRUPT": "it is damaged",
    }
    return reasons.get(error.sqlite_errorname, f"SQLite cannot use it: {error}")


def _make_if_missing(path: Path) -> None:
    """Make the file if it is missing; SQLite would let others read it, and it does not say why a file cannot be."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not by opening it: closing it again would take away the lock of a server of this process.
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path)) from None
        if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
