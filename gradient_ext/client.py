"""The client: which operation each method calls, with what, in which order."""

from __future__ import annotations

import builtins
import functools
import time
import warnings
from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from attrs import evolve
from gradient_api import operations
from gradient_api.models import Created, Done, ListExperimentsProjectHandle
from gradient_api.operations import Operation
from gradient_api.parameters import (
    MULTI_NODE_PARAMETERS,
    SINGLE_NODE_PARAMETERS,
    MultiNodeParameters,
    ParameterSet,
    SingleNodeParameters,
)
from gradient_api.types import UNSET

from gradient_ext.arguments import checked_handle, checked_projects, checked_whole
from gradient_ext.calls import Answer, call_of
from gradient_ext.config import configuration, keys_in_the_clear
from gradient_ext.errors import (
    InvalidParametersError,
    MalformedResponseError,
    ResourceCreatingError,
    ResourceFetchingError,
)
from gradient_ext.experiments import BaseExperiment, experiment_from, job_count
from gradient_ext.logs import DEFAULT_LIMIT, FIRST_LINE, LogCursor, LogQuestion, LogRow, is_end, rows_from
from gradient_ext.options import ClientOptions, Options, changed_options
from gradient_ext.paging import ListCursor
from gradient_ext.parameters import request_body
from gradient_ext.signatures import takes
from gradient_ext.transport import Connections, Transport
from gradient_ext.values import told
from gradient_ext.waiting import Pacing, has_ended

if TYPE_CHECKING:
    import httpx

_FETCH = "Failed to fetch data"
_CREATE = "Failed to create resource"


