"""Jobs as squeue prints them, and in words."""

import pytest

from gradient_server.runners.slurm.job_states import (
    JobStatus,
    notice_state,
    parse_jobs,
    waiting_text,
    with_queue_positions,
)

SQUEUE = """\
12|RUNNING|None|4294|1:00:00|m[1-2]|gradient-es1-aa
13+0|PENDING|Resources|20|1:00:00||gradient-es2-bb
13+1|PENDING|Resources|20|1:00:00||gradient-es2-bb
14|PENDING|Priority|30|1:00:00||gradient-es3-cc
15|PENDING|Priority|99|1:00:00||somebody's | job
nonsense
"""


def test_jobs_are_read_by_number_with_components_as_one():
    found = parse_jobs(SQUEUE)
    assert [*found] == ["12", "13", "14", "15"]
    assert (found["12"].state, found["12"].machines) == ("RUNNING", "m[1-2]")
    assert (found["13"].state, found["15"].name) == ("PENDING", "somebody's | job")


def test_places_are_counted_among_experiments_by_priority():
    found = with_queue_positions(parse_jobs(SQUEUE), "gradient-")
    assert [found[job].place for job in ("12", "13", "14", "15")] == [0, 2, 1, 0]


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("RUNNING", "NODE_FAIL"), "NODE_FAIL"),
        (("COMPLETED", "RUNNING"), "RUNNING"),
        (("RUNNING", "PENDING"), "PENDING"),
        (("COMPLETED", "COMPLETED"), "COMPLETED"),
    ],
)
def test_a_heterogeneous_job_has_ended_when_a_component_fails_or_all_have(states, state):
    lines = [f"7+{index}|{each}|None|1|1:00|m{index}|name" for index, each in enumerate(states)]
    assert parse_jobs("\n".join(lines))["7"].state == state


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "as job 7: Resources (it is the next one that gets free machines)."),
        ("QOSMaxJobsPerUserLimit", "QOSMaxJobsPerUserLimit (a limit of the quality of service is reached)"),
        ("AssocGrpCpuLimit", "(a limit of the account is reached)"),
        ("ReqNodeNotAvail, UnavailableNodes:m2", "(machines that it needs are down, drained or reserved)"),
        ("(launch failed requeued held)", "as job 7: launch failed requeued held."),
        ("None", "It waits in Slurm as job 7."),
    ],
)
def test_a_reason_to_wait_is_told_in_words(reason, words):
    assert words in waiting_text(JobStatus(id="7", state="PENDING", reason=reason))


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("slurmstepd-m2: error: *** JOB 9 ON m2 CANCELLED AT 2026-11-29T12:05:19 ***", "CANCELLED"),
        ("slurmstepd: error: *** JOB 9 ON m2 CANCELLED AT 2026-11-29T12:05:19 DUE TO TIME LIMIT ***", "TIMEOUT"),
        ("slurmstepd: error: *** JOB 9 ON m2 CANCELLED AT 2026-11-29T12:05:19 DUE TO PREEMPTION ***", "PREEMPTED"),
        (
            "slurmstepd: error: *** JOB 9 ON m2 CANCELLED AT 2026-1-1T1:1:1 DUE TO NODE FAILURE, SEE ***",
            "NODE_FAIL",
        ),
    ],
)
def test_what_slurm_writes_when_it_ends_a_job_is_understood(line, state):
    found = notice_state(["begun", line])
    assert (found.state, found.machines) == (state, "m2")
    assert notice_state(["begun"]) is None
