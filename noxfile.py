"""Sessions that need environments of their own; `make test-versions` and `make mutants` start them."""

import os
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
USER_TESTS = ("tests/unit", "tests/client", "tests/cli", "tests/server", "tests/e2e/test_walk_through.py")
"""Tests of what users run. The other ones test development tools, which are pinned, and run with one Python."""
PROJECT_AND_TEST_GROUP = ("--all-extras", "--requirements", "pyproject.toml", "--group", "test", "--editable", ".")

# The interpreters of pyenv, which are not in the path.
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
os.environ["PATH"] = os.pathsep.join([*map(str, PYENV.glob("versions/3.*/bin")), os.environ["PATH"]])


@nox.session(python=nox.project.python_versions(PYPROJECT))
@nox.parametrize("dependencies", ["lowest-direct", "highest"])
def tests(session: nox.Session, dependencies: str) -> None:
    """Run the tests with each Python that the classifiers name, with the lowest and the highest dependencies."""
    # In one resolution: a second one could replace what the first one has chosen.
    session.install("--resolution", dependencies, *PROJECT_AND_TEST_GROUP)
    session.run("pytest", "-p", "no:cacheprovider", *(session.posargs or ("--quiet", *USER_TESTS)))


@nox.session
def mutants(session: nox.Session) -> None:
    """Run mutmut on a module with chosen tests: `nox -s mutants -- gradient_ext/logs.py tests/unit/test_logs.py`."""
    session.install("mutmut==3.8.1", *PROJECT_AND_TEST_GROUP)
    module, *chosen = session.posargs
    copy = Path("build/mutants")
    shutil.rmtree(copy, ignore_errors=True)
    for name in (
        "gradient",
        "gradient_cli",
        "gradient_ext",
        "gradient_server",
        "generated",
        "openapi",
        "tests",
        "README.md",
    ):
        (shutil.copytree if Path(name).is_dir() else shutil.copy)(name, copy / name)
    settings = f"only_mutate = ['{module}']\npytest_add_cli_args_test_selection = {chosen or ['tests/client']}\n"
    # The last table of pyproject.toml is that of mutmut.
    (copy / "pyproject.toml").write_text(
        Path("pyproject.toml").read_text(encoding="utf-8") + settings, encoding="utf-8"
    )
    with session.chdir(copy):
        session.run("mutmut", "run")
        session.run("mutmut", "results")
