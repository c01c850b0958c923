"""The file in which a store outlives its server: SQLite, written to before anything is answered.

What has been written survives the end of the server, whatever ends it, `kill -9` too. When the power fails, the last
changes may be lost; the file stays whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from gradient_server.changes import Added, Answered, Change, Deleted, Lived
from gradient_server.clock import Reading
from gradient_server.idempotency import FirstAnswer
from gradient_server.stored_experiment import StoredExperiment, stored_experiment

LAYOUT = 1
"""The number of the layout below. It changes with the layout, and with what is made out of it."""
_PROGRAM = int.from_bytes(b"Grad", "big")
_PATIENCE = 1.0
"""Seconds that a server which is just ending has left to let go of the file."""
_TABLES = f"""
BEGIN;
-- A number is never given twice, whether or not its experiment is still there.
CREATE TABLE experiments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, handle TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
    created REAL NOT NULL, started REAL, stopped REAL
);
CREATE TABLE first_answers (
    place INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, request BLOB NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, moment REAL NOT NULL
);
CREATE TABLE clock (
    one INTEGER PRIMARY KEY, epoch TEXT NOT NULL, passed REAL NOT NULL, scale REAL NOT NULL, real REAL NOT NULL
);
PRAGMA application_id = {_PROGRAM};
PRAGMA user_version = {LAYOUT};
COMMIT;
"""


class StoreFile:
    """A file that is open, and nobody else's until it is closed or its server has ended.

    :param Path path: where it is. It is made where there is none, readable by its owner alone: what experiments were
        created with is in it, passwords of registries too

    :raises OSError: it cannot be used; the error has its `filename`, and its text says why
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        _make_if_missing(path)
        with self._reading():
            self._database = _opened(path)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def last_number(self) -> int:
        """Give the number of the last experiment that was ever added; 0: there was none."""
        with self._reading():
            found = self._database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'experiments'").fetchone()
            return int(found[0]) if found else 0

    def experiments(self) -> Iterator[StoredExperiment]:
        """Give all experiments, the oldest first."""
        with self._reading():
            for number, handle, body, created, started, stopped in self._database.execute(
                "SELECT number, handle, body, created, started, stopped FROM experiments ORDER BY number"
            ):
                yield stored_experiment(
                    number=number,
                    handle=handle,
                    body=json.loads(body),
                    created=created,
                    started=started,
                    stopped=stopped,
                )

    def first_answers(self) -> dict[bytes, FirstAnswer]:
        """Give all first answers to keys, the oldest first."""
        with self._reading():
            found = self._database.execute(
                "SELECT name, request, status, body, moment FROM first_answers ORDER BY place"
            )
            return {
                name: FirstAnswer(request=request, status=status, body=body, moment=moment)
                for name, request, status, body, moment in found
            }

    def clock(self) -> Reading | None:
        """Give what the clock showed when it was last set; None: there was no clock."""
        with self._reading():
            found = self._database.execute("SELECT epoch, passed, scale, real FROM clock").fetchone()
            if found is None:
                return None
            epoch, passed, scale, real = found
            return Reading(epoch=datetime.fromisoformat(epoch), passed=passed, scale=scale, real=real)

    def last_moment(self) -> float:
        """Give the last moment of simulated time at which something was done; 0: nothing was."""
        with self._reading():
            found = self._database.execute(
                "SELECT max(max(created, ifnull(started, 0), ifnull(stopped, 0))) FROM experiments"
            ).fetchone()
            return float(found[0] or 0)

    def write(self, changes: Iterable[Change]) -> None:
        """Write changes, all or none."""
        self._execute(statement for change in changes for statement in _statements(change))

    def write_clock(self, reading: Reading) -> None:
        """Write what the clock shows, when it is set."""
        values = (reading.epoch.isoformat(), reading.passed, reading.scale, reading.real)
        self._execute([("INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?, ?)", values)])

    def clear(self) -> None:
        """Forget all experiments and first answers, and the numbers that were given."""
        self._execute((f"DELETE FROM {table}", ()) for table in ("experiments", "first_answers", "sqlite_sequence"))

    def _execute(self, statements: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
        # Several threads: the one that serves, and those that move the clock or reset the server.
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for statement, values in statements:
                    self._database.execute(statement, values)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError) as error:
            raise _refusal(self._path, _REASONS.get(getattr(error, "sqlite_errorname", ""), str(error))) from error


_REASONS = {
    "SQLITE_BUSY": "another server is using it",
    "SQLITE_NOTADB": "it is no store of a server",
    "SQLITE_CORRUPT": "it is damaged",
}


def _refusal(path: Path, reason: str) -> OSError:
    return OSError(errno.EINVAL, reason, str(path))


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


def _opened(path: Path) -> sqlite3.Connection:
    # Absolute, because names such as `:memory:` mean something else to SQLite.
    database = sqlite3.connect(path.absolute(), timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        # Before the first look at it, so that from then on nobody else can use it.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        program, layout, tables = (
            database.execute(question).fetchone()[0]
            for question in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        )
        is_new = not program and not tables
        if not is_new and program != _PROGRAM:
            raise _refusal(path, "it is a database of another program")
        if not is_new and layout != LAYOUT:
            raise _refusal(path, f"a server of another version wrote it (layout {layout}; this one reads {LAYOUT})")
        # Written behind what is there, so that it is whole whenever the server ends.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if is_new:
            database.executescript(_TABLES)
    except BaseException:
        database.close()
        raise
    return database


def _statements(change: Change) -> Iterator[tuple[str, tuple[Any, ...]]]:
    match change:
        case Added(new):
            yield (
                "INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)",
                (new.number, new.handle, json.dumps(new.body), new.created, new.life.started, new.life.stopped),
            )
        case Lived(experiment, life):
            yield (
                "UPDATE experiments SET started = ?, stopped = ? WHERE number = ?",
                (life.started, life.stopped, experiment.number),
            )
        case Deleted(experiment):
            yield "DELETE FROM experiments WHERE number = ?", (experiment.number,)
        case Answered(name, first, over):
            for old in over:
                yield "DELETE FROM first_answers WHERE name = ?", (old,)
            yield (
                "INSERT OR REPLACE INTO first_answers (name, request, status, body, moment) VALUES (?, ?, ?, ?, ?)",
                (name, first.request, first.status, first.body, first.moment),
            )
