"""Lists as data frames, where pandas is installed."""

import subprocess
import sys
import textwrap

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient import BaseExperiment, ExperimentList, LogRow, LogRows, MultiNodeExperiment, SingleNodeExperiment
from tests.unit.examples import EXPERIMENTS, KINDS, LOG_ROWS, with_secrets

SINGLE = SingleNodeExperiment(
    id="es1", state=7, experiment_type_id=1, is_preemptible=True, dt_created="2019-08-06T17:20:11.462913+00:00"
)
MULTI = MultiNodeExperiment(id="es2", state=4, experiment_type_id=2, worker_count=2, experiment_env={"A": 1})
UNKNOWN = BaseExperiment(id="es3", state=99, experiment_type_id=9, name="sweep", dt_created="yesterday")
MIXED = ExperimentList([SINGLE, MULTI, UNKNOWN])


def test_experiments_have_a_row_each_with_words_for_states_and_times_as_times():
    frame = MIXED.to_dataframe()
    assert list(frame["id"]) == ["es1", "es2", "es3"]
    assert list(frame["state_name"]) == ["failed", "running", "undefined"]
    assert list(frame.columns[frame.columns.get_indexer(["state"])[0] :][:2]) == ["state", "state_name"]
    assert frame["dt_created"][0] == pandas.Timestamp("2019-08-06T17:20:11.462913", tz="UTC")
    assert list(frame["dt_created"].isna()) == [False, True, True]
    assert list(frame["worker_count"].fillna(0)) == [0, 2, 0]
    assert frame["experiment_env"][1] == {"A": 1}
    assert frame["name"].isna().sum() == 2


def test_columns_and_their_types_do_not_depend_on_the_rows():
    types = MIXED.to_dataframe().dtypes
    assert dict(ExperimentList().to_dataframe().dtypes) == dict(types)
    assert set(types.index) == {field.name for kind in KINDS for field in kind._fields} | {"state_name"}
    expected = {
        "state": "int64",
        "worker_count": "Int64",
        "is_preemptible": "boolean",
        "name": "string",
        "dt_created": "datetime64[ns, UTC]",
        "experiment_env": "object",
    }
    assert {name: str(types[name]) for name in expected} == expected


def test_log_rows_have_a_row_each_and_an_invalid_timestamp_is_missing():
    rows = LogRows([LogRow(1, "a", "2019-08-06T17:21:18.528Z", "js1"), LogRow(2, "b", "2019-08-06T17:21:19Z")])
    frame = LogRows([*rows, LogRow(3, "c", "")]).to_dataframe()
    types = ["int64", "string", "datetime64[ns, UTC]", "string", "string"]
    assert [str(one) for one in frame.dtypes] == [str(one) for one in LogRows().to_dataframe().dtypes] == types
    names = ["line", "message", "timestamp", "job_id", "node"]
    assert list(frame.columns) == list(LogRows().to_dataframe().columns) == names
    assert frame["timestamp"][1] - frame["timestamp"][0] == pandas.Timedelta("472ms")
    assert list(frame["timestamp"].isna()) == [False, False, True]


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2019-13-01T00:00:00Z",
        "12",
        "now?",
        *("now", "today", " now", "Today"),  # to pandas, the present
        *("NaT", "nan", "tomorrow", "\ud800"),
    ],
)
def test_a_time_that_is_none_or_that_pandas_cannot_hold_is_missing(time):
    frame = LogRows([LogRow(1, "a", time), LogRow(2, "b", "2019-08-06T17:21:18.528Z")]).to_dataframe()
    assert list(frame["timestamp"].isna()) == [True, False]
    assert frame["timestamp"][1] == pandas.Timestamp("2019-08-06T17:21:18.528", tz="UTC")
    assert str(frame["timestamp"].dtype) == "datetime64[ns, UTC]"


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_are_masked_unless_they_are_requested(kind):
    experiments = ExperimentList([with_secrets(kind)])
    assert "sesame" not in str(experiments.to_dataframe().to_dict())
    assert experiments.to_dataframe(secrets=True)["workspace_password"][0] == "sesame"


def test_a_number_of_more_than_64_bits_stays_a_number():
    frame = LogRows([LogRow(2**64, "a", "2019-08-06T17:21:18.528Z")]).to_dataframe()
    assert frame["line"][0] == 2**64


@settings(max_examples=15)
@given(st.lists(EXPERIMENTS, max_size=3), st.lists(LOG_ROWS, max_size=3))
def test_numbers_of_any_size_and_texts_of_any_kind_are_kept(experiments, rows):
    frame = ExperimentList(experiments).to_dataframe(secrets=True)
    assert [int(state) for state in frame["state"]] == [experiment.state for experiment in experiments]
    assert [*frame["name"].astype(object).where(frame["name"].notna(), None)] == [one.name for one in experiments]
    assert list(LogRows(rows).to_dataframe()["message"]) == [row.message for row in rows]


def test_without_pandas_the_error_says_what_to_install_and_all_else_works():
    program = """
        import sys
        sys.modules["pandas"] = None  # as if it were not installed
        from gradient import ExperimentList, LogRows
        for rows in (ExperimentList(), LogRows()):
            rows.pretty(), rows._repr_html_(), rows.to_dict()
            try:
                rows.to_dataframe()
            except ImportError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    said = "to_dataframe() needs pandas, which is not installed: pip install pandas\n"
    assert (done.stdout, done.stderr) == (said * 2, "")


def test_making_a_client_loads_neither_pandas_nor_what_displays_tables():
    program = """
        import sys
        from gradient import ExperimentsClient
        ExperimentsClient("a-key").close()
        print(sorted({"pandas", *(f"gradient_ext.{name}" for name in
            ("display.dataframes", "display.tables"))} & sys.modules.keys()))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