class ExperimentsClient:
    """Create, start, stop, list and inspect experiments, and read their logs.

    What is not given comes from the environment, then from `~/.paperspace/config.json`, then from the historical
    hosts. A client keeps its connections open; close it, or use it in a `with` statement.

    :param str api_key: the API key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file
    :param str base_url: address of the experiments; default: `PAPERSPACE_CONFIG_EXPERIMENTS_HOST`
    :param str logs_url: address of the logs; default: `PAPERSPACE_CONFIG_LOG_HOST`
    :param float timeout: seconds to wait for each part of an answer; default: 30. None waits for ever. A connection
        that is not there after 5 seconds is given up in any case.
    :param int max_attempts: how often to try a call that fails in a way that may pass (no connection, no answer in
        time, a broken answer, status 408, 429, 500, 502, 503 or 504), the first time included; default: 10. Pauses grow
        and are random; a server that asks to wait (`Retry-After`) is obeyed up to 60 seconds.
    :param float deadline: seconds for all attempts of one call together; default: 120. None: no end.
    :param httpx.Client http_client: a client of yours to send everything through, with its proxies, certificates and
        limits; closing it stays with you

    :raises ConfigurationError: there is no key, an address is none, or the configuration file is broken

    Every method raises :class:`GradientSdkError` or one of its subclasses when something goes wrong.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        logs_url: str | None = None,
        timeout: float | None = Options().timeout,
        max_attempts: int = Options().max_attempts,
        deadline: float | None = Options().deadline,
        http_client: httpx.Client | None = None,
    ) -> None:
        chosen = {"timeout": timeout, "max_attempts": max_attempts, "deadline": deadline}
        options = changed_options(Options(), chosen, "ExperimentsClient()")
        places = configuration(api_key, base_url, logs_url)
        for host in keys_in_the_clear(places):
            _warn_once(f"The API key goes to {host} over plain http, where others can read it; use https")
        self._transport = Transport(places, options, Connections(http_client))

    def __repr__(self) -> str:
        places = self._transport.configuration
        return f"{type(self).__name__}(base_url={places.experiments_url!r}, logs_url={places.logs_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __copy__(self) -> Self:
        return self.with_options()

    def __deepcopy__(self, memo: object) -> Self:
        return self.with_options()

    def __reduce__(self) -> str:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it holds an API key and open connections; "
            "make one where it is needed"
        )

    def close(self) -> None:
        """Close the connections of this client; it cannot be used afterwards."""
        self._transport.connections.close()

    def with_options(self, **changes: Unpack[ClientOptions]) -> Self:
        """Give a client that differs in these options and shares everything else, the connections too.

        :param float timeout: seconds to wait for each part of an answer; None waits for ever
        :param int max_attempts: how often to try a call that fails in a way that may pass, the first time included
        :param float deadline: seconds for all attempts of one call together; None: no end

        :returns: another client; closing either of them closes both

        >>> with ExperimentsClient("a key") as client:
        ...     patient = client.with_options(timeout=300, deadline=None)
        """
        twin = object.__new__(type(self))
        options = changed_options(self._transport.options, changes, "with_options()")
        twin._transport = evolve(self._transport, options=options)
        return twin

    @takes(SINGLE_NODE_PARAMETERS)
    def create_single_node(self, **parameters: Unpack[SingleNodeParameters]) -> str:
        """Create a single node experiment without starting it.

        {parameters}

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._create(operations.CREATE_EXPERIMENT, SINGLE_NODE_PARAMETERS, parameters, "create_single_node()")

    @takes(SINGLE_NODE_PARAMETERS)
    def run_single_node(self, **parameters: Unpack[SingleNodeParameters]) -> str:
        """Create a single node experiment and start it at once.

        {parameters}

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._create(operations.RUN_EXPERIMENT, SINGLE_NODE_PARAMETERS, parameters, "run_single_node()")

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
        return self._create(operations.CREATE_EXPERIMENT, MULTI_NODE_PARAMETERS, parameters, "create_multi_node()")

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
        return self._create(operations.RUN_EXPERIMENT, MULTI_NODE_PARAMETERS, parameters, "run_multi_node()")

    def start(self, experiment_id: str) -> None:
        """Start an existing experiment that has not run.

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has been started (409)
        """
        self._act("start", operations.START_EXPERIMENT, experiment_id)

    def stop(self, experiment_id: str) -> None:
        """Stop an experiment that has not ended.

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has ended (409)
        """
        self._act("stop", operations.STOP_EXPERIMENT, experiment_id)

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment with its logs; one that runs is ended first.

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "delete()")
        self._send(operations.DELETE_EXPERIMENT, "Failed to delete resource", handle)

    def get(self, experiment_id: str) -> BaseExperiment:
        """Read one experiment.

        :param str experiment_id: Experiment ID

        :returns: the experiment as it is now
        :rtype: SingleNodeExperiment or MultiNodeExperiment

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "get()")
        return experiment_from(self._send(operations.GET_EXPERIMENT, _FETCH, handle).data)

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
            page = self._send(
                operations.LIST_EXPERIMENTS,
                _FETCH,
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
            answer = self._send(operations.GET_EXPERIMENT_STATE, _FETCH, handle)
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
        answer = self._send(operations.GET_LOGS, _FETCH, experiment_id=handle, line=question.line, limit=question.limit)
        return rows_from(answer if isinstance(answer, builtins.list) else None)

    def _send(self, operation: Operation[Answer], action: str, *path: str, **given: Any) -> Answer:
        return self._transport.send(call_of(operation, action, *path, **given))

    def _create(
        self, operation: Operation[Created], accepted: ParameterSet, given: Mapping[str, object], subject: str
    ) -> str:
        refusal: TypeError | InvalidParametersError | None = None
        try:
            call = call_of(operation, _CREATE, body=accepted.model.from_dict(request_body(accepted, given, subject)))
        except (TypeError, InvalidParametersError) as error:
            # Without the frames that it has passed through, and the passwords in them.
            refusal = error.with_traceback(None)
        # The keywords of this call are still in the frames above; nobody else has this dictionary.
        cast("dict[str, object]", given).clear()
        if refusal:
            raise refusal
        try:
            handle: str = told("string", self._transport.send(call).handle, "handle", min_length=1)
        except MalformedResponseError as error:
            raise ResourceCreatingError(*error.args, retryable=error.retryable) from None
        return handle

    def _act(self, verb: str, operation: Operation[Done], experiment_id: object) -> None:
        handle = checked_handle(experiment_id, f"{verb}()")
        self._send(operation, f"Failed to {verb} experiment", handle)


@functools.cache
def _warn_once(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)


def _log_question(line: int, limit: int, subject: str) -> LogQuestion:
    checked_whole("line", line, subject, least=0)
    checked_whole("limit", limit, subject, least=1)
    return LogQuestion(line, limit)
