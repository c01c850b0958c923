"""The texts of an error response, in every shape in which the historical services wrote them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_ext.errors import words_of


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"details": "Incorrect API Key provided", "error": "Forbidden"}, ["Incorrect API Key provided", "Forbidden"]),
        (
            {"details": {"handle": "wrong_handle"}, "error": "Project not found"},
            ["handle: wrong_handle", "Project not found"],
        ),
        (
            {"details": {"projectHandle": ["Missing data for required field."]}, "error": "Experiment data error"},
            ["projectHandle: Missing data for required field.", "Experiment data error"],
        ),
        (
            {
                "error": {
                    "name": "ValidationError",
                    "status": 422,
                    "message": "The `project` instance is not valid",
                    "details": {"context": "project", "messages": {"name": ["can't be blank"]}},
                }
            },
            ["name: can't be blank", "The `project` instance is not valid"],
        ),
        ({"status": 401, "message": "No such API token"}, ["No such API token"]),
        ({"title": "401 Unauthorized"}, ["401 Unauthorized"]),
        ({"errors": ["one", {"message": "two"}, "one"]}, ["one", "two"]),
        ("just text", ["just text"]),
        ({}, []),
    ],
)
def test_texts_of_a_json_body_come_once_with_details_first(body, words):
    assert list(words_of(json.dumps(body).encode())) == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"Authentication failed", ["Authentication failed"]),
        (b"", []),
        (b"<html>\n<head><title>502 Bad\n Gateway</title></head><body>nginx</body></html>", ["502 Bad Gateway"]),
        (b"<!DOCTYPE html><p>Sorry</p>", ["a web page instead of an answer"]),
        (b"\xff\xfe", ["��"]),
    ],
)
def test_a_body_that_is_no_json_is_its_text_or_the_title_of_its_page(body, words):
    assert list(words_of(body)) == words


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.sampled_from(["error", "details", "messages", "x"]), x),
    ).map(lambda value: json.dumps(value).encode())
)
def test_every_body_becomes_short_texts_without_repetition(body):
    words = words_of(body)
    assert len(set(words)) == len(words)
    assert all(isinstance(word, str) and 0 < len(word) < 600 for word in words)


def test_a_body_that_is_nested_too_deeply_is_text():
    assert words_of(b"[" * 100_000)[0].startswith("[[[")
