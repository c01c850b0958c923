"""Write `generated/gradient_api` from `openapi/experiments.yaml`, and the synchronous client from the asynchronous one.

With `--check`, only fail where they are stale. Nothing is written unless all of it can be imported and used. At the end
the changes of the contract are listed, and operations that the client or the server lacks.

openapi-python-client writes the models and endpoint functions; the templates beside this file add what else the client
derives from the contract.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import openapi_python_client
from breaking import CONTRACT, read, summary
from contract_changes import compare
from derive import derive, low_level, operations, snake_case
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_spec_validator import validate
from schema_changes import texts_changed
from spec_lint import problems
from unasync import DERIVED, derived_files

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PACKAGE = PROJECT / "generated" / "gradient_api"
CLIENT = PROJECT / "gradient_ext"
HEADER = "# Generated from openapi/experiments.yaml by `make generate`. Do not edit.\n"
PACKAGED = "experiments.json"
LINES_SHOWN = 12
HINT = "It may be that a name of the contract is one that the code uses itself; give it an x-python-name."
ADDED_MODULES = ("constants", "experiment_fields", "parameters")
CLIENTS = [CLIENT / source for source in DERIVED if source != "async_transport.py"]
CALLERS = {
    "method of the client": CLIENTS,
    "handler of the server": [PROJECT / "gradient_server" / "api" / "operations.py"],
}
"""Where each operation is used, by what uses it there."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the generated code is stale")
    options = parser.parse_args()
    spec = read(CONTRACT)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            fresh, derived = generate(spec, Path(scratch))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}, line {place.lineno}"
            _refuse(f"{CONTRACT.name} is not as {where}, expects it: {type(error).__name__}: {error}")
        if options.check:
            return check(_contents(fresh, PACKAGE) | derived)
        before = _content(PACKAGE / PACKAGED)
        _replace(PACKAGE, fresh)
    for path, text in derived.items():
        path.write_text(text, encoding="utf-8")
    print(f"Wrote {PACKAGE.name} from {CONTRACT.name}.")
    _report_changes(before, spec)
    for sentence in (*missing_callers(spec), *missing_functions()):
        print(sentence)
    return 0


def generate(spec: dict[str, Any], scratch: Path) -> tuple[Path, dict[Path, str]]:
    """Write the package into a scratch directory, and use it once with the client that is derived there, too.

    :returns: the path of the package, and the text of each derived file

    :raises SystemExit: the contract does not fit together, or what was written does not work
    """
    _check_contract(spec)
    package = _generate_package(spec, scratch)
    try:
        derived = derived_files()
    except SyntaxError as error:
        _refuse(f"{error.filename}, line {error.lineno}, has no synchronous form: {error.msg}")
    shutil.copytree(CLIENT, package.parent / CLIENT.name, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in derived.items():
        (package.parent / path.relative_to(CLIENT.parent)).write_text(text, encoding="utf-8")
    _run(str(HERE / "smoke_test.py"), str(package.parent), hint=HINT)
    return package, derived


def _check_contract(spec: dict[str, Any]) -> None:
    try:
        validate(spec)
    except Exception as error:  # also those of libraries beneath
        _refuse(f"{CONTRACT.name} is no valid OpenAPI document: {str(error).strip().splitlines()[0]:.500}")
    if wrong := problems(spec):
        _refuse("\n  ".join([f"{CONTRACT.name} does not fit together.", *wrong]))


def _generate_package(spec: dict[str, Any], scratch: Path) -> Path:
    templates = scratch / "templates"
    shutil.copytree(HERE / "templates", templates)
    # The stock templates under another name, so that those beside this file can include what they add to.
    shutil.copytree(str(files("openapi_python_client") / "templates"), templates / "stock")
    contract = scratch / "contract.json"
    contract.write_text(json.dumps(low_level(spec)), encoding="utf-8")
    output = scratch / "fresh" / PACKAGE.name
    output.parent.mkdir()
    settings = ConfigFile.load_from_path(HERE / "openapi-python-client.yaml")
    config = Config.from_sources(settings, MetaType.NONE, contract, "utf-8", overwrite=False, output_path=output)
    with contextlib.redirect_stdout(io.StringIO()):
        # Also of warnings: they are about what it cannot do and leaves out.
        errors = openapi_python_client.generate(config=config, custom_template_path=templates)
    if errors:
        _refuse("\n  ".join(f"{error.header}: {error.detail}" for error in errors))
    _render_added_modules(spec, templates, output)
    (output / "py.typed").touch()
    # In the package, so that wheels and editable installs find it alike; as JSON, so that reading it needs no library.
    (output / PACKAGED).write_text(json.dumps(spec, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for module in output.rglob("*.py"):
        module.write_text(HEADER + module.read_text(encoding="utf-8"), encoding="utf-8")
    _run("-Werror", "-m", "compileall", "-q", str(output))
    _run("-m", "ruff", "check", str(output), "--isolated", "--fix-only", "--quiet", "--select=I,F401")
    _run("-m", "ruff", "format", str(output), "--isolated", "--quiet", "--line-length=120")
    # Without the sources of httpx it takes a second.
    _run(
        *("-m", "mypy", "--strict", "--follow-imports=skip", "--config-file=", f"--cache-dir={os.devnull}"),
        *("--no-error-summary", output.name),
        directory=output.parent,
        hint=HINT,
    )
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


def _run(*arguments: str, directory: Path = PROJECT, hint: str = "") -> None:
    """Run Python, or refuse to go on, with the first lines of what it printed; of a traceback with its last."""
    done = subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        tool = Path(next(argument for argument in arguments if not argument.startswith("-"))).name
        said, _, trace = f"{done.stdout}{done.stderr}".partition("Traceback (most recent call last)")
        lines = [*said.strip().splitlines()[:LINES_SHOWN], *trace.strip().splitlines()[-1:]]
        _refuse("\n  ".join(filter(None, [f"{tool} failed.", *lines, hint])))


def _refuse(reason: str) -> NoReturn:
    sys.exit(f"Nothing has been written: {reason}")


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
    for caller, paths in CALLERS.items():
        names = {name for path in paths for name in _names(_content(path))}
        places = " or ".join(path.name for path in paths)
        for operation in operations(spec):
            name = snake_case(operation["operationId"])
            if all(path.exists() for path in paths) and name not in names:
                yield f"{operation['operationId']} has no {caller}: nothing in {places} is called {name}."


def missing_functions() -> Iterator[str]:
    """Return a sentence for each endpoint function that the client calls, and that has not been generated."""
    for path in CLIENTS:
        nodes = list(ast.walk(ast.parse(_content(path))))
        imports = (node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "gradient_api.api")
        tags = {name.asname or name.name: name.name for node in imports for name in node.names}
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in tags:
                module = PACKAGE / "api" / tags[node.value.id] / f"{node.attr}.py"
                if not module.exists():
                    yield f"{module.parent.name} has no {node.attr}, which {path.name} calls in line {node.lineno}."


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
