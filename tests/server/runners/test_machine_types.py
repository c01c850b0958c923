"""Machine types: what a file of them means, what can never fit, what fits now, and that none gets what another has."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.base import RunRejectedError
from gradient_server.runners.machine_types import (
    Capacity,
    Claim,
    MachineType,
    MachineTypes,
    Request,
    parse_gpus,
    parse_machine_types,
    waiting_reason,
)

FILE = """
[K80]
gpus = 1
cpus = 4
memory = "8GB"

["A100.8"]
gpus = 8
memory = "1.5 TiB"
slots = 2

[C5]
"""


def test_a_file_has_a_table_for_each_machine_type():
    assert parse_machine_types(FILE) == {
        "K80": MachineType(gpus=1, cpus=4, memory=8_000_000_000, slots=1),
        "A100.8": MachineType(gpus=8, memory=1_649_267_441_664, slots=2),
        "C5": MachineType(gpus=0, cpus=0, memory=0, slots=1),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no machine type"),
        ("[K80", "Expected ']'"),
        ("K80 = 1", "'K80' is no machine type; one is a table such as [K80]"),
        ("[K80]\ngpu = 1", "gpu of the machine type 'K80' is unknown; there are gpus, cpus, memory, slots"),
        ("[A100.8]\ngpus = 8", "a name with dots needs quotes"),
        ("[K80]\ngpus = -1", "gpus of the machine type 'K80' must be a whole number from 0"),
        ("[K80]\ngpus = true", "not True"),
        ("[K80]\ncpus = 0.5", "must be a whole number"),
        ("[K80]\nslots = 0", "from 1"),
        ("[K80]\nmemory = '8'", 'a number of bytes or a text such as "8GB"'),
    ],
)
def test_a_file_with_a_mistake_is_refused_with_the_place_and_what_would_be_right(text, reason):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is checked below
        parse_machine_types(text)
    assert reason in str(caught.value)


def test_a_machine_type_may_have_a_table_for_a_runner():
    found = parse_machine_types('[K80]\ngpus = 1\n[K80.process]\npartition = "gpu"\nnodes = 2')["K80"]
    assert (found.gpus, found.options) == (1, {"process": {"partition": "gpu", "nodes": 2}})


@pytest.mark.parametrize(
    ("text", "names"), [("0, 1", ("0", "1")), ("GPU-8932f937,MIG-1/2", ("GPU-8932f937", "MIG-1/2")), ("none", ())]
)
def test_gpus_are_a_list_of_numbers_or_uuids(text, names):
    assert parse_gpus(text) == names


@pytest.mark.parametrize("text", ["", "0,0", "0,,1", "0 1", "-1"])
def test_a_list_of_gpus_with_a_mistake_is_refused(text):
    with pytest.raises(ValueError, match="give one such as 0,1"):
        parse_gpus(text)


TYPES = MachineTypes(
    types=parse_machine_types(FILE), capacity=Capacity(slots=2, cpus=8, memory=16 * 10**9, gpus=("0", "1"))
)


def test_an_experiment_needs_what_its_nodes_need_together_and_the_slots_of_one():
    fields = ["workerMachineType", "workerMachineType", "parameterServerMachineType"]
    body = {"workerMachineType": "K80", "parameterServerMachineType": "C5"}
    assert TYPES.request(fields, body) == Request(slots=1, cpus=8, memory=16 * 10**9, gpus=(1, 1, 0))


@pytest.mark.parametrize("name", ["none", "local"])
def test_none_and_local_ask_for_nothing(name):
    assert TYPES.request(["machineType"], {"machineType": name}) == Request(gpus=(0,))


@pytest.mark.parametrize(
    ("worker", "server", "field", "reason"),
    [
        ("P100", "C5", "workerMachineType", "There is no machine type 'P100' here; there are K80, A100.8, C5, none, l"),
        ("C5", "A100.8", "parameterServerMachineType", "needs 8 GPUs; the server has 2 GPUs (0, 1)."),
        ("K80", "K80", "workerMachineType", "needs 3 GPUs; the server has 2 GPUs (0, 1)."),
    ],
)
def test_what_can_never_be_is_refused_for_the_field_with_what_there_is(worker, server, field, reason):
    body = {"workerMachineType": worker, "parameterServerMachineType": server}
    with pytest.raises(RunRejectedError) as caught:
        TYPES.request(["workerMachineType", "workerMachineType", "parameterServerMachineType"], body)
    assert (caught.value.member, reason in str(caught.value)) == (field, True)


@pytest.mark.parametrize(
    ("request_", "capacity", "reason"),
    [
        (Request(gpus=(1, 1)), Capacity(slots=1), "It waits for 2 GPUs: 1 of 4 is free."),
        (Request(cpus=3, gpus=(0,)), Capacity(slots=1, cpus=2), "It waits for 3 CPUs: 2 of 8 are free."),
        (Request(memory=8 * 10**9), Capacity(slots=1), "It waits for 8 GB of memory: 0 KB of 64 GB are free."),
        (Request(slots=1), Capacity(slots=0), "It waits for 1 slot: 0 of 2 are free."),
    ],
)
def test_the_reason_to_wait_names_what_is_needed_and_what_is_free(request_, capacity, reason):
    free = Capacity(slots=capacity.slots, cpus=capacity.cpus, memory=capacity.memory, gpus=("3",))
    whole = Capacity(slots=2, cpus=8, memory=64 * 10**9, gpus=("0", "1", "2", "3"))
    assert waiting_reason(request_, free, whole) == reason


def test_what_an_earlier_server_had_more_of_is_used_up_but_what_needs_none_of_it_may_run():
    free = Capacity(slots=3, cpus=1).without([Claim(cpus=4, gpus=[["7"]])])
    assert waiting_reason(Request(gpus=(0,)), free, free) is None
    assert waiting_reason(Request(cpus=1), free, Capacity(slots=3, cpus=1)) == "It waits for 1 CPU: 0 of 1 are free."


WHOLE = Capacity(slots=3, cpus=4, memory=10, gpus=("0", "1", "2"))
REQUESTS = st.builds(
    Request,
    slots=st.integers(1, 3),
    cpus=st.integers(0, 4),
    memory=st.integers(0, 10),
    gpus=st.lists(st.integers(0, 3), max_size=3).map(tuple).filter(lambda gpus: sum(gpus) <= 3),
)


@given(data=st.data(), requests=st.lists(REQUESTS, max_size=12))
def test_whatever_comes_and_ends_no_gpu_is_given_twice_all_run_in_order_and_all_is_free_at_the_end(data, requests):
    queue, running, started = deque(enumerate(requests)), {}, []
    while queue or running:
        free = WHOLE.without(running.values())
        if queue and waiting_reason(queue[0][1], free, WHOLE) is None:
            number, request = queue.popleft()
            running[number] = free.claim(request)
            started.append(number)
            assert tuple(map(len, running[number].gpus)) == request.gpus
        else:
            del running[data.draw(st.sampled_from(sorted(running)), "the one that ends")]
        claims = running.values()
        names = [name for claim in claims for gpus in claim.gpus for name in gpus]
        assert len({*names}) == len(names)
        assert sum(claim.slots for claim in claims) <= WHOLE.slots
        assert sum(claim.cpus for claim in claims) <= WHOLE.cpus
        assert sum(claim.memory for claim in claims) <= WHOLE.memory
    assert started == list(range(len(requests)))
    assert WHOLE.without([]) == WHOLE
