# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""Every operation of the contract without any I/O: what to send for it, and what the answer to it says."""

from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import frozen

from .api.experiments import (
    create_experiment,
    delete_experiment,
    get_experiment,
    list_experiments,
    run_experiment,
    start_experiment,
    stop_experiment,
)
from .api.logs import get_logs
from .api.state import get_experiment_state
from .client import Client
from .models.created import Created
from .models.done import Done
from .models.state_answer import StateAnswer

Answer_co = TypeVar("Answer_co", covariant=True)


class _Read(Protocol):
    """What the generated operations know of the meaning of an answer."""

    def __call__(self, *, client: Client, response: Any) -> Any:
        """Decode an answer."""


@frozen(kw_only=True)
class Operation(Generic[Answer_co]):
    """One operation of the contract."""

    id: str
    answer: type[Answer_co]
    """What a success is decoded to; object where there is nothing to decode."""
    has_own_host: bool = False
    """Whether it is not where most operations are."""
    takes_idempotency_key: bool = False
    """Whether a repetition of a call can be told from another call."""
    can_wait: bool = False
    """Whether the server may hold the request open while it has nothing new to say."""
    json_status: int | None = None
    """With which status the answer stays JSON, and is not decoded to models: it may have very many rows or experiments."""
    json_type: type = object
    """What the answer is with that status: a list or a dict."""
    _request: Callable[..., dict[str, Any]]
    _read: _Read

    def request(self, *path: str, **given: Any) -> dict[str, Any]:
        """Say what to send: method, url below the host, and headers, params and json where there are any."""
        return self._request(*path, **given)

    def read(self, response: Any) -> Any:
        """Decode an answer, given anything with the status_code, text and json() of a response.

        Rows and experiments are what they are in JSON; see `columns`, `experiment_fields` and `json_names`. A status that
        the contract does not know of is None; what is not as it says may raise anything.
        """
        if response.status_code != self.json_status:
            return self._read(client=_NOBODY, response=response)
        answer = response.json()
        if not isinstance(answer, self.json_type):
            expected = "an array" if self.json_type is list else "an object"
            raise TypeError(f"{expected} was expected, not {type(answer).__name__}")
        return answer


_NOBODY = Client(base_url="")

LIST_EXPERIMENTS: Final[Operation[dict[str, Any]]] = Operation(
    id="listExperiments",
    answer=dict,
    json_status=200,
    json_type=dict,
    request=list_experiments._get_kwargs,
    read=list_experiments._parse_response,
)
"""List experiments, newest first."""

CREATE_EXPERIMENT: Final[Operation[Created]] = Operation(
    id="createExperiment",
    answer=Created,
    takes_idempotency_key=True,
    request=create_experiment._get_kwargs,
    read=create_experiment._parse_response,
)
"""Create an experiment without starting it."""

RUN_EXPERIMENT: Final[Operation[Created]] = Operation(
    id="runExperiment",
    answer=Created,
    takes_idempotency_key=True,
    request=run_experiment._get_kwargs,
    read=run_experiment._parse_response,
)
"""Create an experiment and start it at once."""

GET_EXPERIMENT: Final[Operation[dict[str, Any]]] = Operation(
    id="getExperiment",
    answer=dict,
    json_status=200,
    json_type=dict,
    request=get_experiment._get_kwargs,
    read=get_experiment._parse_response,
)
"""Read one experiment."""

DELETE_EXPERIMENT: Final[Operation[object]] = Operation(
    id="deleteExperiment",
    answer=object,
    takes_idempotency_key=True,
    request=delete_experiment._get_kwargs,
    read=delete_experiment._parse_response,
)
"""Delete an experiment with its logs; one that runs is ended first."""

START_EXPERIMENT: Final[Operation[Done]] = Operation(
    id="startExperiment",
    answer=Done,
    takes_idempotency_key=True,
    request=start_experiment._get_kwargs,
    read=start_experiment._parse_response,
)
"""Start an experiment that has not run."""

STOP_EXPERIMENT: Final[Operation[Done]] = Operation(
    id="stopExperiment",
    answer=Done,
    takes_idempotency_key=True,
    request=stop_experiment._get_kwargs,
    read=stop_experiment._parse_response,
)
"""Stop an experiment that has not ended."""

GET_EXPERIMENT_STATE: Final[Operation[StateAnswer]] = Operation(
    id="getExperimentState",
    answer=StateAnswer,
    can_wait=True,
    request=get_experiment_state._get_kwargs,
    read=get_experiment_state._parse_response,
)
"""Read the state of an experiment and nothing else."""

GET_LOGS: Final[Operation[object]] = Operation(
    id="getLogs",
    answer=object,
    has_own_host=True,
    can_wait=True,
    json_status=200,
    json_type=list,
    request=get_logs._get_kwargs,
    read=get_logs._parse_response,
)
"""Read log rows of an experiment, ordered by line."""
