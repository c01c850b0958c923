"""Lists of experiments: flat or in groups, whole or in pages, newest first."""

import pytest

pytestmark = pytest.mark.usefixtures("sound")
EXPERIMENTS = "/experiments/v1/experiments/"


@pytest.fixture
def create(ask, single_node_body):
    """Create experiments in projects, in order; their ids."""

    def create(*projects):
        bodies = [{**single_node_body, "projectHandle": project} for project in projects]
        return [ask("POST", EXPERIMENTS, body).body["handle"] for body in bodies]

    return create


def handles(data):
    return [experiment["handle"] for experiment in data]


def test_an_empty_server(ask):
    """Has an empty list, which looks like any other."""
    assert ask("GET", EXPERIMENTS).body == {
        "data": [],
        "message": "success",
        "meta": {"filter": [], "limit": 20, "offset": 0, "totalItems": 0},
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", slice(0, 20)),
        ("?limit=-1", slice(None)),
        ("?limit=0", slice(0, 0)),
        ("?limit=1", slice(0, 1)),
        ("?limit=7&offset=20", slice(20, 25)),
        ("?limit=1000000", slice(None)),
        (f"?limit={10**30}&offset={10**30}", slice(25, 25)),
        ("?offset=24", slice(24, 25)),
        ("?offset=25", slice(25, 25)),
        ("?limit=-1&offset=3", slice(3, 25)),
    ],
)
def test_pages(ask, create, query, expected):
    """Newest first, from the offset on, as many as asked for; 20 where nothing is asked, all for -1."""
    newest_first = create(*["p"] * 25)[::-1]
    answered = ask("GET", EXPERIMENTS + query).body
    assert handles(answered["data"]) == newest_first[expected]
    assert answered["meta"]["totalItems"] == 25


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("filtered", [False, True], ids=["flat", "in groups"])
def test_pages_put_together_are_the_whole(ask, create, size, filtered):
    """Whoever goes through the pages meets every experiment once, in the order of the whole list."""
    create("p", "q", "p", "r", "q", "p", "p")
    query = "?projectHandle[0]=q&projectHandle[1]=p&limit={}&offset={}" if filtered else "?limit={}&offset={}"

    def page(limit, offset):
        data = ask("GET", EXPERIMENTS + query.format(limit, offset)).body["data"]
        return handles(found for group in data for found in group["data"]) if filtered else handles(data)

    whole = page(-1, 0)
    assert len(whole) == (6 if filtered else 7)
    assert [handle for offset in range(0, len(whole) + size, size) for handle in page(size, offset)] == whole


def test_groups(ask, create):
    """One for each project asked for, in the order of the numbers; one that does not exist is empty."""
    first, _, third, fourth = create("p", "other", "q", "p")
    query = "projectHandle%5B10%5D=p&projectHandle%5B2%5D=q&projectHandle%5B0%5D=unknown"
    answered = ask("GET", f"{EXPERIMENTS}?limit=-1&{query}").body
    shown = [
        (group["meta"]["itemGroup"]["key"], group["meta"]["itemGroup"]["value"], handles(group["data"]))
        for group in answered["data"]
    ]
    assert shown == [
        ("projectHandle", "unknown", []),
        ("projectHandle", "q", [third]),
        ("projectHandle", "p", [fourth, first]),
    ]
    assert [group["meta"]["totalItems"] for group in answered["data"]] == [0, 1, 2]
    assert answered["meta"]["totalItems"] == 3


def test_a_page_of_groups(ask, create):
    """Every group is there with how many experiments it has, whichever of them the page shows."""
    create("p", "q", "p")
    answered = ask("GET", f"{EXPERIMENTS}?projectHandle[0]=p&projectHandle[1]=q&limit=1&offset=1").body
    assert [len(group["data"]) for group in answered["data"]] == [1, 0]
    assert [group["meta"]["totalItems"] for group in answered["data"]] == [2, 1]
    assert answered["meta"] == {"filter": [], "limit": 1, "offset": 1, "totalItems": 3}


def test_a_project_asked_for_twice(ask, create):
    """Is one group."""
    (handle,) = create("p")
    answered = ask("GET", f"{EXPERIMENTS}?projectHandle[0]=p&projectHandle[1]=p").body
    assert [handles(group["data"]) for group in answered["data"]] == [[handle]]
    assert answered["meta"]["totalItems"] == 1


@pytest.mark.parametrize("project", ["é & ü", "a/b?c#d", "%", "[0]", "prlvf0u05", "p" * 5000])
def test_names_of_projects_may_be_any_text(ask, create, project):
    """What was given when the experiment was created finds it."""
    (handle,) = create(project)
    quoted = "".join(f"%{byte:02X}" for byte in project.encode())
    (group,) = ask("GET", f"{EXPERIMENTS}?projectHandle[0]={quoted}").body["data"]
    assert group["meta"]["itemGroup"]["value"] == project
    assert handles(group["data"]) == [handle]
