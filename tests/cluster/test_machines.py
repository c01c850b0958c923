"""The machines of the other tests: apart while they are there, and gone without a trace."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.cluster.machines import SERVER, Machines, wait_for

pytestmark = pytest.mark.usefixtures("can_have_machines")


def test_machines_have_names_processes_and_folders_of_their_own_and_reach_one_another(tmp_path):
    with Machines(3, tmp_path) as machines:
        for machine in machines.all:
            machine.run("sh", "-c", f"hostname > {tmp_path}/local/name")
            assert (tmp_path / machine.name / "name").read_text() == f"{machine.name}\n"
        machines["m1"].popen(["sleep", "60"])
        wait_for(machines["m1"].processes, "the command")
        assert machines["m2"].processes() == []
        listener = "import socket; s = socket.create_server(('m3', 7000)); print(flush=True); print(s.accept()[1][0])"
        with machines["m3"].popen(["python3", "-c", listener], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            machines["m2"].run("python3", "-c", "import socket; socket.create_connection(('m3', 7000))")
            assert process.stdout.read() == "10.77.0.2\n"
        with socket.create_server((SERVER, 0)) as here:
            port = here.getsockname()[1]
            machines["m2"].run("python3", "-c", f"import socket; socket.create_connection(('{SERVER}', {port}))")


def test_a_machine_that_is_switched_off_ends_whole_and_starts_empty_with_its_files(tmp_path):
    with Machines(2, tmp_path) as machines:
        machine = machines["m2"]
        machine.run("sh", "-c", f"(setsid sleep 60 >/dev/null 2>&1 &); echo kept > {tmp_path}/local/file")
        (left,) = machine.processes()
        machine.kill()
        assert not left.is_running()
        machine.start()
        assert machine.processes() == []
        assert machine.run("cat", f"{tmp_path}/local/file") == "kept\n"


def test_nothing_is_left_of_machines_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), Machines(2, tmp_path) as machines:  # noqa: PT012, what ends is the point
        machines["m1"].popen(["sleep", "60"])
        (left,) = wait_for(machines["m1"].processes, "the command")
        raise ZeroDivisionError
    assert not left.is_running()
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
