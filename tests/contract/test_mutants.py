"""The faults on purpose can be put into the code as it is, so that `make contract-mutants` is ready when needed."""

import subprocess
import sys
from pathlib import Path

MUTANTS = Path(__file__).with_name("mutants")


def test_every_fault_fits_the_code():
    """What a fault replaces stands in its file exactly once; the code that it is about has not moved away from it."""
    checked = subprocess.run([sys.executable, MUTANTS, "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
