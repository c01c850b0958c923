"""The README does what it says: its example prints what is shown, and its test of a script passes."""

import asyncio
import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradient_server import LocalServer
from gradient_server.runners.process import ProcessRunner

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
REAL, EXAMPLE, ASYNCIO, NOTEBOOK, SCRIPT_TEST = [text for language, text in BLOCKS if language == "python"]
(OUTPUT,) = [text for language, text in BLOCKS if language == "text"]


def test_the_example_prints_what_is_shown(gradient_server):
    """Run as a user runs it: a program of its own that finds the server through its environment."""
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLE],
        env={**os.environ, **gradient_server.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (OUTPUT, "")


def test_the_real_run_trains(tmp_path, monkeypatch):
    """Its rows come, from the first to where the model is."""
    # It is the path of the server that finds `python`.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with LocalServer(runner=ProcessRunner(tmp_path / "runs", slots=1, keep=False)) as server:
        done = subprocess.run(
            [sys.executable, "-c", REAL],
            cwd=ROOT,
            env={**os.environ, **server.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, accuracy, place = done.stdout.splitlines()
    assert first.startswith("1 This runs as a process of the server's machine: container none and machineType local")
    assert re.fullmatch(r"\d+ accuracy 0\.9[5-9]\d\d on 360 images that were not used to learn", accuracy)
    assert re.match(r"\d+ The model is saved in ", place)


def test_the_cell_of_a_notebook_runs(client, gradient_server, single_node, capsys, monkeypatch):
    """After the example, with its names; what it prints holds the experiment and its logs."""
    monkeypatch.setenv("COLUMNS", "120")  # Narrow terminals get shortened ids.
    experiment_id = client.run_single_node(**single_node)
    gradient_server.advance(3600)
    exec(NOTEBOOK, {"client": client, "experiment": client.get(experiment_id), "experiment_id": experiment_id})
    printed = capsys.readouterr().out
    assert printed.count(experiment_id) >= 3
    assert client.logs(experiment_id)[0].timestamp[:10] in printed


def test_the_example_with_asyncio_runs(client, gradient_server, single_node, monkeypatch, capsys):
    """After the first example, with the experiment that it ran; what it waited for is named at the end."""
    for name, value in gradient_server.environment.items():
        monkeypatch.setenv(name, value)
    experiment_id = client.run_single_node(**single_node)
    gradient_server.advance(3600)
    exec(ASYNCIO, {"experiment_id": experiment_id})
    assert capsys.readouterr().out.splitlines()[-1] == single_node["name"]


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


@pytest.mark.parametrize("link", re.findall(r"\]\(([^):]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
def test_files_that_are_linked_exist(link):
    """Nobody is sent to a file that is not there."""
    assert (ROOT / link).is_file()


def test_make_lists_its_targets():
    """`make` alone explains itself, and every target that the README names is in the list."""
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)", "".join(text for _, text in BLOCKS), re.MULTILINE))
    assert {"demo", "test"} <= named <= listed


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
