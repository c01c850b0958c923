"""How the client follows logs, and waits."""

from fault import EXT, Fault

FAULTS = (
    Fault(
        "follow: the state does not end it",
        f"{EXT}/following.py",
        "return is_finished or self._sure_sweeps >= _SURE_SWEEPS or self._odd_sweeps >= _ODD_SWEEPS",
        "return is_finished",
    ),
    Fault(
        "follow: markers do not end it",
        f"{EXT}/following.py",
        "return is_finished or self._sure_sweeps",
        "return self._sure_sweeps",
    ),
    Fault("follow: silence ends it", f"{EXT}/following.py", "elif self._has_ended:", "elif True:"),
    Fault("follow: one look after the end is enough", f"{EXT}/following.py", "_SURE_SWEEPS = 3", "_SURE_SWEEPS = 1"),
    Fault(
        "follow: rows do not refill the patience",
        f"{EXT}/following.py",
        "            self._failing_since.clear()\n",
        "",
    ),
    Fault(
        "follow: failures never end it",
        f"{EXT}/tasks.py",
        "max(now, self._pause_ends) - since >= self.patience",
        "since > now",
    ),
    Fault(
        "follow: what does not pass is ridden out",
        f"{EXT}/tasks.py",
        "        if not error.retryable:\n",
        "        if error.retryable is None:\n",
    ),
    Fault(
        "follow: an error resumes at the start",
        f"{EXT}/following.py",
        "return self._cursor.line_to_resume if self._cursor else self.start.line",
        "return self.start.line",
    ),
    Fault(
        "follow: an error resumes where the first job is",
        f"{EXT}/logs.py",
        "return min((job.last for job in self._open_jobs())",
        "return max((job.last for job in self._open_jobs())",
    ),
    Fault(
        "follow: the timeout is forgotten",
        f"{EXT}/methods.py",
        '        timeout=checked_seconds("timeout", timeout, "yield_logs()"),\n',
        "",
    ),
    Fault(
        "follow: requests are not held",
        f"{EXT}/following.py",
        "if cursor.is_at_front and not self._has_ended:",
        "if cursor.is_at_front and self._has_ended:",
    ),
    Fault(
        "follow: requests go on being held while that fails",
        f"{EXT}/tasks.py",
        "return 0.0 if self._failing_since or self._held_and_lost > 1 else seconds",
        "return seconds",
    ),
    Fault(
        "follow: new rows do not shorten the pauses",
        f"{EXT}/following.py",
        "            self._failing_since.clear()\n            self._pacing.reset()\n",
        "            self._failing_since.clear()\n",
    ),
    Fault("follow: a server that asks to wait is not heard", f"{EXT}/tasks.py", "now + (asked_to_wait or 0.0)", "now"),
    Fault("pauses between looks do not grow", f"{EXT}/pacing.py", "min(pause * _GROWTH, LONGEST_PAUSE)", "pause"),
    Fault(
        "pauses between looks have no cap", f"{EXT}/pacing.py", "min(pause * _GROWTH, LONGEST_PAUSE)", "pause * _GROWTH"
    ),
    Fault(
        "no pauses between looks",
        f"{EXT}/tasks.py",
        "self._pause_ends = self._asked_at + self._pacing.next_pause()",
        "self._pause_ends = self._asked_at",
    ),
    Fault(
        "cursor: a row is lost at the border of pages",
        f"{EXT}/logs.py",
        "return LogQuestion(job.place, ",
        "return LogQuestion(job.place + bool(job.place), ",
    ),
    Fault(
        "cursor: the end of a full page is taken for whole",
        f"{EXT}/logs.py",
        "(0 if self.jobs == 1 and len(self._jobs) <= 1 else 1)",
        "0",
    ),
    Fault(
        "wait: canceled is a failure",
        f"{EXT}/waiting.py",
        "frozenset((ExperimentState.ERROR, ExperimentState.FAILED))",
        "frozenset((ExperimentState.ERROR, ExperimentState.FAILED, ExperimentState.CANCELLED))",
    ),
    Fault(
        "wait: error is no failure",
        f"{EXT}/waiting.py",
        "frozenset((ExperimentState.ERROR, ExperimentState.FAILED))",
        "frozenset((ExperimentState.FAILED,))",
    ),
    Fault(
        "wait: on_state is called again and again",
        f"{EXT}/waiting.py",
        "return [state] if changed else []",
        "return [state]",
    ),
    Fault(
        "wait: the timeout is forgotten",
        f"{EXT}/methods.py",
        '        timeout=checked_seconds("timeout", timeout, "wait()"),\n',
        "",
    ),
    Fault(
        "wait: another end is what was waited for",
        f"{EXT}/waiting.py",
        "if self.until is not None and state not in self.until:",
        "if state is None:",
    ),
    Fault(
        "wait: a failure that was waited for is an error",
        f"{EXT}/waiting.py",
        "return self.raise_on_failure and self.state in _FAILURES and self.state not in (self.until or ())",
        "return self.raise_on_failure and self.state in _FAILURES",
    ),
    Fault(
        "wait: a failure is always an error",
        f"{EXT}/waiting.py",
        "return self.raise_on_failure and self.state in",
        "return self.state in",
    ),
    Fault(
        "wait: the marker is among the last rows",
        f"{EXT}/log_tail.py",
        "without_ends(self._rows)[-self.count :]",
        "self._rows[-self.count :]",
    ),
    Fault("wait: the first rows instead of the last", f"{EXT}/log_tail.py", "[-self.count :]", "[: self.count]"),
    Fault("wait: time runs out while the end is told", f"{EXT}/waiting.py", "self.timeout = None\n", "pass\n"),
    Fault(
        "wait: holds out long after the time", f"{EXT}/waiting.py", "self._is_brief = True", "self._is_brief = False"
    ),
    Fault(
        "wait: the last rows may take any time",
        f"{EXT}/waiting.py",
        "if self._asked_at - self._tail_began >= _LAST_WORDS:",
        "if self._asked_at - self._tail_began >= 1e9:",
    ),
    Fault(
        "log tail: a page that was cut is whole",
        f"{EXT}/log_tail.py",
        "self.finished = not self._rows",
        "self.finished = True",
    ),
    Fault(
        "follow: no word of where to go on",
        f"{EXT}/following.py",
        "if self.row_count and not error.retryable:",
        "if False:",
    ),
    Fault(
        "wait: the state that is known is not told",
        f"{EXT}/asking.py",
        'known: dict[str, Any] = {} if self.known is None else {"known": self.known}',
        "known: dict[str, int] = {}",
    ),
)
