"""What the other tests of the server have met, all together; this file is the last of them by its name."""

import pytest

from tests.contract.calling import OPERATIONS, SUITE

NOT_PROVOKED = {
    ("createExperiment", 404): "the local server knows every project",
    ("runExperiment", 404): "the local server knows every project",
    ("createExperiment", 413): "bodies of many MiB are sent in tests/server/api/test_protocol.py",
    ("runExperiment", 413): "bodies of many MiB are sent in tests/server/api/test_protocol.py",
}


def test_every_declared_status_was_met(tally, request):
    """Every operation has given every answer that the contract declares, but for the ones named here with a reason."""
    chosen = [getattr(item, "originalname", None) for item in request.session.items]
    if chosen.count("test_operation") < len(OPERATIONS) or "test_random_chains" not in chosen:
        pytest.skip("only some tests of the server were chosen, so they cannot have met everything")
    declared = {
        (name, int(status)) for name, found in OPERATIONS.items() for status in found.definition.raw["responses"]
    }
    assert declared - tally.seen(SUITE, "pairs of operation and status") == set(NOT_PROVOKED)
