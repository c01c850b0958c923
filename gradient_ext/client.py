"""The client: which operation each method calls, with what, in which order."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from gradient_api.api.experiments import (
    create_experiment,
    delete_experiment,
    get_experiment,
    list_experiments,
    run_experiment,
    start_experiment,
    stop_experiment,
)
from gradient_api.api.logs import get_logs
from gradient_api.api.state import get_experiment_state
from gradient_api.models import (
    Created,
    Done,
    ExperimentAnswer,
    ExperimentList,
    ListExperimentsProjectHandle,
    StateAnswer,
)
from gradient_api.parameters import (
    MULTI_NODE_PARAMETERS,
    SINGLE_NODE_PARAMETERS,
    MultiNodeParameters,
    ParameterSet,
    SingleNodeParameters,
)
from gradient_api.types import UNSET, Response

from gradient_ext.arguments import checked_handle, checked_projects, checked_timeout, checked_whole
from gradient_ext.config import configuration
from gradient_ext.errors import MalformedResponseError, ResourceCreatingError, ResourceFetchingError
from gradient_ext.experiments import BaseExperiment, experiment_from, job_count
from gradient_ext.logs import DEFAULT_LIMIT, FIRST_LINE, LogCursor, LogQuestion, LogRow, is_end, rows_from
from gradient_ext.paging import ListCursor
from gradient_ext.parameters import request_body
from gradient_ext.signatures import takes
from gradient_ext.transport import READ_TIMEOUT, Transport
from gradient_ext.values import told
from gradient_ext.waiting import Pacing, has_ended

_FETCH = "Failed to fetch data"
_CREATE = "Failed to create resource"


class ExperimentsClient:
    """Create, start, stop, list and inspect experiments, and read their logs.

    What is not given comes from the environment, then from `~/.paperspace/config.json`, then from the historical
    hosts. A client keeps its connections open; close it, or use it in a `with` statement.

    :param str api_key: the API key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file
    :param str base_url: address of the experiments; default: `PAPERSPACE_CONFIG_EXPERIMENTS_HOST`
    :param str logs_url: address of the logs; default: `PAPERSPACE_CONFIG_LOG_HOST`
    :param float timeout: seconds to wait for an answer; default: 30. None waits for ever.

    :raises ConfigurationError: there is no key, an address is none, or the configuration file is broken

    Every method raises :class:`GradientSdkError` or one of its subclasses when something goes wrong.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        logs_url: str | None = None,
        timeout: float | None = READ_TIMEOUT,
    ) -> None:
        seconds = checked_timeout(timeout, "ExperimentsClient()")
        self._configuration = configuration(api_key, base_url, logs_url)
        self._transport = Transport(self._configuration, seconds)

    def __repr__(self) -> str:
        places = self._configuration
        return f"{type(self).__name__}(base_url={places.experiments_url!r}, logs_url={places.logs_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of this client; it cannot be used afterwards."""
        self._transport.close()

    @takes(SINGLE_NODE_PARAMETERS)
    def create_single_node(self, **parameters: Unpack[SingleNodeParameters]) -> str:
        """Create a single node experiment without starting it.

        {parameters}

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._create(create_experiment.sync_detailed, SINGLE_NODE_PARAMETERS, parameters, "create_single_node()")

    @takes(SINGLE_NODE_PARAMETERS)
    def run_single_node(self, **parameters: Unpack[SingleNodeParameters]) -> str:
        """Create a single node experiment and start it at once.

        {parameters}

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._create(run_experiment.sync_detailed, SINGLE_NODE_PARAMETERS, parameters, "run_single_node()")

    @takes(MULTI_NODE_PARAMETERS)
    def create_multi_node(self, **parameters: Unpack[MultiNodeParameters]) -> str:
        """Create a multi node experiment without starting it.

        The type is 2, "GRPC" or `ExperimentType.GRPC_MULTI_NODE`, or 3, "MPI" or `ExperimentType.MPI_MULTI_NODE`.

        {parameters}

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._create(create_experiment.sync_detailed, MULTI_NODE_PARAMETERS, parameters, "create_multi_node()")

    @takes(MULTI_NODE_PARAMETERS)
    def run_multi_node(self, **parameters: Unpack[MultiNodeParameters]) -> str:
        """Create a multi node experiment and start it at once.

        The type is 2, "GRPC" or `ExperimentType.GRPC_MULTI_NODE`, or 3, "MPI" or `ExperimentType.MPI_MULTI_NODE`.

        {parameters}

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._create(run_experiment.sync_detailed, MULTI_NODE_PARAMETERS, parameters, "run_multi_node()")

    def start(self, experiment_id: str) -> None:
        """Start an existing experiment that has not run.

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has been started (409)
        """
        self._act("start", start_experiment.sync_detailed, experiment_id)

    def stop(self, experiment_id: str) -> None:
        """Stop an experiment that has not ended.

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has ended (409)
        """
        self._act("stop", stop_experiment.sync_detailed, experiment_id)

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment with its logs; one that runs is ended first.

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "delete()")
        self._transport.call(
            "Failed to delete resource",
            object,
            delete_experiment.sync_detailed,
            handle,
            client=self._transport.experiments,
        )

    def get(self, experiment_id: str) -> BaseExperiment:
        """Read one experiment.

        :param str experiment_id: Experiment ID

        :returns: the experiment as it is now
        :rtype: SingleNodeExperiment or MultiNodeExperiment

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "get()")
        answer = self._transport.call(
            _FETCH, ExperimentAnswer, get_experiment.sync_detailed, handle, client=self._transport.experiments
        )
        return experiment_from(answer.data)

    def list(
        self, project_id: str | Sequence[str] | None = None, *, limit: int | None = None, offset: int = 0
    ) -> builtins.list[BaseExperiment]:
        """List experiments, newest first; with a filter, project by project.

        Goes through as many pages as there are.

        :param project_id: only experiments of this project, or of these: a str, or a list or tuple of str
        :param int limit: the most experiments to return; default: all
        :param int offset: how many experiments to pass over first

        :returns: the experiments
        :rtype: list of SingleNodeExperiment or MultiNodeExperiment
        """
        projects = checked_projects(project_id, "list()")
        if limit is not None:
            checked_whole("limit", limit, "list()", least=1)
        checked_whole("offset", offset, "list()", least=0)
        if project_id is not None and not projects:
            return []
        chosen = ListExperimentsProjectHandle.from_dict({str(n): project for n, project in enumerate(projects)})
        cursor = ListCursor(offset, limit)
        found: builtins.list[BaseExperiment] = []
        while not cursor.finished:
            page = self._transport.call(
                _FETCH,
                ExperimentList,
                list_experiments.sync_detailed,
                client=self._transport.experiments,
                limit=cursor.page_size,
                offset=cursor.offset,
                project_handle=chosen if projects else UNSET,
            )
            found += map(experiment_from, cursor.take(page))
        return found

    def state(self, experiment_id: str) -> int:
        """Read the state of an experiment and nothing else.

        :param str experiment_id: Experiment ID

        :returns: the number of the state; `constants.ExperimentState.get_state_str` has the word for it
        :rtype: int

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "state()")
        try:
            answer = self._transport.call(
                _FETCH, StateAnswer, get_experiment_state.sync_detailed, handle, client=self._transport.experiments
            )
        except ResourceFetchingError as error:
            if error.status not in (404, 405):
                raise
            return self.get(handle).state  # The historical service had no such address.
        state: int = told("integer", answer.data.state, "state")
        return state

    def logs(self, experiment_id: str, line: int = FIRST_LINE, limit: int = DEFAULT_LIMIT) -> builtins.list[LogRow]:
        """Show list of latest logs from the specified experiment.

        :param str experiment_id: Experiment ID
        :param int line: only rows after this line; rows are numbered from 1 in every job
        :param int limit: the most rows to return, default set to 10 000

        :returns: the rows that there are now, without the markers that end the logs of jobs
        :rtype: list of LogRow

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "logs()")
        question = _log_question(line, limit, "logs()")
        return [row for row in self._rows(handle, question) if not is_end(row)]

    get_logs = logs

    def yield_logs(
        self, experiment_id: str, line: int = FIRST_LINE, limit: int = DEFAULT_LIMIT
    ) -> Generator[LogRow, None, None]:
        """Follow the logs of an experiment until they end.

        Nothing is asked of the server before the first row is asked for. Rows of one job come in order and once; rows
        of several jobs come mixed. Ends when every job has ended its log, or when the experiment has ended.

        :param str experiment_id: Experiment ID
        :param int line: only rows after this line; rows are numbered from 1 in every job
        :param int limit: the most rows to ask the server for at once

        :returns: a generator of LogRow

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "yield_logs()")
        return self._follow(handle, _log_question(line, limit, "yield_logs()"))

    def _follow(self, handle: str, start: LogQuestion) -> Generator[LogRow, None, None]:
        cursor = LogCursor(start.line, start.limit, job_count(self.get(handle)))
        pacing = Pacing()
        ended = False
        while True:
            rows = cursor.take(self._rows(handle, cursor.question))
            yield from rows
            if cursor.finished:
                return
            if not cursor.caught_up:
                continue
            if ended:
                return
            if rows:
                pacing.reset()
            else:
                # A job may never print, or never end its log properly. One more sweep follows the end.
                ended = has_ended(self.state(handle))
            if not ended:
                time.sleep(pacing.next_pause())

    def _rows(self, handle: str, question: LogQuestion) -> builtins.list[LogRow]:
        answer = self._transport.call(
            _FETCH,
            object,
            get_logs.sync_detailed,
            client=self._transport.logs,
            experiment_id=handle,
            line=question.line,
            limit=question.limit,
        )
        return rows_from(answer if isinstance(answer, builtins.list) else None)

    def _create(
        self,
        operation: Callable[..., Response[Any]],
        accepted: ParameterSet,
        given: Mapping[str, object],
        subject: str,
    ) -> str:
        body = accepted.model.from_dict(request_body(accepted, given, subject))
        client = self._transport.experiments
        try:
            answer = self._transport.call(_CREATE, Created, operation, client=client, body=body)
            handle: str = told("string", answer.handle, "handle", min_length=1)
        except MalformedResponseError as error:
            raise ResourceCreatingError(str(error)) from error
        return handle

    def _act(self, verb: str, operation: Callable[..., Response[Any]], experiment_id: object) -> None:
        handle = checked_handle(experiment_id, f"{verb}()")
        client = self._transport.experiments
        self._transport.call(f"Failed to {verb} experiment", Done, operation, handle, client=client)


def _log_question(line: int, limit: int, subject: str) -> LogQuestion:
    checked_whole("line", line, subject, least=0)
    checked_whole("limit", limit, subject, least=1)
    return LogQuestion(line, limit)
