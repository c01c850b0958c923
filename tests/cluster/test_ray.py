"""Experiments on a real Ray cluster of three machines."""


def test_the_head_knows_all_machines(ray):
    nodes = ray.get("/nodes?view=summary").json()["data"]["summary"]
    assert sorted(node["raylet"]["nodeManagerHostname"] for node in nodes) == ["m1", "m2", "m3"]
