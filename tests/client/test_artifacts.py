"""Artifacts: listed, and downloaded to a folder, over real sockets and from files that tests write."""

import json
import os
import resource
import subprocess
import sys
import threading
from base64 import b64encode
from hashlib import sha256

import anyio
import httpx
import pytest

from gradient import (
    Artifact,
    ArtifactList,
    AsyncExperimentsClient,
    DownloadError,
    ExperimentsClient,
    GradientSdkError,
    InvalidParametersError,
    MalformedResponseError,
    NotFoundError,
)
from gradient_server import LocalServer
from gradient_server.runners.base import Artifact as ServedArtifact
from gradient_server.runners.base import ArtifactReader
from gradient_server.runners.supervised.artifact_files import ArtifactFolder, list_artifacts, open_artifact
from tests.fake_servers import FakeServer
from tests.server.runners.skeleton import SkeletonRun, SkeletonRunner

MIB = 1024 * 1024
PART = 8 * MIB
"""The most bytes of one response."""
WORK = ".gradient-download"


class FolderRun(SkeletonRun):
    """A run whose artifacts are the files in two folders."""

    def __init__(self, spec, runner):
        super().__init__(spec)
        self._runner = runner

    def artifacts(self, after, limit, now):
        if self._runner.made_up:
            return [each for each in self._runner.made_up if not after or each.name > after][:limit]
        shift = -self._runner.clock.date(0.0).timestamp()
        found = list_artifacts(self._runner.folders, after, limit)
        return [each._replace(modified=each.modified + shift) for each in found]

    def open_artifact(self, name, now):
        self._runner.opened.append(name)
        self._runner.on_open(name)
        if any(each.name == name for each in self._runner.made_up):
            return MadeUp(name)
        return open_artifact(self._runner.folders, name)


class MadeUp(ArtifactReader):
    def __init__(self, name):
        self._name = name

    def artifact(self):
        return ServedArtifact(self._name, 4, 0.0, "1")

    def read(self, offset, size):
        return b"evil"[offset : offset + size]


class FolderRunner(SkeletonRunner):
    """What the runs of a test write is in `root/artifacts` and `root/model`.

    `opened` has the names that were read, `on_open` is called before, and `made_up` are artifacts without files.
    """

    def __init__(self, root):
        self.root = root
        self.folders = [ArtifactFolder("artifacts", root, "artifacts"), ArtifactFolder("model", root, "model")]
        self.opened, self.made_up, self.on_open = [], [], lambda name: None

    def attach(self, clock, on_change):
        clock.fix()
        self.clock = clock

    def admit(self, spec):
        return FolderRun(spec, self)


@pytest.fixture
def runner(tmp_path):
    (tmp_path / "run").mkdir()
    return FolderRunner(tmp_path / "run")


@pytest.fixture
def server(runner):
    with LocalServer(runner=runner, check_answers=True) as server:
        yield server


@pytest.fixture
def client(server):
    urls = {"base_url": server.experiments_url, "logs_url": server.logs_url}
    with ExperimentsClient(server.api_key, **urls) as client:
        yield client


@pytest.fixture
def experiment_id(client, single_node):
    return client.create_single_node(**single_node)


@pytest.fixture
def write(runner):
    def write(name, content=b"content"):
        path = runner.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def target(tmp_path):
    return tmp_path / "results"


def files_in(folder):
    """Return the content of all files below a folder, also of hidden ones."""
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_artifacts_are_listed_with_size_and_time(client, experiment_id, write):
    os.utime(write("model/weights.pt", b"x" * 1536), (0, 0))
    write("artifacts/table.csv")
    found = client.artifacts(experiment_id)
    assert [(each.name, each.size) for each in found] == [("artifacts/table.csv", 7), ("model/weights.pt", 1536)]
    assert found[1].modified == "1970-01-01T00:00:00.000000+00:00"
    assert found[1].version != found[0].version
    assert [each.name for each in client.artifacts(experiment_id, "*.pt")] == ["model/weights.pt"]
    assert "1.5 kB" in found.pretty()
    assert found.to_dict()[1]["size"] == 1536
    assert list(found.to_dataframe()["size"]) == [7, 1536]
    assert isinstance(found[:1], ArtifactList)


def test_more_artifacts_than_a_page_has_are_all_listed(client, experiment_id, runner):
    runner.made_up = [ServedArtifact(f"artifacts/{number:05}", 0, 0.0, "1") for number in range(12_000)]
    assert [each.name for each in client.artifacts(experiment_id)] == [each.name for each in runner.made_up]


