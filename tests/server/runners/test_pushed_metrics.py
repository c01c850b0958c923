"""Metrics that real runs push with the published package `gradient-utils`, as a client and the page show them."""

import asyncio
import json
import math
import shlex
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

from gradient import AsyncExperimentsClient, ExperimentsClient
from gradient_server import LocalServer
from gradient_server.runners.process.runner import ProcessRunner
from tests.server.runners.conftest import wait_until

pytest.importorskip("gradient_utils", reason="gradient-utils is in the dependency group `dev`")
SINGLE = {"name": "n", "project_id": "p", "container": "c", "machine_type": "m"}


@pytest.fixture
def serve(tmp_path):
    """Start a server on the same files, and return it with a client."""

    @contextmanager
    def serve():
        runner = ProcessRunner(tmp_path / "runs", slots=2, grace=1.0)
        with (
            LocalServer(runner=runner, store=tmp_path / "store.db", check_answers=True) as server,
            ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
        ):
            yield server, client

    return serve


def python(*lines):
    return shlex.join([sys.executable, "-c", "\n".join(["import os, time", *lines])])


def series_of(client, experiment_id, *names):
    return {(found.name, found.node): found for found in client.metrics(experiment_id, names or None)}


def test_metrics_of_the_published_package_arrive_with_steps(serve):
    command = python(
        "from gradient_utils.metrics import MetricsLogger, add_metrics, init",
        "with init():",
        "    for step in range(3): add_metrics({'loss': 1 / (step + 1), 'acc': float('nan')}, step=step)",
        "print('loss 7.5')",
        "add_metrics({'final_score': 3})",
        "logger = MetricsLogger(step=5)",
        "logger.add_counter('seen'); logger.add_summary('took'); logger.add_histogram('size')",
        "logger.add_info('about')",
        "logger['seen'].inc(); logger['took'].observe(2); logger['size'].observe(4); logger['about'].info({'a': 'b'})",
        "logger.push_metrics()",
        "logger.set_step(6); logger['seen'].inc(); logger.push_metrics()",
    )
    with serve() as (server, client):
        experiment_id = client.run_single_node(command=command, **SINGLE)
        client.wait(experiment_id, timeout=60)
        found = series_of(client, experiment_id)
        # What is pushed takes the place of what is printed under the same name.
        loss = found["loss", "worker 0"]
        assert (loss.axis, loss.steps, loss.values) == ("step", [0, 1, 2], [1, 1 / 2, 1 / 3])
        assert loss.times == sorted(loss.times)
        assert all(map(math.isnan, found["acc", "worker 0"].values))
        # A single whole number counts: somebody has named it.
        final = found["final_score", "worker 0"]
        assert (final.axis, final.steps, final.values) == (None, [None], [3])
        seen = found["seen_total", "worker 0"]
        assert (seen.steps, seen.values) == ([5, 6], [1, 2])
        assert {name for name, _ in found} - {"loss", "acc", "final_score", "seen_total"} == {
            *("took_count", "took_sum", "size_count", "size_sum")
        }
        streamed = list(client.stream_metrics(experiment_id))
        assert len(streamed) == sum(series.total for series in found.values())
        assert [point for point in streamed if point.name == "loss"] == loss.points

        async def read():
            places = {"base_url": server.experiments_url, "logs_url": server.logs_url}
            async with AsyncExperimentsClient(server.api_key, **places) as this:
                return [point async for point in this.stream_metrics(experiment_id, "loss")]

        assert asyncio.run(read()) == loss.points
        with httpx.Client(base_url=server.url, follow_redirects=True) as browser:
            browser.post("/page/login", data={"key": server.api_key}, headers={"Origin": server.url})
            charts = browser.get(f"/page/experiments/{experiment_id}/charts").json()["charts"]
            page = browser.get("/page/?column=metric:loss").text
        assert {"name": "worker 0", "x": [0, 1, 2], "y": [1, 1 / 2, 1 / 3]} in [
            series
            for chart in charts
            if (chart["name"], chart["axis"]) == ("loss", "step")
            for series in chart["series"]
        ]
        assert "0.33333" in page


