"""A disk that is full, of what a run writes mostly: the run is ended, can be stopped and deleted, and all goes on."""

import base64
import json
import os
import resource
import subprocess
import sys

import httpx
import pytest
from gradient_api.constants import ExperimentState as State

from tests.server.runners.process.conftest import is_alive, wait_until

# A disk of its own, of which others see nothing.
SMALL_DISK = 'mount -t tmpfs -o size=3m,mode=700 none "$0" && exec "$@"'
PRINTING = "echo $$; trap 'exit 0' TERM; while :; do head -c 30000 /dev/zero | tr '\\0' x; echo; done"
WRITING = "echo $$; trap '' TERM; while :; do cat /dev/zero >> file; sleep 0.01; done 2>/dev/null"
WAITING = "echo $$; exec sleep 600"
ASKED = {
    "stop": lambda handle: ("PUT", f"experiments/{handle}/stop/"),
    "delete": lambda handle: ("DELETE", f"experiments/{handle}/"),
}


class Server:
    """A server with real runs, and raw requests to it."""

    def __init__(self, folder, *before):
        self.ready_file = folder / "ready.json"
        self.disk = folder / "disk"
        self.disk.mkdir(mode=0o700)
        options = ("--runner", "process", "--port", "0", "--slots", "2", "--grace", "0.3", "--api-key", "k" * 20)
        places = ("--ready-file", self.ready_file, "--store", self.disk / "exp")
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "gradient_server", *options, *places],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self.ready_file.exists() or self.process.poll() is not None, "the start")
        assert self.process.poll() is None
        ready = json.loads(self.ready_file.read_text())
        self.client = httpx.Client(base_url=ready["experiments_url"], headers={"X-API-Key": ready["api_key"]})
        self.logs = httpx.Client(base_url=ready["logs_url"], headers={"X-API-Key": ready["api_key"]})

    def room(self):
        """How many bytes are free on the disk of the server, which may be one that it alone sees."""
        found = os.statvfs(f"/proc/{self.process.pid}/root{self.disk}")
        return found.f_bavail * found.f_frsize

    def create(self, command, place="experiments/"):
        body = {"name": "n", "projectHandle": "p", "container": "c", "machineType": "m", "experimentTypeId": 1}
        command = base64.b64encode(command.encode()).decode()
        return self.client.post(place, json={**body, "command": command})

    def run(self, command):
        answer = self.create(command, "experiments/run/")
        assert answer.status_code == 200, answer.text
        return answer.json()["handle"]

    def state(self, handle):
        data = self.client.get(f"experiments/{handle}/state/").json()["data"]
        return data["state"], data["experimentError"]

    def stop(self, handle):
        return self.client.put(f"experiments/{handle}/stop/").status_code

    def delete(self, handle):
        return self.client.delete(f"experiments/{handle}/").status_code

    def pid_of(self, handle):
        found = []

        def look():
            answer = self.logs.get("/jobs/logs", params={"experimentId": handle, "line": 0, "limit": 5})
            rows = answer.json() if answer.status_code == 200 else []
            found[:] = [int(row["message"]) for row in rows if row["message"].isdigit()]
            return found

        wait_until(look, "the row with the pid")
        return found[0]


@pytest.fixture
def make_server(tmp_path):
    made = []

    def make(*before):
        made.append(Server(tmp_path, *before))
        return made[-1]

    yield make
    for server in made:
        for found in server.client.get("experiments/", params={"limit": -1}).json()["data"]:
            server.delete(found["handle"])
        server.client.close()
        server.logs.close()
        server.process.terminate()
        server.process.wait(20)


@pytest.fixture
def small(tmp_path, make_server):
    """A server whose disk has three megabytes."""
    in_a_space = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
    (tmp_path / "try").mkdir()
    tried = [*in_a_space, "mount", "-t", "tmpfs", "none", tmp_path / "try"]
    try:
        can = subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        can = False
    if not can:
        pytest.skip("no disk can be mounted here, also not in a space of its own")
    return make_server(*in_a_space, "sh", "-c", SMALL_DISK, tmp_path / "disk")


def wait_for_a_full_disk(server):
    wait_until(lambda: server.room() < 2**16, "an almost full disk")
    wait_until(lambda: server.create("true").status_code == 500, "a full disk")


def assert_it_goes_on(server):
    """There is room again, and what is run ends as it should."""
    wait_until(lambda: server.room() > 2**19, "room on the disk")
    assert server.create("true").status_code == 200
    other = server.run("echo other")
    wait_until(lambda: server.state(other) == (State.STOPPED, None), "the end of another run")


def test_a_run_whose_log_fills_the_disk(small):
    """It ends with an error that says so, which the next server would find; it is deleted, and there is room again."""
    handle = small.run(PRINTING)
    wait_for_a_full_disk(small)
    wait_until(lambda: small.state(handle)[0] == State.ERROR, "the end")
    assert "The log of worker cannot be kept: No space left on device" in small.state(handle)[1]
    assert small.stop(handle) == 409
    assert small.delete(handle) == 204
    assert_it_goes_on(small)


def test_a_run_that_ends_by_itself(small):
    """While what it has written still fills the disk: that it has ended fits where its beginning is written."""
    handle = small.run("cat /dev/zero > file 2>/dev/null; exit 3")
    wait_until(lambda: small.state(handle)[0] == State.FAILED, "the end")
    assert small.create("true").status_code == 500
    assert small.delete(handle) == 204
    assert_it_goes_on(small)


@pytest.mark.parametrize("asked", ["stop", "delete"])
def test_a_run_that_fills_the_disk_again_and_again(small, asked):
    """It takes what becomes free, and is ended when somebody asks for that, whatever the answer is."""
    handle = small.run(WRITING)
    pid = small.pid_of(handle)
    wait_for_a_full_disk(small)
    assert getattr(small, asked)(handle) in (200, 204, 500)
    wait_until(lambda: not is_alive(pid), "the end of the command")
    if asked == "stop":
        wait_until(lambda: small.state(handle) == (State.CANCELLED, None), "the end")
    wait_until(lambda: small.delete(handle) in (204, 404), "the end of its files")
    assert_it_goes_on(small)


def test_many_that_are_stopped_and_deleted(small):
    """There is always room for one more."""
    handles = [small.create("true").json()["handle"] for _ in range(60)]
    handle = small.run(PRINTING)
    wait_for_a_full_disk(small)
    wait_until(lambda: small.state(handle)[0] == State.ERROR, "the end")
    assert {small.stop(each) for each in handles} == {200}
    assert {small.delete(each) for each in handles} == {204}
    assert small.delete(handle) == 204
    assert_it_goes_on(small)


@pytest.mark.parametrize("asked", ["stop", "delete"])
def test_a_store_that_cannot_be_written_at_all(make_server, asked):
    """The answer says so, and nothing has changed."""
    server = make_server()
    handle, waiting = server.run(WAITING), server.create("true").json()["handle"]
    pid = server.pid_of(handle)
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    try:
        for each in (handle, waiting):
            answer = server.client.request(*ASKED[asked](each))
            assert answer.status_code == 500
            assert "cannot be written" in answer.json()["details"]
        assert [server.state(each) for each in (handle, waiting)] == [(State.RUNNING, None), (State.CREATED, None)]
        assert is_alive(pid)
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)
    assert [server.delete(each) for each in (handle, waiting)] == [204, 204]
