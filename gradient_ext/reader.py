# Derived from async_reader.py by `make generate`. Do not edit.
"""Read experiments: each public method is a call of the generated client, a walk through pages, or a poll.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gradient_ext import LazyModule, config
from gradient_ext._json import require
from gradient_ext.base_client import BaseClient
from gradient_ext.display import ProgressReporter, TransferReporter
from gradient_ext.errors import (
    GradientSdkError,
    NotFoundError,
    ResourceFetchingError,
)
from gradient_ext.parameters import (
    check_whole,
    checked_handle,
    checked_path,
    checked_pattern,
    checked_projects,
    checked_seconds,
    checked_states,
    checked_tags,
)

if TYPE_CHECKING:
    from gradient_api.api import artifacts as artifacts_api
    from gradient_api.api import experiments as experiments_api
    from gradient_api.api import logs as logs_api
    from gradient_api.api import metrics as metrics_api
    from gradient_api.api import state as state_api
    from gradient_api.models import MetricsAnswer, StateAnswer

    import gradient
    from gradient_ext import artifacts as artifacts_module
    from gradient_ext import download_folder, downloads, experiments, logs, metrics, pagination, polling
    from gradient_ext.display import progress as live_display
else:
    # Annotations name what is imported later, so that it can be found when they are evaluated.
    gradient, live_display = map(LazyModule, ("gradient", "gradient_ext.display.progress"))
    artifacts_api, experiments_api, logs_api, metrics_api, state_api = map(
        LazyModule,
        (
            "gradient_api.api.artifacts",
            "gradient_api.api.experiments",
            "gradient_api.api.logs",
            "gradient_api.api.metrics",
            "gradient_api.api.state",
        ),
    )
    artifacts_module, downloads, download_folder, experiments, logs, metrics, pagination, polling = map(
        LazyModule,
        (
            "gradient_ext.artifacts",
            "gradient_ext.downloads",
            "gradient_ext.download_folder",
            "gradient_ext.experiments",
            "gradient_ext.logs",
            "gradient_ext.metrics",
            "gradient_ext.pagination",
            "gradient_ext.polling",
        ),
    )

Answer = TypeVar("Answer")
Event = TypeVar("Event")


class ExperimentsReader(BaseClient):
    """The methods of a client that change nothing: get and list experiments, wait, and read what comes out of them."""

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
                raise self._not_known(error, "artifacts", handle) from None
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
        except NotFoundError as error:
            raise self._not_known(error, "metrics", handle, query) from None

    def _not_known(
        self, error: NotFoundError, noun: str, handle: str, query: polling.Query | None = None
    ) -> NotFoundError:
        """Return the error for a path that the historical service did not have, if the experiment is there."""
        self._experiment(handle, query)
        error.words = (f"This server knows no {noun}", *error.words)
        return error

    def _poll(self, poller: polling.Poller[Event], reporter: ProgressReporter) -> Generator[Event, None, None]:
        """Take the steps of a poller until it is done, yield its events, and report progress."""
        with reporter:
            while step := poller.next_step(time.monotonic()):
                reporter.show(poller.state, poller.row_count, poller.began, poller.remark)
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
            reporter.show(poller.state, poller.row_count, poller.began, poller.remark)

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


def _state_in(answer: StateAnswer) -> int:
    number: int = require("integer", answer.data.state, "state")
    return number
