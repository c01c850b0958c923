"""Errors worth catching: by what happened, by their historical names, and as the builtins that they are."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

import gradient
from gradient import ExperimentsClient, errors
from gradient_ext.errors import error_class
from tests.client.flaky import FlakyServer, status

EXAMPLES = [
    gradient.GradientSdkError("something"),
    gradient.ConfigurationError("no key"),
    gradient.InvalidParametersError("get()", ["one", "two"]),
    gradient.RequestFailedError("broke", "GET", "http://h/", retryable=False),
    gradient.RequestTimeoutError("slow", "GET", "http://h/"),
    gradient.MalformedResponseError("no JSON", "GET", "http://h/", retryable=True),
    gradient.ResourceCreatingError("no handle", "POST", "http://h/"),
    *(
        error_class(number)(
            "Failed",
            status=number,
            method="GET",
            url="http://h/",
            words=["one", "two"],
            details={"name": ["wrong"]},
            request_id="r-1",
            retry_after=5.0,
        )
        for number in (301, 400, 401, 403, 404, 409, 415, 418, 422, 429, 500, 503, 520)
    ),
]

FAILED = gradient.SingleNodeExperiment(id="es1", state=7, experiment_type_id=1, experiment_error="exit code 1")
EXAMPLES += [
    gradient.ResourceCreatingDataError("no dataset", "POST", "http://h/"),
    gradient.LogsInterruptedError("es1", 7, "nothing else", gradient.RequestFailedError("broke", "GET", "http://h/")),
    gradient.LogsTimeoutError("es1", 7, "5 seconds are over"),
    gradient.WaitTimeoutError("es1", 4, 5.0, EXAMPLES[-1]),
    gradient.StateNotReachedError("es1", 7, [4, 5]),
    gradient.ExperimentFailedError(FAILED, "es1", 7, [gradient.LogRow(1, "one", "2019-08-06T17:21:18.528Z", "js1")]),
]


def test_every_error_has_an_example():
    """None is forgotten by the tests below."""
    kinds = {getattr(gradient, name) for name in gradient.__all__ if name.endswith("Error")}
    assert {type(error) for error in EXAMPLES} == kinds


def shown(error):
    """All that an error says and carries; errors that it carries are not equal to their copies."""
    return str(error), {name: repr(value) for name, value in vars(error).items()}


def ended_in(number):
    """Raise the example with a number, as a process of a pool does."""
    error = EXAMPLES[number]
    error.add_note("Gave up after 3 attempts.")
    raise error


def test_errors_come_out_of_a_pool_of_processes():
    """As they were raised there, notes included."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        ends = [pool.submit(ended_in, number) for number in range(len(EXAMPLES))]
        for error, end in zip(EXAMPLES, ends, strict=True):
            came = end.exception()
            assert type(came) is type(error)
            assert came.__notes__[0] == "Gave up after 3 attempts."
            assert str(came) == str(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: f"{type(error).__name__}-{getattr(error, 'status', '')}")
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_errors_survive_the_way_between_processes(error, again):
    """A pool of processes hands them on with all that they carry, notes included."""
    error.add_note("Gave up after 3 attempts.")
    twin = again(error)
    assert type(twin) is type(error)
    assert shown(twin) == shown(error)


def test_what_the_system_did_not_say():
    """They are OSErrors, with no number of one and no file: handlers that look for those are not misled."""
    for error in (gradient.RequestFailedError("broke", "GET", "http://h/"), gradient.RequestTimeoutError("slow")):
        assert (error.errno, error.strerror, error.filename, error.filename2) == (None, None, None, None)


@pytest.mark.parametrize(
    ("number", "kind", "builtin"),
    [
        (400, gradient.BadRequestError, ValueError),
        (422, gradient.BadRequestError, ValueError),
        (401, gradient.AuthenticationError, PermissionError),
        (403, gradient.PermissionDeniedError, PermissionError),
        (404, gradient.NotFoundError, LookupError),
        (409, gradient.ConflictError, gradient.ResourceFetchingError),
        (429, gradient.RateLimitError, gradient.ResourceFetchingError),
        (500, gradient.ServerError, gradient.ResourceFetchingError),
        (503, gradient.ServerError, gradient.ResourceFetchingError),
        (599, gradient.ServerError, gradient.ResourceFetchingError),
        (418, gradient.ResourceFetchingError, gradient.GradientSdkError),
    ],
)
def test_a_status_is_an_error_with_all_that_is_known(number, kind, builtin):
    """Caught by what it is, by the historical name, by the builtin; it carries request and answer."""
    server = FlakyServer()
    body = {"details": {"handle": "es1"}, "error": "Said so"}
    server.plan = [status(number, body, X_Request_Id="r-7")]
    try:
        once = ExperimentsClient("sesame", base_url=server.url, max_attempts=1)
        with once as client, pytest.raises(builtin) as caught:
            client.start("es1")
    finally:
        server.close()
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, gradient.ResourceFetchingError)
    assert (error.status, error.method, error.url) == (number, "PUT", f"{server.url}/experiments/es1/start/")
    assert (error.request_id, error.details, error.words) == ("r-7", {"handle": "es1"}, ("handle: es1", "Said so"))
    assert str(error).startswith("Failed to start experiment: handle: es1\nSaid so\n(status ")


def test_the_drawn_tree_is_the_tree():
    """The docstring of the module draws every error, below the one that it extends, with its builtin."""
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
    real = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.GradientSdkError)
    }
    assert set(drawn) == set(real)
    for name, (parent, builtin) in drawn.items():
        bases = [base.__name__ for base in real[name].__bases__]
        assert bases == [base for base in (parent or "Exception", builtin) if base]
        assert getattr(gradient, name) is real[name]
