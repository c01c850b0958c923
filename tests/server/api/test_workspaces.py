"""Uploaded workspaces over real sockets: parts, what is refused, and for how long they are kept."""

import contextlib
import errno
import os
import socket
import threading
from hashlib import sha256
from urllib.parse import urlsplit

import pytest

from gradient_server import LocalServer
from tests.server.conftest import PATIENCE, RawClient, raw_request, responses_to

WORKSPACES = "/experiments/v1/workspaces/"
EXPERIMENTS = "/experiments/v1/experiments/"
BYTES = {"Content-Type": "application/octet-stream"}
MIB = 1024 * 1024


@pytest.fixture
def start(tmp_path):
    """Start a server with a store, in place of the one before; return a client."""
    with contextlib.ExitStack() as opened:

        def start():
            opened.close()
            server = opened.enter_context(LocalServer(store=tmp_path / "store", check_answers=True))
            return opened.enter_context(contextlib.closing(RawClient(server.url, server.api_key)))

        yield start


@pytest.fixture
def ask(start):
    return start()


@pytest.fixture
def files(tmp_path):
    """The files that the server keeps of uploads."""
    folder = tmp_path / "store.uploads"
    return lambda: sorted(path.name for path in folder.glob("*/*"))


def digest_of(*parts):
    """The digest of the parts of a workspace."""
    return sha256("".join(f"{sha256(part).hexdigest()}\n" for part in parts).encode()).hexdigest()


def send(ask, part):
    return ask("PUT", f"{WORKSPACES}parts/{sha256(part).hexdigest()}/", part, BYTES).status


def missing(ask, *parts):
    body = {"parts": [sha256(part).hexdigest() for part in parts]}
    found = ask("POST", f"{WORKSPACES}parts/", body).body["data"]["missing"]
    return [part for part in parts if sha256(part).hexdigest() in found]


def make(ask, *parts, **changes):
    body = {"name": "project", "parts": [sha256(part).hexdigest() for part in parts], "size": len(b"".join(parts))}
    return ask("PUT", f"{WORKSPACES}{digest_of(*parts)}/", {**body, **changes})


def upload(ask, *parts):
    """Upload a workspace, and return its URL."""
    assert {send(ask, part) for part in missing(ask, *parts)} <= {200}
    return make(ask, *parts).body["data"]["url"]


@pytest.fixture
def create(single_node_body):
    """Create an experiment with a workspace; return the response."""
    return lambda ask, url: ask("POST", EXPERIMENTS, {**single_node_body, "workspaceUrl": url})


def test_a_workspace_has_the_name_that_was_given_and_is_in_the_experiment(ask, create):
    url = upload(ask, b"one", b"two", b"one")
    assert url == f"upload:project/{digest_of(b'one', b'two', b'one')[:16]}"
    handle = create(ask, url).body["handle"]
    found = ask("GET", f"{EXPERIMENTS}{handle}/").body["data"]
    assert found["templateHistory"]["params"]["workspace_url"] == url


def test_only_parts_that_are_not_there_are_missing_also_after_a_restart(start):
    ask = start()
    assert missing(ask, b"one", b"two") == [b"one", b"two"]
    send(ask, b"one")
    assert missing(ask, b"one", b"two") == [b"two"]
    assert missing(start(), b"one", b"two") == [b"two"]


def test_a_workspace_is_kept_over_a_restart(start, create):
    url = upload(start(), b"one")
    assert create(start(), url).status == 200


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parts": [sha256(b"two").hexdigest()]}, "The parts are not those of the digest in the address"),
        ({"size": 4}, "The parts have 3 bytes, and not 4"),
    ],
)
def test_a_workspace_that_is_not_what_its_digest_or_size_says_is_refused(ask, files, changes, words):
    send(ask, b"one")
    response = make(ask, b"one", **changes)
    assert (response.status, response.body["details"]) == (409, words)
    assert files() == [sha256(b"one").hexdigest()]


@pytest.mark.parametrize(("parts", "words"), [([b"one", b"two"], "1 part of the workspace is missing")])
def test_a_workspace_without_all_of_its_parts_is_refused(ask, create, parts, words):
    send(ask, b"one")
    response = make(ask, *parts)
    assert (response.status, response.body["details"]) == (409, words)
    create(ask, f"upload:project/{digest_of(*parts)[:16]}").assert_error(400, "workspaceUrl")


def test_a_part_with_another_digest_is_refused_and_not_kept(ask, files):
    response = ask("PUT", f"{WORKSPACES}parts/{sha256(b'one').hexdigest()}/", b"two", BYTES)
    assert (response.status, response.body["details"]) == (409, "The part does not have the digest of its address")
    assert files() == []


@pytest.mark.parametrize("digest", ["..", "%2e%2e%2fstore", "a" * 63, "A" * 64, "a" * 64 + "%0a"])
def test_an_address_that_is_no_digest_is_refused(ask, files, digest):
    assert ask("PUT", f"{WORKSPACES}parts/{digest}/", b"one", BYTES).status in (400, 404)
    assert files() == []


@pytest.mark.parametrize("name", ["a/b", "..", "a b", "", "é", "x" * 81])
def test_a_name_that_cannot_be_in_a_url_is_refused(ask, name):
    send(ask, b"one")
    make(ask, b"one", name=name).assert_error(400, "name")


