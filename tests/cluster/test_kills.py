"""Servers that are killed at random moments, and a head of Ray that forgets everything.

`make test-cluster ARGS='-k whenever --examples 1000'` kills a server a hundred times on each engine.
"""

import time
from random import Random

import pytest
from gradient_api.constants import END_OF_LOG
from gradient_api.constants import ExperimentState as State

from tests.cluster.machines import wait_for
from tests.cluster.test_experiments import PATIENCE, single_node, sleeping, wait_until_printed

pytestmark = pytest.mark.filterwarnings("ignore:The API key goes to .* over plain http")
UPTIME = 1.5
"""Seconds for which a server serves before it is killed, at most."""
RUNS = 3
"""Experiments at the same time."""


def test_rows_come_once_and_commands_run_once_whenever_the_server_is_killed(lab, tmp_path, pytestconfig):
    random, kills = Random(1), max(3, pytestconfig.option.examples // 10)
    done, began = tmp_path / "done", tmp_path / "began"
    command = f"echo $$ >> {began}; i=0; while [ ! -e {done} ]; do i=$((i+1)); echo $i; sleep 0.02; done"
    with lab.server(tmp_path) as server, server.client() as client:
        handles = []
        for _ in range(kills):
            # Some kills come around the submission of a run.
            if len(handles) < RUNS:
                handles.append(client.run_single_node(**single_node(command)))
            time.sleep(random.uniform(0, UPTIME))
            server.kill()
        for handle in handles:
            client.wait(handle, until="running", timeout=PATIENCE)
        done.touch()
        for handle in handles:
            rows = [row.message for row in client.yield_logs(handle)]
            assert client.wait(handle, timeout=PATIENCE).state == State.STOPPED
            assert rows == [str(number) for number in range(1, len(rows) + 1)]
            assert [row.message for row in client.logs(handle) if row.message != END_OF_LOG] == rows
    assert len(began.read_text().split()) == len(handles)


@pytest.mark.parametrize("lab", ["ray"], indirect=True)
def test_a_run_ends_with_a_reason_when_a_head_without_redis_is_started_anew(lab, tmp_path):
    with lab.server(tmp_path) as server, server.client() as client:
        handle = client.run_single_node(**single_node(sleeping(92)))
        wait_until_printed(client, handle, "ready")
        lab.cluster.kill_machine("m1")
        lab.cluster.restart_machine("m1")
        experiment = client.wait(handle, raise_on_failure=False, timeout=PATIENCE)
        assert experiment.state == State.ERROR
        assert "Ray" in experiment.experiment_error
        wait_for(lambda: lab.processes("3600.92") == [], "the end of all commands", timeout=90)
