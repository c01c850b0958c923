"""Whether a cluster can ever run a request, by the machines that sinfo lists."""

import pytest

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.slurm.inventory import check_inventory, parse_gres, parse_inventory, seconds_of
from gradient_server.runners.slurm.request import JobRequest
from tests.server.runners.conftest import wait_until

SINFO = """\
main*|2|16|64000|1-00:00:00|gpu:k80:4(S:0-1)|avx,P100
main*|10|8|32000|1-00:00:00|(null)|(null)
short|3|4|8000+|10:00|(null)|old
nonsense
"""
GROUPS = parse_inventory(SINFO)
GIB = 2**30


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"gpus": 4, "gpu": "k80", "cpus": 16},
        {"nodes": 8, "gpus": 1, "cpus": 2},
        {"nodes": 14, "cpus": 8},
        {"options": {"constraint": "avx&P100"}},
        {"options": {"constraint": "[rack1|rack2]"}},
        {"options": {"partition": "short", "time": "10"}},
        {"options": {"partition": "main,short", "time": "20:00:00"}},
        {"options": {"gres": "gpu:k80:2", "mem": "32G"}},
    ],
    ids=str,
)
def test_what_the_cluster_has_is_accepted(request_):
    check_inventory(GROUPS, [JobRequest(**request_)])


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"options": {"partition": "gpu"}}, "The cluster has no partition gpu; there are main, short."),
        ({"options": {"constraint": "avx2"}}, "No machine of the partition main has 1 CPU and the feature avx2"),
        ({"cpus": 32}, "No machine of the partition main has 32 CPUs; there are 2 with 16 CPUs, 62.5 GiB, gpu:k80:4"),
        ({"memory": 100 * GIB}, "has 1 CPU and 100 GiB of memory"),
        ({"gpus": 1, "gpu": "a100"}, "gpu:a100:1"),
        ({"gpus": 8}, "gpu:8"),
        ({"nodes": 9, "gpus": 1}, "The partition main has room for 8 nodes with 1 CPU and gpu:1, not for 9."),
        ({"options": {"partition": "short", "time": "11"}}, "may run for 10 minutes at most, not 11"),
        ({"options": {"gres": "licence:1"}}, "licence:1"),
    ],
    ids=str,
)
def test_what_no_machine_has_is_refused_with_what_there_is(request_, words):
    with pytest.raises(RunRejectedError) as caught:
        check_inventory(GROUPS, [JobRequest(**request_, field="machineType")])
    assert words in str(caught.value)
    assert caught.value.member == "machineType"


@pytest.mark.parametrize("options", [{"partition": "gpu"}, {"constraint": "avx2"}, {"mem": "1T"}, {"gres": "gpu:9"}])
def test_what_the_experiment_has_chosen_is_named_as_its_environment(options):
    with pytest.raises(RunRejectedError) as caught:
        check_inventory(GROUPS, [JobRequest(options=options, chosen=frozenset(options))])
    assert caught.value.member == "experimentEnv"


def test_nothing_is_refused_while_the_machines_are_unknown():
    check_inventory([], [JobRequest(cpus=10**6)])


def test_generic_resources_are_counted_by_name_and_type():
    found = parse_gres("gpu:a100:4(S:0-1),gpu:v100:2,mps:400,tmp")
    assert found == {"gpu": 6, "gpu:a100": 4, "gpu:v100": 2, "mps": 400, "tmp": 1}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("10:30", 630),
        ("12:00:00", 43200),
        ("2-12", 216000),
        ("1-00:00:00", 86400),
        ("1-01:30", 91800),
        ("infinite", None),
        ("UNLIMITED", None),
    ],
)
def test_times_of_slurm_are_read(text, seconds):
    assert seconds_of(text) == seconds


def test_an_impossible_request_is_refused_when_the_experiment_is_created(bench):
    with pytest.raises(RunRejectedError, match="no partition gpu; there are main, short"):
        bench.admit(experimentEnv={"SBATCH_PARTITION": "gpu"})


def test_an_experiment_that_was_started_is_not_refused_because_machines_have_gone(bench):
    run = bench.admit("true", experimentEnv={"SBATCH_PARTITION": "gpu"}, started=bench.clock.now())
    bench.wait_for_end(run)
    assert bench.outcome(run) == ("stopped", None)


def test_machines_are_learned_once_slurm_can_be_reached(make_bench, slurm):
    slurm.set(is_unreachable=True)
    bench = make_bench()
    bench.admit(experimentEnv={"SBATCH_PARTITION": "gpu"})
    slurm.set()

    def is_refused():
        try:
            bench.admit(experimentEnv={"SBATCH_PARTITION": "gpu"})
        except RunRejectedError:
            return True
        return False

    wait_until(is_refused, "the list of machines")
