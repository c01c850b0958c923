"""The README and CONTRIBUTING are true: examples print what is shown, and links, commands and modules exist."""

import asyncio
import contextlib
import importlib.metadata
import io
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradient_server import LocalServer
from gradient_server.runners.process import ProcessRunner

ROOT = Path(__file__).parents[2]
README, CONTRIBUTING, SECURITY = (
    (ROOT / f"{name}.md").read_text(encoding="utf-8") for name in ("README", "CONTRIBUTING", "SECURITY")
)
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
(FIRST, FIRST_OUTPUT), *TOUR = [
    (code, output)
    for (language, code), (following, output) in itertools.pairwise(BLOCKS)
    if (language, following) == ("python", "text")
]
"""Code, and the output that is shown below it. All but the first are about simulated runs."""
WITH_OUTPUT = {FIRST, *(code for code, _ in TOUR)}
REAL_RUN, SCRIPT_TEST = [code for language, code in BLOCKS if language == "python" and code not in WITH_OUTPUT]


def output_of(code: str, environment: dict[str, str], cwd: Path = ROOT) -> str:
    """Return what a program prints that is started where the variables of a server are exported."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, **environment, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def real_server(tmp_path, monkeypatch):
    """A server that runs commands, with this Python in its path."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with LocalServer(runner=ProcessRunner(tmp_path / "runs", slots=1, keep=False)) as server:
        yield server


def test_the_first_example_prints_what_is_shown(real_server):
    assert output_of(FIRST, real_server.environment) == FIRST_OUTPUT


def test_the_real_run_trains_and_its_model_is_fetched(real_server, tmp_path):
    """It prints rows, from the first one to the path of the model; then where the model has been downloaded to."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    first, *_, accuracy, path, fetched = output_of(REAL_RUN, real_server.environment, tmp_path).splitlines()
    assert first.startswith("1 ")
    assert re.fullmatch(r"\d+ accuracy 0\.9[5-9]\d\d on 360 images that were not used to learn", accuracy)
    assert re.match(r"\d+ The model is saved in ", path)
    assert fetched == "The model is here: results/model/digits.npz"
    assert (tmp_path / "results/model/digits.npz").stat().st_size > 1000


def test_the_examples_with_simulated_runs_print_what_is_shown(gradient_server):
    """In one program, as a reader would run one after the other."""
    separator = "=" * 20 + "\n"
    code = f"\nprint({separator!r}, end='')\n".join(code for code, _ in TOUR)
    assert output_of(code, gradient_server.environment).split(separator) == [output for _, output in TOUR]


def test_many_at_once(gradient_server, monkeypatch, capsys):
    """The example runs to its end, here with a few dozen."""
    for name, value in gradient_server.environment.items():
        monkeypatch.setenv(name, value)
    gradient_server.clock.scale = 100
    names = {"__name__": "many_at_once"}
    exec((ROOT / "examples/many_at_once.py").read_text(encoding="utf-8"), names)
    asyncio.run(names["main"](30))
    # On a busy machine it also says how far it is.
    assert capsys.readouterr().out.splitlines()[-1].startswith("30 experiments with 150 log rows in ")


def test_the_test_of_a_script_passes(gradient_server):
    """The function of the README, called as pytest would call it."""
    names = {}
    exec(SCRIPT_TEST, names)
    (test,) = [value for name, value in names.items() if name.startswith("test_")]
    test(gradient_server)


@pytest.mark.parametrize("link", re.findall(r"\]\(([^):]+)\)", README + CONTRIBUTING + SECURITY))
def test_files_that_are_linked_exist(link):
    assert (ROOT / link).is_file()


def test_make_lists_every_target_that_is_documented():
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README + CONTRIBUTING, re.MULTILINE))
    assert {"demo", "test", "generate"} <= named <= listed


@pytest.mark.parametrize(
    ("package", "listed_here"),
    [
        ("gradient_ext", ("*.py", "*/")),
        ("gradient_server", ("*.py", "*/")),
        ("gradient_cli", ("*.py", "*/")),
        ("tests", ("*/",)),
    ],
)
def test_the_map_lists_every_module_and_folder(package, listed_here):
    """In the first column of the table below the name of the package, and nothing else."""
    table = re.search(rf"^`{package}/?`[^\n]*:\n\n(.*?)\n\n", CONTRIBUTING, re.DOTALL | re.MULTILINE)[1]
    listed = set(re.findall(r"`(\w+/?)`", "".join(row.split("|")[1] for row in table.splitlines())))
    found = [path for pattern in listed_here for path in (ROOT / package).glob(pattern)]
    there = {f"{path.name}/" if path.is_dir() else path.stem for path in found}
    assert listed == there - {"__init__", "__pycache__/"}


def test_the_quickstart_walks_to_its_end(gradient_server, monkeypatch):
    """Every heading of it is reached, and the last list shows all five experiments."""
    for name, value in gradient_server.environment.items():
        monkeypatch.setenv(name, value)
    names = {"__name__": "quickstart"}
    exec((ROOT / "examples/quickstart.py").read_text(encoding="utf-8"), names)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        names["main"]()
    *_, last = printed.getvalue().split("\n\n")
    assert [line.split("  ")[-1].strip() for line in last.splitlines()[1:]] == [
        "single node from the quickstart",
        *["multi node from the quickstart"] * 2,
        *["single node from the quickstart"] * 2,
    ]


def test_an_index_shows_whose_it_is_and_no_link_that_leads_nowhere_there():
    metadata = importlib.metadata.metadata("gradient-experiments")
    text = metadata.get_payload()
    assert "# Gradient Experiments" in text
    assert "docs/command-line.md" in text
    assert metadata["Author"] == "The Gradient Experiments SDK developers"
    assert not re.findall(r"\]\((?!https?://|#)[^)]*\)", text)
