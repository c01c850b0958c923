"""Tags and notes over HTTP: what is stored, what is refused, and what the runs notice of it."""

import pytest

from gradient_server import LocalServer
from tests.server.api.conftest import EXPERIMENTS
from tests.server.conftest import RawClient

pytestmark = pytest.mark.usefixtures("server_stays_healthy")
UPDATE, READ = "/entityTags/updateTags", "/entityTags/getTags"


def update(handle, *tags, **more):
    return {"entity": "experiment", "entityId": handle, "tags": list(tags), **more}


@pytest.fixture
def handle(ask, single_node_body):
    return ask("POST", EXPERIMENTS, single_node_body).body["handle"]


def test_tags_are_beside_the_parameters_in_the_form_of_the_service(ask, single_node_body):
    """Published clients prefer a member of the parameters to that of the experiment."""
    created = ask("POST", EXPERIMENTS, single_node_body | {"tags": ["b", "a", "b"], "note": ""}).body
    assert created["tags"] == ["b", "a"]
    data = ask("GET", f"{EXPERIMENTS}{created['handle']}/").body["data"]
    assert (data["tags"], data["note"]) == ([{"name": "b"}, {"name": "a"}], None)
    assert {"tags", "note"}.isdisjoint(data["templateHistory"]["params"])


def test_tags_do_not_touch_a_run(ask, frozen_server, single_node_body):
    handle = ask("POST", f"{EXPERIMENTS}run/", single_node_body).body["handle"]
    frozen_server.advance(12)
    before = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
    assert ask("PUT", UPDATE, update(handle, "a")).status == 200
    assert ask("PUT", f"{EXPERIMENTS}{handle}/note/", {"note": "text"}).body == {"message": "success"}
    after = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
    assert after == before | {"tags": [{"name": "a"}], "note": "text"}


def test_tags_and_notes_survive_the_server(tmp_path, single_node_body):
    with LocalServer(store=tmp_path / "store.db") as server:
        ask = RawClient(server.url, server.api_key)
        handle = ask("POST", EXPERIMENTS, single_node_body | {"tags": ["a"], "note": "text"}).body["handle"]
        ask("PUT", UPDATE, update(handle, "b", "a"))
        project = ask("POST", "/projects/", {"name": "mnist", "tags": ["c"]}).body["handle"]
        ask.close()
    with LocalServer(store=tmp_path / "store.db") as server:
        ask = RawClient(server.url, server.api_key)
        data = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
        projects = ask("GET", "/projects/?tagFilter=c&tagFilter=d").body["data"]
        ask.close()
    assert (data["tags"], data["note"]) == ([{"name": "b"}, {"name": "a"}], "text")
    assert [(found["handle"], found["tags"]) for found in projects] == [(project, ["c"])]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"tags": [""]}, "tags"),
        ({"tags": ["two\nlines"]}, "tags"),
        ({"tags": ["x" * 101]}, "tags"),
        ({"tags": ["x"] * 101}, "tags"),
        ({"tags": "a"}, "tags"),
        ({"tags": None}, "tags"),
        ({"note": "x" * 10_001}, "note"),
    ],
)
def test_tags_and_notes_are_bounded(ask, handle, single_node_body, body, name):
    ask("POST", EXPERIMENTS, single_node_body | body).assert_error(400, name)
    if name == "note":
        ask("PUT", f"{EXPERIMENTS}{handle}/note/", body).assert_error(400, name)
    else:
        refused = ask("PUT", UPDATE, update(handle) | body)
        assert (refused.status, refused.body["error"]["name"]) == (400, "ValidationError")
        assert list(refused.body["error"]["details"]["messages"]) == [name]
    assert ask("GET", f"{READ}?entity=experiment&entityIds={handle}").body == {handle: []}


@pytest.mark.parametrize("entity", ["experiment", "project"])
def test_of_unknown_ids_no_tags_are_read(ask, handle, entity):
    found = ask("GET", f"{READ}?entity={entity}&entityIds={handle[:-1]}")
    message = f"{entity.capitalize()} not found: {handle[:-1]}"
    assert (found.status, found.body) == (404, {"error": {"name": "Error", "status": 404, "message": message}})


def test_a_page_of_a_list_is_cut_from_those_with_a_tag(ask, single_node_body):
    for tags in (["a"], ["b"], ["a"], ["a", "b"]):
        ask("POST", EXPERIMENTS, single_node_body | {"tags": tags})
    found = ask("GET", f"{EXPERIMENTS}?tag=a&limit=2&offset=1").body
    assert [each["tags"][0]["name"] for each in found["data"]] == ["a", "a"]
    assert found["meta"]["totalItems"] == 3
    grouped = ask("GET", f"{EXPERIMENTS}?tag=b&tag=c&projectHandle[0]={single_node_body['projectHandle']}").body
    assert [group["meta"]["totalItems"] for group in grouped["data"]] == [2]
