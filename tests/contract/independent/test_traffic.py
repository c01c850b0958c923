"""All the traffic of the run by the rules of Redocly, and how much of the contract it covered. Has to run last."""

import pytest
from contract import OPERATIONS
from covered import below_the_floor, covered, table
from drift import compared
from judges import COVERED
from node import REPORTS
from violations import violations


@pytest.fixture(scope="module")
def verdicts(traffic):
    """What Redocly says of what clients sent, and of everything."""
    for name, exchanges in traffic.items():
        assert exchanges, f"there is no traffic of {name}; this test needs the tests before it"
    everything = [exchange for exchanges in traffic.values() for exchange in exchanges]
    return {"clients": compared("clients", traffic["clients"]), "everything": compared("everything", everything)}


def test_redocly_finds_nothing_wrong(verdicts, tally):
    """Every exchange is one of the contract, and nothing in it is wrong, not even a little."""
    for name, verdict in verdicts.items():
        assert not verdict.problems, "\n".join(verdict.problems)
        assert verdict.documented == verdict.exchanges
        tally.count("recorded traffic, judged by Redocly", f"exchanges of {name}", verdict.exchanges)


def test_prism_found_nothing_wrong(traffic, tally):
    """In the whole run, whatever else a test made of it."""
    for name, exchanges in traffic.items():
        found = violations(exchanges)
        assert not found, "\n".join(found)
        tally.count("recorded traffic, judged by Prism", f"exchanges of {name}", len(exchanges))


def test_the_key_is_in_no_file(verdicts, gradient_server):
    """What is recorded can be shown to anybody."""
    for path in REPORTS.iterdir():
        assert gradient_server.api_key not in path.read_text(encoding="utf-8"), path.name


def test_the_floor(verdicts, pytestconfig):
    """Every operation, parameter and field was sent by a client, and every status that the server can say was seen."""
    found = covered(verdicts["clients"].coverage, verdicts["everything"].coverage)
    pytestconfig.stash[COVERED] = table(found)
    assert {one.operation for one in found} == {operation.id for operation in OPERATIONS}
    missing = below_the_floor(found)
    assert not missing, "\n".join(missing)
