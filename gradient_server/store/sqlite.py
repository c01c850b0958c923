"""The file of a store: SQLite, written before a request is answered.

What has been written survives the end of the server, whatever ends it, `kill -9` too. When the power fails, the last
changes may be lost; the file stays whole. When the disk is full, nothing of a change is written, and the
request gets an error.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from gradient_server.clock import Clock, Reading
from gradient_server.private_files import check_own_file, check_place
from gradient_server.runners.base import RunRecord, RunSpec
from gradient_server.store.records import (
    Change,
    Created,
    Deleted,
    Project,
    ProjectChanged,
    Responded,
    Started,
    Stopped,
    StoredResponse,
    Updated,
)

logger = logging.getLogger("gradient_server")
SCHEMA_VERSION = 3
"""Changes with the tables, and with the meaning of their values. Files of earlier versions are converted."""
APPLICATION_ID = int.from_bytes(b"Grad", "big")
"""Marks a SQLite file as one of this program."""
FIRST_RUNNER = "simulated"
"""The runner of files without a table `runner`: when they were written, there was no other."""
_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""The file, and those from which SQLite takes what the file does not have yet."""
_LOCK_TIMEOUT = 1.0
"""Seconds to wait for the lock of a server that is just ending."""
# Deleted ones stay: who deletes one again is told so.
_PROJECTS = """
CREATE TABLE projects (
    number INTEGER PRIMARY KEY, handle TEXT NOT NULL UNIQUE, body TEXT NOT NULL, created REAL NOT NULL, deleted REAL
);
"""
# Names are those of the first version, so that its files can be read.
_SCHEMA = f"""
BEGIN;
-- A number is never used twice, whether or not its experiment still exists.
CREATE TABLE experiments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, handle TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
    created REAL NOT NULL, started REAL, stopped REAL, run TEXT
);
CREATE TABLE first_answers (
    place INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, request BLOB NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, moment REAL NOT NULL
);
CREATE TABLE clock (
    one INTEGER PRIMARY KEY, epoch TEXT NOT NULL, passed REAL NOT NULL, scale REAL NOT NULL, real REAL NOT NULL
);
CREATE TABLE runner (one INTEGER PRIMARY KEY, name TEXT NOT NULL);
{_PROJECTS}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""
_CONVERSIONS = {
    # Whether runs were launched, the first version did not write down.
    1: """
