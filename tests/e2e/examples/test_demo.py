"""examples/demo.py, which `make demo` runs: the training, and what is left when it is interrupted."""

import contextlib
import html
import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "examples" / "demo.py"
PICTURE = ROOT / "docs" / "demo.svg"
PATIENCE = 60


@contextlib.contextmanager
def demo(folder):
    """Run the demo with its temporary files in a folder, for the time of a block."""
    with subprocess.Popen(
        [sys.executable, str(DEMO)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def processes_of(folder):
    """Return the processes that have a path in a folder among their arguments, or as their directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            place = os.readlink(process / "cwd")
            if str(folder) in place or os.fsencode(folder) in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


def shape(line):
    """Return a line without what differs each time, and without spaces, which pictures write differently."""
    return re.sub(r"\d+|the key is \S+|\s", "", line)


def test_the_demo_trains_and_cleans_up(tmp_path):
    """The accuracies are high, the models are where it says, nothing is left over, and the picture shows the output."""
    with demo(tmp_path) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    *_, one, three, last = output.splitlines()
    for line, what in ((one, "One node"), (three, "Three nodes")):
        right, model = re.fullmatch(rf"{what} +(\d+\.\d)% right, the model is in (\S+)", line).groups()
        assert float(right) > 95
        with np.load(ROOT / model, allow_pickle=False) as saved:
            assert "hidden_weights" in saved.files
    assert re.match(r"Done in \d+ seconds", last)
    rows = [line for line in output.splitlines() if "epoch" in line]
    assert {line[:20].strip() for line in rows if "worker" in line} == {"worker 0", "worker 1"}
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []

    lines = re.findall(r"<text [^>]*>([^<]*)</text>", PICTURE.read_text(encoding="utf-8"))
    pictured = shape(html.unescape("".join(lines)))
    assert [line for line in output.splitlines() if shape(line) not in pictured] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path, number):
    """It prints a line, and leaves neither processes nor files behind."""
    with demo(tmp_path) as process:
        assert any("epoch" in line for line in process.stdout)
        assert processes_of(tmp_path)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "Interrupted; the server and all that it ran have stopped."
    assert "Traceback" not in errors
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_is_not_good_enough_is_an_error(tmp_path):
    """A low accuracy or a missing model ends the demo with a sentence and exit code 1."""
    summary = runpy.run_path(str(DEMO))["summary"]
    with pytest.raises(SystemExit, match="One node: there is no model in "):
        summary("One node", 0.99, tmp_path)
    (tmp_path / "digits.npz").touch()
    with pytest.raises(SystemExit, match=r"One node: 95\.0% of the images .* are read right; more than 95% should be"):
        summary("One node", 0.95, tmp_path)
