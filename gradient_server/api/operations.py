"""What each operation does. The functions carry the ids that the operations have in the contract, in snake case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from gradient_server.api.descriptions import experiment_answer, log_answer
from gradient_server.api.responses import EXPERIMENT_NOT_FOUND, ApiResponse, Pending, conflict, invalid_request
from gradient_server.clock import Clock
from gradient_server.runners.base import RunRejectedError, next_state_at, state_at
from gradient_server.store.store import Store
from gradient_server.store.stored_experiment import StoredExperiment

Given = Mapping[str, Any]
DEFAULT_PAGE = 20
_DONE = ApiResponse(200, {"message": "success"})


class Operations:
    """The operations on one store.

    :param Store store: the experiments
    :param Clock clock: what time it is
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def list_experiments(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """List experiments: flat without a filter, in groups with one. Pages are cut through all that match."""
        limit, offset = given.get("limit", DEFAULT_PAGE), given.get("offset", 0)
        everything = self._store.newest_first()
        chosen = given.get("projectHandle")
        if chosen is None:
            data: list[Any] = [self._described(found) for found in _page(everything, offset, limit)]
            total = len(everything)
        else:
            projects = list(dict.fromkeys(chosen[key] for key in sorted(chosen, key=_numeric)))
            groups = {name: [e for e in everything if e.body["projectHandle"] == name] for name in projects}
            matching = [found for group in groups.values() for found in group]
            shown = {found.handle for found in _page(matching, offset, limit)}
            data = [self._group(name, group, shown) for name, group in groups.items()]
            total = len(matching)
        meta: dict[str, Any] = {"filter": [], "limit": limit, "offset": offset, "totalItems": total}
        return ApiResponse(200, {"data": data, "message": "success", "meta": meta})

    def get_experiment(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Describe one experiment."""
        found = self._store.get(given["handle"])
        return (
            ApiResponse(200, {"data": self._described(found), "message": "success"}) if found else EXPERIMENT_NOT_FOUND
        )

    def create_experiment(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Keep a new experiment."""
        return self._create(body, start=False)

    def run_experiment(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Keep a new experiment and start it."""
        return self._create(body, start=True)

    def start_experiment(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Start an experiment that has not run."""
        found = self._store.get(given["handle"])
        if found is None:
            return EXPERIMENT_NOT_FOUND
        state = state_at(found.run.transitions, self._clock.now())
        if state != State.CREATED:
            word = State.get_state_str(state)
            return conflict(f"The experiment is {word}; only one that has not run can be started")
        self._store.start(found)
        return _DONE

    def stop_experiment(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Stop an experiment that has not ended."""
        found = self._store.get(given["handle"])
        if found is None:
            return EXPERIMENT_NOT_FOUND
        state = state_at(found.run.transitions, self._clock.now())
        if state in TERMINAL_STATES:
            return conflict(f"The experiment is {State.get_state_str(state)}; it has ended and cannot be stopped")
        self._store.stop(found)
        return _DONE

    def delete_experiment(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Forget an experiment."""
        found = self._store.get(given["handle"])
        if found is None:
            return EXPERIMENT_NOT_FOUND
        self._store.delete(found)
        return ApiResponse(204)

    def get_experiment_state(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Tell the state of an experiment."""
        found = self._store.get(given["handle"])
        if found is None:
            return EXPERIMENT_NOT_FOUND
        now, run = self._clock.now(), found.run
        data = {"handle": found.handle, "state": state_at(run.transitions, now), "experimentError": run.error(now)}
        is_new = given.get("known", data["state"]) != data["state"]
        pending = None if is_new else _pending(found, next_state_at(run.transitions, now))
        return ApiResponse(200, {"data": data, "message": "success"}, pending=pending)

    def get_logs(self, given: Given, body: dict[str, Any]) -> ApiResponse:
        """Give log rows, or 204 where there are none."""
        found = self._store.get(given["experimentId"])
        if found is None:
            return EXPERIMENT_NOT_FOUND
        # Before the rows are read: what comes in between is then still to come, not missed.
        moment = found.run.next_row_at(given["line"], self._clock.now())
        rows = log_answer(found, self._clock, given["line"], given["limit"])
        return ApiResponse(200, rows) if rows else ApiResponse(204, pending=_pending(found, moment))

    def _create(self, body: dict[str, Any], *, start: bool) -> ApiResponse:
        try:
            experiment = self._store.add(body, start=start)
        except RunRejectedError as error:
            return invalid_request({error.member: [str(error)]})
        return ApiResponse(200, {"handle": experiment.handle, "message": "success"})

    def _described(self, experiment: StoredExperiment) -> dict[str, Any]:
        return experiment_answer(experiment, self._clock)

    def _group(self, project: str, group: list[StoredExperiment], shown: set[str]) -> dict[str, Any]:
        meta = {"itemGroup": {"key": "projectHandle", "value": project}, "totalItems": len(group)}
        return {"data": [self._described(found) for found in group if found.handle in shown], "meta": meta}


def _pending(experiment: StoredExperiment, moment: float | None) -> Pending | None:
    return None if moment is None else Pending(experiment.handle, moment)


def _page(experiments: list[StoredExperiment], offset: int, limit: int) -> list[StoredExperiment]:
    return experiments[offset:] if limit < 0 else experiments[offset : offset + limit]


def _numeric(digits: str) -> tuple[int, str]:
    """Order numbers of any length by their size; `int` refuses very long ones."""
    digits = digits.lstrip("0")
    return len(digits), digits