ALTER TABLE experiments ADD COLUMN run TEXT;
UPDATE experiments SET run = '{"launched": null}' WHERE started IS NOT NULL;
""",
    2: _PROJECTS,
}
"""The statements that convert each earlier layout into the next one."""
Statement = tuple[str, tuple[Any, ...]]


class StoreWriteError(OSError):
    """Changes cannot be written, mostly because the disk is full; nothing of them is. `strerror` says why."""

    def with_note(self, note: str) -> StoreWriteError:
        """Return the same error with a note on what happened nevertheless."""
        return StoreWriteError(self.errno, f"{self.strerror}; {note}", self.filename)


class _UnusableError(ValueError):
    """A database that is not a store, or not one of this server."""


@frozen(kw_only=True)
class Contents:
    """The contents of a store file.

    :param experiments: by number, oldest first
    :param projects: oldest first, the deleted ones, too
    :param responses: by the digest of their idempotency key, oldest first
    :param int last_number: the number of the last experiment that was added; 0: there was none
    :param float last_timestamp: when an experiment was last created, started or stopped, or entered a state that was
        recorded, or a project was created or deleted, on the simulated clock
    :param Reading clock: the clock when it was last set; None: there was no clock
    """

    experiments: dict[int, RunSpec]
    projects: list[Project]
    responses: dict[bytes, StoredResponse]
    last_number: int
    last_timestamp: float
    clock: Reading | None


def check_store(path: Path) -> None:
    """Check that nobody else has written a store, and can write or replace it: what is executed is in it.

    :raises OSError: that is not so; the error has its `filename`
    """
    check_place(path)
    for suffix in _SUFFIXES:
        check_own_file(path.with_name(path.name + suffix))


class StoreFile:
    """An open store file, locked until it is closed or its server has ended.

    :param Path path: created if it is missing, readable by its owner alone: what experiments were created with is in
        it, passwords of registries too
    :param str runner: the name of the runner: no runner takes over the experiments of another one

    :raises OSError: it cannot be used; the error has its `filename`, and its text says why
    """

    contents: Contents
    """The contents when the file was opened; it is not read again."""

    def __init__(self, path: Path, runner: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        _create_if_missing(path)
        try:
            # Absolute, because names such as `:memory:` mean something else to SQLite.
            self._database = sqlite3.connect(
                path.absolute(), timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            try:
                _open(self._database, runner)
                self.contents = _read(self._database)
            except BaseException:
                self._database.close()
                raise
        except (sqlite3.Error, ValueError) as error:
            raise OSError(errno.EINVAL, _reason(error), str(path)) from error

    def clock(self, scale: float) -> Clock:
        """Return a clock that continues from the stored one and stores its readings.

        :param float scale: simulated seconds in a real second
        """
        contents = self.contents
        return Clock(scale, earlier=contents.clock, at_least=contents.last_timestamp, keep=self.write_clock)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def write(self, changes: Sequence[Change]) -> None:
        """Write changes, all or none.

        :raises StoreWriteError: they cannot be written
        """
        self._execute(statement for change in changes for statement in _statements(change))

    def write_run(self, handle: str, record: RunRecord) -> None:
        """Write what a runner records of a run, if there is an experiment with this handle.

        A launch and an end are on the disk when this returns, and in the file itself: neither a power failure nor a
        copy of the file without its log can have the run executed again.

        :raises StoreWriteError: that cannot be written
        """
        values = (json.dumps(asdict(record)), handle)
        self._execute([("UPDATE experiments SET run = ? WHERE handle = ?", values)])
        if record.has_ended or len(record.transitions) <= 1:
            with self._lock, self._errors():
                self._database.execute("PRAGMA wal_checkpoint")

    def write_clock(self, reading: Reading) -> None:
        """Write a reading of the clock. If that fails, log a warning: the next server continues from an older one."""
        values = (reading.epoch.isoformat(), reading.passed, reading.scale, reading.real)
        try:
            self._execute([("INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?, ?)", values)])
        except StoreWriteError as error:
            logger.warning("The clock was not stored: %s %s", error.filename, error.strerror)

    def clear(self) -> None:
        """Delete all experiments, projects and stored responses, and begin the numbers again.

        :raises StoreWriteError: that cannot be written
        """
        tables = ("experiments", "projects", "first_answers", "sqlite_sequence")
        self._execute((f"DELETE FROM {table}", ()) for table in tables)

    def _execute(self, statements: Iterable[Statement]) -> None:
        # Several threads: the one that serves, and those that move the clock or reset the server.
        with self._lock, self._errors():
            try:
                self._database.execute("BEGIN IMMEDIATE")
                for statement, values in statements:
                    self._database.execute(statement, values)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _errors(self) -> Generator[None, None, None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            advice = "; free space on its disk and try again" if isinstance(error, sqlite3.OperationalError) else ""
            raise StoreWriteError(errno.EIO, f"cannot be written: {error}{advice}", str(self._path)) from error


def _open(database: sqlite3.Connection, runner: str) -> None:
    """Lock a database, check that it is a store of this server, and create the tables of a new one."""
    # Before the first read, so that from then on no other server can use it.
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    program, version, tables = (
        database.execute(query).fetchone()[0]
        for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
    )
    is_new = not program and not tables
    if not is_new and program != APPLICATION_ID:
        raise _UnusableError("it is a database of another program")
    if not is_new and version not in (*_CONVERSIONS, SCHEMA_VERSION):
        text = f"a server of another version wrote it (layout {version}; this one reads {SCHEMA_VERSION})"
        raise _UnusableError(text)
    if not is_new and (other := _read_runner(database)) != runner:
        text = f"its experiments are run by another runner ({other}; this server has {runner}); take another file"
        raise _UnusableError(text)
    # A write-ahead log: fast to write, and whole whenever the server ends.
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if is_new:
        database.executescript(_SCHEMA)
        database.execute("INSERT INTO runner VALUES (1, ?)", (runner,))
        database.execute("COMMIT")
    elif version < SCHEMA_VERSION:
        steps = "".join(_CONVERSIONS[each] for each in range(version, SCHEMA_VERSION))
        database.executescript(f"BEGIN;{steps}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;")


def _create_if_missing(path: Path) -> None:
    """Create an empty file; SQLite would let others read it, and it does not say why a file cannot be created."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Checked without opening it: closing it again would release the lock of a server of this process.
        if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None


def _reason(error: sqlite3.Error | ValueError) -> str:
    if isinstance(error, _UnusableError):
        return str(error)
    if isinstance(error, ValueError):
        return "it is damaged"
    reasons = {
        "SQLITE_BUSY": "another server is using it",
        "SQLITE_NOTADB": "it is no store of a server",
        "SQLITE_CORRUPT": "it is damaged",
    }
    return reasons.get(error.sqlite_errorname, f"SQLite cannot use it: {error}")


