"""How a store is laid out in SQLite: its tables, what is read from them, and how a change is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from attrs import frozen

from gradient_server.api.idempotency import FirstAnswer
from gradient_server.clock import Reading
from gradient_server.runners.base import RunSpec
from gradient_server.store.changes import Added, Answered, Change, Deleted, Started, Stopped

LAYOUT = 1
"""The number of this layout. It changes with the tables, and with what is made out of their values."""
FIRST_RUNNER = "simulated"
"""The runner of files that do not say which: when they were written, there was no other."""
PROGRAM = int.from_bytes(b"Grad", "big")
"""What SQLite keeps in a file to say whose it is."""
NEW = f"""
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
CREATE TABLE runner (one INTEGER PRIMARY KEY, name TEXT NOT NULL);
PRAGMA application_id = {PROGRAM};
PRAGMA user_version = {LAYOUT};
"""
"""What makes a file a store, in a transaction that is left open."""
Statement = tuple[str, tuple[Any, ...]]


@frozen(kw_only=True)
class Contents:
    """All that is in a store.

    :param experiments: by their numbers, the oldest first
    :param first_answers: by the names of their keys, the oldest first
    :param int last_number: the number of the last experiment that was ever added; 0: there was none
    :param float last_moment: the last moment of simulated time at which something was done
    :param Reading clock: what the clock showed when it was last set; None: there was no clock
    """

    experiments: dict[int, RunSpec]
    first_answers: dict[bytes, FirstAnswer]
    last_number: int
    last_moment: float
    clock: Reading | None


def contents_of(database: Connection) -> Contents:
    """Read everything.

    :raises ValueError: something in it cannot be
    """
    experiments = dict(_experiments(database))
    moments = [(found.created, found.started or 0.0, found.stopped or 0.0) for found in experiments.values()]
    number = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'experiments'").fetchone()
    clock = database.execute("SELECT epoch, passed, scale, real FROM clock").fetchone()
    return Contents(
        experiments=experiments,
        first_answers=dict(_first_answers(database)),
        last_number=number[0] if number else 0,
        last_moment=max(map(max, moments), default=0.0),
        clock=_reading(*clock) if clock else None,
    )


def _experiments(database: Connection) -> Iterator[tuple[int, RunSpec]]:
    for number, handle, body, created, started, stopped in database.execute(
        "SELECT number, handle, body, created, started, stopped FROM experiments ORDER BY number"
    ):
        yield (
            number,
            RunSpec(handle=handle, body=json.loads(body), created=created, started=started, stopped=stopped),
        )


def _first_answers(database: Connection) -> Iterator[tuple[bytes, FirstAnswer]]:
    for name, request, status, body, moment in database.execute(
        "SELECT name, request, status, body, moment FROM first_answers ORDER BY place"
    ):
        yield name, FirstAnswer(request=request, status=status, body=body, moment=moment)


def _reading(epoch: str, passed: float, scale: float, real: float) -> Reading:
    return Reading(epoch=datetime.fromisoformat(epoch), passed=passed, scale=scale, real=real)


def statements_of(change: Change) -> Iterator[Statement]:
    """Say how a change is written."""
    match change:
        case Added(new):
            yield (
                "INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)",
                (new.number, new.handle, json.dumps(new.body), new.created, new.started, new.stopped),
            )
        case Started(experiment, moment):
            yield "UPDATE experiments SET started = ? WHERE number = ?", (moment, experiment.number)
        case Stopped(experiment, moment):
            yield "UPDATE experiments SET stopped = ? WHERE number = ?", (moment, experiment.number)
        case Deleted(experiment):
            yield "DELETE FROM experiments WHERE number = ?", (experiment.number,)
        case Answered(name, first, over):
            for old in over:
                yield "DELETE FROM first_answers WHERE name = ?", (old,)
            # Replaced where there is one that is over: the new one has a new place, behind all others.
            yield (
                "INSERT OR REPLACE INTO first_answers (name, request, status, body, moment) VALUES (?, ?, ?, ?, ?)",
                (name, first.request, first.status, first.body, first.moment),
            )


def statement_of(reading: Reading) -> Statement:
    """Say how what the clock shows is written."""
    values = (reading.epoch.isoformat(), reading.passed, reading.scale, reading.real)
    return "INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?, ?)", values


def runner_of(database: Connection) -> str:
    """Read which runner has run the experiments."""
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'runner'").fetchone():
        return FIRST_RUNNER
    ((name,),) = database.execute("SELECT name FROM runner").fetchall()
    return str(name)


def statement_of_runner(name: str) -> Statement:
    """Say how it is written in a new file, once, which runner runs the experiments."""
    return "INSERT INTO runner VALUES (1, ?)", (name,)


def statements_to_clear() -> Iterator[Statement]:
    """Say how all experiments and first answers are forgotten, and the numbers that were given."""
    yield from ((f"DELETE FROM {table}", ()) for table in ("experiments", "first_answers", "sqlite_sequence"))
