"""The experiments of the server and the first answers to keys: in memory, and in a file if they are to outlive it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Sequence
from contextvars import ContextVar
from itertools import takewhile
from typing import Any

from gradient_server.api.idempotency import FirstAnswer
from gradient_server.clock import Clock
from gradient_server.runners.base import RejectedRun, Run, Runner, RunRejectedError, RunSpec, new_handle
from gradient_server.store.changes import Added, Answered, Change, Deleted, Started, Stopped
from gradient_server.store.sqlite import StoreFile
from gradient_server.store.stored_experiment import StoredExperiment

# Of the request that is being worked on: others that come in between have their own.
_gathered: ContextVar[list[Change] | None] = ContextVar("gathered", default=None)


class Store:
    """All experiments, and all first answers. A run is told what has been asked of it once that counts.

    :param Clock clock: what time it is
    :param int seed: what ids follow from
    :param Runner runner: what runs the experiments
    :param StoreFile file: where they are kept, too; what is in it is taken up
    """

    def __init__(self, clock: Clock, seed: int, runner: Runner, file: StoreFile | None = None) -> None:
        self._clock = clock
        self._seed = seed
        self._runner = runner
        self._file = file
        self._lock = threading.RLock()
        self._resets = 0
        self._number = file.found.last_number if file else 0
        known = file.found.experiments if file else {}
        self._experiments = {found.handle: self._taken_up(number, found) for number, found in known.items()}
        self._first_answers = file.found.first_answers if file else {}

    def reset(self) -> None:
        """Forget everything; the ids begin again."""
        with self._lock:
            if self._file:
                self._file.clear()
            self._resets += 1
            self._number = 0
            for forgotten in self._experiments.values():
                forgotten.run.delete()
            self._experiments.clear()
            self._first_answers.clear()

    def add(self, body: dict[str, Any], *, start: bool = False) -> StoredExperiment:
        """Keep a new experiment, and start it at once if that is wanted.

        :raises RunRejectedError: it cannot be run like that
        """
        now = self._clock.now()
        with self._lock:
            number = self._number + 1
            # As one that was not started, whatever is wanted: it starts when that counts.
            wanted = RunSpec(handle=new_handle(self._seed, number), body=body, created=now)
            experiment = _stored(number, wanted, self._runner.admit(wanted))
            experiment.started = now if start else None
            self._number = number
            self._change(Added(experiment))
        return experiment

    def get(self, handle: str) -> StoredExperiment | None:
        """Find an experiment."""
        return self._experiments.get(handle)

    def newest_first(self) -> list[StoredExperiment]:
        """Give all experiments."""
        return list(reversed(self._experiments.values()))

    def start(self, experiment: StoredExperiment) -> None:
        """Start it now."""
        self._change(Started(experiment, self._clock.now()))

    def stop(self, experiment: StoredExperiment) -> None:
        """Tell it to stop now; being told again changes nothing."""
        if experiment.stopped is None:
            self._change(Stopped(experiment, self._clock.now()))

    def delete(self, experiment: StoredExperiment) -> None:
        """Forget one experiment."""
        self._change(Deleted(experiment))

    def first_answer(self, name: bytes) -> FirstAnswer | None:
        """Find the first answer to a key."""
        return self._first_answers.get(name)

    def keep(self, name: bytes, first: FirstAnswer) -> None:
        """Keep the first answer to a key, and let go of those that have been kept for long enough."""
        oldest = takewhile(lambda item: item[1].is_over(first.moment), self._first_answers.items())
        self._change(Answered(name, first, tuple(over for over, _ in oldest)))

    @contextlib.contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Let all that is changed in the block count at its end, together; where the block fails, nothing of it."""
        changes: list[Change] = []
        outer, resets = _gathered.set(changes), self._resets
        try:
            yield
        except BaseException:
            _drop(changes)
            raise
        finally:
            _gathered.reset(outer)
        with self._lock:
            if resets == self._resets:
                self._commit(changes)
            else:
                # What was reset in the meantime has forgotten them: it is as if they had counted before.
                _drop(changes)

    def _change(self, change: Change) -> None:
        changes = _gathered.get()
        if changes is None:
            self._commit([change])
        else:
            changes.append(change)

    def _commit(self, changes: Sequence[Change]) -> None:
        with self._lock:
            if self._file and changes:
                try:
                    self._file.write(changes)
                except BaseException:
                    _drop(changes)
                    raise
            for change in changes:
                self._apply(change)

    def _apply(self, change: Change) -> None:
        match change:
            case Added(experiment):
                self._experiments[experiment.handle] = experiment
                if experiment.started is not None:
                    experiment.run.start(experiment.started)
            case Started(experiment, moment) if self._is_there(experiment):
                experiment.started = moment
                experiment.run.start(moment)
            case Stopped(experiment, moment) if self._is_there(experiment):
                experiment.stopped = moment
                experiment.run.stop(moment)
            case Deleted(experiment) if self._is_there(experiment):
                del self._experiments[experiment.handle]
                experiment.run.delete()
            case Answered(name, first, over):
                for old in over:
                    self._first_answers.pop(old, None)
                # At the end, also where an old one had its place: the oldest come first.
                self._first_answers.pop(name, None)
                self._first_answers[name] = first
            case _:
                pass  # of an experiment that another thread has reset

    def _is_there(self, experiment: StoredExperiment) -> bool:
        return self._experiments.get(experiment.handle) is experiment

    def _taken_up(self, number: int, known: RunSpec) -> StoredExperiment:
        try:
            run: Run = self._runner.admit(known)
        except RunRejectedError as error:
            # That it was taken once does not help: what runs it is another version, or another machine.
            run = RejectedRun(known, error)
        return _stored(number, known, run)


def _stored(number: int, known: RunSpec, run: Run) -> StoredExperiment:
    return StoredExperiment(
        number=number,
        handle=known.handle,
        body=dict(known.body),
        created=known.created,
        started=known.started,
        stopped=known.stopped,
        run=run,
    )


def _drop(changes: Sequence[Change]) -> None:
    """Forget the runs of experiments that come to nothing."""
    for change in changes:
        if isinstance(change, Added):
            change.experiment.run.delete()
