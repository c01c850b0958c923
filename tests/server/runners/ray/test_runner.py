"""The options of the runner, what it warns of, and what it refuses."""

import logging

import pytest

from gradient_server.cli import parse_options
from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.machine_types import parse_machine_types
from gradient_server.runners.ray import RayRunner
from gradient_server.runners.ray.runner import check_address, unprotected
from tests.server.runners.conftest import wait_until

TYPES = parse_machine_types(
    '[K80]\ngpus = 1\n[big]\ncpus = 64\n[worker]\n[worker.ray]\nlabels = {kind = "worker"}\n[slots]\nslots = 9'
)


def wait_for_machines(cluster, times=1):
    wait_until(lambda: cluster.requests.count(("GET", "/api/cluster_status")) >= times, "a look at the machines")


@pytest.mark.parametrize("address", ["http://head:8265", "https://ray.example.org/cluster/", "http://[::1]:8265"])
def test_an_address_is_a_url_of_http_or_https(address):
    assert check_address(address) == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    ["head:8265", "ray://head:10001", "http://", "http://u:p4ss@head", "http://head?token=p4ss", "http://h:x"],
)
def test_another_address_is_refused_and_not_shown(address):
    with pytest.raises(ValueError, match="it is no URL of a dashboard; give one such as http://head:8265") as caught:
        check_address(address)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "token", "warning"),
    [
        ("http://127.0.0.1:8265", None, None),
        ("http://[::1]:8265", None, None),
        ("http://localhost:8265", None, None),
        ("http://head:8265", None, "Without a token, anyone who reaches http://head:8265 can run any command"),
        ("https://10.0.0.1", None, "Without a token, anyone who reaches https://10.0.0.1 can run any command"),
        ("http://head:8265", "t0ken", "The token of the Ray cluster crosses the network"),
        ("https://head", "t0ken", None),
    ],
)
def test_a_cluster_that_others_can_use_is_warned_of(address, token, warning):
    found = unprotected(address, token)
    assert (found is None) if warning is None else found.startswith(warning)
    assert "t0ken" not in (found or "")


def options(*given):
    return parse_options(["--runner", "ray", *given])


def test_the_options_make_a_runner(tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    token.chmod(0o600)
    given = ["--ray-address", "http://head:8265/", "--ray-token-file", str(token), "--ray-driver-on", "kind=worker"]
    parsed = options(*given, "--slots", "3", "--nodes-url", "http://server:8090", "--store", str(tmp_path / "store"))
    assert parsed.ray_driver_on == ("kind", "worker")
    assert isinstance(RayRunner.from_arguments(parsed), RayRunner)
    token.chmod(0o644)
    with pytest.raises(PermissionError, match="others may use it"):
        RayRunner.from_arguments(parsed)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "--ray-address: it is missing"),
        (["--ray-address", "head"], "it is no URL of a dashboard"),
        (["--ray-address", "http://head", "--ray-driver-on", "worker"], "'worker' is no label"),
        (["--ray-address", "http://head", "--machine-types", "types.toml"], "--machine-types: the table for ray"),
    ],
)
def test_wrong_options_are_refused(given, reason, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "types.toml").write_text("[X]\n[X.ray]\npartition = 'gpu'")
    with pytest.raises(SystemExit) as caught:
        options(*given)
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_request_that_the_cluster_can_never_meet_is_refused_with_what_it_has(cluster, make_bench):
    bench = make_bench(machine_types=TYPES)
    wait_for_machines(cluster)
    wait_until(lambda: bench.runner._machines_there is not None)
    with pytest.raises(RunRejectedError) as caught:
        bench.admit(machineType="big")
    assert caught.value.member == "machineType"
    machines = "m1 (8 CPU, 0 GPU, 16 GB of memory), m2 (4 CPU, 2 GPU)"
    assert str(caught.value) == f"It needs 64 CPU; the Ray cluster has {machines}."
    with pytest.raises(RunRejectedError, match=r"needs 3 times 1 CPU, 1 GPU; .* which has room for 2") as caught:
        bench.admit(
            experimentTypeId=2,
            **{"workerCount": 2, "workerCommand": "true", "workerMachineType": "K80"},
            **{"parameterServerCount": 1, "parameterServerCommand": "true", "parameterServerMachineType": "K80"},
        )
    assert caught.value.member == "workerMachineType"
    with pytest.raises(RunRejectedError, match="needs 1 CPU, kind=worker"):
        bench.admit(machineType="worker")
    assert bench.outcome(bench.done(machineType="K80")) == ("stopped", None)


def test_more_slots_than_there_are_and_unknown_machine_types_are_refused(make_bench):
    bench = make_bench(machine_types=TYPES, slots=8)
    with pytest.raises(RunRejectedError, match="needs 9 slots; the server has 8"):
        bench.admit(machineType="slots")
    with pytest.raises(RunRejectedError, match="There is no machine type 'V100' here"):
        bench.admit(machineType="V100")


@pytest.mark.parametrize("fault", ["has_autoscaler", "is_reachable"])
def test_a_request_waits_if_nobody_knows_which_machines_there_will_be(cluster, make_bench, fault):
    setattr(cluster, fault, fault == "has_autoscaler")
    bench = make_bench(machine_types=TYPES)
    if cluster.is_reachable:
        wait_for_machines(cluster)
    assert bench.admit(machineType="big").transitions == ()


def test_a_cluster_with_an_old_ray_is_refused_and_a_newer_one_warned_of(cluster, make_bench, caplog):
    cluster.version = "2.52.1"
    bench = make_bench()
    wait_for_machines(cluster)
    with pytest.raises(RunRejectedError, match=r"The cluster has Ray 2.52.1; runs need Ray 2.53 or newer"):
        bench.admit()
    bench.close()
    cluster.version = "3.0.0"
    with caplog.at_level(logging.WARNING):
        bench = make_bench()
        wait_until(lambda: "Ray 3.0.0, which is newer than what was tested, 2.60" in caplog.text, "the warning")
    assert bench.outcome(bench.done()) == ("stopped", None)


def test_a_cluster_that_wants_a_token_gets_it(cluster, make_bench):
    cluster.token = "t0ken"
    bench = make_bench(token="t0ken")
    assert bench.outcome(bench.done()) == ("stopped", None)


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, "it wants a token: set RAY_AUTH_TOKEN, or use --ray-token-file"), ("wr0ng", "it refuses the token")],
)
def test_without_the_right_token_a_run_waits_and_says_so(cluster, make_bench, token, reason):
    cluster.token = "t0ken"
    bench = make_bench(token=token)
    run = bench.run()
    wait_until(lambda: reason in (run.remark or ""), "the remark")
    assert "wr0ng" not in run.remark


def test_commands_get_of_the_server_only_the_variables_that_it_passes(make_bench, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "k3y")
    monkeypatch.setenv("OTHER", "other")
    bench = make_bench(pass_env=["WANDB_*"])
    run = bench.admit()
    assert run.monitor._spec.variables == {"WANDB_API_KEY": "k3y"}
