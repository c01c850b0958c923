# Derived from async_client.py by `make generate`. Do not edit.
"""The client: create, change and delete experiments; what only reads them is in `reader`.

The synchronous module is derived from this one by `make generate`; a `sync` comment replaces its line there.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from gradient_api.parameters import (
    MULTI_NODE_PARAMETERS,
    SINGLE_NODE_PARAMETERS,
    MultiNodeParameters,
    ParameterSet,
    SingleNodeParameters,
)

from gradient_ext import LazyModule, config, public
from gradient_ext._json import require
from gradient_ext.display import TransferReporter
from gradient_ext.errors import (
    InvalidParametersError,
    ResourceCreatingError,
)
from gradient_ext.parameters import (
    checked_handle,
    checked_note,
    checked_seconds,
    checked_tags,
    parameters_of,
    request_model,
    takes,
)
from gradient_ext.reader import ExperimentsReader
from gradient_ext.tags import Tags

if TYPE_CHECKING:
    import httpx
    from gradient_api import models
    from gradient_api.api import experiments as experiments_api
    from gradient_api.api import storage as storage_api
    from gradient_api.api import tags as tags_api
    from gradient_api.models import Created
    from gradient_api.types import Response

    import gradient
    from gradient_ext import experiments, packing, storage, uploads
    from gradient_ext.display import progress as live_display
else:
    # Annotations name what is imported later, so that it can be found when they are evaluated.
    gradient, httpx = map(LazyModule, ("gradient", "httpx"))
    experiments_api, storage_api, tags_api, models, uploads, experiments, packing, storage, live_display = map(
        LazyModule,
        (
            "gradient_api.api.experiments",
            "gradient_api.api.storage",
            "gradient_api.api.tags",
            "gradient_api.models",
            "gradient_ext.uploads",
            "gradient_ext.experiments",
            "gradient_ext.packing",
            "gradient_ext.storage",
            "gradient_ext.display.progress",
        ),
    )


@public
class ExperimentsClient(ExperimentsReader):
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

    def list_tags(self, entity_ids: Sequence[str]) -> list[dict[str, list[str]]]:
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


def _created_in(created: Created) -> tuple[str, bool]:
    """Return the handle of a new experiment, and whether the server has set its tags."""
    handle: str = require("string", created.handle, "handle", min_length=1)
    return handle, isinstance(created.tags, list)