# --- reading


def _read(database: sqlite3.Connection) -> Contents:
    """Return the contents of a database.

    :raises ValueError: a value in it is invalid
    """
    experiments = dict(_read_experiments(database))
    projects = list(_read_projects(database))
    timestamps = [timestamp for spec in experiments.values() for timestamp in _timestamps(spec)]
    timestamps += [
        timestamp for each in projects for timestamp in (each.created, each.deleted) if timestamp is not None
    ]
    number = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'experiments'").fetchone()
    clock = database.execute("SELECT epoch, passed, scale, real FROM clock").fetchone()
    return Contents(
        experiments=experiments,
        projects=projects,
        responses=dict(_read_responses(database)),
        last_number=number[0] if number else 0,
        last_timestamp=max(timestamps, default=0.0),
        clock=_reading(*clock) if clock else None,
    )


def _read_experiments(database: sqlite3.Connection) -> Iterator[tuple[int, RunSpec]]:
    query = "SELECT number, handle, body, created, started, stopped, run FROM experiments ORDER BY number"
    for number, handle, body, created, started, stopped, run in database.execute(query):
        yield (
            number,
            RunSpec(
                handle=handle,
                body=json.loads(body),
                created=created,
                started=started,
                stopped=stopped,
                recorded=None if started is None else _record(run),
            ),
        )


def _read_projects(database: sqlite3.Connection) -> Iterator[Project]:
    query = "SELECT number, handle, body, created, deleted FROM projects ORDER BY number"
    for number, handle, body, created, deleted in database.execute(query):
        yield Project(number=number, handle=handle, body=json.loads(body), created=created, deleted=deleted)


def _record(text: str | None) -> RunRecord:
    try:
        return RunRecord(launched=False) if text is None else RunRecord(**json.loads(text))
    except TypeError as error:
        raise ValueError from error


def _timestamps(spec: RunSpec) -> Iterator[float]:
    yield from (timestamp for timestamp in (spec.created, spec.started, spec.stopped) if timestamp is not None)
    yield from (timestamp for timestamp, _ in (spec.recorded.transitions if spec.recorded else ()))


def _read_responses(database: sqlite3.Connection) -> Iterator[tuple[bytes, StoredResponse]]:
    query = "SELECT name, request, status, body, moment FROM first_answers ORDER BY place"
    for key, request, status, body, timestamp in database.execute(query):
        yield key, StoredResponse(request=request, status=status, body=body, timestamp=timestamp)


def _read_runner(database: sqlite3.Connection) -> str:
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runner'").fetchone():
        return FIRST_RUNNER
    ((name,),) = database.execute("SELECT name FROM runner").fetchall()
    return str(name)


def _reading(epoch: str, passed: float, scale: float, real: float) -> Reading:
    return Reading(epoch=datetime.fromisoformat(epoch), passed=passed, scale=scale, real=real)


# --- writing


def _statements(change: Change) -> Iterator[Statement]:
    match change:
        case Created(new):
            yield (
                "INSERT INTO experiments (number, handle, body, created, started, stopped) VALUES (?, ?, ?, ?, ?, ?)",
                (new.number, new.handle, json.dumps(new.body), new.created, new.started, new.stopped),
            )
        case Updated(experiment, body):
            yield "UPDATE experiments SET body = ? WHERE number = ?", (json.dumps(body), experiment.number)
        case Started(experiment, timestamp):
            yield "UPDATE experiments SET started = ? WHERE number = ?", (timestamp, experiment.number)
        case Stopped(experiment, timestamp):
            yield "UPDATE experiments SET stopped = ? WHERE number = ?", (timestamp, experiment.number)
        case Deleted(experiment):
            yield "DELETE FROM experiments WHERE number = ?", (experiment.number,)
        case Responded(key, response, expired):
            for old in expired:
                yield "DELETE FROM first_answers WHERE name = ?", (old,)
            # An expired response of the same key is replaced, and the new one comes last.
            yield (
                "INSERT OR REPLACE INTO first_answers (name, request, status, body, moment) VALUES (?, ?, ?, ?, ?)",
                (key, response.request, response.status, response.body, response.timestamp),
            )
        case ProjectChanged(project):
            yield (
                "INSERT OR REPLACE INTO projects (number, handle, body, created, deleted) VALUES (?, ?, ?, ?, ?)",
                (project.number, project.handle, json.dumps(project.body), project.created, project.deleted),
            )
