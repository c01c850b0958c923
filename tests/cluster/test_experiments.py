"""Experiments on real clusters of three machines: what has to hold on every engine."""

import re
import shutil
import time

import pytest
from gradient_api.constants import ExperimentState as State

from gradient import BadRequestError
from tests.cluster.machines import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:The API key goes to .* over plain http")
PATIENCE = 60
NAMES = {"name": "n", "project_id": "p"}
SECRET = "s3cr3t-value-of-a-user"
# On each node: connects to the parameter server, which has to be there first.
CONNECT = """python3 -c "
import os, socket, time
host, port = os.environ['PS_HOSTS'].split(':')
for _ in range(500):
    try:
        print(os.uname().nodename, socket.create_connection((host, int(port))).recv(9).decode())
        break
    except OSError:
        time.sleep(0.02)
" """
SERVE = """exec python3 -c "
import os, socket
with socket.create_server(('', int(os.environ['PS_HOSTS'].split(':')[1]))) as server:
    while True:
        server.accept()[0].sendall(b'hello')
" """


def single_node(command, machine_type="half", **options):
    return {**NAMES, "command": command, "container": "none", "machine_type": machine_type, **options}


def multi_node(worker, parameter_server, machine_type="whole", kind="GRPC", **options):
    commands = {"worker_command": worker, "parameter_server_command": parameter_server}
    counts = {"worker_count": 2, "parameter_server_count": 1}
    fields = {f"{node}_container": "none" for node in ("worker", "parameter_server")}
    fields |= {f"{node}_machine_type": machine_type for node in ("worker", "parameter_server")}
    return {**NAMES, "experiment_type_id": kind, **commands, **counts, **fields, **options}


def messages(client, experiment_id):
    return [row.message for row in client.yield_logs(experiment_id)]


def machines_in(remark):
    return re.findall(r"\bm[1-3]\b", remark or "")


def sleeping(number):
    """Return a command that prints a row and never ends, with processes that are hard to find."""
    return (
        f"sleep 3600.{number} & setsid sleep 3600.{number} & "
        f"(setsid sleep 3600.{number} </dev/null >/dev/null 2>&1 &); echo ready; sleep 3600.{number}"
    )


def wait_until_printed(client, experiment_id, message):
    for row in client.yield_logs(experiment_id):
        if row.message == message:
            return
    pytest.fail(f"{message} was not printed: {client.get(experiment_id)!r}")


def assert_ends_within(client, experiment_id, seconds):
    began = time.monotonic()
    client.stop(experiment_id)
    assert client.wait(experiment_id, timeout=PATIENCE).state == State.CANCELLED
    assert time.monotonic() - began < seconds


def test_a_command_runs_on_a_machine_and_its_files_and_metrics_come_back(lab, client, tmp_path):
    command = (
        "for i in 1 2; do echo step $i loss 0.$i; done; hostname > $PS_MODEL_PATH/host; echo $GREETING >> out/text"
    )
    options = {"experiment_env": {"GREETING": "hello"}, "artifact_directory": "out"}
    handle = client.run_single_node(**single_node(command, "P100", **options))
    rows = messages(client, handle)
    assert rows[:2] == ["step 1 loss 0.1", "step 2 loss 0.2"]
    experiment = client.wait(handle)
    assert (experiment.state, experiment.exit_code) == (State.STOPPED, 0)
    (machine,) = machines_in(experiment.remark)
    assert machine in ("m2", "m3")
    files = {path.name: path.read_text() for path in client.download(handle, tmp_path / "results")}
    assert files == {"host": f"{machine}\n", "text": "hello\n"}
    (series,) = client.metrics(handle)
    assert (series.name, list(series.values)) == ("loss", [0.1, 0.2])


def test_an_uploaded_workspace_is_where_the_command_runs(client, tmp_path):
    (tmp_path / "train.py").write_text("import os; print(os.uname().nodename, 'trains')")
    handle = client.run_single_node(**single_node("python3 train.py"), workspace=tmp_path)
    assert any(re.fullmatch("m[1-3] trains", message) for message in messages(client, handle))
    client.wait(handle)


def test_nodes_run_on_machines_of_their_own_and_reach_one_another(lab, client):
    handle = client.run_multi_node(**multi_node(CONNECT, SERVE))
    rows = [row for row in client.yield_logs(handle) if row.message.endswith(" hello")]
    experiment = client.wait(handle)
    placed = dict(re.findall(r"(worker \d|parameter server \d): (m\d)", experiment.remark))
    assert sorted(placed.values()) == ["m1", "m2", "m3"]
    assert {row.node: row.message for row in rows} == {
        node: f"{placed[node]} hello" for node in ("worker 0", "worker 1")
    }


@pytest.mark.skipif(not shutil.which("mpirun"), reason="there is no mpirun (Debian: openmpi-bin)")
def test_mpirun_starts_processes_on_all_machines(client):
    handle = client.run_multi_node(**multi_node("sleep 60", "mpirun -n 3 hostname", kind="MPI"))
    assert sorted(messages(client, handle)) == ["m1", "m2", "m3"]
    assert client.wait(handle).exit_code == 0


