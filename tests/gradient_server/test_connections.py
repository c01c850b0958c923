"""Many connections, and slow ones: nobody waits for somebody else, and nothing gets lost."""

import time

EXPERIMENTS = "/experiments/v1/experiments/"


def test_an_answer_does_not_wait_for_a_packet(ask):
    """On a kept connection, the parts of an answer are sent at once; held back, each would take 40 ms."""
    ask("GET", EXPERIMENTS)
    began = time.monotonic()
    for _ in range(100):
        assert ask("GET", EXPERIMENTS).status == 200
    assert time.monotonic() - began < 2
