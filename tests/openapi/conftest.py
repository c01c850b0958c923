"""A copy of the project in which a test may change everything."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
COPIED = ("openapi", "generated", "gradient", "gradient_ext", "gradient_server")


class ProjectCopy:
    """A copy of the project, used as a person uses it: by its scripts, in processes of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in COPIED:
            shutil.copytree(PROJECT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.contract = root / "openapi" / "experiments.yaml"
        self.package = root / "generated" / "gradient_api"

    def edit(self, change) -> None:
        """Change the contract: `change` gets it as a dictionary, and changes that."""
        spec = json.loads((self.package / "experiments.json").read_text(encoding="utf-8"))
        change(spec)
        self.contract.write_text(json.dumps(spec), encoding="utf-8")  # JSON is YAML too.

    def files(self) -> dict[str, bytes]:
        """Return every generated file with its content."""
        return {str(path.relative_to(self.package)): path.read_bytes() for path in self.package.rglob("*.*")}

    def generate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("openapi/generate.py", *arguments)

    def breaking(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("openapi/breaking.py", *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a Python script; what it imports of the project comes from the copy."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            # Before site-packages, where the path of the real project stands.
            env={**os.environ, "PYTHONPATH": f"{self.root}:{self.root / 'generated'}", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def evaluate(self, imports: str, expression: str) -> object:
        """Return the value of an expression, computed from the generated code of the copy."""
        code = f"import json, gradient_api, {imports}; print(json.dumps([gradient_api.__file__, {expression}]))"
        done = self.run("-c", code)
        assert not done.returncode, done.stderr
        place, value = json.loads(done.stdout)
        assert Path(place).is_relative_to(self.root), f"not the code of the copy: {place}"
        return value

    def git(self, *arguments: str) -> None:
        """Run git, with nothing but its own defaults."""
        identity = {f"GIT_{who}_{what}": "test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(
            ["git", *arguments], cwd=self.root, env={**os.environ, **identity, **settings}, check=True, timeout=60
        )

    def commit(self, *, tag: str = "", contract: bool = True) -> None:
        """Keep the contract as it is now in the repository of the copy, which becomes one with the first commit."""
        if not shutil.which("git"):
            pytest.skip("git is not installed, and comparing with a revision needs it")
        if not (self.root / ".git").exists():
            self.git("init", "--quiet")
        if contract:
            self.git("add", "openapi/experiments.yaml")
        self.git("commit", "--quiet", "--allow-empty", "--message", "The contract")
        if tag:
            self.git("tag", tag)


@pytest.fixture(scope="session")
def new_copy(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], ProjectCopy]:
    """Call this for a copy of the project."""
    return lambda: ProjectCopy(tmp_path_factory.mktemp("copy"))