def test_an_exit_code_ends_all_nodes_with_a_reason_that_names_one(lab, client):
    command = "if [ $INDEX = 1 ]; then exit 7; fi; exec sleep 3600.71"
    handle = client.run_multi_node(**multi_node(command, "exec sleep 3600.71", "half"))
    experiment = client.wait(handle, raise_on_failure=False, timeout=PATIENCE)
    assert (experiment.state, experiment.exit_code) == (State.FAILED, 7)
    assert "worker 1 ended with exit code 7" in experiment.experiment_error
    assert lab.processes("3600.71") == []


def test_a_running_command_is_stopped_within_two_seconds_and_nothing_of_it_is_left(lab, client):
    handle = client.run_single_node(**single_node(sleeping(72)))
    wait_until_printed(client, handle, "ready")
    assert len(lab.processes("3600.72")) >= 4
    assert_ends_within(client, handle, 2)
    assert lab.processes("3600.72") == []


def test_experiments_wait_for_their_turn_with_a_reason_and_stop_at_once(client, tmp_path):
    first = client.run_single_node(**single_node("exec sleep 3600.73", "m3"))
    client.wait(first, until="running", timeout=PATIENCE)
    order = tmp_path / "order"
    handles = [client.run_single_node(**single_node(f"echo {name} >> {order}", "m3")) for name in "abc"]

    def remarks():
        found = [client.get(handle) for handle in handles]
        assert {each.state for each in found} == {State.PENDING}
        return [each.remark for each in found] if all(each.remark for each in found) else []

    assert all("wait" in remark.lower() for remark in wait_for(remarks, "a reason for each"))
    assert_ends_within(client, handles.pop(1), 2)
    assert_ends_within(client, first, 2)
    for handle in handles:
        client.wait(handle, timeout=PATIENCE)
    assert order.read_text().split() == ["a", "c"]


def test_a_request_that_can_never_be_met_is_refused_with_what_there_is(client):
    with pytest.raises(BadRequestError, match=r"(?i)gpu") as caught:
        client.create_single_node(**single_node("true", "many"))
    assert "machineType" in str(caught.value)
    with pytest.raises(BadRequestError, match="whole"):
        client.create_single_node(**single_node("true", "unknown"))


def test_a_secret_is_in_no_metadata_and_no_file_of_the_engine(lab, client):
    body = multi_node("echo ready; exec sleep 3600.74", "exec sleep 3600.74", "half", experiment_env={"TOKEN": SECRET})
    handle = client.run_multi_node(**body)
    wait_until_printed(client, handle, "ready")
    holders = lab.processes(SECRET)
    assert {each.name() for each in holders} <= {"sleep", "sh"}
    assert not any(SECRET in " ".join(each.cmdline()) for each in holders)
    assert SECRET not in lab.cluster.metadata()
    while_it_runs = lab.files_with(SECRET)
    client.stop(handle)
    client.wait(handle)
    assert (while_it_runs, lab.files_with(SECRET)) == ([], [])


def test_rows_come_once_and_in_order_while_the_server_is_killed(lab, tmp_path):
    command = "for i in $(seq 2000); do echo $i; [ $((i % 20)) -gt 0 ] || sleep 0.02; done"
    with lab.server(tmp_path) as server, server.client() as client:
        handle = client.run_single_node(**single_node(command))
        rows = []
        for row in client.yield_logs(handle):
            rows.append((row.line, row.message))
            if row.line in (200, 1000):
                server.kill()
        assert rows == [(line, str(line)) for line in range(1, 2001)]
        assert client.wait(handle).state == State.STOPPED
        assert [(row.line, row.message) for row in client.logs(handle)] == rows


@pytest.mark.parametrize("delay", [0.0, 0.1])
def test_a_server_that_is_killed_around_the_submission_runs_a_command_once(lab, tmp_path, delay):
    with lab.server(tmp_path) as server, server.client() as client:
        handle = client.run_single_node(**single_node(f"echo ran >> {tmp_path}/ran; sleep 1"))
        time.sleep(delay)
        server.kill()
        assert client.wait(handle, timeout=PATIENCE).state == State.STOPPED
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_two_servers_on_one_cluster_know_nothing_of_each_other(lab, client, tmp_path):
    with lab.server(tmp_path) as other, other.client() as other_client:
        ours = client.run_single_node(**single_node(sleeping(75)))
        theirs = other_client.run_single_node(**single_node("echo begun; sleep 3; echo over"))
        wait_until_printed(client, ours, "ready")
        wait_until_printed(other_client, theirs, "begun")
        assert theirs not in [experiment.id for experiment in client.list()]
        other.kill()  # the next one looks at what runs
        assert_ends_within(client, ours, 2)
        assert messages(other_client, theirs) == ["begun", "over"]
        assert other_client.wait(theirs).state == State.STOPPED


def test_a_machine_that_loses_its_power_ends_the_run_with_its_name(lab, client):
    handle = client.run_multi_node(**multi_node("echo ready; exec sleep 3600.76", "exec sleep 3600.76"))
    wait_until_printed(client, handle, "ready")
    lab.cluster.kill_machine("m3")
    try:
        experiment = client.wait(handle, raise_on_failure=False, timeout=PATIENCE)
        assert experiment.state == State.ERROR
        assert "m3" in experiment.experiment_error
        wait_for(lambda: lab.processes("3600.76") == [], "the end of all commands")
    finally:
        lab.cluster.restart_machine("m3")
