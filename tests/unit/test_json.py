"""JSON values become values of the type that the contract names, or none at all."""

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
def test_numbers_and_texts_are_converted_into_each_other(json_type, value, expected):
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
def test_a_value_of_another_type_is_none_and_an_error_where_it_is_required(json_type, value):
    assert coerce(json_type, value) is None
    with pytest.raises(ValueError, match="handle is"):
        require(json_type, value, "handle")


def test_a_required_text_may_have_to_be_longer_than_empty():
    assert require("string", "", "message") == ""
    with pytest.raises(ValueError, match="handle is an empty string"):
        require("string", "", "handle", min_length=1)
