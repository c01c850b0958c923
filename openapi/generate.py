"""Write `generated/gradient_api` from `openapi/experiments.yaml`, and the asynchronous twins of what sends.

With `--check`, only say whether they are stale.

openapi-python-client writes the models and operations; the templates beside this file add to its own, and say the rest
of what the client derives from the contract. At the end it says what changed since the code was last written.
"""

from __future__ import annotations

import argparse
import difflib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from contract_file import CONTRACT, read, report
from conventions import problems
from derive import derive, low_level
from derive_operations import derive_operations
from twins import fresh_twins

HERE = Path(__file__).resolve().parent
HEADER = "# Generated from openapi/experiments.yaml by `make generate`. Do not edit.\n"
PACKAGED = "experiments.json"
ADDED_MODULES = ("columns", "constants", "experiment_fields", "json_names", "operations", "parameters")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the generated code is stale")
    parser.add_argument("--spec", type=Path, default=CONTRACT, help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=HERE.parent / "generated" / "gradient_api")
    options = parser.parse_args()
    spec = read(options.spec)
    wrong = problems(spec)
    if wrong:
        sys.exit("\n  ".join([f"Nothing has been written: {options.spec.name} does not fit together.", *wrong]))
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "gradient_api"
        generate(spec, options.spec, fresh, Path(scratch))
        twins = fresh_twins()
        if options.check:
            return check(fresh, options.output) or check_twins(twins)
        before = _content(options.output / PACKAGED)
        if options.output.exists():
            shutil.rmtree(options.output)
        shutil.copytree(fresh, options.output)
    for path, text in twins.items():
        path.write_text(text, encoding="utf-8")
    print(f"Wrote {options.output.name} from {options.spec.name}.")
    _say_what_changed(before, spec)
    return 0


def generate(spec: dict[str, Any], spec_path: Path, output: Path, scratch: Path) -> None:
    """Write the package to a directory that does not exist yet."""
    templates = _template_directory(scratch)
    reduced = scratch / "low_level.json"
    reduced.write_text(json.dumps(low_level(spec)), encoding="utf-8")
    # The documented exit code is 0 for what it cannot do and drops, hence --fail-on-warning.
    _run(
        "openapi_python_client",
        *("generate", "--meta", "none", "--fail-on-warning", "--path", str(reduced), "--output-path", str(output)),
        *("--config", str(HERE / "openapi-python-client.yaml"), "--custom-template-path", str(templates)),
    )
    _render_added_modules(spec, templates, output)
    (output / "py.typed").touch()
    # In the package, so that wheels and editable installs find it alike; as JSON, so that reading it needs no library.
    (output / PACKAGED).write_text(json.dumps(spec, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for module in output.rglob("*.py"):
        module.write_text(HEADER + module.read_text(encoding="utf-8"), encoding="utf-8")
    _run("ruff", "check", str(output), "--isolated", "--fix-only", "--quiet", "--select=I,F401")
    _run("ruff", "format", str(output), "--isolated", "--quiet", "--line-length=120")


def _say_what_changed(before: str, spec: dict[str, Any]) -> None:
    try:
        old = json.loads(before)
    except ValueError:  # The first time there is nothing, and in a merge there may be both versions.
        print("What it was written from before cannot be read, so there is nothing to compare with.")
        return
    print("Compared with what it was written from before:")
    report(old, spec)


def _template_directory(scratch: Path) -> Path:
    """Put the stock templates under another name beside ours, so that ours can include what they add to."""
    directory = scratch / "templates"
    shutil.copytree(HERE / "templates", directory)
    shutil.copytree(str(files("openapi_python_client") / "templates"), directory / "stock")
    return directory


def _render_added_modules(spec: dict[str, Any], templates: Path, output: Path) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["python"] = repr
    environment.filters["in_docstring"] = _in_docstring
    environment.filters["in_example"] = _in_example
    contract = derive(spec) | derive_operations(spec)
    for name in ADDED_MODULES:
        text = environment.get_template(f"{name}.py.jinja").render(contract=contract)
        (output / f"{name}.py").write_text(text, encoding="utf-8")


def _in_docstring(text: str) -> str:
    """Make a text of the contract safe between triple quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _in_example(value: str | int) -> str:
    """Write a value as people write it in Python, between triple quotes; never with three quotes in a row."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return text.replace("\\", "\\\\")


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{module} failed:\n{done.stdout}{done.stderr}")


def check(fresh: Path, committed: Path) -> int:
    """Compare what would be written with what is there, and show the first differences."""
    stale = sorted(
        name
        for name in _file_names(fresh) | _file_names(committed)
        if _content(fresh / name) != _content(committed / name)
    )
    if not stale:
        print("The generated code is up to date.")
        return 0
    print("The generated code is stale; run `make generate` and commit what it writes:", file=sys.stderr)
    for name in stale:
        print(f"  {name}", file=sys.stderr)
    old, new = _content(committed / stale[0]), _content(fresh / stale[0])
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "committed", "from the spec", lineterm="", n=1)
    print("\n".join(list(lines)[:30]), file=sys.stderr)
    return 1


def check_twins(twins: Mapping[Path, str]) -> int:
    """Say which of the asynchronous twins are not what their sources say."""
    stale = [path.name for path, text in twins.items() if _content(path) != text]
    if stale:
        print(f"Stale: {', '.join(stale)} in gradient_ext; run `make generate` and commit them", file=sys.stderr)
    return 1 if stale else 0


def _file_names(directory: Path) -> set[str]:
    return {
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _content(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
