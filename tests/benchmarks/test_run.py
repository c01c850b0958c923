"""The benchmark itself, with little effort: that it runs, not its results."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_small_run(tmp_path):
    """It compares the clients that there are, names those that there are not, and writes its figures to files."""
    done = run("--no-old", "--effort", "0.01", "--only", "get", "logs_100k", "--output", str(tmp_path))
    assert done.stderr == ""
    assert done.returncode in (0, 1)  # Whether aims are met is a matter of the machine.
    said, head, get, *_ = done.stdout.splitlines()
    assert said == "The old client is not compared with: left out"
    assert "no old one" in head
    assert get.startswith("get ")
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(found) == {"about", "get", "logs_100k"}
    assert set(found["get"]["get"]["medians"]) == {"this", "generated", "raw"}
    assert (tmp_path / "results.svg").read_text(encoding="utf-8").count("<svg") == 1


def test_an_unknown_row_is_an_error_that_lists_all_rows():
    done = run("--only", "gte")
    assert done.returncode == 2
    assert "invalid choice: 'gte'" in done.stderr
    assert "follow_latency" in done.stderr
