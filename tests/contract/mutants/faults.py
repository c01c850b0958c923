"""The faults: small mistakes that somebody could make, each in one place of a copy of the project."""

from __future__ import annotations

from attrs import frozen


@frozen
class Fault:
    """One mistake.

    :param str name: what it is, in a few words
    :param str path: the file that it is in
    :param str old: what stands there; it must stand there exactly once
    :param str new: what somebody wrote instead
    """

    name: str
    path: str
    old: str
    new: str

    @property
    def side(self) -> str:
        """The part of the project that is wrong."""
        return {"openapi": "contract", "gradient_server": "server"}.get(self.path.split("/")[0], "client")


SPEC, EXT, SERVER = "openapi/experiments.yaml", "gradient_ext", "gradient_server"
GENERATED = "generated/gradient_api"

FAULTS = (
    # The server: what it answers, with which status, and to whom.
    Fault(
        "handle under another name",
        f"{SERVER}/descriptions.py",
        '"handle": experiment.handle',
        '"handl": experiment.handle',
    ),
    Fault("state as text", f"{SERVER}/descriptions.py", '"state": life.state(now),', '"state": str(life.state(now)),'),
    Fault(
        "no type in the answer",
        f"{SERVER}/descriptions.py",
        '        "experimentTypeId": body["experimentTypeId"],\n',
        "",
    ),
    Fault(
        "stored names in camel case",
        f"{SERVER}/descriptions.py",
        "{_snake_case(name): value for",
        "{name.upper(): value for",
    ),
    Fault(
        "line of a log is inclusive",
        f"{SERVER}/descriptions.py",
        "row = log.row(job, line + 1 + further)",
        "row = log.row(job, max(1, line + further))",
    ),
    Fault(
        "limit of a log is ignored",
        f"{SERVER}/descriptions.py",
        "min(total, limit, MOST_ROWS_AT_ONCE)",
        "min(total, MOST_ROWS_AT_ONCE)",
    ),
    Fault("all rows come from one job", f"{SERVER}/descriptions.py", "job = jobs[place]", "job = jobs[0]"),
    Fault(
        "no end marker",
        f"{SERVER}/simulation.py",
        "return self._printed + 1 if now >= self._ended",
        "return self._printed if now >= self._ended",
    ),
    Fault(
        "unknown experiments are 400",
        f"{SERVER}/answers.py",
        'NOT_FOUND = Answer(404, {"details": "Experiment',
        'NOT_FOUND = Answer(400, {"details": "Experiment',
    ),
    Fault("conflicts are 400", f"{SERVER}/answers.py", "Answer(409,", "Answer(400,"),
    Fault(
        "invalid bodies are 422",
        f"{SERVER}/answers.py",
        'return Answer(400, {"details": problems',
        'return Answer(422, {"details": problems',
    ),
    Fault("error bodies without details", f"{SERVER}/answers.py", '{"details": problems, "error"', '{"error"'),
    Fault(
        "wrong keys are 401 everywhere", f"{SERVER}/answers.py", "FORBIDDEN = Answer(403,", "FORBIDDEN = Answer(401,"
    ),
    Fault(
        "keys are compared by their beginning",
        f"{SERVER}/app.py",
        "secrets.compare_digest(given.encode(), api_key.encode())",
        "given.startswith(api_key)",
    ),
    Fault(
        "any media type is taken",
        f"{SERVER}/app.py",
        'if media_type != "application/json":',
        'if media_type == "text/plain":',
    ),
    Fault(
        "only the first version is served",
        f"{SERVER}/app.py",
        "for prefix in operation.prefixes:",
        "for prefix in operation.prefixes[:1]:",
    ),
    Fault(
        "created with 201",
        f"{SERVER}/operations.py",
        'return Answer(200, {"handle": experiment.handle',
        'return Answer(201, {"handle": experiment.handle',
    ),
    Fault(
        "deleted with a body",
        f"{SERVER}/operations.py",
        "return Answer(204)\n\n    def get_experiment_state",
        "return _DONE\n\n    def get_experiment_state",
    ),
    Fault("deleted experiments stay", f"{SERVER}/operations.py", '        self._store.delete(given["handle"])\n', ""),
    Fault(
        "no rows are an empty array",
        f"{SERVER}/operations.py",
        "return Answer(200, rows) if rows else Answer(204)",
        "return Answer(200, {})",
    ),
    Fault(
        "run does not start",
        f"{SERVER}/operations.py",
        "return self._create(body, start=True)",
        "return self._create(body, start=False)",
    ),
    Fault(
        "a started experiment starts again",
        f"{SERVER}/operations.py",
        "if state != State.CREATED:",
        "if state in TERMINAL_STATES:",
    ),
    Fault(
        "offset of a list is ignored",
        f"{SERVER}/operations.py",
        "experiments[offset : offset + limit]",
        "experiments[:limit]",
    ),
    Fault("the filter is ignored", f"{SERVER}/operations.py", 'chosen = given.get("projectHandle")', "chosen = None"),
    Fault(
        "oldest first",
        f"{SERVER}/store.py",
        "list(reversed(self._experiments.values()))",
        "list(self._experiments.values())",
    ),
    Fault(
        "base64 is not decoded",
        f"{SERVER}/validation.py",
        "        return _text_of(value)\n    # To JSON",
        "        return value\n    # To JSON",
    ),
    Fault(
        "network is set up before machines",
        f"{SERVER}/lifecycle.py",
        "    State.PROVISIONED: 0.07,\n    State.NETWORK_SETTING_UP: 0.08,\n",
        "    State.NETWORK_SETTING_UP: 0.07,\n    State.PROVISIONED: 0.08,\n",
    ),
    # The client: what it sends, and what it makes of answers.
    Fault(
        "commands as plain text",
        f"{EXT}/parameters.py",
        'return base64.b64encode(value.encode("utf-8")).decode("ascii")',
        "return value",
    ),
    Fault(
        "unknown keywords are dropped", f"{EXT}/parameters.py", "    _refuse_unknown(accepted, given, subject)\n", ""
    ),
    Fault(
        "missing values are sent as missing",
        f"{EXT}/parameters.py",
        "            if parameter.required:\n",
        "            if parameter.choices:\n",
    ),
    Fault(
        "model_path alone is sent",
        f"{EXT}/parameters.py",
        "if name in values and other not in values:",
        "if other in values and name not in values:",
    ),
    Fault("no upper limit of counts", f"{EXT}/parameters.py", "value > parameter.maximum:", "value < 0:"),
    Fault(
        "words for types are case sensitive",
        f"{EXT}/parameters.py",
        "if isinstance(value, str) and value.upper() in parameter.aliases:\n        return None",
        "if isinstance(value, str) and value in parameter.aliases:\n        return None",
    ),
    Fault("key under another header", f"{EXT}/transport.py", "headers={API_KEY_HEADER:", 'headers={"Authorization":'),
    Fault(
        "errors are decoded as successes",
        f"{EXT}/transport.py",
        "if not response.is_success:",
        "if response.status_code > 599:",
    ),
    Fault(
        "logs from the host of experiments",
        f"{EXT}/transport.py",
        "configuration.logs_url, timeout)",
        "configuration.experiments_url, timeout)",
    ),
    Fault(
        "project filter by name",
        f"{EXT}/client.py",
        "{str(n): project for n, project in enumerate(projects)}",
        "{project: project for project in projects}",
    ),
    Fault(
        "start stops",
        f"{EXT}/client.py",
        'self._act("start", start_experiment.sync_detailed',
        'self._act("start", stop_experiment.sync_detailed',
    ),
    Fault(
        "run only creates",
        f"{EXT}/client.py",
        "return self._create(run_experiment.sync_detailed, SINGLE_NODE_PARAMETERS",
        "return self._create(create_experiment.sync_detailed, SINGLE_NODE_PARAMETERS",
    ),
    Fault("the marker is a row of logs()", f"{EXT}/client.py", "if not is_end(row)]", "if row]"),
    Fault("default limit of logs is the server's", f"{EXT}/logs.py", "DEFAULT_LIMIT = 10_000", "DEFAULT_LIMIT = 2_000"),
    Fault("cursor: last row again", f"{EXT}/logs.py", "if row.line <= last:", "if row.line < last:"),
    Fault(
        "cursor: late rows are overtaken",
        f"{EXT}/logs.py",
        "if last < self._question.line and row.line > self._left_before.get(row.job_id, 0):",
        "if row.line < 0:",
    ),
    Fault(
        "cursor: forgets the line asked for",
        f"{EXT}/logs.py",
        "last = self._last_lines.get(row.job_id, self.line)",
        "last = self._last_lines.get(row.job_id, 0)",
    ),
    Fault(
        "cursor: a full page is the end",
        f"{EXT}/logs.py",
        "sweep_is_over = len(page) < self._question.limit",
        "sweep_is_over = len(page) <= self._question.limit",
    ),
    Fault(
        "cursor: the first marker ends all", f"{EXT}/logs.py", "len(self._ended) >= self.jobs", "len(self._ended) >= 1"
    ),
    Fault("list: stops after a page", f"{EXT}/paging.py", "self.finished = not new or", "self.finished = bool(new) or"),
    Fault("list: pages overlap and skip", f"{EXT}/paging.py", "self.offset += asked", "self.offset += asked + 1"),
    Fault(
        "secrets are printed",
        f"{EXT}/experiments.py",
        "if value is not None and field.secret:",
        "if value is None and field.secret:",
    ),
    Fault(
        "the type comes from elsewhere",
        f"{EXT}/experiments.py",
        "for field in kind._fields})",
        "for field in kind._fields[:-1]})",
    ),
    Fault(
        "no slash at the end",
        f"{GENERATED}/api/experiments/start_experiment.py",
        '"/experiments/{handle}/start/"',
        '"/experiments/{handle}/start"',
    ),
    Fault(
        "terminal states are not told",
        f"{EXT}/waiting.py",
        "return state in TERMINAL_STATES",
        "return state not in TERMINAL_STATES",
    ),
    # The contract: everything that is derived changes with it; only what is known elsewhere can notice.
    Fault(
        "projectHandle is called projectId",
        SPEC,
        "        projectHandle:\n          description: Project ID\n",
        "        projectRef:\n          description: Project ID\n",
    ),
    Fault(
        "container is not required",
        SPEC,
        "required: [name, projectHandle, machineType, command, container, experimentTypeId]",
        "required: [name, projectHandle, machineType, command, experimentTypeId]",
    ),
    Fault(
        "ports are numbers",
        SPEC,
        '          type: string\n          example: "5000,8080:9000"\n          x-also-given-as: integer\n',
        "          type: integer\n          example: 5000\n",
    ),
    Fault(
        "created and pending change places",
        SPEC,
        "        - PENDING\n        - PROVISIONING\n",
        "        - PROVISIONING\n        - PENDING\n",
    ),
    Fault("canceled has two l", SPEC, "        - canceled\n", "        - cancelled\n"),
    Fault("failed is no end", SPEC, "x-terminal: [5, 6, 7, 8]", "x-terminal: [5, 6, 8]"),
    Fault("another end marker", SPEC, "x-end: PSEOF", "x-end: EOF"),
    Fault(
        "line starts at 1",
        SPEC,
        "schema: { type: integer, minimum: 0, default: 0 }",
        "schema: { type: integer, minimum: 0, default: 1 }",
    ),
    Fault("the server's log page is shorter", SPEC, "default: 2000", "default: 200"),
    Fault("the key has another header", SPEC, "      name: X-API-Key\n", "      name: X-Key\n"),
    Fault(
        "stop is a POST",
        SPEC,
        "    put:\n      operationId: stopExperiment",
        "    post:\n      operationId: stopExperiment",
    ),
    Fault("run has another path", SPEC, "  /experiments/run/:\n", "  /experiments/create_and_start/:\n"),
    Fault("logs have a slash at the end", SPEC, "  /jobs/logs:\n", "  /jobs/logs/:\n"),
    Fault(
        "the filter has another name",
        SPEC,
        "      name: projectHandle\n      in: query\n",
        "      name: project\n      in: query\n",
    ),
    Fault(
        "worker commands are plain text",
        SPEC,
        "          description: Worker command\n          type: string\n          contentEncoding: base64\n          format: *text\n          pattern: *base64\n",
        "          description: Worker command\n          type: string\n",
    ),
    Fault("MPI is GRPC", SPEC, "x-enum-aliases: [GRPC, MPI]", "x-enum-aliases: [MPI, GRPC]"),
    Fault(
        "single node is type 2",
        SPEC,
        "              const: 1\n          required: [name",
        "              const: 2\n          required: [name",
    ),
    Fault(
        "registry password is no secret",
        SPEC,
        "        registryPassword:\n          description: Registry password for accessing private docker registry container if nessesary\n          type: string\n          x-secret: true\n",
        "        registryPassword:\n          description: Registry password for accessing private docker registry container if nessesary\n          type: string\n",
    ),
    Fault("no worker_ names of old single nodes", SPEC, "      x-stored-prefix: worker_\n", ""),
    Fault("containerUrl of old jobs is not read", SPEC, "          x-stored-as: [containerUrl]\n", ""),
    Fault(
        "unknown states are an error",
        SPEC,
        '            - $ref: "#/components/schemas/ExperimentState"\n            - type: integer\n          x-python-name: state',
        '            - $ref: "#/components/schemas/ExperimentState"\n          x-python-name: state',
    ),
    Fault(
        "model type is not needed for a path", SPEC, "      dependentRequired:\n        modelPath: [modelType]\n", ""
    ),
)
