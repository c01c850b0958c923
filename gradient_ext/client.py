# Derived from async_client.py by `make generate`. Do not edit.
"""The client: each public method is a call of the generated client, a walk through pages, or a poll.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

import builtins
import math
import os
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from gradient_api.parameters import (
    MULTI_NODE_PARAMETERS,
    SINGLE_NODE_PARAMETERS,
    MultiNodeParameters,
    ParameterSet,
    SingleNodeParameters,
)

from gradient_ext import LazyModule, config, public
from gradient_ext._json import require
from gradient_ext.base_client import BaseClient
from gradient_ext.display import ProgressReporter, TransferReporter
from gradient_ext.errors import (
    GradientSdkError,
    InvalidParametersError,
    NotFoundError,
    ResourceCreatingError,
    ResourceFetchingError,
)
from gradient_ext.parameters import (
    check_whole,
    checked_handle,
    checked_note,
    checked_path,
    checked_pattern,
    checked_projects,
    checked_seconds,
    checked_states,
    checked_tags,
    parameters_of,
    request_model,
    takes,
)
from gradient_ext.tags import Tags

if TYPE_CHECKING:
    import httpx
    from gradient_api import models
    from gradient_api.api import artifacts as artifacts_api
    from gradient_api.api import experiments as experiments_api
    from gradient_api.api import logs as logs_api
    from gradient_api.api import metrics as metrics_api
    from gradient_api.api import state as state_api
    from gradient_api.api import storage as storage_api
    from gradient_api.api import tags as tags_api
    from gradient_api.models import Created, MetricsAnswer, StateAnswer
    from gradient_api.types import Response

    import gradient
    from gradient_ext import artifacts as artifacts_module
    from gradient_ext import (
        download_folder,
        downloads,
        experiments,
        logs,
        metrics,
        packing,
        pagination,
        polling,
        storage,
        uploads,
    )
    from gradient_ext.display import progress as live_display
else:
    # Annotations name what is imported later, so that it can be found when they are evaluated.
    gradient, httpx = map(LazyModule, ("gradient", "httpx"))
    artifacts_api, experiments_api, logs_api, metrics_api, state_api, storage_api, tags_api, models, live_display = map(
        LazyModule,
        (
            "gradient_api.api.artifacts",
            "gradient_api.api.experiments",
            "gradient_api.api.logs",
            "gradient_api.api.metrics",
            "gradient_api.api.state",
            "gradient_api.api.storage",
            "gradient_api.api.tags",
            "gradient_api.models",
            "gradient_ext.display.progress",
        ),
    )
    artifacts_module, downloads, uploads, download_folder, experiments, logs, metrics = map(
        LazyModule,
        (
            "gradient_ext.artifacts",
            "gradient_ext.downloads",
            "gradient_ext.uploads",
            "gradient_ext.download_folder",
            "gradient_ext.experiments",
            "gradient_ext.logs",
            "gradient_ext.metrics",
        ),
    )
    packing, pagination, polling, storage = map(
        LazyModule,
        ("gradient_ext.packing", "gradient_ext.pagination", "gradient_ext.polling", "gradient_ext.storage"),
    )

Answer = TypeVar("Answer")
Event = TypeVar("Event")


@public
class ExperimentsClient(BaseClient):
    """Create, start, stop, list and inspect experiments, and read their logs.

    What is not given comes from the environment, then from `~/.paperspace/config.json`, then from a running server of
    this user: `gradient server start` starts one. A client keeps its connections open; close it, or use it in an
    `with` statement.

    >>> with ExperimentsClient("a key", base_url="http://localhost:8090") as client:
    ...     client
    ExperimentsClient(base_url='http://localhost:8090/experiments/v1', logs_url='http://localhost:8090')

    :param str api_key: the API key; default: `PAPERSPACE_API_KEY`, then `apiKey` in the configuration file
    :param str base_url: address of the experiments; default: `PAPERSPACE_CONFIG_EXPERIMENTS_HOST`, then `baseUrl` in
        the configuration file, then that of a running server. Without a path, it gets `/experiments/v1`.
    :param str logs_url: address of the logs; default: `PAPERSPACE_CONFIG_LOG_HOST`, then `logsUrl` in the configuration
        file, then that of the experiments
    :param str api_url: address of the tags; default: `PAPERSPACE_CONFIG_HOST`, then `apiUrl` in the configuration file,
        then that of the experiments
    :param float timeout: seconds to wait for each part of an answer; default: 30. None waits for ever. A long poll may
        take longer, by the time for which it asks the server to hold it.
    :param float connect_timeout: seconds to wait for a connection, if that is shorter; default: 5
    :param int max_attempts: the most attempts of a call that fails transiently (no connection, no answer in time, a
        malformed answer, status 408, 429, 500, 502, 503 or 504), the first one included; default: 10. Attempts are
        spaced by exponential back-off with full jitter; a `Retry-After` of up to 60 seconds is obeyed.
    :param float deadline: seconds for all attempts of one call together; default: 120. None: no limit.
    :param float patience: seconds for which `yield_logs` and `wait` tolerate failures while nothing else comes;
        default: 600, ten minutes. None: no limit.
    :param httpx.Client http_client: an httpx client to send everything through, with its proxies, certificates and
        limits; closing it stays with you

    :raises ConfigurationError: there is no key, an address is none, the configuration file is broken, or
        the http_client is no httpx.Client

    Every method raises :class:`GradientSdkError` or one of its subclasses when something goes wrong, but for an unknown
    keyword, which is a `TypeError`, and an extra that is not installed, which is an `ImportError`.
    """

    _addresses = {"base_url": "experiments_url", "logs_url": "logs_url"}  # noqa: RUF012 - as declared in the base class

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        logs_url: str | None = None,
        api_url: str | None = None,
        timeout: float | None = config.TIMEOUT,
        connect_timeout: float | None = config.CONNECT_TIMEOUT,
        max_attempts: int = config.MAX_ATTEMPTS,
        deadline: float | None = config.DEADLINE,
        patience: float | None = config.PATIENCE,
        http_client: httpx.Client | None = None,
    ) -> None:
        api_key = config.as_secret(api_key)
        options = config.changed_options(
            config.Options(),
            {
                "timeout": timeout,
                "connect_timeout": connect_timeout,
                "max_attempts": max_attempts,
                "deadline": deadline,
                "patience": patience,
            },
            "ExperimentsClient()",
        )
        super().__init__(config.load_configuration(api_key, base_url, logs_url, api_url), options, http_client)

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
        endpoint = experiments_api.create_experiment.sync_detailed
        return self._create(endpoint, SINGLE_NODE_PARAMETERS, parameters, "create_single_node()")

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
        endpoint = experiments_api.run_experiment.sync_detailed
        return self._create(endpoint, SINGLE_NODE_PARAMETERS, parameters, "run_single_node()")

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
        endpoint = experiments_api.create_experiment.sync_detailed
        return self._create(endpoint, MULTI_NODE_PARAMETERS, parameters, "create_multi_node()")

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
        endpoint = experiments_api.run_experiment.sync_detailed
        return self._create(endpoint, MULTI_NODE_PARAMETERS, parameters, "run_multi_node()")

    def start(self, experiment_id: str) -> None:
        """Start an existing experiment that has not run.

        >>> client.start(experiment_id)

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has been started (409)
        """
        handle = checked_handle(experiment_id, "start()")
        self._change(experiments_api.start_experiment.sync_detailed, handle, "Failed to start experiment")

    def stop(self, experiment_id: str) -> None:
        """Stop an experiment that has not ended.

        >>> client.start(experiment_id)
        >>> client.stop(experiment_id)

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404), or it has ended (409)
        """
        handle = checked_handle(experiment_id, "stop()")
        self._change(experiments_api.stop_experiment.sync_detailed, handle, "Failed to stop experiment")

    def delete(self, experiment_id: str) -> None:
        """Delete an experiment with its logs; a running one is ended first.

        >>> client.delete(experiment_id)

        :param str experiment_id: Experiment ID

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "delete()")
        self._change(experiments_api.delete_experiment.sync_detailed, handle, "Failed to delete resource")

    def get(self, experiment_id: str) -> gradient.BaseExperiment:
        """Return one experiment.

        >>> experiment = client.get(experiment_id)
        >>> experiment.name
        'mnist'

        :param str experiment_id: Experiment ID

        :returns: the experiment as it is now
        :rtype: SingleNodeExperiment or MultiNodeExperiment

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        return self._experiment(checked_handle(experiment_id, "get()"))

    def add_tags(self, entity_id: str, tags: str | Sequence[str]) -> None:
        """Add tags to an experiment; those that it has already stay as they are.

        >>> client.add_tags(experiment_id, ["baseline", "batch 64"])
        >>> (client.get(experiment_id)).tags
        ['baseline', 'batch 64']

        :param str entity_id: Experiment ID
        :param tags: a tag, or a list or tuple of tags; each of up to 100 characters, and up to 100 of them

        :raises InvalidParametersError: a tag is empty, too long or has control characters; nothing has been sent
        :raises ResourceFetchingError: there is no such experiment (status 404), or it would have too many tags (400)
        """
        handle = checked_handle(entity_id, "add_tags()", name="entity_id")
        added = checked_tags(tags, "add_tags()") or ()
        self._tags.change(handle, lambda known: [*dict.fromkeys((*known, *added))])

    def remove_tags(self, entity_id: str, tags: str | Sequence[str]) -> None:
        """Remove tags from an experiment; those that it does not have are ignored.

        >>> client.add_tags(experiment_id, "baseline")
        >>> client.remove_tags(experiment_id, "baseline")

        :param str entity_id: Experiment ID
        :param tags: a tag, or a list or tuple of tags

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(entity_id, "remove_tags()", name="entity_id")
        removed = checked_tags(tags, "remove_tags()") or ()
        self._tags.change(handle, lambda known: [tag for tag in known if tag not in removed])

    def list_tags(self, entity_ids: Sequence[str]) -> builtins.list[dict[str, builtins.list[str]]]:
        """Return the tags of experiments, in the form that earlier clients returned.

        >>> client.add_tags(experiment_id, "baseline")
        >>> client.list_tags([experiment_id]) == [{experiment_id: ["baseline"]}]
        True

        :param entity_ids: Experiment IDs: a list or tuple of str

        :returns: for each experiment a dictionary with its id and its tags
        :rtype: list of dict

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        given = [entity_ids] if isinstance(entity_ids, str) else entity_ids
        found = self._tags.read([checked_handle(each, "list_tags()", name="entity_ids") for each in given])
        return [{handle: names} for handle, names in found.items()]

    def set_note(self, experiment_id: str, text: str | None) -> None:
        """Replace the note of an experiment, a free text for people; its `note` has it.

        >>> client.set_note(experiment_id, "Diverges after epoch 3")
        >>> (client.get(experiment_id)).note
        'Diverges after epoch 3'

        :param str experiment_id: Experiment ID
        :param str text: the note, of up to 10,000 characters; None or "" removes it

        :raises ResourceFetchingError: there is no such experiment (status 404), or the server has no notes (404)
        """
        handle = checked_handle(experiment_id, "set_note()")
        body = models.NoteUpdate(note=checked_note(text, "set_note()"))
        key = str(uuid.uuid4())
        self._transport.call(
            lambda client: tags_api.set_note.sync_detailed(handle, client=client, body=body, idempotency_key=key),
            lambda answer: None,
            action="Failed to set the note",
        )

    def rerun(self, experiment_id: str, **changes: object) -> str:
        """Run an experiment again, as a new one, with some of its parameters changed.

        >>> again = client.rerun(experiment_id, experiment_env={"MAX_STEPS": 200})

        :param str experiment_id: Experiment ID
        :param changes: keywords of `run_single_node` or `run_multi_node`; None leaves a parameter out

        :returns: handle of the new experiment
        :rtype: str

        :raises ResourceFetchingError: there is no such experiment (status 404)
        :raises TypeError: there is an unknown keyword
        :raises InvalidParametersError: values are wrong, or the experiment is of a kind that this client does not know
        """
        match self._experiment(checked_handle(experiment_id, "rerun()")):
            case experiments.SingleNodeExperiment() as experiment:
                accepted = SINGLE_NODE_PARAMETERS
            case experiments.MultiNodeExperiment() as experiment:
                accepted = MULTI_NODE_PARAMETERS
            case _:
                raise InvalidParametersError("rerun()", [f"experiment_id: {experiment_id} is of an unknown kind"])
        parameters = parameters_of(accepted, experiment)
        if changes.get("workspace") is not None:
            parameters.pop("workspace_url", None)
        endpoint = experiments_api.run_experiment.sync_detailed
        return self._create(endpoint, accepted, {**parameters, **changes}, "rerun()")

    def upload_workspace(
        self,
        workspace: str | os.PathLike[str],
        *,
        ignore_files: Sequence[str] | str | None = None,
        progress: bool = False,
    ) -> str:
        """Upload a folder or an archive, and return the URL by which experiments get it.

        The keyword `workspace` of the methods that create experiments does the same; this method is for a workspace of
        several experiments. What the server has is not sent again: of an unchanged folder nothing, of a changed one
        about what has changed, and of an interrupted upload what had not arrived. The server keeps a workspace for as
        long as an experiment has it, and for a day before one has it.

        Left out are `.git`, `.venv`, `__pycache__`, `node_modules`, what `.gitignore` and `.gradientignore` name,
        sockets, pipes and devices. Links within the folder stay links. Times and owners of files are not uploaded.

        >>> workspace_url = client.upload_workspace("project", ignore_files=["*.ckpt"])
        >>> workspace_url.rpartition("/")[0]
        'upload:project'

        :param workspace: the path of a folder, of a zip file or of a tar file, which may be compressed
        :param ignore_files: more patterns of what to leave out of a folder, in the syntax of .gitignore: a list of str,
            or a str with commas between them
        :param bool progress: whether a bar in a terminal (stderr) or a notebook shows how much has been uploaded, if
            that takes longer than two seconds; needs the extra `progress`

        :returns: the URL of the workspace, for `workspace_url`
        :rtype: str

        :raises InvalidParametersError: there is no such folder or archive; nothing has been sent
        :raises WorkspaceError: it is empty, too large, cannot be read or changes meanwhile, or a link leads out of it
        :raises NotFoundError: the server takes no uploads
        :raises ServerError: the disk of the server is full (status 507)
        :raises ImportError: progress is to be shown, and rich is not installed; nothing has been sent
        """
        return self._upload(workspace, ignore_files, "upload_workspace()", progress=progress)

    def list(
        self,
        project_id: str | Sequence[str] | None = None,
        *,
        tags: str | Sequence[str] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> gradient.ExperimentList:
        """Return experiments, newest first; with a filter, project by project.

        All pages are requested.

        >>> [experiment.name for experiment in client.list("prlvf0u05")]
        ['mnist']

        :param project_id: only experiments of this project, or of these: a str, or a list or tuple of str
        :param tags: only experiments with this tag, or with any of these: a str, or a list or tuple of str
        :param int limit: the most experiments to return; default: all
        :param int offset: how many experiments to skip first

        :returns: the experiments, in a list that is shown as a table in a notebook
        :rtype: ExperimentList of SingleNodeExperiment or MultiNodeExperiment
        """
        projects, tagged = checked_projects(project_id, "list()"), checked_tags(tags, "list()")
        if limit is not None:
            check_whole("limit", limit, "list()", minimum=1)
        check_whole("offset", offset, "list()", minimum=0)
        cursor = pagination.ListCursor(offset, limit, projects=projects, tags=tagged)
        found = experiments.ExperimentList()
        while not cursor.finished:
            found += self._page(cursor)
        return found

    def iter_experiments(
        self,
        project_id: str | Sequence[str] | None = None,
        *,
        tags: str | Sequence[str] | None = None,
        page_size: int = config.PAGE_SIZE,
    ) -> Generator[gradient.BaseExperiment, None, None]:
        """Yield experiments as `list` returns them, page by page, with at most two pages in memory.

        Nothing is requested before the first experiment is asked for. Experiments that are created or deleted meanwhile
        shift the others: a loop that creates or deletes experiments should use `list`, which is complete before the
        loop begins.

        >>> [experiment.name for experiment in client.iter_experiments(page_size=100)]
        ['mnist']

        :param project_id: only experiments of this project, or of these: a str, or a list or tuple of str
        :param tags: only experiments with this tag, or with any of these: a str, or a list or tuple of str
        :param int page_size: how many experiments to request at once

        :returns: a generator of SingleNodeExperiment or MultiNodeExperiment
        """
        projects, tagged = checked_projects(project_id, "iter_experiments()"), checked_tags(tags, "iter_experiments()")
        check_whole("page_size", page_size, "iter_experiments()", minimum=1)
        cursor = pagination.ListCursor(projects=projects, tags=tagged, max_page_size=page_size, bounded=True)
        return self._walk(cursor)

    def state(self, experiment_id: str) -> int:
        """Return the state of an experiment, without the rest of it.

        >>> constants.ExperimentState.get_state_str(client.state(experiment_id))
        'created'

        :param str experiment_id: Experiment ID

        :returns: the number of the state; `constants.ExperimentState.get_state_str` has the word for it
        :rtype: int

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        return self._state(checked_handle(experiment_id, "state()"), polling.StateQuery())

    def logs(
        self,
        experiment_id: str,
        line: int = config.FIRST_LINE,
        limit: int = config.DEFAULT_LIMIT,
        *,
        tail: int | None = None,
    ) -> gradient.LogRows:
        """Show list of latest logs from the specified experiment.

        If there are more rows than `limit`, these are the first ones after `line`; `yield_logs` yields all of them.
        With `tail`, they are the last ones.

        >>> rows = client.logs(experiment_id, limit=100)
        >>> rows.to_dict()
        []

        :param str experiment_id: Experiment ID
        :param int line: line number at which logs starts to display on screen: only rows after it come, and the rows of
            every job are numbered from 1
        :param int limit: maximum lines displayed on screen, default set to 10 000
        :param int tail: only this many rows, the last ones that there are; of several nodes, those with the highest
            line numbers. Cannot be given with `line`.

        :returns: the rows that there are now, without the markers that end the logs of jobs
        :rtype: LogRows, a list of LogRow

        :raises ResourceFetchingError: there is no such experiment (status 404)
        """
        handle = checked_handle(experiment_id, "logs()")
        query = polling.LogsQuery(range=logs.checked_range(line, limit, "logs()"))
        if tail is None:
            return logs.LogRows(logs.without_end_markers(self._rows(handle, query)))
        last = logs.LogTail(logs.checked_tail(tail, line, "logs()"))
        while not last.finished:
            last.take(self._rows(handle, polling.LogsQuery(range=last.query)))
        return logs.LogRows(last.rows)

    get_logs = logs

    def yield_logs(
        self,
        experiment_id: str,
        line: int = config.FIRST_LINE,
        limit: int = config.DEFAULT_LIMIT,
        *,
        after: str | gradient.LogRow | Iterable[gradient.LogRow] | None = None,
        timeout: float | None = None,
        progress: bool = False,
    ) -> Generator[gradient.LogRow, None, None]:
        """Follow the logs of an experiment until they end, over a network that fails now and then.

        Nothing is requested before the first row is asked for. Rows of one job come in order and once; rows of several
        jobs come mixed. Ends when every job has ended its log, or when the experiment has ended and no more rows come.
        Transient failures are retried for as long as the client's `patience`, ten minutes by default; every new row
        renews that budget.

        >>> client.start(experiment_id)
        >>> [row.line for row in client.yield_logs(experiment_id)]
        [1, 2, 3]

        :param str experiment_id: Experiment ID
        :param int line: only rows after this line; rows are numbered from 1 in every job
        :param int limit: the most rows to request at once
        :param after: where to go on, instead of `line`: the `cursor` of an error of this method, or rows that came
            before. Also with several nodes, no row is lost, and none comes again.
        :param float timeout: seconds to follow for, from the first row that is asked for; default: until the logs end
        :param bool progress: whether a live line in a terminal (stderr) or a notebook shows the state, for how long the
            command has run and how many rows have come; needs the extra `progress`

        :returns: a generator of LogRow

        :raises ResourceFetchingError: there is no such experiment (status 404)
        :raises LogsTimeoutError: the timeout is over; its `cursor` is where to go on
        :raises LogsInterruptedError: the patience is over; its `cursor` is where to go on
        :raises ImportError: progress is to be shown, and rich is not installed; nothing has been sent
        """
        follower = polling.LogFollower(
            handle=checked_handle(experiment_id, "yield_logs()"),
            start=logs.checked_position(line, after, "yield_logs()"),
            limit=logs.checked_range(line, limit, "yield_logs()").limit,
            timeout=checked_seconds("timeout", timeout, "yield_logs()"),
            patience=self._options.patience,
            displays_state=progress,
        )
        return self._poll(follower, _reporter(follower.handle, progress=progress))

    def metrics(
        self, experiment_id: str, names: str | Sequence[str] | None = None, *, limit: int | None = None
    ) -> gradient.MetricList:
        """Return the numbers that an experiment has printed or pushed: losses, accuracies, rewards and the like.

        They are found in the rows of its log, as people and libraries print them: `loss 0.5`, `loss=tensor(0.5)`,
        `{'loss': 0.5, 'epoch': 0.1}`, tables of Stable-Baselines3 and Lightning. Real runs can also push them, with
        the package `gradient-utils`. They are there at any time, also while the experiment runs.

        >>> found = client.metrics(experiment_id, "loss")
        >>> [(series.name, series.node, len(series.values)) for series in found]
        []

        :param str experiment_id: Experiment ID
        :param names: only metrics with these names: a str, or a list or tuple of str
        :param int limit: the most values of each series; default: as many as the server keeps, which is 10,000 for the
            local one. Of more, the first, the last, the lowest and the highest are returned: see `is_thinned`.

        :returns: a series for each metric and node, in a list that is shown as a table in a notebook
        :rtype: MetricList of MetricSeries

        :raises ResourceFetchingError: there is no such experiment, or the server does not know metrics (status 404)
        """
        handle, wanted = checked_handle(experiment_id, "metrics()"), metrics.checked_names(names, "metrics()")
        parameters: dict[str, Any] = {} if wanted is None else {"name": wanted}
        if limit is not None:
            check_whole("limit", limit, "metrics()", minimum=1)
            parameters["limit"] = limit
        return self._metrics(handle, parameters, lambda answer: metrics.metrics_from(answer.data))

    def stream_metrics(
        self, experiment_id: str, names: str | Sequence[str] | None = None, *, timeout: float | None = None
    ) -> Generator[gradient.MetricPoint, None, None]:
        """Follow the metrics of an experiment until it has ended, over a network that fails now and then.

        Nothing is requested before the first point is asked for. The points that are there come first, then those that
        are printed, each once and none left out. Transient failures are retried for as long as the client's `patience`.

        >>> client.start(experiment_id)
        >>> [point.step for point in client.stream_metrics(experiment_id, "loss")]
        [1, 2, 3]

        :param str experiment_id: Experiment ID
        :param names: only metrics with these names: a str, or a list or tuple of str
        :param float timeout: seconds to follow for, from the first point that is asked for; default: until the end

        :returns: a generator of MetricPoint

        :raises ResourceFetchingError: there is no such experiment, or the server does not know metrics (status 404)
        :raises WaitTimeoutError: the timeout is over
        """
        follower = polling.MetricFollower(
            handle=checked_handle(experiment_id, "stream_metrics()"),
            names=metrics.checked_names(names, "stream_metrics()"),
            timeout=checked_seconds("timeout", timeout, "stream_metrics()"),
            patience=self._options.patience,
        )
        return self._poll(follower, ProgressReporter())

    def wait(
        self,
        experiment_id: str,
        *,
        until: int | str | Iterable[int | str] | None = None,
        timeout: float | None = None,
        raise_on_failure: bool = True,
        on_state: Callable[[int], object] | None = None,
        progress: bool = False,
    ) -> gradient.BaseExperiment:
        """Wait until an experiment has ended, or is in a certain state, over a network that fails now and then.

        An experiment that has not been started is waited for, too: somebody else may start it. One that was stopped by
        hand (canceled) has ended, and has not failed. Transient failures are retried for as long as the client's
        `patience`, ten minutes by default.

        >>> client.start(experiment_id)
        >>> experiment = client.wait(experiment_id, timeout=60)
        >>> constants.ExperimentState.get_state_str(experiment.state)
        'stopped'

        :param str experiment_id: Experiment ID
        :param until: a state or several, as numbers (`ExperimentState.RUNNING`) or words ("running"); default: any in
            which it has ended. A state that does not last can be missed.
        :param float timeout: seconds to wait for; default: as long as it takes. Reading the experiment and its last
            rows after an end that came in time may take a few more.
        :param bool raise_on_failure: whether it is an error when the experiment fails; not if `until` names that state
        :param on_state: called with the number of the state, the first one and each that it changes to
        :param bool progress: whether a live line in a terminal (stderr) or a notebook shows the state and for how long
            the command has run; needs the extra `progress`

        :returns: the experiment as it is then
        :rtype: SingleNodeExperiment or MultiNodeExperiment

        :raises ExperimentFailedError: it has failed; carries the reason of the server and the last rows of the logs
        :raises StateNotReachedError: it has ended, in none of the states that were waited for
        :raises WaitTimeoutError: the timeout is over; a `TimeoutError` that carries the state in which it was last seen
        :raises ResourceFetchingError: there is no such experiment (status 404)
        :raises ImportError: progress is to be shown, and rich is not installed; nothing has been sent
        """
        waiter = polling.Waiter(
            handle=checked_handle(experiment_id, "wait()"),
            until=checked_states("until", until, "wait()"),
            timeout=checked_seconds("timeout", timeout, "wait()"),
            patience=self._options.patience,
            raise_on_failure=raise_on_failure,
            displays_state=progress,
        )
        with closing(self._poll(waiter, _reporter(waiter.handle, progress=progress))) as states:
            for each in states:
                if on_state is not None:
                    on_state(each)
        return waiter.result()

    def artifacts(self, experiment_id: str, pattern: str | None = None) -> gradient.ArtifactList:
        """Return the artifacts of an experiment: the files in its artifact directory and its model path.

        They are there also while it runs.

        >>> client.start(experiment_id)
        >>> experiment = client.wait(experiment_id, timeout=60)
        >>> [artifact.name for artifact in client.artifacts(experiment_id, "*.txt")]
        ['model/model.txt']

        :param str experiment_id: Experiment ID
        :param str pattern: only those whose name fits, such as `"*.pt"`; `*` stands for any characters. A pattern with
            `/` is for the whole name, another one for its last part.

        :returns: the artifacts, ordered by name, in a list that is shown as a table in a notebook
        :rtype: ArtifactList of Artifact

        :raises ResourceFetchingError: there is no such experiment, or the server knows no artifacts (status 404)
        """
        handle = checked_handle(experiment_id, "artifacts()")
        return self._artifacts(handle, checked_pattern(pattern, "artifacts()"))

    def download(
        self,
        experiment_id: str,
        path: str | os.PathLike[str],
        pattern: str | None = None,
        *,
        progress: bool = False,
    ) -> Sequence[Path]:
        """Download the artifacts of an experiment to a folder, each to the path below it that its name says.

        What is there with the same size and time is not requested again, and what was interrupted goes on. A file that
        differs is replaced. Nothing is ever written outside of the folder, and no file has its name before it is
        complete. May be called while the experiment runs: a file that changes meanwhile is requested again.

        >>> client.start(experiment_id)
        >>> experiment = client.wait(experiment_id, timeout=60)
        >>> [path.name for path in client.download(experiment_id, "results", "*.txt")]
        ['model.txt']

        :param str experiment_id: Experiment ID
        :param path: the folder, a str or a path; it is created if it is missing
        :param str pattern: only those whose name fits, such as `"*.pt"`, as for `artifacts`
        :param bool progress: whether a bar in a terminal (stderr) or a notebook shows how much has come; needs the
            extra `progress`

        :returns: the paths of all artifacts that fit, also of those that were there already, ordered by name
        :rtype: list of pathlib.Path

        :raises DownloadError: they cannot be written, another download uses the folder, or they go on changing
        :raises ResourceFetchingError: there is no such experiment, or the server knows no artifacts (status 404)
        :raises ImportError: progress is to be shown, and rich is not installed; nothing has been sent
        """
        handle = checked_handle(experiment_id, "download()")
        folder = checked_path(path, "download()")
        pattern = checked_pattern(pattern, "download()")
        with (
            live_display.TransferBar(handle) if progress else TransferReporter() as reporter,
            download_folder.DownloadFolder(folder, handle) as opened,
        ):
            return downloads.download(
                opened,
                lambda: self._artifacts(handle, pattern),
                lambda batch, offset: self._content(handle, batch, offset),
                reporter,
            )

    @property
    def _tags(self) -> Tags:
        return Tags(self._transport, self._configuration.api_url, "experiment")

    def storage(self) -> gradient.StorageList:
        """Return what the server keeps on its disk, with the space that it takes, the largest first.

        Measuring the files of thousands of experiments may take minutes. Files of simulated experiments take none.

        >>> [(entry.name, entry.size) for entry in client.storage()]
        [('mnist', 0)]

        :returns: an entry for each experiment, and for what else is kept, in a list that is shown as a table
        :rtype: StorageList of StorageEntry

        :raises ResourceFetchingError: the server does not know this operation (status 404)
        """
        cursor, found = storage.StorageCursor(), storage.StorageList()
        while not cursor.finished:
            found += self._transport.call(
                lambda client: storage_api.list_storage.sync_detailed(client=client, **cursor.parameters),
                cursor.take,
                action="Failed to measure what the server keeps",
            )
        return storage.StorageList(sorted(found, key=lambda entry: (-entry.size, -entry.shared, entry.id)))

    def wait_for_removal(self, experiment_id: str, *, timeout: float | None = 60.0) -> gradient.Removal:
        """Wait until the files of a deleted experiment are removed, and return how much that has freed.

        >>> client.delete(experiment_id)
        >>> removal = client.wait_for_removal(experiment_id)
        >>> removal.is_done, removal.freed
        (True, 0)

        :param str experiment_id: Experiment ID
        :param float timeout: seconds after which it returns how far the removal has come; default: 60. None: no limit.

        :returns: the removal
        :rtype: Removal

        :raises NotFoundError: the experiment was not deleted since the server started, or the server does not know
            this operation
        """
        handle = checked_handle(experiment_id, "wait_for_removal()")
        seconds = checked_seconds("timeout", timeout, "wait_for_removal()")
        until = math.inf if seconds is None else time.monotonic() + seconds
        pause = 0.02
        while True:
            removal = self._transport.call(
                lambda client: storage_api.get_removal.sync_detailed(handle, client=client), storage.removal_from
            )
            remaining = until - time.monotonic()
            if removal.is_done or remaining <= 0:
                return removal
            time.sleep(min(pause, remaining))
            pause = min(2 * pause, 1.0)

    def _create(
        self,
        endpoint: Callable[..., Response[Any]],
        accepted: ParameterSet,
        parameters: Mapping[str, object],
        method: str,
    ) -> str:
        body = request_model(accepted, parameters, method)
        workspace, ignore_files = parameters.get("workspace"), parameters.get("ignore_files")
        if workspace is not None:
            if body.workspace_url:
                raise InvalidParametersError(method, ["workspace: cannot be given together with workspace_url"])
            progress = bool(parameters.get("progress"))
            body.workspace_url = self._upload(workspace, ignore_files, method, progress=progress)
        elif ignore_files:
            raise InvalidParametersError(method, ["ignore_files: needs a workspace that is uploaded"])
        key = str(uuid.uuid4())
        handle, has_tags = self._transport.call(
            lambda client: endpoint(client=client, body=body, idempotency_key=key),
            _created_in,
            action="Failed to create resource",
            malformed=ResourceCreatingError,
        )
        if body.tags and not has_tags:
            # The historical service took tags in a request of their own.
            self._tags.write(handle, body.tags, action=f"{handle} was created, but its tags were not set")
        return handle

    def _upload(self, workspace: object, ignore_files: object, method: str, *, progress: bool = False) -> str:
        source = packing.checked_source(workspace, ignore_files, method)
        # The bar needs rich, which is an extra.
        with live_display.TransferBar(source.path.name) if progress else TransferReporter() as reporter:
            package = packing.Package(source)
            return uploads.upload(self._transport, package, reporter)

    def _change(self, endpoint: Callable[..., Response[Any]], handle: str, action: str) -> None:
        key = str(uuid.uuid4())
        self._transport.call(
            lambda client: endpoint(handle, client=client, idempotency_key=key), lambda answer: None, action=action
        )

    def _page(self, cursor: pagination.ListCursor) -> Iterable[gradient.BaseExperiment]:
        return self._transport.call(
            lambda client: experiments_api.list_experiments.sync_detailed(
                client=client,
                limit=cursor.page_size,
                offset=cursor.offset,
                project_handle=cursor.project_filter,
                tag=cursor.tag_filter,
            ),
            lambda page: [experiments.experiment_from(found) for found in cursor.take(page)],
        )

    def _walk(self, cursor: pagination.ListCursor) -> Generator[gradient.BaseExperiment, None, None]:
        while not cursor.finished:
            yield from self._page(cursor)

    def _experiment(self, handle: str, query: polling.Query | None = None) -> gradient.BaseExperiment:
        return self._transport.call(
            lambda client: experiments_api.get_experiment.sync_detailed(handle, client=client),
            lambda answer: experiments.experiment_from(answer.data),
            within=query.within if query else None,
        )

    def _state(self, handle: str, query: polling.StateQuery) -> int:
        try:
            return self._transport.call(
                lambda client: state_api.get_experiment_state.sync_detailed(handle, client=client, **query.parameters),
                _state_in,
                wait=query.wait,
                within=query.within,
            )
        except ResourceFetchingError as error:
            if error.status not in (404, 405):
                raise
        # The historical service had no such path.
        return (self._experiment(handle, query)).state

    def _artifacts(self, handle: str, pattern: str | None) -> gradient.ArtifactList:
        cursor = artifacts_module.ArtifactCursor()
        found = artifacts_module.ArtifactList()
        while not cursor.finished:
            try:
                found += self._transport.call(
                    lambda client: artifacts_api.list_artifacts.sync_detailed(
                        handle, client=client, after=cursor.after, limit=cursor.limit
                    ),
                    cursor.take,
                )
            except NotFoundError as error:
                self._experiment(handle)
                # The historical service had no such path.
                words = ["This server knows no artifacts"]
                raise NotFoundError(
                    "Failed to fetch data", status=error.status, method=error.method, url=error.url, words=words
                ) from None
        return artifacts_module.matching(found, pattern)

    def _content(self, handle: str, batch: artifacts_module.Batch, offset: int) -> bytes:
        return self._transport.call(
            lambda client: artifacts_api.get_artifact_content.sync_detailed(
                handle, client=client, name=batch.names, version=batch.versions, offset=offset
            ),
            lambda answer: batch.checked_content(answer.payload.read(), offset),
        )

    def _rows(self, handle: str, query: polling.LogsQuery) -> Sequence[gradient.LogRow]:
        return self._transport.call(
            lambda client: logs_api.get_logs.sync_detailed(client=client, experiment_id=handle, **query.parameters),
            logs.rows_from,
            base_url=self._configuration.logs_url,
            wait=query.wait,
            within=query.within,
        )

    def _metrics(
        self,
        handle: str,
        parameters: Mapping[str, Any],
        read: Callable[[MetricsAnswer], Answer],
        query: polling.Query | None = None,
    ) -> Answer:
        try:
            return self._transport.call(
                lambda client: metrics_api.get_metrics.sync_detailed(handle, client=client, **parameters),
                read,
                wait=query.wait if query else 0.0,
                within=query.within if query else None,
            )
        except ResourceFetchingError as error:
            if error.status in (404, 405, 501):
                self._experiment(handle, query)  # Raises the same error if there is no such experiment.
                error.add_note("The experiment is there: this server does not know metrics.")
            raise

    def _poll(self, poller: polling.Poller[Event], reporter: ProgressReporter) -> Generator[Event, None, None]:
        """Take the steps of a poller until it is done, yield its events, and report progress."""
        with reporter:
            while step := poller.next_step(time.monotonic()):
                reporter.show(poller.state, poller.row_count, poller.began)
                if isinstance(step, polling.Pause):
                    time.sleep(step.seconds)
                    continue
                try:
                    response = self._respond(poller.handle, step)
                except GradientSdkError as error:
                    poller.on_error(error, time.monotonic())
                else:
                    if events := poller.on_response(response):
                        reporter.hide()
                        yield from events
                    del response, events  # The next page needs the memory.
            reporter.show(poller.state, poller.row_count, poller.began)

    def _respond(self, handle: str, query: polling.Query) -> object:
        if query.wait and not self._transport.may_hold:
            query = query.without_wait()
        match query:
            case polling.StateQuery():
                return self._state(handle, query)
            case polling.LogsQuery():
                return self._rows(handle, query)
            case polling.MetricsQuery():
                return self._metrics(handle, query.parameters, _points_in, query)
            case _:
                return self._experiment(handle, query)


def _reporter(experiment_id: str, *, progress: bool) -> ProgressReporter:
    # The live line needs rich, which is an extra.
    return live_display.live_line(experiment_id) if progress else ProgressReporter()


def _points_in(answer: MetricsAnswer) -> polling.MetricsPage:
    cursor: str = require("string", answer.cursor, "cursor", min_length=1)
    points = metrics.points_of(metrics.metrics_from(answer.data))
    return polling.MetricsPage(points, cursor, require("boolean", answer.complete, "complete"))


def _created_in(created: Created) -> tuple[str, bool]:
    """Return the handle of a new experiment, and whether the server has set its tags."""
    handle: str = require("string", created.handle, "handle", min_length=1)
    return handle, isinstance(created.tags, list)


def _state_in(answer: StateAnswer) -> int:
    number: int = require("integer", answer.data.state, "state")
    return number
