"""Clusters for the tests of a module; `make test-cluster` runs them."""

from collections.abc import Iterator

import pytest

from tests.cluster.machines import why_impossible
from tests.cluster.ray_cluster import RayCluster, why_no_ray
from tests.cluster.slurm_cluster import SlurmCluster, why_no_slurm


@pytest.fixture
def can_have_machines() -> None:
    skip_if(why_impossible())


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmCluster]:
    skip_if(why_no_slurm())
    with SlurmCluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def ray() -> Iterator[RayCluster]:
    skip_if(why_no_ray())
    with RayCluster() as cluster:
        yield cluster


def skip_if(reason: str | None) -> None:
    if reason:
        pytest.skip(reason)
