"""How a call of the client gets through a bad network, and what it becomes if it does not."""

from fault import EXT, Fault

FAULTS = (
    Fault(
        "a key for each attempt",
        f"{EXT}/exchange.py",
        '**sent.get("headers", {})}',
        '**{name: f"{id(self)} {time.monotonic()}" for name in sent.get("headers", {})}}',
    ),
    Fault("one key for all calls", f"{EXT}/calls.py", "str(uuid.uuid4())", "str(uuid.UUID(int=4))"),
    Fault(
        "deletes have no key",
        f"{EXT}/calls.py",
        "if operation.takes_idempotency_key:",
        'if operation.takes_idempotency_key and operation.id != "deleteExperiment":',
    ),
    Fault(
        "starts have no key",
        f"{EXT}/calls.py",
        "if operation.takes_idempotency_key:",
        'if operation.takes_idempotency_key and operation.id != "startExperiment":',
    ),
    Fault("conflicts are tried again", f"{EXT}/status_errors.py", "frozenset({408, 429,", "frozenset({408, 409, 429,"),
    Fault("501 is tried again", f"{EXT}/status_errors.py", "429, 500, 502,", "429, 500, 501, 502,"),
    Fault("503 is not tried again", f"{EXT}/status_errors.py", "502, 503, 504}", "502, 504}"),
    Fault(
        "lost connections are not tried again",
        f"{EXT}/network_errors.py",
        "*, retryable: bool = True)",
        "*, retryable: bool = False)",
    ),
    Fault(
        "broken bodies are not tried again",
        f"{EXT}/calls.py",
        'retryable, problem = True, f"its body',
        'retryable, problem = False, f"its body',
    ),
    Fault(
        "wrong certificates are tried again",
        f"{EXT}/exchange.py",
        "retryable=not hopeless and not _is_about_a_certificate(error)",
        "retryable=not hopeless",
    ),
    Fault("Retry-After is not obeyed", f"{EXT}/retrying.py", "pause = max(pause, asked)", "pause = max(pause, 0.0)"),
    Fault("any Retry-After is obeyed", f"{EXT}/retrying.py", "if asked > self.longest_retry_after:", "if asked < 0:"),
    Fault("Retry-After is no date", f"{EXT}/retrying.py", "date = read_date(value)", "date = None"),
    Fault(
        "pauses go beyond the deadline",
        f"{EXT}/retrying.py",
        "elapsed + pause >= self.deadline",
        "elapsed >= self.deadline",
    ),
    Fault(
        "no deadline",
        f"{EXT}/attempts.py",
        "return None if deadline is None else self._began + deadline - time.monotonic()",
        "return None",
    ),
    Fault(
        "a body may drip beyond the deadline",
        f"{EXT}/exchange.py",
        "time.monotonic() - self._began > self.remaining:",
        "time.monotonic() - self._began > self.remaining + 60:",
    ),
    Fault("back-off without a cap", f"{EXT}/retrying.py", "ceiling = min(self.longest_pause, ", "ceiling = min(1e9, "),
    Fault("back-off that does not grow", f"{EXT}/retrying.py", "2.0 ** min(attempt - 1, 60)", "2.0 ** 0"),
    Fault("back-off without chance", f"{EXT}/retrying.py", "pause = ceiling * chance()", "pause = ceiling"),
    Fault(
        "one attempt too many", f"{EXT}/retrying.py", "if attempt >= self.attempts or", "if attempt > self.attempts or"
    ),
    Fault(
        "401 is a missing permission",
        f"{EXT}/status_errors.py",
        "401: AuthenticationError",
        "401: PermissionDeniedError",
    ),
    Fault("409 is a bad request", f"{EXT}/status_errors.py", "409: ConflictError", "409: BadRequestError"),
    Fault("429 has no class of its own", f"{EXT}/status_errors.py", "    429: RateLimitError,\n", ""),
    Fault("500 is no error of the server", f"{EXT}/status_errors.py", "if status >= 500 else", "if status > 500 else"),
    Fault(
        "the id of a request is lost",
        f"{EXT}/calls.py",
        'request_id=reply.headers.get("X-Request-Id"),',
        "request_id=None,",
    ),
    Fault(
        "errors lose what they carry when they are pickled",
        f"{EXT}/status_errors.py",
        "self.method, self.url), self.__dict__",
        "self.method, self.url), {}",
    ),
    Fault(
        "redirects are followed with the key",
        f"{EXT}/exchange.py",
        "FOLLOWS_REDIRECTS = False",
        "FOLLOWS_REDIRECTS = True",
    ),
    Fault(
        "a forked process shares connections",
        f"{EXT}/connections.py",
        "        if is_elsewhere(self._home, here):",
        "        if is_elsewhere(here, here):",
    ),
    Fault(
        "a client of the user's own is closed",
        f"{EXT}/connections.py",
        "            return self._given\n",
        "            self._lines.add(self._given)\n            return self._given\n",
    ),
    Fault(
        "the key goes in the clear without a word",
        f"{EXT}/config.py",
        'if part.scheme == "http"]',
        'if part.scheme == "ftp"]',
    ),
    Fault(
        "a held request times out",
        f"{EXT}/exchange.py",
        " + wait",
        "",
    ),
    Fault("a retry is not logged", f"{EXT}/attempts.py", 'logger.info("%s; attempt', 'logger.debug("%s; attempt'),
)