def test_a_download_has_the_content_the_names_and_the_times(client, experiment_id, write, target):
    os.utime(write("model/weights.pt", os.urandom(PART + 5)), (10, 10))
    os.utime(write("artifacts/a/empty", b""), (10, 10))
    os.utime(write("artifacts/a/b.csv", b"1,2"), (10.5, 10.5))
    paths = client.download(experiment_id, target)
    assert paths == [target / "artifacts/a/b.csv", target / "artifacts/a/empty", target / "model/weights.pt"]
    assert files_in(target) == files_in(target.parent / "run")
    assert [path.stat().st_mtime for path in paths] == [10.5, 10, 10]
    assert not (target / WORK).exists()
    assert client.download(experiment_id, str(target), "*.csv") == paths[:1]


def test_what_is_there_is_not_requested_again_and_what_has_changed_is(client, experiment_id, write, target, runner):
    write("artifacts/same")
    changing = write("artifacts/changing")
    client.download(experiment_id, target)
    runner.opened.clear()
    client.download(experiment_id, target)
    assert runner.opened == []
    changing.write_bytes(b"changed")
    os.utime(changing, (20, 20))
    client.download(experiment_id, target)
    assert set(runner.opened) == {"artifacts/changing"}
    assert (target / "artifacts/changing").read_bytes() == b"changed"


def test_names_that_are_special_only_elsewhere_are_ordinary_and_others_are_escaped(
    client, experiment_id, write, target
):
    names = ["CON", "aux.pt", "c", "trailing dot.", "ü %20+&?#", "~", "-rf", "*"]
    for name in [*names, os.fsdecode(b"\xff"), "back\\slash"]:
        write(f"artifacts/{name}", os.fsencode(name))
    client.download(experiment_id, target)
    assert files_in(target) == {f"artifacts/{name}": name.encode() for name in names} | {
        "artifacts/%FF": b"\xff",
        "artifacts/back%5Cslash": b"back\\slash",
    }


def test_small_files_come_in_few_requests(server, experiment_id, write, target):
    for number in range(300):
        write(f"artifacts/{number:03} é.txt", b"%d" % number)
    sent = []
    with (
        httpx.Client(event_hooks={"request": [sent.append]}) as http_client,
        ExperimentsClient(server.api_key, base_url=server.experiments_url, http_client=http_client) as client,
    ):
        client.download(experiment_id, target)
    assert files_in(target) == files_in(target.parent / "run")
    assert len(sent) < 20
    assert max(len(str(request.url)) for request in sent) < 8000


def test_an_interrupted_download_goes_on_where_it_was(client, experiment_id, write, target, runner, server):
    content = os.urandom(2 * PART + 17)
    write("model/weights.pt", content)

    def fail_after_the_first_part(name):
        if len(runner.opened) > 1:
            raise OSError("the disk of the server fails")

    runner.on_open = fail_after_the_first_part
    with pytest.raises(Exception, match="500"):
        client.with_options(max_attempts=1).download(experiment_id, target)
    assert not (target / "model").exists()
    runner.on_open = lambda name: None
    runner.opened.clear()
    client.download(experiment_id, target)
    assert len(runner.opened) == 2
    assert files_in(target) == {"model/weights.pt": content}


def test_a_file_that_changes_while_it_is_read_is_requested_again(client, experiment_id, write, target, runner):
    path = write("model/weights.pt", b"a" * (PART + 1))

    def change_once(name):
        if len(runner.opened) == 2:
            path.write_bytes(b"b" * (PART + 2))

    runner.on_open = change_once
    client.download(experiment_id, target)
    assert files_in(target) == {"model/weights.pt": b"b" * (PART + 2)}


def test_one_that_goes_on_changing_is_an_error_that_names_it_and_the_others_are_there(
    client, experiment_id, write, target, runner
):
    path = write("artifacts/changing.log")
    write("artifacts/other")

    def change(name):
        with path.open("ab") as file:
            file.write(b"more")

    runner.on_open = change
    with pytest.raises(DownloadError, match=r"changed again and again.*artifacts/changing\.log") as caught:
        client.download(experiment_id, target)
    assert caught.value.names == ("artifacts/changing.log",)
    assert caught.value.path == str(target)
    assert files_in(target) == {"artifacts/other": b"content"}


