"""docs/command-line.md is true: the commands and exit codes that it names exist, and what it shows works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gradient_cli.app import command_line
from gradient_cli.outcomes import ExitCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")


def commands(group=command_line, name="gradient"):
    """Yield the full names of all commands and groups."""
    for word, command in group.commands.items():
        yield f"{name} {word}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")


def test_every_command_is_documented_and_every_documented_one_exists():
    table = re.search(r"## Commands\n\n(.*?)\n\n", PAGE, re.DOTALL)[1]
    named = {name for row in table.splitlines() for name in re.findall(r"`(gradient [\w ]+)`", row.split("|")[1])}
    there = set(commands())
    assert named <= there
    groups = {name for name in there if any(other.startswith(f"{name} ") for other in there)}
    below_create_and_run = {name for name in there if name.endswith((" singlenode", " multinode"))}
    assert there - named == {"gradient experiments", "gradient projects", "gradient server"} | below_create_and_run
    assert groups >= {"gradient experiments", "gradient server"}


def test_the_exit_codes_are_those_that_are_documented():
    documented = [int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)]
    assert documented == [0, 1, 2, 3, 4, 5, 124, 130] == sorted(ExitCode)


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_has_help(name):
    # In a process: that of `gradient server start` becomes the server.
    command = [sys.executable, "-m", "gradient_cli", *name.split()[1:], "--help"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert output.startswith(f"Usage: {name}")


@pytest.mark.parametrize("text", [README, PAGE], ids=["README", "page"])
def test_the_first_lines_run_a_script_and_show_what_it_prints(home, text):
    script = next(each for each in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "gradient run" in each)
    lines = [line for line in script.splitlines() if not line.startswith("pip ")]
    on_a_free_port = "\n".join(lines).replace("--background", "--background --port 0")
    (home / "train.py").write_text("import sys\nprint('trained with', sys.argv)\n")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    options = {"cwd": home, "env": {"PATH": path, "HOME": str(home)}, "capture_output": True, "text": True}
    try:
        done = subprocess.run(["sh", "-ec", on_a_free_port], **options, timeout=60, check=True)
    finally:
        subprocess.run(["gradient", "server", "stop"], **options, timeout=60, check=True)
    assert done.stdout.startswith("trained with ['train.py'")
