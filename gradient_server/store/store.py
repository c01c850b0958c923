"""The experiments, projects and stored responses of a server: in memory, and in a file if they are to outlive it."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Generator, Sequence
from contextvars import ContextVar
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from attrs import evolve
from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.clock import Clock
from gradient_server.runners.base import (
    RejectedRun,
    Removal,
    Run,
    Runner,
    RunRecord,
    RunRejectedError,
    RunSpec,
    StoredFiles,
    new_handle,
    new_project_handle,
    state_at,
)
from gradient_server.store.records import (
    Change,
    Created,
    Deleted,
    Experiment,
    Project,
    ProjectChanged,
    Responded,
    Started,
    Stopped,
    StoredResponse,
    Updated,
)
from gradient_server.store.sqlite import StoreFile, StoreWriteError
from gradient_server.store.uploads import Uploads

# The changes of the transaction that is open in this task; requests that are served in between have their own.
_open_transaction: ContextVar[list[Change] | None] = ContextVar("open_transaction", default=None)
_KNOWN_REMOVALS = 10_000


class Store:
    """All experiments, projects and stored responses.

    A change is written to the file first. Only then is it applied, and a run is told of it.

    :param Clock clock: the simulated time
    :param int seed: determines the handles; None: they are random, so that no other server has the same
    :param Runner runner: runs the experiments
    :param StoreFile file: where changes are written; the store starts with what is in it
    :param Uploads uploads: the workspaces that clients have uploaded; default: none
    """

    def __init__(
        self,
        clock: Clock,
        seed: int | None,
        runner: Runner,
        file: StoreFile | None = None,
        uploads: Uploads | None = None,
    ) -> None:
        self._clock = clock
        self._seed = seed
        self._runner = runner
        self._file = file
        self.uploads = uploads or Uploads()
        """The workspaces that clients have uploaded."""
        self._lock = threading.RLock()
        self._resets = 0
        self._number = file.contents.last_number if file else 0
        specs = file.contents.experiments if file else {}
        self.unfinished = [spec.handle for spec in specs.values() if _is_unfinished(spec)]
        """The experiments whose runs had not ended as far as the file knew, oldest first."""
        self._experiments = {spec.handle: self._readmit(number, spec) for number, spec in specs.items()}
        self._removals: dict[str, Removal] = {}
        """Those of runs that were deleted lately, the oldest first."""
        self._projects = {project.handle: project for project in file.contents.projects} if file else {}
        self._project_number = len(self._projects)
        self._responses = file.contents.responses if file else {}
        self.uploads.remove_old(self._workspace_urls())

    def reset(self) -> None:
        """Delete everything; handles begin again."""
        with self._lock:
            if self._file:
                self._file.clear()
            self._resets += 1
            self._number = 0
            for experiment in self._experiments.values():
                experiment.run.delete()
            self._experiments.clear()
            self._project_number = 0
            self._projects.clear()
            self._responses.clear()
            self.uploads.clear()

    def add(self, body: dict[str, Any], *, start: bool = False) -> Experiment:
        """Add an experiment, and start it if `start` is set.

        :raises RunRejectedError: it cannot be run as requested
        """
        now = self._clock.timestamp()
        with self._lock:
            number = self._number + 1
            try:
                upload = self.uploads.parts(body.get("workspaceUrl"))
            except LookupError:
                text = "It names an upload that is not on the server any more; upload the workspace again."
                raise RunRejectedError(text, "workspaceUrl") from None
            spec = RunSpec(handle=new_handle(self._seed, number), body=body, created=now, upload=upload)
            # Admitted as one that was not started: it is started when that has been written.
            experiment = _experiment(number, spec, self._runner.admit(spec))
            experiment.started = now if start else None
            self._number = number
            self._change(Created(experiment))
        return experiment

    def add_workspace(self, digest: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make a workspace of parts that were uploaded, and return its URL and size.

        :raises UploadError: parts are missing, or digest or size are those of another workspace
        :raises NoRoomError: the disk is full
        """
        used = self._workspace_urls()
        url = self.uploads.add_workspace(digest, body["name"], body["parts"], body["size"], used)
        return {"url": url, "size": body["size"]}

    def get(self, handle: str) -> Experiment | None:
        """Return an experiment, or None if there is none with this handle."""
        return self._experiments.get(handle)

    def newest_first(self) -> list[Experiment]:
        """Return all experiments."""
        return list(reversed(self._experiments.values()))

    def other_files(self) -> Sequence[StoredFiles]:
        """Return what is kept beside the files of experiments."""
        return [*self._runner.other_files(), *self.uploads.stored_files()]

    def file_for_nodes(self, token: str) -> Path | None:
        """Return the file that the nodes of a cluster fetch with a token; None: there is none."""
        return self._runner.file_for_nodes(token)

    def removal(self, handle: str) -> Removal | None:
        """Return how far the removal of a deleted run has come; None: no such run was deleted lately."""
        return self._removals.get(handle)

    def update(self, experiment: Experiment, body: dict[str, Any]) -> None:
        """Replace the body of an experiment; a run that has started is not affected."""
        self._change(Updated(experiment, body))

    def start(self, experiment: Experiment) -> None:
        """Start an experiment now."""
        self._change(Started(experiment, max(experiment.created, self._clock.timestamp())))

    def stop(self, experiment: Experiment) -> None:
        """Stop an experiment now; a second time has no effect."""
        if experiment.stopped is None:
            self._change(Stopped(experiment, max(experiment.created, self._clock.timestamp())))

    def delete(self, experiment: Experiment) -> None:
        """Delete an experiment and its run."""
        self._change(Deleted(experiment))

    def add_project(self, body: dict[str, Any]) -> Project:
        """Add a project."""
        with self._lock:
            self._project_number += 1
            number = self._project_number
            seed = secrets.token_hex(16) if self._runner.executes_commands else self._seed
            handle = new_project_handle(f"{seed} {number}")
            project = Project(number=number, handle=handle, body=body, created=self._clock.timestamp())
            self._change(ProjectChanged(project))
        return project

    def projects(self) -> dict[str, Project]:
        """Return the projects that were created, by their handles and the oldest first; deleted ones, too."""
        return dict(self._projects)

    def update_project(self, project: Project, body: dict[str, Any]) -> None:
        """Replace the body of a project."""
        self._change(ProjectChanged(evolve(project, body=body)))

    def delete_project(self, project: Project) -> None:
        """Delete a project."""
        self._change(ProjectChanged(evolve(project, deleted=max(project.created, self._clock.timestamp()))))

    def stored_response(self, key: bytes) -> StoredResponse | None:
        """Return the stored response of an idempotency key, or None."""
        return self._responses.get(key)

    def store_response(self, key: bytes, response: StoredResponse) -> None:
        """Store the response of an idempotency key, and drop those that have expired."""
        oldest = takewhile(lambda item: item[1].is_expired(response.timestamp), self._responses.items())
        self._change(Responded(key, response, tuple(expired for expired, _ in oldest)))

    @contextlib.contextmanager
    def transaction(self) -> Generator[None, None, None]:
        """Collect the changes of the block and commit them together at its end, or none if it raises."""
        changes: list[Change] = []
        outer, resets = _open_transaction.set(changes), self._resets
        try:
            yield
        except BaseException:
            _discard(changes)
            raise
        finally:
            _open_transaction.reset(outer)
        with self._lock:
            if resets == self._resets:
                self._commit(changes)
            else:
                # A reset in the meantime has deleted them, as if they had been committed before.
                _discard(changes)

    def _change(self, change: Change) -> None:
        changes = _open_transaction.get()
        if changes is None:
            self._commit([change])
        else:
            changes.append(change)

    def _commit(self, changes: Sequence[Change]) -> None:
        with self._lock:
            if self._file and changes:
                try:
                    self._file.write(changes)
                except BaseException as error:
                    _discard(changes)
                    if isinstance(error, StoreWriteError) and self._stop_running(changes):
                        raise error.with_note("the run is stopped all the same") from error
                    raise
            for change in changes:
                self._apply(change)

    def _stop_running(self, changes: Sequence[Change]) -> bool:
        """Stop runs that execute commands, although the change cannot be written, and return whether there were any.

        It must be possible to end them when the disk is full. A run that executes records its end itself. A queued one
        stays as it is: a server that starts again would not know that it was stopped.
        """
        now, stopped = self._clock.now(), False
        for change in changes:
            if isinstance(change, Stopped | Deleted) and self._runner.executes_commands:
                run = change.experiment.run
                if state_at(run.transitions, now) not in (State.CREATED, State.PENDING, *TERMINAL_STATES):
                    run.stop(now)
                    stopped = True
        return stopped

    def _apply(self, change: Change) -> None:
        match change:
            case Created(experiment):
                self._experiments[experiment.handle] = experiment
                self.uploads.use(experiment.body.get("workspaceUrl"))
                if experiment.started is not None:
                    experiment.run.start(experiment.started)
            case Responded(key, response, expired):
                for old in expired:
                    self._responses.pop(old, None)
                # At the end, also if the key had an expired response: the oldest come first.
                self._responses.pop(key, None)
                self._responses[key] = response
            case ProjectChanged(project):
                self._projects[project.handle] = project
            case _ if self._experiments.get(change.experiment.handle) is not change.experiment:
                pass  # Another thread has reset the store.
            case Updated(experiment, body):
                experiment.body = body
            case Started(experiment, timestamp):
                experiment.started = timestamp
                experiment.run.start(timestamp)
            case Stopped(experiment, timestamp):
                experiment.stopped = timestamp
                experiment.run.stop(timestamp)
            case Deleted(experiment):
                del self._experiments[experiment.handle]
                self._removals[experiment.handle] = experiment.run.removal
                if len(self._removals) > _KNOWN_REMOVALS:
                    del self._removals[next(iter(self._removals))]
                experiment.run.delete()
                url = experiment.body.get("workspaceUrl")
                if url and url not in self._workspace_urls():
                    self.uploads.release(url)

    def _workspace_urls(self) -> set[str]:
        with self._lock:
            return {found.body["workspaceUrl"] for found in self._experiments.values() if "workspaceUrl" in found.body}

    def _readmit(self, number: int, spec: RunSpec) -> Experiment:
        with contextlib.suppress(LookupError):
            spec = evolve(spec, upload=self.uploads.parts(spec.body.get("workspaceUrl")))
        try:
            run: Run = self._runner.admit(spec)
        except RunRejectedError as error:
            # An earlier server has accepted it, but the runner has another version now, or the machine is another one.
            run = RejectedRun(spec, error, partial(self._record, spec.handle))
        return _experiment(number, spec, run)

    def _record(self, handle: str, record: RunRecord) -> None:
        if self._file:
            self._file.write_run(handle, record)


def _is_unfinished(spec: RunSpec) -> bool:
    return spec.started is not None and spec.stopped is None and not (spec.recorded and spec.recorded.has_ended)


def _experiment(number: int, spec: RunSpec, run: Run) -> Experiment:
    return Experiment(
        number=number,
        handle=spec.handle,
        body=dict(spec.body),
        created=spec.created,
        started=spec.started,
        stopped=spec.stopped,
        run=run,
    )


def _discard(changes: Sequence[Change]) -> None:
    """Delete the runs of experiments that are not added after all."""
    for change in changes:
        if isinstance(change, Created):
            change.experiment.run.delete()
