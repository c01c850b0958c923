"""`make breaking` compares the contract with a revision of git, and fails where old callers break."""

import pytest
from breaking import read


def remove_a_field(spec):
    del spec["components"]["schemas"]["Experiment"]["properties"]["dtCreated"]


def remove_a_field_on_purpose(spec):
    remove_a_field(spec)
    major, _, rest = spec["info"]["version"].partition(".")
    spec["info"]["version"] = f"{int(major) + 1}.{rest}"


def test_a_breaking_change_fails_and_says_why(new_copy):
    """The exit code is 1, and the change is there with its place, its reason and the ways out."""
    project = new_copy()
    project.commit()
    project.edit(remove_a_field)
    done = project.breaking("HEAD")
    assert done.returncode == 1
    assert "  removed  dtCreated of Experiment  response field; in Python dt_created\n" in done.stdout
    assert "breaks: callers who read it miss it\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("Take that back, or give info.version")


def test_breaking_on_purpose_passes_with_a_higher_major_version(new_copy):
    """The changes are listed all the same, with the two versions."""
    project = new_copy()
    project.commit()
    project.edit(remove_a_field_on_purpose)
    done = project.breaking("HEAD")
    assert done.returncode == 0, done.stderr
    assert (
        "Old callers break: 1 of 1 changes.\nThat is on purpose: info.version is 2.0.0, and was 1.0.0.\n" in done.stdout
    )


def test_without_a_revision_the_last_release_is_meant(new_copy):
    """The nearest tag of a release counts, not later commits and not other tags."""
    project = new_copy()
    project.commit(tag="v0.1.0")
    project.edit(remove_a_field)
    project.commit(tag="very-late")
    done = project.breaking()
    assert done.returncode == 1
    assert done.stdout.startswith("The contract compared with v0.1.0:\n")


def test_without_a_release_there_is_nothing_to_compare_with(new_copy):
    """That is one line and no failure: a project has no release until it has one."""
    project = new_copy()
    project.commit()
    done = project.breaking()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "No release tag (v*) is reachable, so there is nothing to compare the contract with.\n"


@pytest.mark.parametrize("revision", ["no-such-branch", "--help"])
def test_an_unknown_revision_is_named(new_copy, revision):
    """The exit code is 2, so that it cannot be taken for a breaking change; no revision is taken for an option."""
    project = new_copy()
    project.commit()
    done = project.breaking("--", revision)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"There is no revision {revision!r} here.")


def test_a_revision_without_a_contract_is_named(new_copy):
    """The exit code is 2 there too."""
    project = new_copy()
    project.commit(contract=False)
    done = project.breaking("HEAD")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The revision 'HEAD' has no openapi/experiments.yaml.\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("info: {released: 2030-01-01}", "\n  info released: 2030-01-01 (date)"),
        ("info:\n  - at: 2030-01-01T00:00:00Z", "\n  info 0 at: 2030-01-01 00:00:00+00:00 (datetime)"),
        ("maximum: .inf\nminimum: .nan", "\n  maximum: inf\n  minimum: nan"),
        ("logo: !!binary aGk=", "\n  logo: b'hi' (bytes)"),
        ("? [1, 2]\n: 3", "\n  (1, 2): not a name"),
        ("a: 1\na: 2", "The contract is not YAML: "),
        ("a: &a [*a]", "The contract is not YAML: "),
    ],
)
def test_what_json_cannot_hold_is_named(text, sentence):
    """A date without quotes would otherwise be no text, and infinity no number."""
    with pytest.raises(SystemExit) as caught:
        read(text)
    assert sentence in str(caught.value)


def test_numbers_and_truth_values_are_names_too():
    assert read("200: {true: null}") == {"200": {"true": None}}
