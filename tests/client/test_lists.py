"""What the client returns are lists in every way, of a class of their own."""

import copy
import pickle

import pytest

from gradient import ExperimentList, LogRow, LogRows, SingleNodeExperiment

ONE, TWO = (SingleNodeExperiment(id=handle, state=1, experiment_type_id=1) for handle in ("es1", "es2"))
FIRST, SECOND = LogRow(1, "one", "2019-08-06T17:21:18.528Z"), LogRow(2, "two", "2019-08-06T17:21:19Z", "js1")
BOTH = pytest.mark.parametrize("plain", [[ONE, TWO], [FIRST, SECOND]], ids=["experiments", "log rows"])


def shown(plain):
    return (ExperimentList if plain[0] is ONE else LogRows)(plain)


@BOTH
def test_it_is_a_list(plain):
    """It equals the plain list, prints like it, and is one for whoever asks."""
    rows = shown(plain)
    assert isinstance(rows, list)
    assert rows == plain
    assert plain == rows
    assert repr(rows) == repr(plain)
    assert [*rows] == plain
    assert rows[0] is plain[0]
    assert rows[-1] is plain[-1]


@BOTH
def test_what_is_made_of_it_is_of_its_class(plain):
    """Slices, sums, products, copies and pickles can be shown, too."""
    rows = shown(plain)
    made = {
        "slice": (rows[1:], plain[1:]),
        "sum": (rows + plain, plain + plain),
        "product": (rows * 2, plain * 2),
        "product from the left": (2 * rows, plain * 2),
        "copy": (rows.copy(), plain),
        "shallow copy": (copy.copy(rows), plain),
        "deep copy": (copy.deepcopy(rows), plain),
        "pickle": (pickle.loads(pickle.dumps(rows)), plain),
    }
    assert {name: type(one) for name, (one, _) in made.items()} == dict.fromkeys(made, type(rows))
    assert {name: one for name, (one, _) in made.items()} == {name: other for name, (_, other) in made.items()}
    assert all(one is not rows for one, _ in made.values())


@BOTH
def test_it_can_be_changed(plain):
    """Like any list, in place, and without a change of what it was made of."""
    rows = same = shown(plain)
    rows += plain
    rows.append(plain[0])
    rows.reverse()
    del rows[1:]
    assert rows == plain[:1]
    assert rows is same
    assert len(plain) == 2


def test_the_client_returns_them(client, gradient_server, single_node):
    """From `list()`, with experiments and without, and from `logs()`."""
    assert type(client.list()) is type(client.list([])) is ExperimentList
    experiment_id = client.run_single_node(**single_node)
    gradient_server.advance(3600)
    assert type(client.list()) is type(client.list(single_node["project_id"])) is ExperimentList
    rows = client.logs(experiment_id)
    assert type(rows) is LogRows
    assert rows.to_dict()[0] == {**rows[0].to_dict(), "line": 1, "job_id": rows[0].job_id}
    assert client.list().to_dict() == [client.get(experiment_id).to_dict()]
