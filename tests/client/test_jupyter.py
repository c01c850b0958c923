"""In a notebook with a real kernel: tables, the live line, `await` in a cell, and no other output."""

import html
import json
import re

import pytest

from tests.client.notebooks import notebook


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with notebook(tmp_path_factory.mktemp("kernel")) as running:
        yield running


@pytest.fixture
def cells(kernel, gradient_server):
    """A notebook with a client, and the parameters of an experiment that runs for a second."""
    gradient_server.clock.scale = 20
    urls = {"base_url": gradient_server.experiments_url, "logs_url": gradient_server.logs_url}
    outputs = kernel.run(f"""
        from gradient import AsyncExperimentsClient, ExperimentsClient, LogRows
        key, urls = {gradient_server.api_key!r}, {urls}
        client = ExperimentsClient(key, **urls)
        new = dict(
            name="mnist", project_id="prlvf0u05", container="python", machine_type="K80", command="python mnist.py",
            registry_password="sesame", workspace_url="https://me:sesame@example.com/r.git",
            experiment_env={{"GRADIENT_MOCK_LOG_LINES": 3, "GRADIENT_MOCK_SECONDS": 20}},
        )
    """)
    assert outputs == []
    yield kernel
    assert kernel.run("client.close()") == []


def last(output):
    """Return the last text of a display, and check that its HTML has the same text and no control characters."""
    seen = output["shown"][-1]
    assert "\x1b" not in json.dumps(seen)
    assert html.unescape(re.sub(r"<[^>]*>", "", seen["text/html"])) == seen["text/plain"]
    return re.sub(r"\d:\d\d", "0:00", seen["text/plain"])


def test_experiments_logs_and_data_frames_are_displayed_as_tables_without_passwords(cells):
    cells.run("experiment_id = client.create_single_node(**new)")
    for thing in ("list()", "get(experiment_id)", "logs(experiment_id)", "list().to_dataframe()"):
        (output,) = cells.run(f"client.{thing}")
        assert "<table" in output["shown"][0]["text/html"]
        assert "sesame" not in str(output)


def test_show_prints_and_displays_nothing(cells):
    cells.run("experiment_id = client.create_single_node(**new)")
    for thing in ("list()", "get(experiment_id)"):
        (output,) = cells.run(f"client.{thing}.show()")
        assert output["stream"] == "stdout"


def test_waiting_updates_one_output_with_each_state(cells):
    line, result = cells.run("client.wait(client.run_single_node(**new), progress=True)")
    assert re.fullmatch(r"es\w+ stopped, 0:00", last(line))
    words = [re.sub(r"es\w+ |, .*", "", seen["text/plain"]) for seen in line["shown"]]
    assert words[0] != words[-1] == "stopped"
    assert "<table" in result["shown"][0]["text/html"]


def test_a_failure_ends_the_line_and_the_tables_say_why(cells):
    cells.run("""
        new["experiment_env"] |= {"GRADIENT_MOCK_OUTCOME": "failed"}
        failing = client.run_single_node(**new)
    """)
    line, error = cells.run("client.wait(failing, progress=True)")
    assert re.fullmatch(r"es\w+ failed.*", last(line))
    assert error == {"error": "ExperimentFailedError"}
    for thing in ("list()", "get(failing)", "logs(failing)"):
        (output,) = cells.run(f"client.{thing}")
        assert "the command ended with exit code 1" in output["shown"][0]["text/html"]


def test_following_logs_counts_the_rows_above_them(cells):
    line, rows = cells.run("""
        for row in client.yield_logs(client.run_single_node(**new), progress=True):
            print(row.line)
    """)
    assert re.fullmatch(r"es\w+ stopped, 0:00, 3 rows", last(line))
    assert rows == {"stream": "stdout", "text": "1\n2\n3\n"}


def test_a_timeout_ends_the_line(cells, gradient_server):
    gradient_server.clock.scale = 0
    line, error = cells.run("client.wait(client.create_single_node(**new), timeout=0.2, progress=True)")
    assert last(line).endswith(" created, 0:00; not watched any more")
    assert error == {"error": "WaitTimeoutError"}


def test_a_generator_that_is_closed_early_says_so(cells):
    line, rows = cells.run("""
        following = client.yield_logs(client.run_single_node(**new), progress=True)
        print(next(following).line)
    """)
    assert rows["text"] == "1\n"
    assert cells.run("following.close()") == []
    assert last(line).endswith("; not watched any more")


def test_each_of_several_waits_has_an_output_of_its_own(cells):
    """With `await` in a cell."""
    *lines, result = cells.run("""
        import asyncio

        async with AsyncExperimentsClient(key, **urls) as other:
            started = [await other.run_single_node(**new) for _ in range(3)]
            ended = await asyncio.gather(*[other.wait(each, progress=True) for each in started])
        len(ended)
    """)
    assert [re.sub("^es[^ ]+", "", last(line)) for line in lines] == [" stopped, 0:00"] * 3
    assert result["shown"][0]["text/plain"] == "3"
