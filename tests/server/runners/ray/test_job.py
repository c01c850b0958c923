"""Runs on a cluster: submitted once, followed through everything that breaks, and ended with a reason."""

import json
import os
import random
import time

import pytest
from gradient_api.constants import ExperimentState as State

from gradient_server.runners.machine_types import parse_machine_types
from tests.server.runners.conftest import PATIENCE, wait_until

SERVER_STARTED_ANEW = "The Ray cluster has been started anew since, and what ran there is gone: its outcome is unknown"


def posts(cluster):
    return sum(request == ("POST", "/api/jobs/") for request in cluster.requests)


def fail_once(method, path):
    """Return a hook that breaks the first of such requests."""
    seen = []

    def hook(*request):
        if request == (method, path) and not seen:
            seen.append(request)
            raise ConnectionError

    return hook


def always_fail(method, path):
    def hook(*request):
        if request == (method, path):
            raise ConnectionError

    return hook


def remark_has(bench, run, text):
    wait_until(lambda: text in (run.remark or ""), f"the remark {text!r}")


@pytest.mark.parametrize("when", ["on_request", "after_request"])
def test_a_submission_without_an_answer_runs_once(cluster, bench, tmp_path, when):
    """The request was lost, or its answer."""
    setattr(cluster, when, fail_once("POST", "/api/jobs/"))
    run = bench.done(f"echo ran; echo ran >> {tmp_path}/ran")
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(run) == (tmp_path / "ran").read_text().split() == ["ran"]
    assert len(cluster.jobs) == 1


@pytest.mark.parametrize("when", ["on_request", "after_request"])
def test_a_server_that_ends_while_it_submits_leaves_the_run_to_the_next_one(cluster, make_bench, tmp_path, when):
    command = f"echo ran; echo ran >> {tmp_path}/ran"
    setattr(cluster, when, always_fail("POST", "/api/jobs/"))
    first = make_bench()
    run = first.run(command)
    remark_has(first, run, "The Ray cluster cannot be reached")
    first.close()
    cluster.on_request = cluster.after_request = lambda method, path: None
    second = make_bench(recover=False)
    again = second.take_over(run, command)
    second.runner.recover()
    second.wait_for_end(again)
    assert second.outcome(again) == ("stopped", None)
    assert second.rows(again) == (tmp_path / "ran").read_text().split() == ["ran"]
    assert len(cluster.jobs) == 1


def test_a_run_that_was_submitted_to_another_session_is_not_submitted_again(cluster, make_bench):
    cluster.after_request = always_fail("POST", "/api/jobs/")
    first = make_bench()
    run = first.run("true")
    remark_has(first, run, "The Ray cluster cannot be reached")
    first.close()
    cluster.after_request = lambda method, path: None
    cluster.start_anew()
    before = posts(cluster)
    second = make_bench(recover=False)
    again = second.take_over(run, "true")
    second.runner.recover()
    second.wait_for_end(again)
    assert second.outcome(again)[0] == "error"
    assert posts(cluster) == before


def test_a_package_that_was_submitted_twice_runs_once(cluster, bench, tmp_path):
    run = bench.done(f"echo ran >> {tmp_path}/ran")
    (job,) = cluster.jobs.values()
    status, _ = cluster.answer("POST", "/api/jobs/", json.dumps({**job.request, "submission_id": "again"}).encode())
    assert status == 200
    assert cluster.jobs["again"].process.wait(PATIENCE) == 1
    assert "claimed before" in cluster.jobs["again"].errors.read_text()
    assert (tmp_path / "ran").read_text().split() == ["ran"]
    assert bench.outcome(run) == ("stopped", None)


def test_a_cluster_that_was_started_anew_has_lost_its_runs_and_their_rows_stay(cluster, bench):
    run = bench.run("echo seen; sleep 60")
    bench.wait_for_row(run, "seen")
    cluster.start_anew()
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("error", SERVER_STARTED_ANEW)
    assert bench.rows(run) == ["seen"]
    assert len(cluster.jobs) == 0


