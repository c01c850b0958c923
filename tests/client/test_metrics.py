"""Metrics of experiments, from the rows of their logs to series, data frames and streams of points."""

import asyncio
import json
import math
import time
from datetime import UTC, datetime

import pytest

from gradient import (
    AsyncExperimentsClient,
    ExperimentsClient,
    InvalidParametersError,
    MetricList,
    MetricPoint,
    NotFoundError,
    WaitTimeoutError,
)
from gradient_server import LocalServer
from gradient_server.runners.base import LogRow
from tests.fake_servers import FlakyServer
from tests.server.runners.manual_runner import ManualRunner


@pytest.fixture
def simulated(client, single_node):
    """Run a simulated experiment with some rows."""

    def run(rows=3, seconds=20, **more):
        environment = {"GRADIENT_MOCK_LOG_LINES": rows, "GRADIENT_MOCK_SECONDS": seconds}
        return client.run_single_node(**{**single_node, "experiment_env": environment, **more})

    return run


class Printer:
    """A server whose runs print what a test says."""

    def __init__(self, server, runner, client):
        self.server, self._runner, self.client = server, runner, client

    def print(self, experiment_id, *messages):
        run = self._runner.kept[experiment_id]
        rows = next(iter(run._printed.values()))
        rows += [LogRow(line, self.server.clock.now(), text) for line, text in enumerate(messages, len(rows) + 1)]
        self._runner.on_change(experiment_id)


@pytest.fixture
def printer():
    runner = ManualRunner({})
    with (
        LocalServer(runner=runner) as server,
        ExperimentsClient(server.api_key, base_url=server.experiments_url, logs_url=server.logs_url) as client,
    ):
        yield Printer(server, runner, client)


def test_each_metric_of_each_node_is_a_series(client, multi_node, gradient_server):
    experiment_id = client.run_multi_node(**{**multi_node, "experiment_env": {"GRADIENT_MOCK_LOG_LINES": 5}})
    gradient_server.advance(100)
    found = client.metrics(experiment_id)
    nodes = ["worker 0", "worker 1", "parameter server 0"]
    assert [(one.name, one.node) for one in found] == [(name, node) for name in ("loss", "accuracy") for node in nodes]
    series = found[0]
    assert (series.axis, series.steps, series.total, series.is_thinned) == ("step", [1, 2, 3, 4, 5], 5, False)
    rows = [row for row in client.logs(experiment_id) if row.node == "worker 0"]
    assert [f"{value:.4f}" for value in series.values] == [row.message.split()[5] for row in rows]
    assert [one.isoformat(timespec="milliseconds") for one in series.times] == [
        row.timestamp.replace("Z", "+00:00") for row in rows
    ]
    assert series.points[0] == MetricPoint("loss", "worker 0", 1, series.times[0], series.values[0])


@pytest.mark.parametrize("names", ["loss", ["loss"], ("loss", "nothing")])
def test_only_metrics_with_some_names_are_returned(client, simulated, gradient_server, names):
    experiment_id = simulated()
    gradient_server.advance(100)
    assert [series.name for series in client.metrics(experiment_id, names)] == ["loss"]


@pytest.mark.parametrize(("names", "limit"), [("", None), ([], None), ([1], None), (7, None), (None, 0), (None, "1")])
def test_what_is_no_name_or_limit_is_refused(client, names, limit):
    with pytest.raises(InvalidParametersError):
        client.metrics("es1", names, limit=limit)


def test_nothing_is_found_before_anything_is_printed(client, simulated):
    found = client.metrics(simulated())
    assert found == []
    assert found.pretty() == "no metrics"


def test_of_a_long_log_the_extremes_are_kept_and_the_total_is_told(client, simulated, gradient_server):
    experiment_id = simulated(rows=30_000)
    gradient_server.advance(100)
    (all_kept,), (few,) = (client.metrics(experiment_id, "loss", limit=limit) for limit in (None, 50))
    for series in (all_kept, few):
        assert (series.total, series.is_thinned, series.steps[0], series.steps[-1]) == (30_000, True, 1, 30_000)
    assert len(few.values) <= 50 < 2_000 < len(all_kept.values) <= 10_000
    assert (min(few.values), max(few.values)) == (min(all_kept.values), max(all_kept.values))


def test_what_is_known_is_returned_at_once_and_new_rows_are_added(client, simulated, gradient_server):
    experiment_id = simulated(rows=100, seconds=1_000_000)
    gradient_server.advance(500_000)
    counts = [client.metrics(experiment_id, "loss")[0].total]
    gradient_server.advance(200_000)
    counts.append(client.metrics(experiment_id, "loss")[0].total)
    assert 0 < counts[0] < counts[1] < 100


def test_values_that_are_no_numbers_in_json_are_floats(printer, single_node):
    experiment_id = printer.client.run_single_node(**single_node)
    printer.print(experiment_id, "step 1 loss: nan", "step 2 loss: inf", "step 3 loss: -inf", "step 4 loss: 1e300")
    found = printer.client.metrics(experiment_id)
    (series,) = found
    assert math.isnan(series.values[0])
    assert series.values[1:] == [math.inf, -math.inf, 1e300]
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))[0]["values"] == [
        "NaN",
        "Infinity",
        "-Infinity",
        1e300,
    ]
    assert math.isnan(found.to_dataframe()["value"][0])


