"""The contract by the rules of Redocly."""

from contract import SPEC_PATH
from node import HERE, run


def test_the_contract_is_clean():
    """By every rule that Redocly has, but for the exceptions that redocly.yaml explains."""
    done = run("redocly", "lint", SPEC_PATH, "--config", HERE / "redocly.yaml", "--lint-config", "error")
    assert done.returncode == 0, done.stdout + done.stderr
