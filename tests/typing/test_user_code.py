"""Code of users, as mypy and pyright see it: `accepted.py` and `refused.py`."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCEPTED, REFUSED = HERE / "accepted.py", HERE / "refused.py"
MARK = "  # refused"

Objections = dict[tuple[Path, int], list[str]]
"""The messages of a type checker by file and line."""


def mypy(cache: Path) -> Objections:
    """Run mypy; between the runs of the tests it remembers what it knows of the libraries."""
    options = ["--strict", "--config-file", ROOT / "pyproject.toml", "--cache-dir", cache, "--output", "json"]
    found: Objections = {}
    for line in run("mypy", *options, ACCEPTED, REFUSED).splitlines():
        said = json.loads(line)
        if said["severity"] == "error":
            found.setdefault((ROOT / said["file"], said["line"]), []).append(said["message"])
    return found


def pyright(_cache: Path) -> Objections:
    """Run pyright, as strict as the project is with itself."""
    options = ["--project", ROOT / "pyproject.toml", "--pythonpath", sys.executable, "--outputjson"]
    report = json.loads(run("pyright", *options, ACCEPTED, REFUSED))
    found: Objections = {}
    for said in report["generalDiagnostics"]:
        line = said["range"]["start"]["line"] + 1
        found.setdefault((Path(said["file"]), line), []).append(said["message"])
    return found


def run(checker: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", checker, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    # 1 says that there are errors; other numbers that it has not checked.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=[mypy, pyright], ids=lambda checker: checker.__name__)
def objections(request: pytest.FixtureRequest) -> Objections:
    """The messages of one of the type checkers about both files; each runs once."""
    return request.param(request.config.cache.mkdir("mypy"))


def test_type_checkers_accept_right_code_and_infer_the_types_that_it_asserts(objections):
    assert {place: said for place, said in objections.items() if place[0] == ACCEPTED} == {}


def test_type_checkers_refuse_misspelt_missing_and_wrong_keywords_and_nothing_else(objections):
    statements = statement_lines(REFUSED)
    lines = REFUSED.read_text(encoding="utf-8").splitlines()
    marked = {statements[number] for number, line in enumerate(lines, start=1) if line.endswith(MARK)}
    assert marked
    assert {statements.get(line, line) for path, line in objections if path == REFUSED} == marked


def statement_lines(path: Path) -> dict[int, int]:
    """Return the first line of the statement on each line: checkers report different lines of a long one."""
    simple = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.stmt) and not hasattr(node, "body")
    ]
    return {line: node.lineno for node in simple for line in range(node.lineno, node.end_lineno + 1)}
