"""Lists as a caller gets them: page by page over a socket."""

import pytest

from gradient_ext import pagination


@pytest.mark.parametrize("project", [None, "prlvf0u05"])
@pytest.mark.parametrize(("limit", "offset"), [(None, 0), (4, 0), (None, 2), (2, 2)])
def test_a_list_goes_through_all_pages(client, single_node, monkeypatch, project, limit, offset):
    """Pages are put together to the whole, newest first, whether they come flat or in groups."""
    monkeypatch.setattr(pagination, "PAGE_SIZE", 2)
    newest_first = [client.create_single_node(**single_node) for _ in range(5)][::-1]
    end = None if limit is None else offset + limit
    listed = client.list(project, limit=limit, offset=offset)
    assert [experiment.id for experiment in listed] == newest_first[offset:end]


@pytest.mark.parametrize("project", [None, "prlvf0u05"])
def test_a_walk_through_a_list(client, single_node, project):
    """It gives the same as the list does, asks for a page when one is needed, and for nothing before the first."""
    listed = [client.create_single_node(**single_node) for _ in range(5)][::-1]
    walk = client.iter_experiments(project, page_size=2)
    first = [next(walk).id for _ in range(2)]
    client.create_single_node(**single_node)
    assert first + [experiment.id for experiment in walk] == listed


@pytest.mark.parametrize("projects", [[], ()])
def test_no_project_has_no_experiments(scripted, scripted_client, projects):
    """An empty filter is not the same as none: nothing is asked, and above all nothing of other projects comes."""
    assert scripted_client.list(projects) == []
    assert scripted.requests == []
