"""One trial: the tests in a copy with a fault, stage by stage, until one of them notices it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from copies import Ended, copy_of, run_python
from fault import Fault

_NEAR = {
    "gradient_server/runners/process/following.py": "process/test_queue.py",
    "gradient_server/runners/process/process_run.py": "process/test_running.py",
    "gradient_server/runners/process/run_directory.py": "process/test_supervisor.py",
    "gradient_server/runners/process/runs_directory.py": "process/test_directory.py",
    "gradient_server/runners/process/runner.py": "process/test_kill.py",
    "gradient_server/runners/process/supervision.py": "process/test_stopping.py",
    "gradient_server/runners/process/supervised_run.py": "process/test_kill.py",
    "gradient_server/runners/process/outcome.py": "process/test_environment.py",
    **dict.fromkeys(
        [f"gradient_server/process/{name}.py" for name in ("addresses", "archives", "download", "git_clone")],
        "process/test_workspace.py",
    ),
    "gradient_server/store/reserve.py": "process/test_full_disk.py",
    "gradient_server/dashboard/app.py": "page/test_who_may_look.py",
    "gradient_server/dashboard/sessions.py": "page/test_who_may_look.py",
    "gradient_server/dashboard/curves.py": "page/test_drawing.py",
    "gradient_server/dashboard/page.js": "page/test_in_chromium.py",
}
"""Tests that are about a file and are not called after it, where those that are not take long."""
EXAMPLES = 20
TEST_PATIENCE = 60
"""Seconds for one test; far more than the longest takes."""
PATIENCE = 600.0
"""Seconds for a stage: what to do where not even pytest ends a test that hangs."""
REFUSED = "make generate refuses it"
HUNG = " (hung)"

_CLIENT = ["tests/e2e/test_walk_through.py", "tests/gradient_ext", "tests/gradient_api"]
_CLIENT_CONTRACT = [
    f"tests/contract/test_client_{part}.py" for part in ("sends", "refuses", "receives", "tolerates", "survives")
]
_SERVER = [
    f"tests/gradient_server/test_{part}.py"
    for part in (
        *("old_clients", "experiments", "wishes", "lists", "logs", "states", "any_runner"),
        *("bad_addresses", "bad_parameters", "bad_bodies", "idempotency", "once", "store", "store_model", "faults"),
    )
]
_SERVER += ["tests/gradient_server/simulated", "tests/gradient_server/runners"]
_PROCESS = [
    f"tests/gradient_server/process/test_{part}.py"
    for part in (
        *(
            "addresses",
            "archives",
            "environment",
            "events",
            "log_file",
            "output",
            "cluster",
            "process_groups",
            "node_process",
        ),
        *("followed_run", "supervisor", "running", "workspace", "queue", "stopping", "multi_node"),
        *("supervision", "directory", "removed_files", "full_disk"),
    )
]
_REAL = ["tests/server/runners/process/test_kill.py", "tests/gradient_server/runners"]
_REAL += [f"tests/gradient_server/test_real_{part}.py" for part in ("server", "runs")]
_PAGE = [
    f"tests/gradient_server/page/test_{part}.py"
    for part in ("markup", "log_parts", "log_view", "drawing", "pages", "who_may_look")
]
_GUARDS = [
    f"tests/gradient_server/test_{part}.py"
    for part in ("own_names", "exposure", "foreign_requests", "wrong_keys", "key_file", "bad_addresses", "real_server")
]
_SERVER_CONTRACT = [f"tests/contract/test_server{part}.py" for part in ("", "_chains", "_statuses")]
_TOGETHER = ["tests/e2e/test_readme.py", "tests/server/faults/test_faults.py", "tests/faults"]
STAGES = {
    "client": [_CLIENT, _CLIENT_CONTRACT, _TOGETHER],
    "server": [_SERVER, _SERVER_CONTRACT, ["tests/e2e/test_walk_through.py", "tests/gradient_server", *_TOGETHER]],
    "process": [_PROCESS, _REAL],
    "page": [_PAGE, ["tests/server/dashboard/test_in_chromium.py"]],
    "guards": [_GUARDS, ["tests/server/dashboard/test_who_may_look.py", *_REAL[-1:]]],
    "contract": [_CLIENT, _SERVER, _CLIENT_CONTRACT, _SERVER_CONTRACT, ["tests/gradient_server", *_TOGETHER]],
}
"""The tests that judge a fault of each side, those first that are quick to notice."""


def noticed_by(project: Path, fault: Fault, before: str = "", *, keep: bool = False) -> str | None:
    """Give the first test that fails in a copy of the project with a fault; None: none does.

    :param str before: the test that noticed it the last time, if one did
    :param bool keep: leave the copy where it is
    """
    with copy_of(project, re.sub(r"\W+", "-", fault.name), keep=keep) as copy:
        fault.put_into(copy)
        if fault.side == "contract":
            # What is derived changes along: only tests that know something by themselves can notice.
            generated = run_python(copy, "openapi/generate.py", patience=PATIENCE)
            if generated.code:
                return REFUSED
        judging = ([*_likely(fault, before)], *STAGES[fault.side])
        return next(filter(None, (_sure_failure(copy, tests, before) for tests in judging)), None)


def _likely(fault: Fault, before: str) -> Iterator[str]:
    """Name the files to begin with: of the test that noticed it the last time, and those about the same."""
    yield before.partition("::")[0]
    path = Path(fault.path)
    yield f"tests/{path.parent}/test_{path.stem}.py"
    if fault.path in _NEAR:
        yield f"tests/gradient_server/{_NEAR[fault.path]}"


def _sure_failure(copy: Path, tests: Iterable[str], before: str) -> str | None:
    """Give the first test that fails twice: on a busy machine a test may fail that has noticed nothing."""
    for _ in range(3):
        failed = failure(copy, tests)
        if failed is None or failed == before or "::" not in failed or failed.endswith(HUNG):
            return failed
        again = failure(copy, [failed.partition("::")[0]])
        if again:
            return again
    return None


def failure(copy: Path, tests: Iterable[str]) -> str | None:
    """Give the first of some tests that fails in a copy, in the given order; None: none does."""
    there = list(dict.fromkeys(path for path in tests if path.startswith("tests/") and (copy / path).exists()))
    if not there:
        return None
    hangs = [f"faulthandler_timeout={TEST_PATIENCE}", "faulthandler_exit_on_timeout=true"]
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--examples={EXAMPLES}", *(f"--override-ini={x}" for x in hangs)]
    return verdict(copy, run_python(copy, "-m", "pytest", *options, *there, patience=PATIENCE))


def verdict(copy: Path, tests: Ended) -> str | None:
    """Read in the words of pytest which test failed first."""
    if tests.code == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (tests/[^\s\[]+(?:\[.*?\])?)(?: - |$)", tests.output, re.MULTILINE)
    if found:
        return found[1]
    hung = re.findall(rf'File "{re.escape(str(copy))}/(tests/\S+)", line \d+ in (test_\w+)', tests.output)
    if hung:
        return f"{hung[-1][0]}::{hung[-1][1]}{HUNG}"
    if tests.code is None:
        return f"pytest{HUNG}"
    # Without what follows: that is where the copy is.
    reason = re.findall(r"^(?:E +)?(\w*(?:Error|Exception)\b.{,60}?)(?: from .*| \(.*)?$", tests.output, re.MULTILINE)
    return f"pytest itself ({reason[-1]})" if reason else "pytest itself"