def test_a_run_whose_job_was_deleted_ends_with_an_error(cluster, bench):
    run = bench.run("echo seen; sleep 60")
    bench.wait_for_row(run, "seen")
    cluster.kill_drivers()
    cluster.jobs.clear()
    bench.wait_for_end(run)
    assert bench.outcome(run)[0] == "error"
    assert "does not know the run any more" in bench.outcome(run)[1]


def test_a_run_goes_on_while_the_cluster_cannot_be_reached_and_no_row_is_lost(cluster, bench, tmp_path):
    run = bench.run(f"echo one; until [ -e {tmp_path}/go ]; do sleep 0.01; done; echo two")
    bench.wait_for_row(run, "one")
    cluster.is_reachable = False
    remark_has(bench, run, "The Ray cluster cannot be reached: http://127.0.0.1:")
    (tmp_path / "go").touch()
    wait_until(lambda: all(job.process.poll() is not None for job in cluster.jobs.values()), "the end of the driver")
    assert bench.state(run) == State.RUNNING
    cluster.is_reachable = True
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(run) == ["one", "two"]
    assert "cannot be reached" not in (run.remark or "")


def test_files_whose_transfer_is_cut_anywhere_come_once_and_whole(cluster, bench):
    chance = random.Random(1)
    cluster.cut = lambda path, content: (
        content[: chance.randrange(len(content) + 1)] if chance.random() < 0.3 else content
    )
    run = bench.done("for i in $(seq 300); do echo $i; done; sleep 0.2; echo end; echo w > $PS_MODEL_PATH/weights")
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(run) == [*map(str, range(1, 301)), "end"]
    assert [each.name for each in run.artifacts("", 10, bench.clock.now())] == ["model/weights"]


def test_a_run_that_waits_for_machines_is_pending_with_the_reason_and_stops_at_once(cluster, bench, tmp_path):
    cluster.is_busy = True
    run = bench.run(f"touch {tmp_path}/ran")
    remark_has(bench, run, "It waits for 1 times 1 CPU.")
    assert bench.state(run) == State.PENDING
    began = time.monotonic()
    run.stop(bench.clock.now())
    bench.wait_for_end(run)
    assert time.monotonic() - began < 2
    assert bench.outcome(run) == ("canceled", None)
    assert not (tmp_path / "ran").exists()
    (job,) = cluster.jobs.values()
    assert job.process.wait(PATIENCE) == 0


def test_a_run_that_cannot_be_submitted_is_canceled_by_a_stop(cluster, bench):
    cluster.is_reachable = False
    run = bench.run()
    remark_has(bench, run, "The Ray cluster cannot be reached")
    run.stop(bench.clock.now())
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("canceled", None)
    assert not cluster.jobs


def test_a_run_that_others_stop_is_canceled(cluster, bench):
    """By `ray job stop`, or in Ray's dashboard."""
    run = bench.run("echo seen; sleep 60")
    bench.wait_for_row(run, "seen")
    (id,) = cluster.jobs
    cluster.answer("POST", f"/api/jobs/{id}/stop", b"")
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("canceled", None)


def test_a_killed_driver_is_an_error_that_names_its_machine(cluster, bench):
    run = bench.run("echo seen; sleep 60")
    bench.wait_for_row(run, "seen")
    cluster.kill_drivers()
    bench.wait_for_end(run)
    state, error = bench.outcome(run)
    assert (state, bench.rows(run)) == ("error", ["seen"])
    assert "The driver of the run has ended on the machine 127.0.0.1, and nothing of it goes on" in error


def test_a_job_that_ray_refuses_is_an_error_with_its_reason(cluster, bench, monkeypatch):
    monkeypatch.setattr(cluster, "_submit", lambda request: (400, b"Traceback\nValueError: label is invalid"))
    run = bench.done()
    assert bench.outcome(run) == ("error", "The Ray cluster refuses the run: ValueError: label is invalid")


