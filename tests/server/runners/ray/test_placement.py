"""Requests to Ray, and those that a cluster can never meet."""

import pytest

from gradient_server.runners.machine_types import parse_machine_types
from gradient_server.runners.ray.placement import Bundle, Machine, bundle_of, check_options, unmet

M1 = Machine("m1", {"CPU": 8.0, "memory": 16e9, "node:10.0.0.1": 1.0}, {"kind": "head", "ray.io/node-id": "1"})
M2 = Machine("m2", {"CPU": 4.0, "GPU": 2.0}, {"kind": "worker"})


def type_of(text):
    return parse_machine_types(text)["X"]


@pytest.mark.parametrize(
    ("text", "resources", "labels"),
    [
        ("[X]", {"CPU": 1}, {}),
        ('[X]\ngpus = 2\ncpus = 4\nmemory = "8GB"', {"CPU": 4, "GPU": 2, "memory": 8 * 10**9}, {}),
        (
            '[X]\n[X.ray]\nresources = {tpu = 0.5}\nlabels = {kind = "worker"}',
            {"CPU": 1, "tpu": 0.5},
            {"kind": "worker"},
        ),
    ],
)
def test_a_machine_type_is_a_bundle_with_at_least_one_processor(text, resources, labels):
    check_options("X", type_of(text))
    assert bundle_of(type_of(text)) == Bundle(resources, labels)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("partition = 'gpu'", "has partition; there are resources and labels"),
        ("resources = 3", "must be a table"),
        ("resources = {tpu = 0}", "must be a number above 0, not 0"),
        ("resources = {tpu = true}", "must be a number above 0, not True"),
        ("resources = {GPU = 1}", "is one of its own keys: cpus, gpus and memory"),
        ("labels = {kind = 1}", "must be a text, not 1"),
    ],
)
def test_an_invalid_table_is_refused_with_what_would_be_right(table, reason):
    with pytest.raises(ValueError, match=f"the table for ray of the machine type 'X'.*{reason}|{reason}"):
        check_options("X", type_of(f"[X]\n[X.ray]\n{table}"))


@pytest.mark.parametrize(
    "bundles",
    [
        [Bundle({"CPU": 8}, {})],
        [Bundle({"CPU": 4, "GPU": 2}, {"kind": "worker"})],
        [Bundle({"CPU": 1}, {})] * 12,
        [Bundle({"CPU": 0.1, "GPU": 0.1}, {})] * 20,
        [Bundle({"CPU": 1}, {"kind": "!head"})],
        [],
    ],
)
def test_what_the_machines_may_have_is_not_refused(bundles):
    assert unmet(bundles, [M1, M2]) is None


@pytest.mark.parametrize(
    ("bundles", "index", "needs"),
    [
        ([Bundle({"CPU": 9}, {})], 0, "It needs 9 CPU; the Ray cluster has"),
        ([Bundle({"CPU": 1}, {}), Bundle({"CPU": 1, "GPU": 3}, {})], 1, "It needs 1 CPU, 3 GPU; the Ray cluster has"),
        ([Bundle({"CPU": 8}, {})] * 2, 0, "It needs 2 times 8 CPU; the Ray cluster, which has room for 1, has"),
        ([Bundle({"CPU": 5}, {"kind": "worker"})], 0, "It needs 5 CPU, kind=worker; the Ray cluster has"),
        ([Bundle({"CPU": 1, "memory": 32 * 10**9}, {})], 0, "It needs 1 CPU, 32 GB of memory; the Ray cluster has"),
    ],
)
def test_what_they_can_never_have_is_named_with_what_there_is(bundles, index, needs):
    machines = "m1 (8 CPU, 0 GPU, 16 GB of memory, kind=head), m2 (4 CPU, 2 GPU, kind=worker)"
    assert unmet(bundles, [M1, M2]) == (index, f"{needs} {machines}")
