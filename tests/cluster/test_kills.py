"""Servers that are killed at random moments, and a head of Ray that forgets everything.

`make test-cluster ARGS='-k whenever --examples 1000'` kills a server a hundred times on each engine.
"""

import time
from random import Random

import pytest
from gradient_api.constants import TERMINAL_STATES
from gradient_api.constants import ExperimentState as State

from tests.cluster.machines import wait_for
from tests.cluster.test_experiments import PATIENCE, single_node, sleeping, wait_until_printed

pytestmark = pytest.mark.filterwarnings("ignore:The API key goes to .* over plain http")
UPTIME = 1.5
"""Seconds for which a server serves before it is killed, at most."""
RUNS = 3
"""Experiments at the same time."""
ROWS = 100


def test_rows_come_once_and_commands_run_once_whenever_the_server_is_killed(lab, tmp_path, pytestconfig):
    random, began = Random(1), tmp_path / "began"
    command = f"echo $$ >> {began}; for i in $(seq {ROWS}); do echo $i; sleep 0.02; done"
    with lab.server(tmp_path) as server, server.client() as client:
        handles = []
        for _ in range(max(3, pytestconfig.option.examples // 10)):
            if sum(experiment.state not in TERMINAL_STATES for experiment in client.list()) < RUNS:
                handles.append(client.run_single_node(**single_node(command)))
            time.sleep(random.uniform(0, UPTIME))
            server.kill()
        for handle in handles:
            assert [row.message for row in client.yield_logs(handle)] == [str(number + 1) for number in range(ROWS)]
            assert client.wait(handle, timeout=PATIENCE).state == State.STOPPED
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