def test_a_data_frame_has_a_row_for_each_value(client, simulated, gradient_server):
    experiment_id = simulated()
    gradient_server.advance(100)
    frame = client.metrics(experiment_id).to_dataframe()
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "name": "string",
        "node": "string",
        "step": "float64",
        "time": "datetime64[ns, UTC]",
        "value": "float64",
    }
    assert frame["name"].tolist() == ["loss"] * 3 + ["accuracy"] * 3
    assert frame["step"].tolist() == [1, 2, 3] * 2


def test_a_table_shows_the_last_value_and_the_extremes(client, simulated, gradient_server):
    experiment_id = simulated()
    gradient_server.advance(100)
    found = client.metrics(experiment_id)
    head, loss, _ = found.pretty().splitlines()
    assert head.split() == ["name", "node", "points", "step", "last", "lowest", "highest"]
    values = found[0].values
    assert loss.split() == [
        "loss",
        "worker",
        "0",
        "3",
        "3",
        *(f"{v:.6g}" for v in (values[-1], min(values), max(values))),
    ]
    assert "<table" in found._repr_html_()


def test_an_unknown_experiment_is_an_error(client):
    for ask in (lambda: client.metrics("esnothing"), lambda: list(client.stream_metrics("esnothing"))):
        with pytest.raises(NotFoundError):
            ask()


class ServerWithoutMetrics(FlakyServer):
    def respond(self, request, handler):
        if request.path.endswith("/metrics/"):
            handler.send_response(404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            super().respond(request, handler)


def test_a_server_without_metrics_is_named():
    server = ServerWithoutMetrics()
    with (
        ExperimentsClient("key", base_url=server.url, logs_url=server.url) as client,
        pytest.raises(NotFoundError) as e,
    ):
        client.metrics("es1")
    server.stop()
    assert e.value.words[0] == "This server knows no metrics"


# --- streams


def test_a_stream_has_every_point_that_metrics_has(client, simulated, gradient_server):
    experiment_id = simulated(rows=12_000)
    gradient_server.advance(100)
    points = list(client.stream_metrics(experiment_id, "loss"))
    assert [point.step for point in points] == list(range(1, 12_001))
    (series,) = client.metrics(experiment_id, "loss")
    known = {point.step: point for point in points}
    assert [known[point.step] for point in series.points] == series.points


def test_points_come_as_they_are_printed_until_the_run_ends(printer, single_node):
    experiment_id = printer.client.run_single_node(**single_node)
    printer.print(experiment_id, "Epoch 1/2", "loss: 0.5", "a row without a number")
    stream = printer.client.stream_metrics(experiment_id)
    first = next(stream)
    assert (first.name, first.node, first.step, first.value) == ("loss", "worker 0", 1, 0.5)
    assert abs(first.time - datetime.now(UTC)).total_seconds() < 60
    printer.print(experiment_id, "loss: 0.25", "Epoch 2/2", "loss: 0.125")
    assert [(point.step, point.value) for point in (next(stream), next(stream))] == [(1, 0.25), (2, 0.125)]
    printer.print(experiment_id, "| time/ |  |", "| total_timesteps | 7 |", "| reward | 1.5 |")
    printer.print(experiment_id, "----")
    point = next(stream)
    assert (point.name, point.step, point.value) == ("time/reward", 7, 1.5)
    printer.client.stop(experiment_id)
    assert list(stream) == []


def test_a_stream_without_points_ends_after_its_timeout_and_asks_seldom(printer, single_node):
    experiment_id = printer.client.run_single_node(**single_node)
    printer.print(experiment_id, "no number", "| open | 1.5 |")
    began = time.process_time()
    with pytest.raises(WaitTimeoutError):
        list(printer.client.stream_metrics(experiment_id, timeout=1.5))
    assert time.process_time() - began < 1


def test_a_stream_tolerates_failures(client, simulated, gradient_server):
    experiment_id = simulated(rows=500)
    gradient_server.advance(100)
    with gradient_server.faults(rate=0.5, statuses=[502, 503], resets="after", seed=3):
        points = list(client.with_options(max_attempts=2).stream_metrics(experiment_id, "loss"))
    assert [point.step for point in points] == list(range(1, 501))


def test_the_asynchronous_client_has_metrics_and_streams(client, simulated, gradient_server):
    experiment_id = simulated()
    gradient_server.advance(100)

    async def read():
        places = {"base_url": gradient_server.experiments_url, "logs_url": gradient_server.logs_url}
        async with AsyncExperimentsClient(gradient_server.api_key, **places) as this:
            streamed = [point async for point in this.stream_metrics(experiment_id, "loss")]
            return await this.metrics(experiment_id, "loss"), streamed

    found, streamed = asyncio.run(read())
    assert isinstance(found, MetricList)
    assert found == client.metrics(experiment_id, "loss")
    assert found[0].points == streamed
