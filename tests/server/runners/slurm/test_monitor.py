"""Runs as jobs of Slurm: submitted once, followed, stopped, and ended by Slurm in all the ways that it has."""

import hashlib
import io
import json
import re
import subprocess
import time
import zipfile

import pytest
from gradient_api.constants import ExperimentState as State

from tests.server.runners.conftest import stop, wait_until

WAITS = "echo begun; exec sleep 60"


def running_job(bench, slurm, command=WAITS, **given):
    """Start a run, wait until it has printed a row, and return it with its job."""
    run = bench.run(command, **given)
    bench.wait_for_row(run, "begun")
    return run, slurm.jobs[-1]


def wait_for_remark(run, *words):
    wait_until(lambda: all(word in (run.remark or "") for word in words), f"a remark with {words}, not {run.remark}")


def state_of(slurm, number=0):
    return slurm.jobs[number]["state"]


def test_a_command_runs_in_a_job_and_sees_what_slurm_has_assigned(bench, slurm):
    """It sees its GPUs, and no variable by which libraries would start more tasks."""
    run = bench.done("echo $CUDA_VISIBLE_DEVICES; env | grep -c ^SLURM_; exit 3", handle="es1")
    assert bench.rows(run) == ["7", "0"]
    assert bench.outcome(run) == ("failed", "The command ended with exit code 3")
    (job,) = slurm.jobs
    assert re.fullmatch("gradient-[0-9a-f]{8}-es1-[0-9a-f]{8}", job["name"])


def test_nothing_secret_is_in_what_slurm_keeps_or_left_on_the_disk(bench, slurm):
    run = bench.done("echo $TOKEN", experimentEnv={"TOKEN": "s3cr3t"}, workspacePassword="pa55")
    assert bench.rows(run) == ["s3cr3t"]
    kept = json.dumps(slurm.jobs) + "".join(slurm.calls)
    assert "s3cr3t" not in kept
    assert "pa55" not in kept
    assert not (bench.directory / run.handle / "spec.json").exists()


def test_an_uploaded_workspace_is_copied_to_where_machines_find_it(bench, tmp_path):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.txt", "hello\n")
    part = tmp_path / hashlib.sha256(archive.getvalue()).hexdigest()
    part.write_bytes(archive.getvalue())
    run = bench.admit("cat data.txt", upload=[str(part)])
    run.start(bench.clock.now())
    bench.wait_for_end(run)
    assert bench.rows(run) == ["hello"]
    assert part.exists()
    assert not (bench.directory / run.handle / "upload").exists()


def test_waiting_runs_say_why_and_where_they_are_in_the_queue(bench, slurm):
    slurm.set(holds="Resources")
    first, second = bench.run(), bench.run()
    wait_for_remark(first, "job 1: Resources (it is the next one")
    wait_for_remark(second, "job 2: Resources", "number 2 of the experiments that wait")
    assert bench.state(first) == State.PENDING
    slurm.set()
    bench.wait_for_end(first, second)
    assert bench.outcome(first) == bench.outcome(second) == ("stopped", None)
    assert "waits" not in (first.remark or "")


def test_stopping_a_run_that_waits_cancels_its_job(bench, slurm):
    slurm.set(holds="Priority")
    run = bench.run("echo never")
    wait_for_remark(run, "Priority")
    stop(bench, run)
    assert bench.outcome(run) == ("canceled", None)
    wait_until(lambda: state_of(slurm) == "CANCELLED", "the end of the job")


def test_a_run_that_waits_is_stopped_while_slurm_cannot_be_reached_and_never_runs(bench, slurm):
    slurm.set(holds="Priority")
    run = bench.run("echo never")
    wait_for_remark(run, "Priority")
    slurm.set(is_unreachable=True, holds="Priority")
    stop(bench, run)
    assert bench.outcome(run) == ("canceled", None)
    bench.close()
    slurm.set()
    wait_until(lambda: state_of(slurm) == "COMPLETED", "the start of the job")
    assert bench.rows(run) == []