def test_experiments_beyond_the_slots_wait_in_the_order_of_their_start(bench, make_bench, cluster):
    bench.close()
    bench = make_bench(slots=1)
    first, second, third = (bench.run("echo seen; sleep 60") for _ in range(3))
    bench.wait_for_row(first, "seen")
    remark_has(bench, second, "It waits for 1 slot: 0 of 1 are free.")
    remark_has(bench, third, "It waits for its turn: it is number 2 in the queue.")
    assert len(cluster.jobs) == 1


def test_of_runs_that_need_the_same_machines_one_waits_in_ray_and_the_others_in_order(bench, make_bench, cluster):
    """Ray would start them in any order."""
    bench.close()
    bench = make_bench(slots=4, machine_types=parse_machine_types("[small]\ncpus = 1\n[large]\ncpus = 2"))
    cluster.is_busy = True
    first, second, third = (bench.run("true", machineType="small") for _ in range(3))
    large = bench.run("true", machineType="large")
    remark_has(bench, first, "It waits for 1 times 1 CPU.")
    remark_has(bench, large, "It waits for 1 times 2 CPU.")
    assert second.remark == "It waits for its turn: the one before it waits for such machines."
    assert third.remark == "It waits for its turn: it is number 2 in the queue."
    assert len(cluster.jobs) == 2
    cluster.is_busy = False
    for run in (first, second, third, large):
        bench.wait_for_end(run)
    began = [{state: at for at, state in run.transitions}[State.RUNNING] for run in (first, second, third)]
    assert began == sorted(began)


def test_secrets_are_in_no_request_that_ray_shows_and_removed_when_they_were_read(cluster, bench):
    run = bench.run("echo $TOKEN; sleep 60", experimentEnv={"TOKEN": "s3cr3t"})
    bench.wait_for_row(run, "s3cr3t")
    (job,) = cluster.jobs.values()
    assert "s3cr3t" not in json.dumps(job.request)
    wait_until(lambda: not (bench.directory / run.handle / "spec.json").exists(), "the removal of the spec")
    logs = set(cluster.logs.rglob("jobs/*.log"))
    files = {path for path in cluster.folder.rglob("*") if path.is_file()}
    assert {path for path in files if b"s3cr3t" in path.read_bytes()} == logs


def test_deleting_a_run_has_the_cluster_forget_its_job(cluster, bench):
    ended, running = bench.done(), bench.run("echo seen; sleep 60")
    bench.wait_for_row(running, "seen")
    for run in (ended, running):
        run.delete()
    wait_until(lambda: not cluster.jobs, "the deletion of the jobs")


def test_servers_with_different_stores_use_one_cluster_for_experiments_with_the_same_handle(cluster, bench, tmp_path):
    other = type(bench)(cluster, tmp_path / "others")
    other.runner.recover()
    runs = [each.run(f"echo {name}", handle="es1") for each, name in ((bench, "mine"), (other, "theirs"))]
    bench.wait_for_end(runs[0])
    other.wait_for_end(runs[1])
    assert (bench.rows(runs[0]), other.rows(runs[1])) == (["mine"], ["theirs"])
    assert len(cluster.jobs) == 2
    other.close()


def test_files_that_were_removed_while_it_runs_are_copied_again(bench, tmp_path):
    run = bench.run(f"echo one; until [ -e {tmp_path}/go ]; do sleep 0.01; done; echo two")
    bench.wait_for_row(run, "one")
    folder = bench.directory / run.handle
    for name in ("events.jsonl", "jobs/0.log"):
        (folder / name).unlink()
    wait_until((folder / "jobs/0.log").exists, "the copy")
    (tmp_path / "go").touch()
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(run) == ["one", "two"]


def test_artifacts_stay_on_the_machine_of_the_driver_for_a_day(cluster, bench):
    first = bench.done("echo w > $PS_MODEL_PATH/weights")
    (kept,) = cluster.logs.rglob("artifacts.tar")
    bench.done()
    assert kept.exists()
    os.utime(kept, (0, time.time() - 25 * 3600))
    bench.done()
    assert not kept.exists()
    assert [each.name for each in first.artifacts("", 10, bench.clock.now())] == ["model/weights"]
