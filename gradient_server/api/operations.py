"""The handlers of the operations, one method per operation id in snake case; and the serializers.

A new operation of the contract needs one method here: `updateExperiment` is handled by `update_experiment`. Its
parameters and its body are validated, and its response is sent, without further code.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import ContextVar
from typing import Any

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.api.artifacts import artifact_content, artifact_page
from gradient_server.api.contract import snake_case
from gradient_server.api.metrics import metrics_response
from gradient_server.api.responses import (
    EXPERIMENT_NOT_FOUND,
    NO_REMOVAL,
    PROJECT_NOT_FOUND,
    ApiResponse,
    Pending,
    conflict,
    insufficient_storage,
    invalid_request,
    project_error,
)
from gradient_server.api.storage import MEASURING, storage_page
from gradient_server.api.validation import shorten
from gradient_server.clock import Clock
from gradient_server.metrics.index import MetricIndex
from gradient_server.runners.base import Job, LogRow, RunRejectedError, entries_until, next_state_at, state_at
from gradient_server.store.records import Experiment, Project
from gradient_server.store.store import Store
from gradient_server.store.uploads import NoRoomError, UploadError

Parameters = Mapping[str, Any]
Body = dict[str, Any]
Handler = Callable[[Parameters, Any], ApiResponse | Awaitable[ApiResponse]]
DEFAULT_PAGE_SIZE = 20
MAX_ROWS = 50_000
"""The most log rows in one response, whatever the limit is: a log can be longer than memory."""
SIGNAL_OFFSET = 128
"""The exit code of a command that a signal has ended is this plus its number, as in a shell."""
experiment_pages: ContextVar[str | None] = ContextVar("experiment_pages", default=None)
"""The URL, as the client of the current request calls the server, to which a handle is appended; None: no pages."""
_LABELS = ("tags", "note")
"""The members of a body that can change later; responses have them beside the parameters."""
_SUCCESS = ApiResponse(200, {"message": "success"})


class Operations:
    """The handlers of all operations on one store.

    :param Store store: the experiments and projects
    :param Clock clock: the simulated time
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.metrics = MetricIndex(clock)
        """The metrics of runs."""

    def list_experiments(self, parameters: Parameters, body: Body) -> ApiResponse:
        """List experiments, newest first: flat without a project filter, in groups with one."""
        limit, offset = parameters.get("limit", DEFAULT_PAGE_SIZE), parameters.get("offset", 0)
        experiments = [found for found in self._store.newest_first() if _has_tag(found, parameters.get("tag"))]
        project_filter = parameters.get("projectHandle")
        if project_filter is None:
            data: list[Any] = [self._serialize(found) for found in _page(experiments, offset, limit)]
            total = len(experiments)
        else:
            projects = [project_filter[key] for key in sorted(project_filter, key=_numeric)]
            groups: dict[str, list[Experiment]] = {name: [] for name in projects}
            for found in experiments:
                if (group := groups.get(found.body["projectHandle"])) is not None:
                    group.append(found)
            # A page is cut from all that match, in the order of the groups.
            matching = [found for group in groups.values() for found in group]
            on_page = {found.handle for found in _page(matching, offset, limit)}
            data = [self._serialize_group(name, group, on_page) for name, group in groups.items()]
            total = len(matching)
        meta: dict[str, Any] = {"filter": [], "limit": limit, "offset": offset, "totalItems": total}
        return ApiResponse(200, {"data": data, "message": "success", "meta": meta})

    def get_experiment(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return one experiment."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        return ApiResponse(200, {"data": self._serialize(experiment), "message": "success"})

    def create_experiment(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Create an experiment."""
        return self._create(body, start=False)

    def run_experiment(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Create an experiment and start it."""
        return self._create(body, start=True)

    def start_experiment(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Start an experiment that has not run."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        state = state_at(experiment.run.transitions, self._clock.now())
        if state != State.CREATED:
            word = State.get_state_str(state)
            return conflict(f"The experiment is {word}; only one that has not run can be started")
        self._store.start(experiment)
        return _SUCCESS

    def stop_experiment(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Stop an experiment that has not ended."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        state = state_at(experiment.run.transitions, self._clock.now())
        if state in TERMINAL_STATES:
            return conflict(f"The experiment is {State.get_state_str(state)}; it has ended and cannot be stopped")
        self._store.stop(experiment)
        return _SUCCESS

    def delete_experiment(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Delete an experiment."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        self._store.delete(experiment)
        return ApiResponse(204)

    def get_experiment_state(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return the state of an experiment; pending while it is the one that the client knows."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        now, run = self._clock.now(), experiment.run
        state = state_at(run.transitions, now)
        data = {"handle": experiment.handle, "state": state, "experimentError": run.error(now)}
        is_new = parameters.get("known", state) != state
        pending = None if is_new else _pending(experiment, next_state_at(run.transitions, now))
        return ApiResponse(200, {"data": data, "message": "success"}, pending=pending)

    def get_logs(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return log rows after a line, or 204 while there are none."""
        experiment = self._store.get(parameters["experimentId"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        line, now = parameters["line"], self._clock.now()
        # Before the rows are read: a row that comes in between is then still to come, not missed.
        next_row_at = experiment.run.next_row_at(line, now)
        rows = experiment.run.rows(line, min(parameters["limit"], MAX_ROWS), now)
        if not rows:
            return ApiResponse(204, pending=_pending(experiment, next_row_at))
        return ApiResponse(200, [serialize_log_row(job, row, self._clock) for job, row in rows])

    async def get_metrics(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return the metrics of an experiment, or the points after a cursor."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        return await metrics_response(self.metrics, experiment, parameters, self._clock)

    async def list_storage(self, parameters: Parameters, body: Body) -> ApiResponse:
        """List what is kept on the disk, which a thread measures."""
        arguments = self._store, parameters.get("after", ""), self._clock
        return await asyncio.get_running_loop().run_in_executor(MEASURING, storage_page, *arguments)

    def get_removal(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return how far the removal of a deleted experiment has come."""
        handle = parameters["handle"]
        removal = None if self._store.get(handle) else self._store.removal(handle)
        if removal is None:
            return NO_REMOVAL
        data = {"handle": handle, "done": removal.is_done, "freed": removal.freed, "reason": removal.reason}
        return ApiResponse(200, {"data": data, "message": "success"})

    async def list_artifacts(self, parameters: Parameters, body: Body) -> ApiResponse:
        """List the artifacts of an experiment."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        after = parameters.get("after", "")
        return await asyncio.to_thread(artifact_page, experiment.run, after, parameters["limit"], self._clock)

    async def get_artifact_content(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return a part of the content of artifacts."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        names, versions = parameters["name"], parameters.get("version")
        offset, limit, now = parameters["offset"], parameters["limit"], self._clock.now()
        return await asyncio.to_thread(artifact_content, experiment.run, names, versions, offset, limit, now)

    def list_projects(self, parameters: Parameters, body: Body) -> ApiResponse:
        """List projects, newest first."""
        wanted = parameters.get("filter", {})
        handle, offset = wanted.get("where", {}).get("handle"), int(wanted.get("offset", 0))
        end = offset + int(wanted["limit"]) if "limit" in wanted else None
        projects = [
            project
            for project in self._projects()
            if handle in (None, project.handle) and _has_tag(project, parameters.get("tagFilter"))
        ]
        data = [_serialize_project(project, self._clock) for project in projects[offset:end]]
        return ApiResponse(200, {"data": data, "meta": {"totalItems": len(projects)}})

    def create_project(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Create a project."""
        return ApiResponse(201, _serialize_project(self._store.add_project(_labeled(body)), self._clock))

    def delete_project(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Delete a project that has no experiments."""
        handle = parameters["handle"]
        if count := sum(found.body["projectHandle"] == handle for found in self._store.newest_first()):
            what = "an experiment; delete it first" if count == 1 else f"{count} experiments; delete them first"
            return project_error(409, f'Project "{shorten(handle)}" has {what}.')
        project = self._store.projects().get(handle)
        if project is None:
            return PROJECT_NOT_FOUND
        if project.deleted is not None:
            return project_error(400, f'Project "{handle}" is already deleted.')
        self._store.delete_project(project)
        return ApiResponse(204)

    def set_note(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Replace the note of an experiment."""
        experiment = self._store.get(parameters["handle"])
        if experiment is None:
            return EXPERIMENT_NOT_FOUND
        self._store.update(experiment, _labeled({**experiment.body, "note": body["note"]}))
        return _SUCCESS

    def get_tags(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return the tags of experiments or projects."""
        entity, rows = parameters["entity"], dict[str, Any]()
        for handle in parameters["entityIds"]:
            found = self._entity(entity, handle)
            if found is None:
                return project_error(404, f"{entity.capitalize()} not found: {shorten(handle)}")
            rows[handle] = [_tag_row(entity, found, tag) for tag in _tags(found)]
        return ApiResponse(200, rows)

    def update_tags(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Replace the tags of an experiment or a project."""
        entity, handle = body["entity"], body["entityId"]
        found = self._entity(entity, handle)
        if found is None:
            return project_error(404, f"{entity.capitalize()} not found: {shorten(handle)}")
        if body.get("known", _tags(found)) != _tags(found):
            return project_error(409, "The tags have been changed meanwhile")
        labeled = _labeled({**found.body, "tags": body["tags"]})
        match found:
            case Experiment():
                self._store.update(found, labeled)
            case Project(number=0):
                # It can have no tags while it is only a name that experiments have.
                return project_error(404, f'Project "{shorten(handle)}" has not been created, experiments name it')
            case _:
                self._store.update_project(found, labeled)
        return ApiResponse(200, [_tag_row(entity, found, tag) for tag in labeled.get("tags", [])])

    async def find_missing_parts(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Return which parts of workspaces are not there."""
        return await _upload_response(lambda: {"missing": self._store.uploads.missing(body["parts"])})

    async def upload_part(self, parameters: Parameters, body: bytes) -> ApiResponse:
        """Store a part of a workspace."""
        return await _upload_response(lambda: self._store.uploads.add_part(parameters["digest"], body))

    async def create_workspace(self, parameters: Parameters, body: Body) -> ApiResponse:
        """Make a workspace of parts."""
        return await _upload_response(lambda: self._store.add_workspace(parameters["digest"], body))

    def _entity(self, entity: str, handle: str) -> Experiment | Project | None:
        if entity == "experiment":
            return self._store.get(handle)
        return next((project for project in self._projects() if project.handle == handle), None)

    def _projects(self) -> list[Project]:
        """Return the projects that were created or that experiments name, newest first."""
        # The last one of each project is its oldest.
        named = {found.body["projectHandle"]: found.created for found in self._store.newest_first()}
        created = self._store.projects()
        projects = [project for project in created.values() if project.deleted is None or project.handle in named]
        projects += [
            Project(number=0, handle=handle, body={"name": handle}, created=timestamp)
            for handle, timestamp in reversed(named.items())
            if handle not in created
        ]
        return sorted(projects, key=lambda project: project.created)[::-1]

    def _create(self, body: Body, *, start: bool) -> ApiResponse:
        try:
            experiment = self._store.add(_labeled(body), start=start)
        except RunRejectedError as error:
            return invalid_request({error.member: [str(error)]})
        created = {"handle": experiment.handle, "message": "success"}
        return ApiResponse(200, created | ({"tags": _tags(experiment)} if "tags" in body else {}))

    def _serialize(self, experiment: Experiment) -> dict[str, Any]:
        return serialize_experiment(experiment, self._clock)

    def _serialize_group(self, project: str, group: list[Experiment], on_page: set[str]) -> dict[str, Any]:
        meta = {"itemGroup": {"key": "projectHandle", "value": project}, "totalItems": len(group)}
        return {"data": [self._serialize(found) for found in group if found.handle in on_page], "meta": meta}


async def _upload_response(act: Callable[[], dict[str, Any] | None]) -> ApiResponse:
    """Return the response to a request that is about uploads.

    :param act: does what is requested, and returns the data of the response; None: it has none
    """
    try:
        data = await asyncio.to_thread(act)
    except UploadError as error:
        return conflict(str(error))
    except NoRoomError as error:
        return insufficient_storage(str(error))
    return ApiResponse(200, {"message": "success"} if data is None else {"data": data, "message": "success"})


def _pending(experiment: Experiment, timestamp: float | None) -> Pending | None:
    return None if timestamp is None else Pending(experiment.handle, timestamp)


def _page(experiments: list[Experiment], offset: int, limit: int) -> list[Experiment]:
    return experiments[offset:] if limit < 0 else experiments[offset : offset + limit]


def _labeled(body: Body) -> Body:
    """Return the body of an experiment or project with each tag once, and without empty tags and notes."""
    labels = {"tags": list(dict.fromkeys(body.get("tags", ()))), "note": body.get("note")}
    others = {name: value for name, value in body.items() if name not in _LABELS}
    return others | {name: value for name, value in labels.items() if value}


def _tags(found: Experiment | Project) -> list[str]:
    tags: list[str] = found.body.get("tags", [])
    return tags


def _has_tag(found: Experiment | Project, wanted: Collection[str] | None) -> bool:
    """Whether an experiment or project has one of these tags; None: whatever its tags are."""
    return wanted is None or not set(wanted).isdisjoint(_tags(found))


def _tag_row(entity: str, found: Experiment | Project, tag: str) -> dict[str, Any]:
    return {"entity": entity, "entityId": found.number, "tag": {"name": tag}}


def _numeric(digits: str) -> tuple[int, str]:
    """Return a sort key for numbers of any length; `int` rejects very long ones."""
    digits = digits.lstrip("0")
    return len(digits), digits


# --- serializers


def serialize_experiment(experiment: Experiment, clock: Clock) -> dict[str, Any]:
    """Return an experiment as the API shows it now."""
    now, run, body = clock.now(), experiment.run, experiment.body
    entered = entries_until(run.transitions, now)
    state = next(reversed(entered), State.CREATED)
    # A run that was canceled before it ran has neither start nor end in these dates.
    ended = entered[state] if state in TERMINAL_STATES and State.RUNNING in entered else None
    teardown = entered.get(State.NETWORK_TEARING_DOWN)
    exit_code, pages = run.exit_code(now), experiment_pages.get()

    def date(timestamp: float | None) -> str | None:
        return None if timestamp is None else _date(clock, timestamp)

    # The hosted service had neither of them.
    remarks: dict[str, Any] = {"simulated": True} if run.is_simulated else {}
    if run.remark is not None:
        remarks["remark"] = run.remark
    return {
        "handle": experiment.handle,
        "id": experiment.number,
        "experimentTypeId": body["experimentTypeId"],
        "state": state,
        "projectHandle": body["projectHandle"],
        "projectId": 1,
        "started_by_user_id": 1,
        "experimentTemplateId": experiment.number,
        "experimentTemplateHistoryId": experiment.number,
        "experimentError": run.error(now),
        "exitCode": exit_code if exit_code is None or exit_code >= 0 else SIGNAL_OFFSET - exit_code,
        "exitSignal": -exit_code if exit_code is not None and exit_code < 0 else None,
        "url": None if pages is None else pages + experiment.handle,
        **remarks,
        "tags": [{"name": tag} for tag in _tags(experiment)],
        "note": body.get("note"),
        "dtCreated": date(experiment.created),
        "dtModified": date(entered.get(state, experiment.created)),
        "dtProvisioningStarted": date(entered.get(State.PROVISIONING)),
        "dtProvisioningFinished": date(entered.get(State.PROVISIONED)),
        "dtStarted": date(entered.get(State.RUNNING)),
        "dtFinished": date(ended if teardown is None else teardown),
        "dtTeardownStarted": date(teardown),
        "dtTeardownFinished": date(ended),
        "dtDeleted": None,
        "templateHistory": {
            "id": experiment.number,
            "experimentTemplateId": experiment.number,
            "dtCreated": date(experiment.created),
            "dtDeleted": None,
            "triggerEventId": None,
            "params": {snake_case(name): value for name, value in body.items() if name not in _LABELS},
        },
    }


def _serialize_project(project: Project, clock: Clock) -> dict[str, Any]:
    return {
        "handle": project.handle,
        "name": project.body["name"],
        "dtCreated": _log_date(clock, project.created),
        "dtDeleted": None,
        "repoNodeId": None,
        "repoName": project.body.get("repoName"),
        "repoUrl": project.body.get("repoUrl"),
        "tags": _tags(project),
    }


def serialize_log_row(job: Job, row: LogRow, clock: Clock) -> dict[str, Any]:
    """Return a log row as the API shows it."""
    return {
        "jobId": job.id,
        "node": job.name,
        "line": row.line,
        "timestamp": _log_date(clock, row.timestamp),
        "message": row.message,
    }


# Formatting dates takes most of the time of a long list, and of one experiment that is polled.
@functools.lru_cache(10_000)
def _date(clock: Clock, timestamp: float) -> str:
    """Return a date as the service wrote it: microseconds, and the offset of UTC."""
    return clock.date(timestamp).isoformat(timespec="microseconds")


@functools.lru_cache(10_000)
def _log_date(clock: Clock, timestamp: float) -> str:
    """Return a date of fixed width, so that dates sort as text: milliseconds, and `Z`."""
    return f"{clock.date(timestamp).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
