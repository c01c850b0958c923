"""The generated decoders take what is in the contract, null for what can be absent, and nothing of another shape."""

import pytest
from gradient_api.models import Created, Done, ExperimentGroup, ExperimentList, GroupMeta, ListMeta
from gradient_api.types import UNSET


def test_null_where_something_can_be_absent():
    """Is as good as absent, for texts, numbers, objects and arrays."""
    assert Created.from_dict({"handle": "es1", "message": None}) == Created("es1")
    assert GroupMeta.from_dict({"itemGroup": None, "totalItems": None}) == GroupMeta()
    assert ListMeta.from_dict({"filter": None}).filter_ is UNSET


def test_null_that_the_contract_knows():
    """Stays null."""
    assert ListMeta.from_dict({"limit": None}).limit is None


@pytest.mark.parametrize("wrong", [[], [["message", "success"]], "", None, 7])
def test_no_object(wrong):
    """Neither pairs nor what is empty pass for an object."""
    with pytest.raises(TypeError, match="an object was expected, not "):
        Done.from_dict(wrong)


@pytest.mark.parametrize("kind", [ExperimentList, ExperimentGroup])
@pytest.mark.parametrize("wrong", [{}, "", None, 7])
def test_no_array(kind, wrong):
    """Nor does what can be gone through pass for an array."""
    with pytest.raises(TypeError, match="an array was expected, not "):
        kind.from_dict({"data": wrong})
