"""What came of the tests with many Pythons: read from pytest, shown, and held against the classifiers."""

import subprocess
import sys

import pytest

from tests.versions.outcomes import Outcome, outcome_of, table, untrue_classifiers

TESTS = """
import pytest

def test_passes():
    pass

def test_passes_too():
    pass

def test_fails():
    assert False

def test_is_skipped():
    pytest.skip("nothing to see")

@pytest.fixture
def broken():
    raise RuntimeError

def test_of_something_broken(broken):
    pass
"""


def outcome(python="3.11.7", dependencies="lowest", *, is_right=True):
    return Outcome(python, dependencies, is_right=is_right, passed=200, failed=0, skipped=0, seconds=9)


def test_what_pytest_reports_is_counted(tmp_path):
    """Passed, failed and skipped tests are counted, and tests whose fixtures break are failures."""
    tests, junit = tmp_path / "test_some.py", tmp_path / "junit.xml"
    tests.write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junit-xml={junit}", str(tests)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    read = outcome_of("3.11.7", "lowest", code=ended.returncode, junit=junit.read_text())
    assert (read.passed, read.failed, read.skipped, read.is_right) == (2, 2, 1, False)


@pytest.mark.parametrize(("code", "is_right"), [(0, True), (1, False), (3, False), (5, False)])
def test_only_an_exit_code_of_0_is_right(code, is_right):
    """A run that broke, or found no tests, is not right because it counts no failures."""
    junit = '<testsuites><testsuite tests="0" failures="0" errors="0" skipped="0" time="0.1"/></testsuites>'
    assert outcome_of("3.11.7", "lowest", code=code, junit=junit).is_right is is_right


def test_a_run_without_a_report_is_not_right():
    """Whatever the exit code says: there is nothing to count."""
    assert not outcome_of("3.11.7", "lowest", code=0, junit=None).is_right


def test_the_table_is_aligned():
    """Words start under their headings, numbers end under theirs, and what has no counts has dashes."""
    not_made = Outcome("3.13.0", "highest", is_right=False)
    assert table([outcome(), not_made]).splitlines() == [
        "Python  dependencies  passed  failed  skipped  seconds",
        "3.11.7  lowest           200       0        0        9",
        "3.13.0  highest            -       -        -        -",
    ]


def test_classifiers_that_name_what_has_passed_are_true():
    """Nothing is said of them."""
    assert list(untrue_classifiers(["3.11", "3.12"], [outcome("3.11.7"), outcome("3.12.1")])) == []


def test_a_classifier_without_an_interpreter_is_told():
    """What was not tried is a promise that nobody has looked at."""
    (told,) = untrue_classifiers(["3.11", "3.12"], [outcome("3.11.7")])
    assert "3.12" in told


def test_a_python_that_passed_without_a_classifier_is_told():
    """All that passed and are not named, by number and not by letter; those that failed are in the table already."""
    outcomes = [outcome("3.11.7"), outcome("3.10.2"), outcome("3.9.1"), outcome("3.14.0", is_right=False)]
    told = list(untrue_classifiers(["3.11"], outcomes))
    assert [sentence.split()[1] for sentence in told] == ["3.9", "3.10"]


def test_a_python_that_failed_with_some_dependencies_has_not_passed():
    """It would have to pass with the lowest and the highest to be named."""
    outcomes = [outcome("3.14.0", "lowest"), outcome("3.14.0", "highest", is_right=False)]
    assert list(untrue_classifiers([], outcomes)) == []
