"""What the server does once, keeps, holds and lets go wrong."""

from fault import SERVER, Fault

FAULTS = (
    Fault(
        "keys are forgotten at once",
        f"{SERVER}/once.py",
        "known_answer(self._store.first_answer(name), request, self._real_time())",
        "None",
    ),
    Fault(
        "a key of another request is answered",
        f"{SERVER}/idempotency.py",
        "if first.request == request else",
        "if first.request else",
    ),
    Fault(
        "other requests are told by their operation only",
        f"{SERVER}/idempotency.py",
        "for name, value in given.items() if name != HEADER}, body]",
        "for name, value in given.items() if name != HEADER}]",
    ),
    Fault(
        "every answer is kept",
        f"{SERVER}/idempotency.py",
        "return 200 <= answer.status < 300 or answer.status in _DECIDED",
        "return True",
    ),
    Fault(
        "conflicts are not kept",
        f"{SERVER}/idempotency.py",
        '{NOT_FOUND.status, conflict("").status}',
        "{NOT_FOUND.status}",
    ),
    Fault(
        "keys are kept for an hour",
        f"{SERVER}/idempotency.py",
        "KEPT_SECONDS = 24 * 60 * 60.0",
        "KEPT_SECONDS = 60 * 60.0",
    ),
    Fault(
        "all API keys share their keys",
        f"{SERVER}/idempotency.py",
        "return _digest([api_key, key])",
        "return _digest([key])",
    ),
    Fault("two at the same time are both done", f"{SERVER}/once.py", "async with turn:", "async with asyncio.Lock():"),
    Fault("a change and its answer are two things", f"{SERVER}/once.py", "with self._store.transaction():", "if name:"),
    Fault(
        "a transaction that fails counts",
        f"{SERVER}/store.py",
        "        finally:\n            _gathered.reset(outer)\n        with self._lock:\n",
        "        finally:\n            _gathered.reset(outer)\n            self._commit(changes)\n        with self._lock:\n",
    ),
    Fault(
        "a restart forgets keys",
        f"{SERVER}/store_layout.py",
        "first_answers=dict(_first_answers(database)),",
        "first_answers={},",
    ),
    Fault(
        "a restart gives numbers again",
        f"{SERVER}/store_layout.py",
        "last_number=number[0] if number else 0,",
        "last_number=len(experiments),",
    ),
    Fault(
        "stops are not written",
        f"{SERVER}/store_layout.py",
        '"UPDATE experiments SET stopped = ? WHERE number = ?", (moment, experiment.number)',
        '"UPDATE experiments SET stopped = ? WHERE number = ?", (None, experiment.number)',
    ),
    Fault(
        "a run is told before it counts",
        f"{SERVER}/store.py",
        "            self._change(Added(experiment))\n",
        "            self._change(Added(experiment))\n            if start:\n                experiment.run.start(now)\n",
    ),
    Fault(
        "what is rolled back stays with the runner",
        f"{SERVER}/store.py",
        "        except BaseException:\n            _drop(changes)\n            raise\n        finally:",
        "        finally:",
    ),
    Fault(
        "what is deleted goes on running",
        f"{SERVER}/store.py",
        "                experiment.run.forget()\n            case Answered",
        "            case Answered",
    ),
    Fault(
        "what is reset goes on running",
        f"{SERVER}/store.py",
        "                forgotten.run.forget()\n",
        "                pass\n",
    ),
    Fault(
        "what was reset starts all the same",
        f"{SERVER}/store.py",
        "case Started(experiment, moment) if self._is_there(experiment):",
        "case Started(experiment, moment):",
    ),
    Fault(
        "one runner takes up what another one has run",
        f"{SERVER}/store_file.py",
        "(other := runner_of(database)) != runner:",
        "(other := runner_of(database)) is None:",
    ),
    Fault(
        "what a runner says wakes nobody",
        f"{SERVER}/running.py",
        "self._runner.attach(self.clock, self._polls.wake)",
        "self._runner.attach(self.clock, print)",
    ),
    Fault(
        "deletes are not written",
        f"{SERVER}/store_layout.py",
        'yield "DELETE FROM experiments WHERE number = ?", (experiment.number,)',
        'yield "DELETE FROM experiments WHERE number = ?", (-1,)',
    ),
    Fault("others can read the file", f"{SERVER}/store_file.py", "0o600", "0o644"),
    Fault(
        "two servers share a file",
        f"{SERVER}/store_file.py",
        '    database.execute("PRAGMA locking_mode = EXCLUSIVE")\n',
        "",
    ),
    Fault("a reset keeps what was answered", f"{SERVER}/store.py", "            self._first_answers.clear()\n", ""),
    Fault("a held request is answered at once", f"{SERVER}/app.py", 'if "wait" in given:', 'if "waiting" in given:'),
    Fault(
        "what is done wakes nobody",
        f"{SERVER}/app.py",
        'if request.method != "GET" and "handle" in',
        'if request.method == "DELETE" and "handle" in',
    ),
    Fault(
        "what has ended is waited for",
        f"{SERVER}/states.py",
        "if state_at(entered, now) in TERMINAL_STATES:",
        "if entered is None:",
    ),
    Fault(
        "rows wake nobody",
        f"{SERVER}/simulated/runner.py",
        "return min(appears, entered[-1][0]) if entered else appears",
        "return entered[-1][0] if entered else appears",
    ),
    Fault(
        "a reset before acting comes after it",
        f"{SERVER}/fault_effects.py",
        "return Reset() if fault.kind == Kind.RESET_BEFORE else None",
        "return None",
    ),
    Fault(
        "faults go on after their number of times",
        f"{SERVER}/fault_injection.py",
        " or self._hits == faults.times:",
        ":",
    ),
    Fault(
        "Retry-After is not sent", f"{SERVER}/fault_effects.py", "retry_after=faults.retry_after,", "retry_after=None,"
    ),
    Fault(
        "the end of a run is withheld",
        f"{SERVER}/fault_effects.py",
        "case Kind.LATE_PAGE if page.run_goes_on:",
        "case Kind.LATE_PAGE:",
    ),
    Fault(
        "faults outlive their block",
        f"{SERVER}/fault_injection.py",
        "            self._period = before\n",
        "            pass\n",
    ),
    Fault(
        "a state that has changed on the way is waited for",
        f"{SERVER}/operations.py",
        'is_new = given.get("known", data["state"]) != data["state"]',
        "is_new = False",
    ),
)