def test_pushes_arrive_while_the_server_is_stopped_and_a_stream_has_each_once(serve, tmp_path):
    go_on = tmp_path / "go on"
    command = python(
        "from gradient_utils.metrics import add_metrics",
        "add_metrics({'loss': 1})",
        f"while not os.path.exists({str(go_on)!r}): time.sleep(0.01)",
        "add_metrics({'loss': 2}); print('done')",
        "time.sleep(600)",
    )
    with serve() as (_, client):
        experiment_id = client.run_single_node(command=command, **SINGLE)
        assert next(client.stream_metrics(experiment_id)).value == 1
    go_on.touch()
    log = tmp_path / "runs" / experiment_id / "jobs" / "0.log"
    wait_until(lambda: "done" in log.read_text(), "the push without a server")
    with serve() as (_, client):
        stream = client.stream_metrics(experiment_id)
        assert [next(stream).value, next(stream).value] == [1, 2]
        client.stop(experiment_id)
        assert list(stream) == []
        assert series_of(client, experiment_id)["loss", "worker 0"].values == [1, 2]


def test_a_stream_has_a_push_at_once(serve, tmp_path):
    """Without a row in the log. Otherwise, it would come when the server ends the long poll, after 20 seconds."""
    go_on = tmp_path / "go on"
    command = python(
        "from gradient_utils.metrics import add_metrics",
        "add_metrics({'loss': 1})",
        f"while not os.path.exists({str(go_on)!r}): time.sleep(0.01)",
        "add_metrics({'loss': 2})",
        "time.sleep(600)",
    )
    with serve() as (_, client):
        experiment_id = client.run_single_node(command=command, **SINGLE)
        stream = client.stream_metrics(experiment_id)
        next(stream)
        delayed = threading.Timer(0.5, go_on.touch)
        delayed.start()
        began = time.monotonic()
        assert next(stream).value == 2
        assert time.monotonic() - began < 15
        delayed.join()
        client.stop(experiment_id)
        client.wait(experiment_id, timeout=60, raise_on_failure=False)


def test_each_node_has_series_of_its_own_and_no_run_sees_the_key(serve):
    pushing = python(
        "from gradient_utils.metrics import add_metrics",
        "add_metrics({'rank': int(os.environ['INDEX']) + 0.5}, step=1)",
        "print(dict(os.environ))",
    )
    with serve() as (server, client):
        experiment_id = client.run_multi_node(
            name="n",
            project_id="p",
            experiment_type_id=2,
            worker_command=pushing,
            worker_container="c",
            worker_machine_type="m",
            worker_count=2,
            parameter_server_command="true",
            parameter_server_container="c",
            parameter_server_machine_type="m",
            parameter_server_count=1,
        )
        client.wait(experiment_id, timeout=60)
        found = series_of(client, experiment_id, "rank")
        values = {node: series.values for (_, node), series in found.items()}
        assert values == {"worker 0": [0.5], "worker 1": [1.5]}
        assert server.api_key not in json.dumps([row.message for row in client.logs(experiment_id)])


def test_a_wrong_push_is_an_error_that_names_the_line(serve):
    command = python(
        "import urllib.request as u",
        "address = os.environ['PAPERSPACE_METRIC_PUSHGATEWAY'] + '/metrics/job/x'",
        "try: u.urlopen(u.Request(address, b'loss 1\\nacc x\\n', method='PUT'))",
        "except OSError as error: print(error)",
    )
    with serve() as (_, client):
        experiment_id = client.run_single_node(command=command, **SINGLE)
        client.wait(experiment_id, timeout=60)
        (row,) = [row.message for row in client.logs(experiment_id)]
        assert row == "HTTP Error 400: line 2: the value is no number: acc x"
        assert client.metrics(experiment_id) == []
