"""The package that a driver is started with."""

import io
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

from gradient_server.runners.ray.package import Order, code, make_package
from gradient_server.runners.supervised.environment import nodes_of
from gradient_server.runners.supervised.run_files import LaunchSpec


def make_spec(**body):
    body = {"experimentTypeId": 1, "command": "true", **body}
    return LaunchSpec(handle="es1", body=body, nodes=nodes_of(["worker 0"], body), grace=1.0, variables={})


def test_its_code_needs_only_what_comes_with_ray(tmp_path):
    """attrs is a requirement of Ray, and psutil is part of it."""
    path = tmp_path / "code.zip"
    path.write_bytes(code())
    for name in ("attr", "attrs", "psutil"):
        (tmp_path / name).symlink_to(Path(find_spec(name).origin).parent)
    imports = "import gradient_server.runners.ray.driver, gradient_server.runners.supervised.agent"
    script = f"import sys; sys.path[:0] = {[str(path), str(tmp_path)]!r}; {imports}"
    subprocess.run([sys.executable, "-S", "-P", "-c", script], check=True)


def test_a_cluster_with_an_old_python_is_told_which_one_runs_need(tmp_path):
    path = tmp_path / "code.zip"
    path.write_bytes(code())
    script = f"import sys; sys.path[:0] = {[str(path)]!r}; sys.version_info = (3, 10, 1)"
    command = [sys.executable, "-S", "-P", "-c", f"{script}; import gradient_server.runners.ray.on_ray"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    text = "Runs need Python 3.11.4 or newer on the machines of the cluster, and Ray has 3.10.1"
    assert (process.returncode, process.stderr.strip()) == (1, text)


def test_only_its_owner_can_read_what_is_to_run():
    data = make_package(Order("gradient-1", []), make_spec(experimentEnv={"TOKEN": "s3cr3t"}))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
        assert {name for name, mode in modes.items() if mode == 0o600} >= {"spec.json", "order.json"}
        assert [name for name in modes if b"s3cr3t" in archive.read(name)] == ["spec.json"]


def test_it_is_small():
    """It goes through the memory of the head."""
    assert len(make_package(Order("gradient-1", []), make_spec())) < 300_000
