"""Workspaces that clients upload: from a folder here to the commands of a run, and what is sent for that."""

import contextlib
import errno
import logging
import os
import shutil
import socket

import httpx
import pytest

from gradient import BadRequestError, InvalidParametersError, NotFoundError, ServerError, WorkspaceError
from gradient_server import LocalServer
from gradient_server.runners.process.runner import ProcessRunner
from tests.client.blocking import client_of
from tests.fake_servers import status

MIB = 1024 * 1024
GIVEN = {"name": "n", "project_id": "p", "machine_type": "m", "container": "c"}


@pytest.fixture
def folder(tmp_path):
    """A project of some 20 MiB."""
    top = tmp_path / "project"
    (top / "lib").mkdir(parents=True)
    (top / "train.py").write_text("print(open('lib/words.txt').read(), end='')\n")
    (top / "lib" / "words.txt").write_text("trained\n")
    (top / "data.bin").write_bytes(os.urandom(20 * MIB))
    return top


class _Interrupted(Exception):
    pass


class Recorded(logging.Handler):
    """What clients have sent: method and path of each request, in the log of the package."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.on_sent = lambda method, path: None

    def emit(self, record):
        method, url = record.args[:2]
        self.sent.append((method, url.partition("/experiments/v1")[2]))
        self.on_sent(*self.sent[-1])

    def part_count(self):
        """How many parts were sent since the last call."""
        count = sum(method == "PUT" and path.startswith("/workspaces/parts/") for method, path in self.sent)
        self.sent.clear()
        return count


@pytest.fixture
def recorded():
    handler, logger = Recorded(), logging.getLogger("gradient")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


@pytest.fixture
def server(tmp_path):
    """A server with real runs."""
    runner = ProcessRunner(tmp_path / "store.runs", slots=2, grace=1.0)
    with LocalServer(runner=runner, store=tmp_path / "store", check_answers=True) as server:
        yield server


@pytest.fixture
def client(kind, server):
    with client_of(kind, server.api_key, base_url=server.experiments_url) as client:
        yield client


def lines_of(client, experiment_id):
    return [row.message for row in client.yield_logs(experiment_id)]


@pytest.mark.parametrize("method", ["run_single_node", "create_single_node"])
def test_a_run_has_the_files_of_the_folder(client, folder, method):
    experiment_id = getattr(client, method)(**GIVEN, command="python train.py", workspace=folder)
    if method.startswith("create"):
        shutil.rmtree(folder)  # It has been uploaded.
        client.start(experiment_id)
    assert lines_of(client, experiment_id) == ["trained"]
    assert client.get(experiment_id).workspace_url.startswith("upload:project/")


def test_all_nodes_have_the_files_of_the_folder(client, folder):
    # The run lasts as long as its worker, which therefore waits for the parameter server; they share the workspace.
    commands = {"worker": "until [ -e read ]; do sleep 0.05; done; cat lib/words.txt"}
    commands["parameter_server"] = "cat lib/words.txt && touch read"
    nodes = {f"{role}_command": command for role, command in commands.items()}
    for role in commands:
        nodes |= {f"{role}_container": "c", f"{role}_machine_type": "m", f"{role}_count": 1}
    experiment_id = client.run_multi_node(name="n", project_id="p", experiment_type_id=2, workspace=folder, **nodes)
    assert lines_of(client, experiment_id) == ["trained", "trained"]


def test_an_archive_is_unpacked(client, folder, tmp_path):
    path = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    experiment_id = client.run_single_node(**GIVEN, command="python train.py", workspace=path)
    assert lines_of(client, experiment_id) == ["trained"]


def test_ignored_files_are_not_uploaded(client, folder):
    experiment_id = client.run_single_node(**GIVEN, command="ls", workspace=folder, ignore_files="*.bin,lib")
    assert lines_of(client, experiment_id) == ["train.py"]


def test_an_unchanged_folder_is_not_sent_again_and_of_a_changed_one_what_has_changed(client, recorded, folder):
    url = client.upload_workspace(folder)
    assert recorded.part_count() == 5
    shutil.copytree(folder, folder.with_name("copy"))
    assert client.upload_workspace(folder.with_name("copy")).rpartition("/")[2] == url.rpartition("/")[2]
    assert recorded.part_count() == 0
    (folder / "lib" / "words.txt").write_text("changed\n")
    assert client.upload_workspace(folder) != url
    assert recorded.part_count() == 1


def test_the_same_content_is_sent_once(client, recorded, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / "same" / name).mkdir(parents=True)
        (tmp_path / "same" / name / "model.bin").write_bytes(bytes(16 * MIB))
    client.upload_workspace(tmp_path / "same")
    assert recorded.part_count() < 6


def test_rerun_has_the_same_workspace_or_another_one(client, folder):
    first = client.run_single_node(**GIVEN, command="python train.py", workspace=folder)
    (folder / "lib" / "words.txt").write_text("changed\n")
    assert lines_of(client, client.rerun(first)) == ["trained"]
    assert lines_of(client, client.rerun(first, workspace=folder)) == ["changed"]


def test_an_upload_goes_on_where_it_was_interrupted(client, recorded, folder):
    def interrupt(method, path):
        if len(recorded.sent) == 3:  # in the middle of the parts
            raise _Interrupted

    recorded.on_sent = interrupt
    with pytest.raises(_Interrupted):
        client.run_single_node(**GIVEN, command="true", workspace=folder)
    recorded.on_sent = lambda method, path: None
    assert recorded.part_count() == 2
    assert client.list() == []
    client.upload_workspace(folder)
    assert recorded.part_count() == 3


def test_broken_connections_are_no_matter(client, server, folder):
    with server.faults(rate=0.4, resets=["before", "after"], seed=3):
        experiment_id = client.run_single_node(**GIVEN, command="python train.py", workspace=folder)
        assert server.faults_injected
    assert lines_of(client, experiment_id) == ["trained"]


def test_a_file_that_changes_while_it_is_sent_is_an_error_and_no_experiment_is_created(client, recorded, folder):
    def change(method, path):
        if method == "PUT":
            with (folder / "data.bin").open("ab") as file:
                file.write(b"more")

    (folder / "data.bin").write_bytes(os.urandom(40 * MIB))
    recorded.on_sent = change
    with pytest.raises(WorkspaceError, match=r"data.bin has changed while it was read"):
        client.run_single_node(**GIVEN, command="true", workspace=folder)
    assert client.list() == []


def test_parts_that_vanish_meanwhile_are_sent_again(client, recorded, folder, tmp_path):
    def remove(method, path):
        parts = [*(tmp_path / "store.uploads" / "parts").glob("*")]
        if len(parts) == 4 and not removed:
            removed.append(parts[0])
            parts[0].unlink()

    removed = []
    recorded.on_sent = remove
    experiment_id = client.run_single_node(**GIVEN, command="python train.py", workspace=folder)
    assert removed
    assert lines_of(client, experiment_id) == ["trained"]


def test_a_part_that_the_disk_has_damaged_fails_the_run_and_is_sent_again(client, folder, tmp_path):
    url = client.upload_workspace(folder)
    damaged = max((tmp_path / "store.uploads" / "parts").iterdir(), key=lambda path: path.stat().st_size)
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    experiment_id = client.run_single_node(**GIVEN, command="true", workspace_url=url)
    experiment = client.wait(experiment_id, raise_on_failure=False)
    assert (
        experiment.experiment_error == "The uploaded workspace was damaged on the disk of the server; upload it again"
    )
    experiment_id = client.run_single_node(**GIVEN, command="python train.py", workspace=folder)
    assert lines_of(client, experiment_id) == ["trained"]


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"workspace": "/nowhere"}, "workspace: /nowhere is neither a folder nor an archive"),
        (
            {"workspace": ".", "workspace_url": "https://example.com/r.git"},
            "cannot be given together with workspace_url",
        ),
        ({"ignore_files": ["*.bin"]}, "ignore_files: needs a workspace"),
        ({"workspace": ".", "ports": 0.5}, "ports: must be"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_sent(client, recorded, keywords, problem):
    with pytest.raises(InvalidParametersError, match=problem):
        client.run_single_node(**GIVEN, command="true", **keywords)
    assert recorded.sent == []


def test_a_folder_that_cannot_be_uploaded_is_an_error_before_anything_is_sent(client, recorded, folder):
    (folder / "out").symlink_to("/etc")
    with pytest.raises(WorkspaceError, match="out is a link to /etc, outside of the workspace"):
        client.run_single_node(**GIVEN, command="true", workspace=folder)
    assert recorded.sent == []


def test_a_server_that_takes_no_uploads_says_so(kind, flaky, folder):
    flaky.plan = [status(404, {"details": "There is nothing at this address", "error": "Not found"})]
    words = "This server takes no uploads; name the workspace by a workspace_url"
    with (
        client_of(kind, flaky.api_key, base_url=flaky.experiments_url) as client,
        pytest.raises(NotFoundError, match=words),
    ):
        client.run_single_node(**GIVEN, command="true", workspace=folder)


def test_a_full_disk_of_the_server_is_an_error_at_once(client, recorded, folder, monkeypatch):
    def full(*paths, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ServerError, match="The disk of the server is full: No space left on device"):
        client.run_single_node(**GIVEN, command="true", workspace=folder)
    assert recorded.part_count() == 1


def test_simulated_runs_have_workspaces(gradient_server, kind, folder):
    with client_of(kind, gradient_server.api_key, base_url=gradient_server.experiments_url) as client:
        experiment_id = client.run_single_node(**GIVEN, command="true", workspace=folder)
        assert client.get(experiment_id).workspace_url.startswith("upload:project/")


class FarRunner(ProcessRunner):
    """A runner whose nodes do not see the files of the server."""

    has_shared_files = False

    def __init__(self, folder, nodes_url):
        super().__init__(folder, slots=2, grace=1.0)
        self._nodes_url = nodes_url


@pytest.fixture
def far(kind, tmp_path):
    """Return a client of a server whose nodes fetch workspaces from an address, made of its port."""
    with contextlib.ExitStack() as opened:

        def start(address):
            port = opened.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            opened.close()
            runner = FarRunner(tmp_path / "store.runs", address and address.format(port=port))
            server = LocalServer(runner=runner, store=tmp_path / "store", port=port)
            server = opened.enter_context(server)
            return opened.enter_context(client_of(kind, server.api_key, base_url=server.experiments_url)), server

        yield start


def test_nodes_that_do_not_see_the_files_of_the_server_fetch_the_folder_from_it(far, folder):
    client, server = far("http://localhost:{port}")
    experiment_id = client.run_single_node(**GIVEN, command="python train.py", workspace=folder)
    assert lines_of(client, experiment_id) == ["trained"]
    for path in ("0" * 64 + "/" + "0" * 64, "x", "../store"):
        assert httpx.get(f"{server.url}/node-files/{path}").status_code == 404


def test_a_part_that_nodes_find_damaged_ends_the_run(far, folder, tmp_path):
    client, _ = far("http://localhost:{port}")
    experiment_id = client.create_single_node(**GIVEN, command="python train.py", workspace=folder)
    for part in (tmp_path / "store.uploads" / "parts").iterdir():
        part.write_bytes(b"damaged")
    client.start(experiment_id)
    assert "came damaged from the server at localhost:" in lines_of(client, experiment_id)[-1]


def test_an_upload_is_refused_if_no_node_could_fetch_it(far, folder):
    client, _ = far(None)
    with pytest.raises(BadRequestError, match=r"workspaceUrl: .* start it with --nodes-url URL"):
        client.run_single_node(**GIVEN, command="true", workspace=folder)
