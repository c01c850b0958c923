"""The fixtures of the contract tests of the client, after their assertions have been made to explain themselves."""

import pytest

pytest.register_assert_rewrite("judging")

from judging.wire import answered, share, wire, wire_all_along  # noqa: E402, F401

collect_ignore = ["independent"]  # It has a target of its own in the Makefile.