def test_one_that_is_removed_meanwhile_is_left_out(client, experiment_id, write, target, runner):
    path = write("artifacts/a")
    write("artifacts/b")
    runner.on_open = lambda name: path.unlink(missing_ok=True)
    assert client.download(experiment_id, target) == [target / "artifacts/b"]


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "artifacts/../../evil", "/evil", "artifacts//evil", "..", "C:evil", "a\\..\\evil", "a\0b", "a\nb"),
        *(f"{WORK}/evil", "artifacts/./evil"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused_before_anything_is_written(
    client, experiment_id, target, runner, name, tmp_path
):
    runner.made_up = [ServedArtifact(each, 4, 0.0, "1") for each in ("artifacts/good", name)]
    with pytest.raises(DownloadError, match="must not be written"):
        client.download(experiment_id, target)
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("is_inside", [True, False])
def test_a_link_in_the_folder_is_followed_only_inside_of_it(client, experiment_id, write, target, is_inside, tmp_path):
    write("model/weights.pt")
    elsewhere = target / "models" if is_inside else tmp_path / "elsewhere"
    for folder in (target, elsewhere):
        folder.mkdir(exist_ok=True)
    (target / "model").symlink_to(elsewhere)
    if is_inside:
        client.download(experiment_id, target)
        assert files_in(elsewhere) == {"weights.pt": b"content"}
        return
    with pytest.raises(DownloadError, match="link leads out of the folder") as caught:
        client.download(experiment_id, target)
    assert caught.value.names == ("model/weights.pt",)
    assert files_in(elsewhere) == {}


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(client, experiment_id, write, target, tmp_path):
    write("model/weights.pt")
    (target / "model").mkdir(parents=True)
    (tmp_path / "kept").write_text("kept")
    (target / "model/weights.pt").symlink_to(tmp_path / "kept")
    client.download(experiment_id, target)
    assert (tmp_path / "kept").read_text() == "kept"
    assert (target / "model/weights.pt").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("there", "reason"),
    [("model", "File exists|Not a directory"), ("model/weights.pt/x", "Is a directory"), ("", "File exists")],
)
def test_what_is_in_the_way_is_named(client, experiment_id, write, target, there, reason):
    write("model/weights.pt")
    (target / there).parent.mkdir(parents=True, exist_ok=True)
    (target / there).write_text("in the way")
    with pytest.raises(DownloadError, match=reason):
        client.download(experiment_id, target)
    assert (target / there).read_text() == "in the way"


