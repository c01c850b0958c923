"""The client: which operation each method calls, with what, in which order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Unpack

from gradient_api.parameters import (
    MULTI_NODE_PARAMETERS,
    SINGLE_NODE_PARAMETERS,
    MultiNodeParameters,
    SingleNodeParameters,
)

from gradient_ext import config, public
from gradient_ext.config import Options, changed_options, load_configuration, warn_about_cleartext
from gradient_ext.connections import Connections
from gradient_ext.later import methods
from gradient_ext.redaction import Secret
from gradient_ext.session import Session
from gradient_ext.signatures import takes

if TYPE_CHECKING:
    import httpx

    from gradient_ext.experiments import BaseExperiment
    from gradient_ext.lists import ExperimentList, LogRows
    from gradient_ext.logs import LogRow


@public
class ExperimentsClient(Session):
    """Create, start, stop, list and inspect experiments, and read their logs.

    What is not given comes from the environment, then from `~/.paperspace/config.json`, then from the historical
    hosts. A client keeps its connections open; close it, or use it in a `with` statement.

    >>> with ExperimentsClient("a key", base_url="http://localhost:8090") as client:
    ...     client
    ExperimentsClient(base_url='http://localhost:8090', logs_url='https://logs.paperspace.io')

    :param str api_key: the API key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file
    :param str base_url: address of the experiments; default: `PAPERSPACE_CONFIG_EXPERIMENTS_HOST`
    :param str logs_url: address of the logs; default: `PAPERSPACE_CONFIG_LOG_HOST`
    :param float timeout: seconds to wait for each part of an answer; default: 30. None waits for ever. A long poll may
        take longer, by the time for which it asks the server to hold it.
    :param float connect_timeout: seconds to wait for a connection, if that is shorter; default: 5
    :param int max_attempts: how often to try a call that fails in a way that may pass (no connection, no answer in
        time, a broken answer, status 408, 429, 500, 502, 503 or 504), the first time included; default: 10. Pauses grow
        and are random; a server that asks to wait (`Retry-After`) is obeyed up to 60 seconds.
    :param float deadline: seconds for all attempts of one call together; default: 120. None: no end.
    :param float patience: seconds for which `yield_logs` and `wait` ride out failures while nothing else comes;
        default: 600, ten minutes. None: no end.
    :param httpx.Client http_client: a client of yours to send everything through, with its proxies, certificates and
        limits; closing it stays with you

    :raises ConfigurationError: there is no key, an address is none, the configuration file is broken, or
        the http_client is no httpx.Client

    Every method raises :class:`GradientSdkError` or one of its subclasses when something goes wrong, but for an unknown
    keyword, which is a `TypeError`, and an extra that is not installed, which is an `ImportError`.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        logs_url: str | None = None,
        timeout: float | None = config.TIMEOUT,
        connect_timeout: float | None = config.CONNECT_TIMEOUT,
        max_attempts: int = config.MAX_ATTEMPTS,
        deadline: float | None = config.DEADLINE,
        patience: float | None = config.PATIENCE,
        http_client: httpx.Client | None = None,
    ) -> None:
        if isinstance(api_key, str):
            api_key = Secret(api_key)  # This frame is in the tracebacks of errors.
        chosen = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "max_attempts": max_attempts,
            "deadline": deadline,
            "patience": patience,
        }
        options = changed_options(Options(), chosen, "ExperimentsClient()")
        configuration = load_configuration(api_key, base_url, logs_url)
        warn_about_cleartext(configuration)
        super().__init__(configuration, options, Connections(http_client))

    @takes(SINGLE_NODE_PARAMETERS)
    def create_single_node(self, **parameters: Unpack[SingleNodeParameters]) -> str:
        """Create a single node experiment without starting it.

        >>> experiment_id = client.create_single_node(
        ...     name="mnist", project_id="prlvf0u05", machine_type="K80", command="python mnist.py", container="python"
        ... )

        :param parameters: the keys of `SingleNodeParameters`

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._transport.send(methods.create_single_node(parameters))

    @takes(SINGLE_NODE_PARAMETERS)
    def run_single_node(self, **parameters: Unpack[SingleNodeParameters]) -> str:
        """Create a single node experiment and start it at once.

        >>> parameters = {"name": "mnist", "project_id": "prlvf0u05", "machine_type": "K80", "container": "python"}
        >>> experiment_id = client.run_single_node(command="python mnist.py", **parameters)

        :param parameters: the keys of `SingleNodeParameters`

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._transport.send(methods.run_single_node(parameters))

    @takes(MULTI_NODE_PARAMETERS)
    def create_multi_node(self, **parameters: Unpack[MultiNodeParameters]) -> str:
        """Create a multi node experiment without starting it.

        The type is 2, "GRPC" or `ExperimentType.GRPC_MULTI_NODE`, or 3, "MPI" or `ExperimentType.MPI_MULTI_NODE`.

        >>> worker = {"worker_container": "python", "worker_machine_type": "K80", "worker_command": "python mnist.py"}
        >>> server = {name.replace("worker", "parameter_server"): value for name, value in worker.items()}
        >>> counts = {"worker_count": 2, "parameter_server_count": 1}
        >>> names = {"name": "mnist", "project_id": "prlvf0u05", "experiment_type_id": "GRPC"}
        >>> experiment_id = client.create_multi_node(**names, **worker, **server, **counts)

        :param parameters: the keys of `MultiNodeParameters`

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._transport.send(methods.create_multi_node(parameters))

    @takes(MULTI_NODE_PARAMETERS)
    def run_multi_node(self, **parameters: Unpack[MultiNodeParameters]) -> str:
        """Create a multi node experiment and start it at once.

        The type is 2, "GRPC" or `ExperimentType.GRPC_MULTI_NODE`, or 3, "MPI" or `ExperimentType.MPI_MULTI_NODE`.

        >>> worker = {"worker_container": "python", "worker_machine_type": "K80", "worker_command": "python mnist.py"}
        >>> server = {name.replace("worker", "parameter_server"): value for name, value in worker.items()}
        >>> counts = {"worker_count": 2, "parameter_server_count": 1}
        >>> names = {"name": "mnist", "project_id": "prlvf0u05", "experiment_type_id": "MPI"}
        >>> experiment_id = client.run_multi_node(**names, **worker, **server, **counts)

        :param parameters: the keys of `MultiNodeParameters`

        :returns: experiment handle
        :rtype: str

        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are missing or wrong; nothing has been sent
        """
        return self._transport.send(methods.run_multi_node(parameters))

    def start(self, experiment_id: str) -> None:
        """Start an existing experiment that has not run.

        >>> client.start(experiment_id)

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has been started (409)
        """
        self._transport.send(methods.start(experiment_id))

    def stop(self, experiment_id: str) -> None:
        """Stop an experiment that has not ended.

        >>> client.start(experiment_id)
        >>> client.stop(experiment_id)

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has ended (409)
        """
        self._transport.send(methods.stop(experiment_id))

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment with its logs; one that runs is ended first.

        >>> client.delete(experiment_id)

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        self._transport.send(methods.delete(experiment_id))

    def get(self, experiment_id: str) -> BaseExperiment:
        """Read one experiment.

        >>> experiment = client.get(experiment_id)
        >>> experiment.name
        'mnist'

        :param str experiment_id: Experiment ID

        :returns: the experiment as it is now
        :rtype: SingleNodeExperiment or MultiNodeExperiment

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        return self._transport.ask(*methods.get(experiment_id))

    def list(
        self, project_id: str | Sequence[str] | None = None, *, limit: int | None = None, offset: int = 0
    ) -> ExperimentList:
        """List experiments, newest first; with a filter, project by project.

        Goes through as many pages as there are.

        >>> [experiment.name for experiment in client.list("prlvf0u05")]
        ['mnist']

        :param project_id: only experiments of this project, or of these: a str, or a list or tuple of str
        :param int limit: the most experiments to return; default: all
        :param int offset: how many experiments to pass over first

        :returns: the experiments, in a list that shows as a table in a notebook
        :rtype: ExperimentList of SingleNodeExperiment or MultiNodeExperiment
        """
        cursor = methods.listing(project_id, limit, offset)
        found = methods.no_experiments()
        while not cursor.finished:
            found += self._transport.send(cursor.call())
        return found

    def iter_experiments(
        self, project_id: str | Sequence[str] | None = None, *, page_size: int = config.PAGE_SIZE
    ) -> Generator[BaseExperiment, None, None]:
        """Go through experiments as `list` has them, page by page, keeping no more than two pages in memory.

        Nothing is asked of the server before the first experiment is asked for. What is created or deleted meanwhile
        moves the others: a loop that creates or deletes experiments itself goes through `list` instead, which is whole
        before the loop begins.

        >>> [experiment.name for experiment in client.iter_experiments(page_size=100)]
        ['mnist']

        :param project_id: only experiments of this project, or of these: a str, or a list or tuple of str
        :param int page_size: how many experiments to ask the server for at once

        :returns: a generator of SingleNodeExperiment or MultiNodeExperiment
        """
        return self._transport.walk(methods.iter_experiments(project_id, page_size))

    def state(self, experiment_id: str) -> int:
        """Read the state of an experiment and nothing else.

        >>> constants.ExperimentState.get_state_str(client.state(experiment_id))
        'created'

        :param str experiment_id: Experiment ID

        :returns: the number of the state; `constants.ExperimentState.get_state_str` has the word for it
        :rtype: int

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        return self._transport.ask(*methods.state(experiment_id))

    def logs(self, experiment_id: str, line: int = config.FIRST_LINE, limit: int = config.DEFAULT_LIMIT) -> LogRows:
        """Show list of latest logs from the specified experiment.

        Where there are more rows than `limit`, these are the first ones after `line`; `yield_logs` gives all of them.

        >>> rows = client.logs(experiment_id, limit=100)
        >>> rows.to_dict()
        []

        :param str experiment_id: Experiment ID
        :param int line: line number at which logs starts to display on screen: only rows after it come, and the rows of
            every job are numbered from 1
        :param int limit: maximum lines displayed on screen, default set to 10 000

        :returns: the rows that there are now, without the markers that end the logs of jobs
        :rtype: LogRows, a list of LogRow

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        return methods.log_rows(self._transport.ask(*methods.logs(experiment_id, line, limit)))

    get_logs = logs

    def yield_logs(
        self,
        experiment_id: str,
        line: int = config.FIRST_LINE,
        limit: int = config.DEFAULT_LIMIT,
        *,
        timeout: float | None = None,
        progress: bool = False,
    ) -> Generator[LogRow, None, None]:
        """Follow the logs of an experiment until they end, over a network that fails now and then.

        Nothing is asked of the server before the first row is asked for. Rows of one job come in order and once; rows
        of several jobs come mixed. Ends when every job has ended its log, or when the experiment has ended and no more
        rows come. Failures that may pass are ridden out for as long as the client's `patience`, ten minutes by default;
        every new row begins them anew.

        >>> client.start(experiment_id)
        >>> [row.line for row in client.yield_logs(experiment_id)]
        [1, 2, 3]

        :param str experiment_id: Experiment ID
        :param int line: only rows after this line; rows are numbered from 1 in every job
        :param int limit: the most rows to ask the server for at once
        :param float timeout: seconds to follow for, from the first row that is asked for; default: until the logs end
        :param bool progress: whether a live line in a terminal (stderr) or a notebook shows the state, the time and how
            many rows have come; needs the extra `progress`

        :returns: a generator of LogRow

        :raises ResourceFetchingError: there is no such experiment (status 404)
        :raises LogsTimeoutError: the timeout is over; its `line` is where to go on
        :raises LogsInterruptedError: the patience is over; its `line` is where to go on
        :raises ImportError: progress is to be shown, and rich is not installed; nothing has been sent
        """
        follower = methods.yield_logs(experiment_id, line, limit, timeout, self._options, shows_state=progress)
        return self._transport.carry_out(follower, methods.progress_reporter(follower.handle, progress=progress))

    def wait(
        self,
        experiment_id: str,
        *,
        until: int | str | Iterable[int | str] | None = None,
        timeout: float | None = None,
        raise_on_failure: bool = True,
        on_state: Callable[[int], object] | None = None,
        progress: bool = False,
    ) -> BaseExperiment:
        """Wait until an experiment has ended, or is in a certain state, over a network that fails now and then.

        An experiment that has not been started is waited for, too: somebody else may start it. One that was stopped by
        hand (canceled) has ended, and has not failed. Failures that may pass are ridden out for as long as the client's
        `patience`, ten minutes by default.

        >>> client.start(experiment_id)
        >>> experiment = client.wait(experiment_id, timeout=60)
        >>> constants.ExperimentState.get_state_str(experiment.state)
        'stopped'

        :param str experiment_id: Experiment ID
        :param until: a state or several, as numbers (`ExperimentState.RUNNING`) or words ("running"); default: any in
            which it has ended. A state that does not last can be missed.
        :param float timeout: seconds to wait for; default: as long as it takes. What there is to tell about an end that
            came in time, the experiment and its last rows, may take a few more.
        :param bool raise_on_failure: whether it is an error when the experiment fails; not if `until` names that state
        :param on_state: what to call with the number of the state, the first one and each that it changes to
        :param bool progress: whether a live line in a terminal (stderr) or a notebook shows the state and the time;
            needs the extra `progress`

        :returns: the experiment as it is then
        :rtype: SingleNodeExperiment or MultiNodeExperiment

        :raises ExperimentFailedError: it has failed; carries the reason of the server and the last rows of the logs
        :raises StateNotReachedError: it has ended, in none of the states that were waited for
        :raises WaitTimeoutError: the timeout is over; a `TimeoutError` that carries the state in which it was last seen
        :raises ResourceFetchingError: there is no such experiment (status 404)
        :raises ImportError: progress is to be shown, and rich is not installed; nothing has been sent
        """
        waiter = methods.wait(experiment_id, until, timeout, self._options, raise_on_failure=raise_on_failure)
        watcher = methods.progress_reporter(waiter.handle, progress=progress)
        with closing(self._transport.carry_out(waiter, watcher)) as states:
            for state in states:
                if on_state is not None:
                    on_state(state)
        return waiter.result()
