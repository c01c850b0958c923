"""An experiment with many nodes, whose logs end at as many lines. Its page does not keep the server from all else.

What takes long is to look into the logs of all nodes, so that this is counted.
"""

import pytest
from gradient_api.constants import ExperimentState as State

from gradient import ExperimentsClient
from gradient_server import LocalServer
from gradient_server.dashboard.experiments import MOST_READ
from gradient_server.dashboard.log_view import MOST_ROWS
from gradient_server.runners.base import LogRow
from tests.server.dashboard.conftest import Visitor
from tests.server.runners.suite.by_hand import ByHandRunner, HandRun

NODES = 64


class Counted(HandRun):
    """A run that counts how often the log of a node is looked into."""

    looks = 0

    def print_rows(self):
        """Let each node print some more rows, many of them another number."""
        for number, rows in enumerate(self._printed.values()):
            first = len(rows) + 1
            rows += [LogRow(line, 0.0, f"loss {line}") for line in range(first, first + 1 + 7 * number % 50)]

    def rows(self, line, limit, now):
        self.looks += len(self.jobs)
        return super().rows(line, limit, now)

    def job_rows(self, job, line, limit, now):
        self.looks += 1
        return super().job_rows(job, line, limit, now)


class Counting(ByHandRunner):
    def new_run(self, spec):
        return Counted(spec)


@pytest.fixture
def runner():
    return Counting({})


@pytest.fixture
def visitor(runner, multi_node):
    with LocalServer(runner=runner) as server:
        hosts = {"base_url": server.experiments_url, "logs_url": server.logs_url}
        with ExperimentsClient(server.api_key, **hosts) as client:
            client.run_multi_node(**multi_node | {"worker_count": NODES - 1, "parameter_server_count": 1})
        runner.go_on()
        visitor = Visitor(server.url, server.api_key)
        assert visitor.log_in().status == 303
        yield visitor


def test_many_nodes(visitor, runner):
    """The page shows rows of all of them, what is new is only that, and few looks are enough for each."""
    (run,) = runner.kept.values()
    for _ in range(10):
        run.print_rows()
    page = visitor.get(f"/page/experiments/{run.handle}")
    assert page.body.count("<tr>") > MOST_ROWS // 2
    assert run.looks < MOST_READ + 5 * NODES
    _, _, rest = page.body.partition('data-seen="')
    seen = rest.partition('"')[0]
    assert len(seen.split(",")) == NODES

    news = f"/page/experiments/{run.handle}/news?state={State.RUNNING}&seen={seen}&wait=0"
    run.looks = 0
    assert visitor.get(news).json == {}
    run.print_rows()
    assert visitor.get(news).json["count"] == sum(min(1 + 7 * number % 50, MOST_ROWS // NODES) for number in range(64))
    assert run.looks < 10 * NODES
