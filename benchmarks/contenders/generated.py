"""The generated low-level client, without the handwritten layer."""

from __future__ import annotations

from typing import Any

from gradient_api.api.experiments import create_experiment, get_experiment, list_experiments
from gradient_api.api.logs import get_logs
from gradient_api.client import AuthenticatedClient
from gradient_api.constants import API_KEY_HEADER, END_OF_LOG
from gradient_api.models import Created, ExperimentAnswer, ExperimentList, SingleNodeRequest


class Contender:
    """Two clients: the logs have another host than the experiments."""

    def __init__(self, places: dict[str, str]) -> None:
        self._experiments = _client(places["experiments_url"].rstrip("/"), places)
        self._logs = _client(places["logs_url"], places)

    def get(self, handle: str) -> str:
        """Read an experiment."""
        answer = get_experiment.sync(handle, client=self._experiments)
        assert isinstance(answer, ExperimentAnswer)
        return str(answer.data["handle"])

    def create(self, parameters: dict[str, Any], body: dict[str, Any]) -> int:
        """Create an experiment."""
        answer = create_experiment.sync(client=self._experiments, body=SingleNodeRequest.from_dict(body))
        assert isinstance(answer, Created)
        return len(answer.handle)

    def list_all(self, count: int) -> int:
        """Read all experiments, of which there are so many."""
        answer = list_experiments.sync(client=self._experiments, limit=count)
        assert isinstance(answer, ExperimentList)
        return len(answer.data)

    def logs(self, handle: str, page: int) -> int:
        """Read all log rows, a page for each call."""
        count = line = 0
        while True:
            rows = get_logs.sync(client=self._logs, experiment_id=handle, line=line, limit=page)
            assert isinstance(rows, list)
            count += len(rows)
            line = rows[-1]["line"]
            if rows[-1]["message"] == END_OF_LOG:
                return count - 1

    yield_logs = logs


def _client(url: str, places: dict[str, str]) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=url, token=places["api_key"], prefix="", auth_header_name=API_KEY_HEADER)
