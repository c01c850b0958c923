"""Values of answers come in their type or not at all, and what must be there is asked for."""

import pytest

from gradient_ext._json import coerce, require


@pytest.mark.parametrize(
    ("json_type", "value", "expected"),
    [
        ("string", "text", "text"),
        ("string", 5000, "5000"),
        ("integer", 2, 2),
        ("integer", 2.0, 2),
        ("integer", "-2", -2),
        ("number", 0.5, 0.5),
        ("boolean", False, False),
        ("object", {"a": 1}, {"a": 1}),
        ("array", [1], [1]),
    ],
)
def test_values_come_in_their_type(json_type, value, expected):
    """Numbers and texts are taken for each other."""
    found = coerce(json_type, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("json_type", "value"),
    [
        ("string", True),
        ("string", float("nan")),
        ("string", ["text"]),
        ("integer", True),
        ("integer", 2.5),
        ("integer", float("inf")),
        ("integer", "two"),
        ("integer", "9" * 5000),
        ("integer", "²"),
        ("number", float("nan")),
        ("boolean", 1),
        ("object", [["a", 1]]),
        ("array", {}),
        ("string", None),
    ],
)
def test_other_values_do_not_come_at_all(json_type, value):
    """Nothing is made of what is of another type, or of no number at all; where it must be there, it is an error."""
    assert coerce(json_type, value) is None
    with pytest.raises(ValueError, match="handle is"):
        require(json_type, value, "handle")


def test_texts_that_are_too_short():
    """An empty text is one, but names nothing."""
    assert require("string", "", "message") == ""
    with pytest.raises(ValueError, match="handle is an empty string"):
        require("string", "", "handle", min_length=1)