def test_deleting_a_run_that_waits_cancels_its_job(bench, slurm):
    slurm.set(holds="Priority")
    run = bench.run()
    wait_for_remark(run, "Priority")
    run.delete()
    wait_until(lambda: state_of(slurm) == "CANCELLED", "the end of the job")
    wait_until(lambda: not list(bench.directory.glob("*es1*")), "the removal")


def test_stopping_a_run_signals_its_supervisor_alone(bench, slurm):
    """So that commands have their grace period, from one who knows it."""
    run, _ = running_job(bench, slurm, "trap 'echo saved; exit' TERM; echo begun; while :; do sleep 0.05; done")
    stop(bench, run)
    assert bench.outcome(run) == ("canceled", None)
    assert bench.rows(run)[-1] == "saved"
    assert any("--batch --signal=USR1" in call for call in slurm.calls)


def test_a_run_is_stopped_while_slurm_cannot_be_reached(bench, slurm):
    run, _ = running_job(bench, slurm)
    slurm.set(is_unreachable=True)
    stop(bench, run)
    assert bench.outcome(run) == ("canceled", None)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("NODE_FAIL", "lost a machine of the job 1 on m1"),
        ("OUT_OF_MEMORY", "used more memory than it has: ask for more by the memory of its machine type"),
        ("PREEMPTED", "job 1 on m1 for one with a higher priority"),
        ("CANCELLED", "was cancelled in Slurm, not by this server"),
        ("TIMEOUT", "job 1 on m1 at its time limit of 1:00:00: give the experiment more by SBATCH_TIMELIMIT"),
        ("FAILED", "supervisor of the job 1 on m1 was killed or has crashed (FAILED)"),
    ],
)
def test_a_job_that_ends_without_an_outcome_ends_its_run_with_the_reason(bench, slurm, state, words):
    run, job = running_job(bench, slurm)
    slurm.end(job, state)
    bench.wait_for_end(run)
    found, error = bench.outcome(run)
    assert (found, words in error) == ("error", True), error
    assert bench.rows(run) == ["begun"]


def test_a_run_that_reaches_its_time_limit_ends_in_order_and_says_so(bench, slurm):
    run, job = running_job(bench, slurm, "trap 'echo saved; exit 1' TERM; echo begun; while :; do sleep 0.05; done")
    slurm.reach_time_limit(job)
    bench.wait_for_end(run)
    found, error = bench.outcome(run)
    assert (found, "at its time limit" in error, "SBATCH_TIMELIMIT" in error) == ("error", True, True), error
    assert bench.rows(run)[-1] == "saved"


@pytest.mark.parametrize(("accounts", "words"), [(True, "lost a machine"), (False, "does not know the job 1 any more")])
def test_a_job_that_has_left_the_queue_is_found_in_the_accounts(bench, slurm, accounts, words):
    run, job = running_job(bench, slurm)
    slurm.set(forgets=True, accounts=accounts)
    slurm.end(job, "NODE_FAIL")
    bench.wait_for_end(run)
    assert words in bench.outcome(run)[1]


def test_a_run_goes_on_while_slurm_cannot_be_reached_and_says_so(bench, slurm):
    run, _ = running_job(bench, slurm, "echo begun; while [ ! -e go ]; do sleep 0.05; done")
    slurm.set(is_unreachable=True)
    wait_for_remark(run, "Slurm cannot be reached", "Unable to contact slurm controller")
    assert bench.state(run) == State.RUNNING
    (bench.directory / run.handle / "workspace" / "go").touch()
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)


@pytest.mark.parametrize("behaviour", [{"is_unreachable": True}, {"refuses": "QOSMaxSubmitJobPerUserLimit"}])
def test_a_job_that_cannot_be_submitted_now_is_submitted_later(bench, slurm, behaviour):
    slurm.set(**behaviour)
    run = bench.run("echo once")
    wait_for_remark(run, "accepts no job now; the server tries again")
    assert bench.state(run) == State.PENDING
    slurm.set()
    bench.wait_for_end(run)
    assert bench.rows(run) == ["once"]


