"""Write `generated/gradient_api` from `openapi/experiments.yaml`, and the synchronous client from the asynchronous one.

With `--check`, only fail where they are stale. Nothing is written unless all of it compiles and can be imported. At the
end the changes of the contract are listed, and operations that the client or the server lacks.

openapi-python-client writes the models and endpoint functions; the templates beside this file add what else the client
derives from the contract.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from breaking import CONTRACT, read, summary
from contract_changes import compare
from derive import derive, low_level, operations, snake_case
from schema_changes import texts_changed
from spec_lint import problems
from unasync import derived_files

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PACKAGE = PROJECT / "generated" / "gradient_api"
HEADER = "# Generated from openapi/experiments.yaml by `make generate`. Do not edit.\n"
PACKAGED = "experiments.json"
ADDED_MODULES = ("constants", "experiment_fields", "parameters")
CALLERS = {
    "method of the client": PROJECT / "gradient_ext" / "async_client.py",
    "handler of the server": PROJECT / "gradient_server" / "api" / "operations.py",
}
"""Where each operation is used, by what uses it there."""
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import gradient_api
for module in pkgutil.walk_packages(gradient_api.__path__, "gradient_api."):
    importlib.import_module(module.name)
"""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the generated code is stale")
    options = parser.parse_args()
    spec = read(CONTRACT)
    if wrong := problems(spec):
        sys.exit("\n  ".join([f"Nothing has been written: {CONTRACT.name} does not fit together.", *wrong]))
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(spec, Path(scratch))
        try:
            derived = derived_files()
        except SyntaxError as error:
            sys.exit(
                f"Nothing has been written: {error.filename}, line {error.lineno}, has no synchronous form: {error.msg}"
            )
        if options.check:
            return check(_contents(fresh, PACKAGE) | derived)
        before = _content(PACKAGE / PACKAGED)
        _replace(PACKAGE, fresh)
    for path, text in derived.items():
        path.write_text(text, encoding="utf-8")
    print(f"Wrote {PACKAGE.name} from {CONTRACT.name}.")
    _report_changes(before, spec)
    for sentence in missing_callers(spec):
        print(sentence)
    return 0


def generate(spec: dict[str, Any], scratch: Path) -> Path:
    """Write the package into a scratch directory, compile and import it, and return its path."""
    templates = scratch / "templates"
    shutil.copytree(HERE / "templates", templates)
    # The stock templates under another name, so that those beside this file can include what they add to.
    shutil.copytree(str(files("openapi_python_client") / "templates"), templates / "stock")
    contract = scratch / "contract.json"
    contract.write_text(json.dumps(low_level(spec)), encoding="utf-8")
    output = scratch / "fresh" / PACKAGE.name
    output.parent.mkdir()
    # Without --fail-on-warning its exit code is 0 for what it cannot do and leaves out.
    _run(
        *("-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning", "--path", str(contract)),
        *("--output-path", str(output), "--config", str(HERE / "openapi-python-client.yaml")),
        *("--custom-template-path", str(templates)),
    )
    _render_added_modules(spec, templates, output)
    (output / "py.typed").touch()
    # In the package, so that wheels and editable installs find it alike; as JSON, so that reading it needs no library.
    (output / PACKAGED).write_text(json.dumps(spec, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for module in output.rglob("*.py"):
        module.write_text(HEADER + module.read_text(encoding="utf-8"), encoding="utf-8")
    _run("-m", "compileall", "-q", str(output))
    _run("-m", "ruff", "check", str(output), "--isolated", "--fix-only", "--quiet", "--select=I,F401")
    _run("-m", "ruff", "format", str(output), "--isolated", "--quiet", "--line-length=120")
    _run("-c", IMPORT_ALL, str(output.parent))
    return output


def _render_added_modules(spec: dict[str, Any], templates: Path, output: Path) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["python"] = repr
    environment.filters["in_docstring"] = _in_docstring
    environment.filters["in_example"] = _in_example
    contract = derive(spec)
    for name in ADDED_MODULES:
        text = environment.get_template(f"{name}.py.jinja").render(contract=contract)
        (output / f"{name}.py").write_text(text, encoding="utf-8")


def _in_docstring(text: str) -> str:
    """Return a text of the contract with what would end a docstring escaped."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _in_example(value: str | int) -> str:
    """Return a value as Python code that can stand in a docstring; it never has three quotes in a row."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text.replace("\\", "\\\\")


def _run(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Nothing has been written: {arguments[1].strip()} failed.\n{done.stdout}{done.stderr}")


def _replace(old: Path, fresh: Path) -> None:
    """Replace a directory, which is removed only when the fresh one is beside it."""
    new = old.with_name(f".{old.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(fresh, new, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(old, ignore_errors=True)
    new.rename(old)


def _report_changes(before: str, spec: dict[str, Any]) -> None:
    try:
        old = json.loads(before)
    except ValueError:  # The first time there is nothing, and in a merge there may be both versions.
        print("The previous contract in the package cannot be read, so there is nothing to compare with.")
        return
    print("Compared with what it was written from before:")
    print(summary(compare(old, spec), texts_changed(old, spec)))


def missing_callers(spec: dict[str, Any]) -> Iterator[str]:
    """Return a sentence for each operation that no method of the client, or no handler of the server, has."""
    for caller, path in CALLERS.items():
        names = _names(_content(path))
        for operation in operations(spec):
            name = snake_case(operation["operationId"])
            if path.exists() and name not in names:
                yield f"{operation['operationId']} has no {caller}: nothing in {path.name} is called {name}."


def _names(code: str) -> set[str]:
    """Return what functions are called that a module defines or uses, but no words of comments and docstrings."""
    nodes = list(ast.walk(ast.parse(code)))
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return defined | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def check(expected: dict[Path, str]) -> int:
    """Return 1 where a file is not what it should be, after printing which, and the first differences."""
    stale = sorted(path for path, text in expected.items() if _content(path) != text)
    if not stale:
        print("The generated code is up to date.")
        return 0
    print("The generated code is stale; run `make generate` and commit what it writes:", file=sys.stderr)
    for path in stale:
        print(f"  {path.relative_to(PROJECT)}", file=sys.stderr)
    old, new = _content(stale[0]), expected[stale[0]]
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "committed", "from the spec", lineterm="", n=1)
    print("\n".join(list(lines)[:30]), file=sys.stderr)
    return 1


def _contents(fresh: Path, committed: Path) -> dict[Path, str]:
    """Return the text that each committed file should have; it is empty for one that should not be there."""
    names = {
        path.relative_to(directory)
        for directory in (fresh, committed)
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return {committed / name: _content(fresh / name) for name in names}


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
