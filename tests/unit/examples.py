"""Experiments of all kinds and log rows, with every value that their attributes can have."""

from hypothesis import strategies as st

from gradient import BaseExperiment, LogRow, MultiNodeExperiment, SingleNodeExperiment

KINDS = (SingleNodeExperiment, MultiNodeExperiment, BaseExperiment)
# Special characters in HTML, in terminals, in JSON and in file encodings.
SPECIAL = st.sampled_from(
    ["<script>alert(1)</script>", "\"'&<>", "</table>", "\x1b[31m", "\u202e", "\ud800", "日本語", "\n", "[red]", ":x:"]
)
TEXTS = st.text() | st.lists(SPECIAL | st.text(max_size=5), max_size=4).map("".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
OBJECTS = st.dictionaries(TEXTS, SCALARS | st.lists(SCALARS, max_size=2), max_size=3)
VALUES = {"string": TEXTS, "integer": st.integers(), "boolean": st.booleans(), "object": OBJECTS}
VALUES["array"] = st.lists(TEXTS, max_size=3)


def experiments_of(kind):
    values = {
        field.name: VALUES[field.json_type] if field.required else st.none() | VALUES[field.json_type]
        for field in kind._fields
    }
    return st.builds(kind, **values)


EXPERIMENTS = st.one_of([experiments_of(kind) for kind in KINDS])
LOG_ROWS = st.builds(LogRow, st.integers(), TEXTS, TEXTS, st.none() | TEXTS)


def one(**attributes):
    return SingleNodeExperiment(**{"id": "es1", "state": 4, "experiment_type_id": 1, **attributes})


def with_secrets(kind):
    """Return an experiment with `sesame` wherever a secret can be."""
    secrets = {field.name: "sesame" for field in kind._fields if field.name.endswith(("password", "username"))}
    address = "https://me:sesame@example.com/r.git"
    env = {"REPOSITORY": address, "MORE": [{"url": address}]}
    return kind(id="es1", state=4, experiment_type_id=1, workspace_url=address, experiment_env=env, **secrets)