def test_a_file_that_the_disk_does_not_take_is_an_error_and_the_same_call_goes_on(
    client, experiment_id, write, target, runner
):
    content = os.urandom(PART + 1)
    write("model/weights.pt", content)
    write("artifacts/small")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 5, before[1]))
    try:
        with pytest.raises(DownloadError, match=r"File too large.*model/weights\.pt") as caught:
            client.download(experiment_id, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.names == ("model/weights.pt",)
    assert files_in(target / "artifacts") == {"small": b"content"}
    assert not (target / "model").exists()
    assert [path.stat().st_size for path in (target / WORK).iterdir()] == [MIB + 5]
    client.download(experiment_id, target)
    assert files_in(target) == {"artifacts/small": b"content", "model/weights.pt": content}


class PartServer(FakeServer):
    """A server of one artifact, of which it sends a thousand bytes at once; `damage` changes its responses."""

    content = os.urandom(2500)

    def __init__(self):
        self.damage = lambda body, headers: body
        super().__init__()

    def respond(self, request, handler):
        if not request.path.endswith("/content/"):
            found = {"name": "model/weights.pt", "size": 2500, "modified": "2019-08-06T17:25:11Z", "version": "1"}
            handler.send(200, json.dumps({"data": [found]}).encode(), {"Content-Type": "application/json"})
            return
        offset = int(request.query["offset"])
        body = self.content[offset : offset + 1000]
        digest = b64encode(sha256(body).digest()).decode()
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{digest}:"}
        headers["Content-Length"] = str(len(body))
        body = self.damage(body, headers) if offset == 1000 else body
        handler.close_connection = len(body) < int(headers["Content-Length"])
        handler.send(200, body, headers)

    def offsets(self):
        """Return the offsets that were requested since the last call."""
        found = [int(request.query["offset"]) for request in self.requests_to("/content/")]
        self.requests.clear()
        return found


@pytest.fixture
def part_server():
    server = PartServer()
    yield server
    server.stop()


@pytest.fixture
def part_client(part_server):
    with ExperimentsClient(part_server.api_key, base_url=part_server.experiments_url, max_attempts=1) as client:
        yield client


def _cut_at(count):
    return lambda body, headers: body[:count]


def _with_one_bit_flipped(body, headers):
    return bytes([body[0] ^ 1]) + body[1:]


def _with_another_digest(body, headers):
    headers["Content-Digest"] = f"sha-256=:{b64encode(bytes(32)).decode()}:"
    return body


def _with_more_than_there_is(body, headers):
    del headers["Content-Digest"]
    headers["Content-Length"] = "1501"
    return bytes(1501)


def _empty(body, headers):
    del headers["Content-Digest"]
    headers["Content-Length"] = "0"
    return b""


DAMAGES = [
    *(pytest.param(_cut_at(count), GradientSdkError, id=f"cut at {count}") for count in (0, 1, 500, 999)),
    *((each, MalformedResponseError) for each in (_with_one_bit_flipped, _with_another_digest)),
    *((each, MalformedResponseError) for each in (_with_more_than_there_is, _empty)),
]


@pytest.mark.parametrize(("damage", "error"), DAMAGES)
def test_a_damaged_part_is_an_error_and_the_same_call_goes_on_after_the_part_before(
    part_server, part_client, target, damage, error
):
    part_server.damage = damage
    with pytest.raises(error):
        part_client.download("es1", target)
    assert not (target / "model").exists()
    assert part_server.offsets() == [0, 1000]
    part_server.damage = lambda body, headers: body
    part_client.download("es1", target)
    assert part_server.offsets() == [1000, 2000]
    assert files_in(target) == {"model/weights.pt": part_server.content}


@pytest.mark.parametrize("damage", [_cut_at(500), _with_one_bit_flipped])
def test_a_damaged_part_is_requested_again(part_server, part_client, target, damage):
    def once(body, headers):
        part_server.damage = lambda body, headers: body
        return damage(body, headers)

    part_server.damage = once
    part_client.with_options(max_attempts=3).download("es1", target)
    assert part_server.offsets() == [0, 1000, 1000, 2000]
    assert files_in(target) == {"model/weights.pt": part_server.content}


def test_a_killed_download_goes_on_where_it_was(part_server, part_client, target):
    """Also within a part, of which only the beginning is on the disk."""
    requested = threading.Event()
    part_server.damage = lambda body, headers: requested.set() or part_server.stopping.wait(5) or body
    program = (
        "import sys; from gradient import ExperimentsClient; "
        "ExperimentsClient('key', base_url=sys.argv[1]).download('es1', sys.argv[2])"
    )
    process = subprocess.Popen([sys.executable, "-c", program, part_server.experiments_url, target])
    assert requested.wait(20)
    process.kill()
    process.wait()
    (part,) = (target / WORK).iterdir()
    assert part.read_bytes() == part_server.content[:1000]
    os.truncate(part, 700)
    part_server.damage = lambda body, headers: body
    part_server.offsets()
    part_client.download("es1", target)
    assert part_server.offsets() == [700, 1700]
    assert files_in(target) == {"model/weights.pt": part_server.content}


def test_two_downloads_to_one_folder_at_once_do_not_meet(client, experiment_id, write, target, runner):
    write("model/weights.pt")
    failed = []

    def download_again(name):
        runner.on_open = lambda name: None
        other = threading.Thread(target=lambda: failed.append(try_to_download()))
        other.start()
        other.join()

    def try_to_download():
        with pytest.raises(DownloadError, match="Another download to this folder is at work"):
            client.download(experiment_id, target)
        return True

    runner.on_open = download_again
    client.download(experiment_id, target)
    assert failed == [True]
    assert files_in(target) == {"model/weights.pt": b"content"}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_asynchronous_client_downloads_too(server, experiment_id, write, target, backend):
    write("model/weights.pt", b"x" * (PART + 1))

    async def main():
        urls = {"base_url": server.experiments_url, "logs_url": server.logs_url}
        async with AsyncExperimentsClient(server.api_key, **urls) as client:
            assert len(await client.artifacts(experiment_id)) == 1
            return await client.download(experiment_id, target)

    assert anyio.run(main, backend=backend) == [target / "model/weights.pt"]
    assert files_in(target) == {"model/weights.pt": b"x" * (PART + 1)}


def test_an_experiment_that_is_not_there_is_an_error_and_leaves_no_folder_of_ours(client, target):
    with pytest.raises(NotFoundError, match="Experiment not found"):
        client.artifacts("esnone")
    with pytest.raises(NotFoundError, match="Experiment not found"):
        client.download("esnone", target)
    assert list(target.iterdir()) == []


class ServerWithoutArtifacts(FakeServer):
    def respond(self, request, handler):
        if "artifacts" in request.path:
            handler.send(404, b"{}", {})
        else:
            experiment = b'{"data": {"handle": "es1", "experimentTypeId": 1, "state": 7}}'
            handler.send(200, experiment, {"Content-Type": "application/json"})


def test_a_server_without_artifacts_is_named_as_such():
    server = ServerWithoutArtifacts()
    try:
        with (
            ExperimentsClient(server.api_key, base_url=server.experiments_url) as client,
            pytest.raises(NotFoundError, match="This server knows no artifacts"),
        ):
            client.artifacts("es1")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("results", ""), "pattern"),
        (("results", 5), "pattern"),
        (("",), "path"),
        ((5,), "path"),
        (("a\0b",), "path"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(client, arguments, problem):
    with pytest.raises(InvalidParametersError, match=problem):
        client.download("es1", *arguments)


def test_the_values_of_an_artifact_are_its_own():
    assert Artifact("a", 1, "t") == Artifact("a", 1, "t")
    assert repr(Artifact("a", 1, "t", "v")) == "Artifact(name='a', size=1, modified='t')"
