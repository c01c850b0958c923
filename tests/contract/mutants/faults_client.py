"""What the client sends, and what it makes of answers."""

from fault import EXT, GENERATED, Fault

FAULTS = (
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
    Fault(
        "key under another header",
        f"{EXT}/exchange.py",
        "key = {API_KEY_HEADER:",
        'key = {"Authorization":',
    ),
    Fault(
        "errors are decoded as successes",
        f"{EXT}/calls.py",
        "if not 200 <= reply.status_code < 300:",
        "if reply.status_code > 599:",
    ),
    Fault(
        "logs from the host of experiments",
        f"{EXT}/exchange.py",
        "self.configuration.logs_url if",
        "self.configuration.experiments_url if",
    ),
    Fault(
        "project filter by name",
        f"{EXT}/paging.py",
        "{str(number): project for number, project in enumerate(self.projects or ())}",
        "{project: project for project in self.projects or ()}",
    ),
    Fault("start stops", f"{EXT}/client.py", "operations.START_EXPERIMENT", "operations.STOP_EXPERIMENT"),
    Fault(
        "run only creates",
        f"{EXT}/client.py",
        "operations.RUN_EXPERIMENT, SINGLE_NODE_PARAMETERS",
        "operations.CREATE_EXPERIMENT, SINGLE_NODE_PARAMETERS",
    ),
    Fault("the marker is a row of logs()", f"{EXT}/client.py", "if not is_end(row))", "if row)"),
    Fault("default limit of logs is the server's", f"{EXT}/logs.py", "DEFAULT_LIMIT = 10_000", "DEFAULT_LIMIT = 2_000"),
    Fault("cursor: last row again", f"{EXT}/logs.py", "if row.line <= self.last:", "if row.line < self.last:"),
    Fault(
        "cursor: late rows are overtaken",
        f"{EXT}/logs.py",
        "if row.line > self.last + 1 and row.line > self.skipping:",
        "if row.line < 0:",
    ),
    Fault(
        "cursor: forgets the line asked for",
        f"{EXT}/logs.py",
        "self._jobs[job_id] = _Job(self.line)",
        "self._jobs[job_id] = _Job(0)",
    ),
    Fault(
        "cursor: a full page is the end",
        f"{EXT}/logs.py",
        "full = len(page) >= asked.limit",
        "full = len(page) > asked.limit",
    ),
    Fault(
        "cursor: the first marker ends all",
        f"{EXT}/logs.py",
        "len(self._jobs) >= self.jobs and all(job.ended for job in self._jobs.values())",
        "any(job.ended for job in self._jobs.values())",
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
    Fault("empty texts are sent", f"{EXT}/parameters.py", "len(value) < parameter.min_length:", "len(value) > 10**6:"),
    Fault("counts of 0 are sent", f"{EXT}/parameters.py", "value < parameter.minimum:", "value < 0:"),
    Fault(
        "None is sent as null",
        f"{EXT}/parameters.py",
        "{name: value for name, value in given.items() if value is not None}",
        "dict(given)",
    ),
    Fault(
        "any environment is sent", f"{EXT}/parameters.py", "return _problem_of_members(parameter, value)", "return None"
    ),
    Fault(
        "true is a number",
        f"{EXT}/parameters.py",
        'if isinstance(value, bool) and json_type != "boolean":',
        'if isinstance(value, bool) and json_type == "string":',
    ),
    Fault(
        "ports stay a number",
        f"{EXT}/parameters.py",
        'if parameter.json_type == "string" and not isinstance(value, str):',
        'if parameter.json_type == "string" and value is None:',
    ),
    Fault(
        "the environment of the caller is shared",
        f"{EXT}/parameters.py",
        "return dict(value) if is_mapping(value) else value",
        "return value",
    ),
    Fault("ids may lead elsewhere", f"{EXT}/arguments.py", "not _HANDLE.fullmatch(", "not _HANDLE.match("),
    Fault(
        "a project is taken letter by letter",
        f"{EXT}/arguments.py",
        "    given = [project_id] if isinstance(project_id, str)",
        "    given = list(project_id) if isinstance(project_id, str)",
    ),
    Fault(
        "the environment wins over an argument",
        f"{EXT}/config.py",
        "api_key or environment.get(KEY_VARIABLE) or",
        "environment.get(KEY_VARIABLE) or api_key or",
    ),
    Fault(
        "no filter where no project is left",
        f"{EXT}/paging.py",
        "self.finished = self.projects == ()",
        "self.finished = False",
    ),
    Fault("list: every page is the first", f"{EXT}/paging.py", "offset=self.offset,", "offset=0,"),
    Fault(
        "logs: limit is not sent",
        f"{EXT}/asking.py",
        '{"line": self.question.line, "limit": self.question.limit}',
        '{"line": self.question.line}',
    ),
    Fault(
        "servers without the light state", f"{EXT}/session.py", "error.status not in (404, 405)", "error.status != 405"
    ),
    Fault("the status of an error is lost", f"{EXT}/calls.py", "status=reply.status_code,", "status=500,"),
    Fault("the words of the server are lost", f"{EXT}/calls.py", "words=words,", "words=(),"),
    Fault(
        "redirects are taken for answers",
        f"{EXT}/calls.py",
        "if not 200 <= reply.status_code < 300:",
        "if reply.status_code >= 400:",
    ),
    Fault("no timeout", f"{EXT}/exchange.py", "httpx.Timeout(read, connect=", "httpx.Timeout(None, connect="),
    Fault(
        "a timeout is a lost connection",
        f"{EXT}/exchange.py",
        "return RequestTimeoutError(",
        "return RequestFailedError(",
    ),
    Fault("details of an error are left out", f"{EXT}/answers.py", 'elif name == "details":', 'elif name == "detail":'),
    Fault(
        "cursor: the marker is a row", f"{EXT}/logs.py", "return [row for row in new if not is_end(row)]", "return new"
    ),
    Fault(
        "cursor: asks from the beginning",
        f"{EXT}/logs.py",
        "self._unheard = _Job(self.line)",
        "self._unheard = _Job(0)",
    ),
    Fault(
        "cursor: goes on where the first job is",
        f"{EXT}/logs.py",
        'min(unchecked, key=attrgetter("place")',
        'max(unchecked, key=attrgetter("place")',
    ),
    Fault("cursor: does not get past many jobs", f"{EXT}/logs.py", "asked.limit * 2", "asked.limit"),
    Fault(
        "cursor: a gap that stays is waited for",
        f"{EXT}/logs.py",
        "if self.sightings >= _SIGHTINGS:",
        "if self.sightings < 0:",
    ),
    Fault("rows lose their job", f"{EXT}/logs.py", 'job_id=typed("string", row.job_id) or None,', "job_id=None,"),
    Fault("line starts at 1 in the client", f"{EXT}/logs.py", "FIRST_LINE = 0", "FIRST_LINE = 1"),
    Fault(
        "list: one more than the limit",
        f"{EXT}/paging.py",
        "self._count + len(new) < self.limit",
        "self._count + len(new) <= self.limit",
    ),
    Fault("list: stops a page early", f"{EXT}/paging.py", "self.offset >= total)", "self.offset + asked >= total)"),
    Fault("list: experiments come again", f"{EXT}/paging.py", "if not is_known and (", "if ("),
    Fault(
        "passwords in addresses are printed",
        f"{EXT}/experiments.py",
        "return repr(masked(value))",
        "return repr(value)",
    ),
    Fault(
        "stored null breaks the experiment",
        f"{EXT}/experiments.py",
        'typed("object", outer.get("templateHistory")) or {}',
        'outer.get("templateHistory", {})',
    ),
    Fault(
        "only the first stored name is read",
        f"{EXT}/experiments.py",
        "for name in field.stored_names:",
        "for name in field.stored_names[:1]:",
    ),
    Fault(
        "unknown kinds are single nodes",
        f"{EXT}/experiments.py",
        'typed("integer", answer.experiment_type_id), BaseExperiment)',
        'typed("integer", answer.experiment_type_id), SingleNodeExperiment)',
    ),
    Fault(
        "only workers have logs",
        f"{EXT}/experiments.py",
        'if field.name.endswith("_count")]',
        'if field.name == "worker_count"]',
    ),
    Fault(
        "numbers as text are dropped",
        f"{EXT}/values.py",
        'case "integer", str() if re.fullmatch(',
        'case "integer", bytes() if re.fullmatch(',
    ),
    Fault(
        "machine type under its Python name",
        f"{GENERATED}/parameters.py",
        'wire_name="machineType"',
        'wire_name="machine_type"',
    ),
    Fault(
        "stop is sent as POST", f"{GENERATED}/api/experiments/stop_experiment.py", '"method": "put"', '"method": "post"'
    ),
    Fault(
        "logs: line is sent as from",
        f"{GENERATED}/api/logs/get_logs.py",
        'params["line"] = line',
        'params["from"] = line',
    ),
    Fault(
        "another word for unknown states",
        f"{GENERATED}/constants.py",
        '_STATE_TEXTS.get(state_int, "undefined")',
        '_STATE_TEXTS.get(state_int, "unknown")',
    ),
)