def test_a_part_of_more_than_8_mib_is_refused(ask, files):
    assert send(ask, bytes(8 * MIB)) == 200
    assert send(ask, bytes(8 * MIB + 1)) == 413
    assert len(files()) == 1


@pytest.mark.parametrize("received", [0, 1, 3 * MIB, 4 * MIB - 1])
def test_an_upload_that_is_cut_leaves_nothing_and_goes_on(ask, files, tmp_path, received):
    part = os.urandom(4 * MIB)
    path = f"{WORKSPACES}parts/{sha256(part).hexdigest()}/"
    headers = ["Content-Type: application/octet-stream", f"Content-Length: {len(part)}"]
    parts = urlsplit(f"http://{ask.connection.host}:{ask.connection.port}")
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall(raw_request("PUT", path, *headers, body=part[:received]))
    assert missing(ask, part) == [part]
    assert files() == []
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        assert responses_to(connection, raw_request("PUT", path, *headers, body=part))[0][0] == 200
    assert missing(ask, part) == []


def test_two_uploads_of_the_same_at_once_both_succeed(ask, files):
    part = os.urandom(2 * MIB)
    statuses = []

    def one():
        client = RawClient(f"http://{ask.connection.host}:{ask.connection.port}", ask.key)
        with contextlib.closing(client):
            statuses.extend([send(client, part), make(client, part).status])

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 8
    assert len(files()) == 2


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_nothing_of_what_was_sent_is_kept(ask, files, monkeypatch, error):
    replaced = os.replace

    def full(*paths, **options):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("os.replace", full)
    response = ask("PUT", f"{WORKSPACES}parts/{sha256(b'one').hexdigest()}/", b"one", BYTES)
    assert response.status == 507
    assert response.body["details"] == f"The disk of the server is full: {os.strerror(error)}"
    assert files() == []
    monkeypatch.setattr("os.replace", replaced)
    send(ask, b"one")
    monkeypatch.setattr("os.replace", full)
    assert make(ask, b"one").status == 507
    assert files() == [sha256(b"one").hexdigest()]


def test_an_unknown_workspace_is_refused(ask, create):
    response = create(ask, "upload:project/0123456789abcdef")
    response.assert_error(400, "workspaceUrl")
    assert "upload the workspace again" in response.body["details"]["workspaceUrl"][0]


def test_a_workspace_is_removed_with_the_last_experiment_that_has_it(start, create, files):
    ask = start()
    url, other = upload(ask, b"one", b"two"), upload(ask, b"one", b"three")
    handles = [create(ask, each).body["handle"] for each in (url, url, other)]
    ask("DELETE", f"{EXPERIMENTS}{handles[0]}/")
    assert len(files()) == 5
    ask = start()
    ask("DELETE", f"{EXPERIMENTS}{handles[1]}/")
    assert missing(ask, b"one", b"two", b"three") == [b"two"]
    ask("DELETE", f"{EXPERIMENTS}{handles[2]}/")
    assert files() == []
    create(ask, url).assert_error(400, "workspaceUrl")


def test_a_workspace_that_another_client_has_just_uploaded_is_not_removed_before_its_experiment(ask, create, files):
    url = upload(ask, b"one")
    handle = create(ask, url).body["handle"]
    assert make(ask, b"one").body["data"]["url"] == url
    ask("DELETE", f"{EXPERIMENTS}{handle}/")
    handle = create(ask, url).body["handle"]
    ask("DELETE", f"{EXPERIMENTS}{handle}/")
    assert files() == []


def test_what_nobody_has_needed_for_a_day_is_removed(start, create, tmp_path, files):
    ask = start()
    used, unused = upload(ask, b"used"), upload(ask, b"unused")
    create(ask, used)
    send(ask, b"part of none")
    for folder in ("parts", "workspaces"):
        for path in (tmp_path / "store.uploads" / folder).iterdir():
            os.utime(path, (path.stat().st_mtime - 25 * 3600,) * 2)
    send(ask, b"new")
    upload(ask, b"another")
    expected = [b"used", b"new", b"another"]
    assert missing(ask, *expected, b"unused", b"part of none") == [b"unused", b"part of none"]
    create(start(), unused).assert_error(400, "workspaceUrl")
    assert len(files()) == 5


def test_parts_that_somebody_has_asked_for_are_kept(ask, tmp_path):
    send(ask, b"one")
    path = tmp_path / "store.uploads" / "parts" / sha256(b"one").hexdigest()
    os.utime(path, (path.stat().st_mtime - 25 * 3600,) * 2)
    assert missing(ask, b"one") == []
    upload(ask, b"another")
    assert missing(ask, b"one") == []


def test_without_a_store_uploads_are_gone_with_the_server(tmp_path, monkeypatch, create):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with LocalServer(check_answers=True) as server, contextlib.closing(RawClient(server.url, server.api_key)) as ask:
        assert create(ask, upload(ask, b"one")).status == 200
        assert len(os.listdir(tmp_path)) == 1
        server.reset()
        assert missing(ask, b"one") == [b"one"]
        upload(ask, b"one")
    assert os.listdir(tmp_path) == []


def test_only_the_user_can_read_what_was_uploaded(ask, tmp_path):
    upload(ask, b"one")
    folder = tmp_path / "store.uploads"
    assert {path.stat().st_mode & 0o777 for path in [folder, *folder.iterdir()]} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in folder.glob("*/*")} == {0o600}
