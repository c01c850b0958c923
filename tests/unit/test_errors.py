"""Exceptions: which one a status becomes, what they extend, carry and show; the texts of an error response."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradient
from gradient import ExperimentFailedError, LogRow, SingleNodeExperiment, errors
from gradient_ext.errors import error_class, words_of

FAILED = SingleNodeExperiment(id="es1", state=7, experiment_type_id=1, experiment_error="exit code 1")
BROKEN = gradient.RequestFailedError("broke", "GET", "http://h/", retryable=False)
RESPONSE = {
    "status": 503,
    "method": "GET",
    "url": "http://h/",
    "words": ["one", "two"],
    "details": {"name": ["wrong"]},
    "request_id": "r-1",
    "retry_after": 5.0,
}
EXAMPLES = [
    gradient.GradientSdkError("something"),
    gradient.ConfigurationError("no key"),
    gradient.InvalidParametersError("get()", ["one", "two"]),
    BROKEN,
    gradient.RequestTimeoutError("slow", "GET", "http://h/"),
    gradient.MalformedResponseError("no JSON", "GET", "http://h/", retryable=True),
    gradient.ResourceCreatingError("no handle", "POST", "http://h/"),
    gradient.ResourceCreatingDataError("no dataset", "POST", "http://h/"),
    *(
        error_class(number)("Failed", **{**RESPONSE, "status": number})
        for number in (301, 400, 401, 403, 404, 409, 429, 500)
    ),
    gradient.LogsInterruptedError("es1", 7, "nothing else", BROKEN),
    gradient.LogsTimeoutError("es1", 7, "5 seconds are over"),
    gradient.WaitTimeoutError("es1", 4, 5.0, BROKEN),
    gradient.DownloadError("results", "No space left on device: results", ["model/weights.pt"]),
    gradient.WorkspaceError("data/train.bin has changed while it was read"),
    gradient.StateNotReachedError("es1", 7, [4, 5]),
    ExperimentFailedError(FAILED, "es1", 7, [LogRow(1, "one", "2019-08-06T17:21:18.528Z", "js1")]),
]


def test_every_exception_has_an_example_here():
    kinds = {getattr(gradient, name) for name in gradient.__all__ if name.endswith("Error")}
    assert {type(error) for error in EXAMPLES} == kinds


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_pickles_and_copies_of_exceptions_carry_everything(error, duplicate):
    """Notes included, so that they come out of a pool of processes as they were raised there."""
    error.add_note("Gave up after 3 attempts.")
    twin = duplicate(error)
    assert type(twin) is type(error)
    assert (str(twin), twin.args) == (str(error), error.args)
    # Carried errors are not equal to their copies.
    assert {name: repr(value) for name, value in vars(twin).items()} == {
        name: repr(value) for name, value in vars(error).items()
    }


@pytest.mark.parametrize("error", [BROKEN, gradient.RequestTimeoutError("slow"), EXAMPLES[11]])
def test_exceptions_that_are_os_errors_have_no_errno_and_no_file(error):
    assert isinstance(error, OSError)
    assert (error.errno, error.strerror, error.filename, error.filename2) == (None, None, None, None)


@pytest.mark.parametrize(
    ("status", "kind", "builtin"),
    [
        (400, gradient.BadRequestError, ValueError),
        (415, gradient.BadRequestError, ValueError),
        (422, gradient.BadRequestError, ValueError),
        (401, gradient.AuthenticationError, PermissionError),
        (403, gradient.PermissionDeniedError, PermissionError),
        (404, gradient.NotFoundError, LookupError),
        (409, gradient.ConflictError, Exception),
        (429, gradient.RateLimitError, Exception),
        (500, gradient.ServerError, Exception),
        (599, gradient.ServerError, Exception),
        (418, gradient.ResourceFetchingError, Exception),
        (301, gradient.ResourceFetchingError, Exception),
    ],
)
def test_a_status_has_its_exception(status, kind, builtin):
    assert error_class(status) is kind
    assert issubclass(kind, builtin)
    assert issubclass(kind, gradient.ResourceFetchingError)


@pytest.mark.parametrize("status", range(300, 600))
def test_errors_of_busy_or_unreachable_servers_are_retryable_and_no_others(status):
    error = error_class(status)("Failed", **{**RESPONSE, "status": status})
    assert error.retryable == (status in {408, 429, 500, 502, 503, 504})


def test_an_error_response_shows_words_status_request_and_pause():
    assert str(gradient.ServerError("Failed to fetch data", **RESPONSE)) == (
        "Failed to fetch data: one\ntwo\n(status 503 from GET http://h/, request r-1; it asks to wait 5 seconds)"
    )


def test_a_failed_experiment_shows_its_reason_and_last_rows_without_passwords_and_control_characters():
    reason = "cannot clone https://me:sesame@h/r.git\x1b[2J\r\n"
    row = "\x1b[31mcannot\x1b[0m clone https://me:sesame@h/r.git\x07\r\n"
    experiment = SingleNodeExperiment(id="es1", state=7, experiment_type_id=1, experiment_error=reason)
    error = ExperimentFailedError(experiment, "es1", 7, [LogRow(1, row, "")])
    assert str(error) == "\n".join(
        [
            "Experiment es1 has ended as failed: cannot clone https://me:********@h/r.git",
            "The last rows of its logs:",
            "  1  cannot clone https://me:********@h/r.git\\x07",
        ]
    )
    assert "sesame" not in repr(error)


def test_the_tree_in_the_documentation_is_the_tree():
    """The docstring draws every exception below the one that it extends, with its builtin."""
    drawn = {}
    above = []
    for line in errors.__doc__.splitlines():
        head, _, rest = line.partition("─ ")
        name = (rest or line).split(" ")[0] if rest or line.startswith("Gradient") else ""
        if not name.endswith("Error"):
            continue
        level = (len(head) + 1) // 4 + 1 if rest else 0
        above[level:] = [name]
        builtin = rest.partition("(also ")[2].partition(")")[0] if "(also " in rest else None
        drawn[name] = (above[level - 1] if level else None, builtin)
    assert set(drawn) == set(errors.__all__)
    for name, (parent, builtin) in drawn.items():
        kind = getattr(errors, name)
        assert [base.__name__ for base in kind.__bases__] == [base for base in (parent or "Exception", builtin) if base]
        assert getattr(gradient, name) is kind


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


@pytest.mark.parametrize("form", ["{}", '"{}"', '{{"error": "{}"}}'])
def test_of_a_long_text_only_the_beginning_is_shown(form):
    assert words_of(form.format("x" * 5_000_000).encode()) == ("x" * 500 + " ...",)


def test_a_title_that_comes_late_in_a_page_is_not_searched_for():
    page = b"<html>" + b"<p>" * 400 + b"<title>late</title>"
    assert words_of(page) == ("a web page instead of an answer",)


def test_a_body_that_is_nested_too_deeply_is_text():
    assert words_of(b"[" * 100_000)[0].startswith("[[[")