def test_a_job_that_is_refused_ends_its_run_with_the_words_of_slurm(bench, slurm):
    slurm.set(refuses="Invalid account or account/partition combination specified")
    run = bench.done()
    text = "Slurm does not accept the run: Invalid account or account/partition combination specified"
    assert bench.outcome(run) == ("error", text)


def test_a_job_whose_number_did_not_arrive_is_found_by_its_name(bench, slurm):
    slurm.set(dies=True, holds="Resources")
    run = bench.run("echo once")
    wait_for_remark(run, "Socket timed out")
    slurm.set()
    bench.wait_for_end(run)
    assert bench.rows(run) == ["once"]
    assert len(slurm.jobs) == 1


def test_a_job_that_was_accepted_late_runs_instead_of_the_one_that_was_submitted_for_it(bench, slurm):
    """The controller was so busy that the server saw neither an answer nor the job."""
    slurm.set(dies=True, hides=True)
    run = bench.run("echo once; while [ ! -e go ]; do sleep 0.05; done")
    wait_until(lambda: slurm.jobs, "the first attempt")
    slurm.set(hides=True)
    wait_until(lambda: len(slurm.jobs) > 1, "the second attempt")
    slurm.set()
    wait_until(lambda: "COMPLETED" in [job["state"] for job in slurm.jobs], "the end of the job that comes too late")
    bench.wait_for_row(run, "once")
    time.sleep(1.5)  # longer than what Slurm says of the job is waited for
    (bench.directory / run.handle / "workspace" / "go").touch()
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)
    assert bench.rows(run) == ["once"]


@pytest.mark.parametrize("behaviour", [{"is_unreachable": True}, {"dies": True, "holds": "Resources"}])
def test_a_server_that_ends_around_the_submission_leaves_a_run_that_runs_once(make_bench, slurm, behaviour):
    slurm.set(**behaviour)
    bench = make_bench()
    started = bench.clock.now()
    wait_for_remark(bench.run("echo once", handle="es7"), "tries again")
    bench.close()
    slurm.set(holds="Resources")
    later = make_bench(recover=False)
    run = later.admit("echo once", handle="es7", started=started)
    later.runner.recover()
    wait_for_remark(run, "job 1: Resources")
    slurm.set()
    later.wait_for_end(run)
    assert later.rows(run) == ["once"]
    assert len(slurm.jobs) == 1


def test_a_job_that_is_submitted_twice_runs_once(bench, slurm):
    run = bench.done("echo once")
    again = subprocess.run(["sh"], input=slurm.jobs[0]["script"], text=True, capture_output=True, check=False)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert bench.rows(run) == ["once"]


def test_two_servers_on_one_cluster_do_not_touch_each_other(make_bench, slurm, tmp_path):
    first, second = make_bench(), make_bench(tmp_path / "others")
    run, _ = running_job(first, slurm, handle="es1")
    other, _ = running_job(second, slurm, handle="es1")
    ids = [job["name"].split("-")[1] for job in slurm.jobs]
    assert ids[0] != ids[1]
    stop(first, run)
    assert second.state(other) == State.RUNNING
    stop(second, other)


def test_a_supervisor_that_cannot_be_started_is_an_error_with_its_last_words(make_bench):
    bench = make_bench(python="/no/such/python")
    found, error = bench.outcome(bench.done())
    assert found == "error"
    assert re.search(r"could not be started \(FAILED\): .*/no/such/python.*not found", error), error


def test_a_machine_that_does_not_see_the_directory_of_the_run_is_an_error(bench, slurm):
    slurm.set(holds="Resources")
    run = bench.run()
    wait_for_remark(run, "Resources")
    (bench.directory / run.handle).rename(bench.directory / "elsewhere")
    slurm.set()
    wait_until(lambda: state_of(slurm) == "FAILED", "the end of the job")
    (bench.directory / "elsewhere").rename(bench.directory / run.handle)
    bench.wait_for_end(run)
    found, error = bench.outcome(run)
    assert (found, "Do the machines have the directory of the run" in error) == ("error", True), error
