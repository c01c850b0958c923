"""Numbers in log rows, and the charts that they make."""

import doctest
import importlib
import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.dashboard.metrics import Numbers, charts_of, numbers_in

STEPS = ("global_step", "step", "steps", "iteration", "iter", "batch", "epoch")
SUBJECTS = ("training", "train", "validation", "valid", "val", "testing", "test", "evaluation", "eval", "dev", "best")
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,15}", fullmatch=True).filter(
    lambda name: name.casefold() not in (*STEPS, *SUBJECTS)
)
NUMBERS = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))


@pytest.mark.parametrize("name", ["data", "metrics", "views"])
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(importlib.import_module(f"gradient_server.dashboard.{name}")).failed == 0


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("epoch  7/30  loss 0.1234  accuracy 0.9567", {"epoch": 7, "loss": 0.1234, "accuracy": 0.9567}),
        ("loss=0.12, acc: .9.", {"loss": 0.12, "acc": 0.9}),
        ("worker 1: step 3/20  loss 0.8783", {"worker": 1, "step": 3, "loss": 0.8783}),
        ("10/10 [====] - 1s 3ms/step - loss: 0.3 - val_loss: 2e-1", {"loss": 0.3, "val_loss": 0.2}),
        ('{"step": 3, "loss": 0.5, "lr": 1e-05}', {"step": 3, "loss": 0.5, "lr": 1e-05}),
        ("Train Epoch: 1 [25600/60000 (43%)]\tLoss: -0.1", {"epoch": 1, "Loss": -0.1}),
        ("Average loss: 0.0481, Accuracy: 9843/10000 (98%)", {"loss": 0.0481, "Accuracy": 9843}),
        ("train loss 0.4 val loss 0.5", {"train loss": 0.4, "val loss": 0.5}),
        ("\x1b[32mloss\x1b[0m: 0.5", {"loss": 0.5}),
        ("\x1b[1;38:2::255:0:0mtr\x1b[0main_loss\x1b[m: 0.5", {"train_loss": 0.5}),
        ("\x1b[Kloss 0.5\x1b[K", {"loss": 0.5}),
        ("\x1b[2K\x1b[1Gstep 5\x1b[3Closs=0.5", {"step": 5, "loss": 0.5}),
        ("\x1b[?25lloss 0.5\x1b[?25h\x1b[>4;1m", {"loss": 0.5}),
        ("\x1b]0;title 7\x07loss 0.5 \x1b]8;;http://x/?a=1\x1b\\acc\x1b]8;;\x1b\\: 0.9", {"loss": 0.5, "acc": 0.9}),
        ("\x1bPq#0;2\x1b\\loss 0.5\x1b(B\x1b7\x1bMacc 0.9\x1b=", {"loss": 0.5, "acc": 0.9}),
        ("\x9b32mloss\x9b0m 0.5\x9bKacc 0.9 \x9d0;t 1\x9c", {"loss": 0.5, "acc": 0.9}),
        ("50%\rloss 0.5\x08\x08\0acc 0.9", {"loss": 0.5, "acc": 0.9}),
        ("loss 0.5 \x1b[3", {"loss": 0.5}),
        ("accuracy 95.5%", {"accuracy": 95.5}),
        ("at 2024-05-06 at 12:30:01 version 1.2.3 took 3s on K80 x 1,234 loss nan gain 1e999", {}),
        (f"{' ' * 990}loss 0.25", {"loss": 0.25}),
        (f"{' ' * 996}loss 0.25", {}),  # only the first thousand characters count
        ("least -1e15 most 1e15 more 2e15", {"least": -1e15, "most": 1e15}),
        ("", {}),
    ],
)
def test_numbers_are_found_as_people_and_libraries_print_them(message, numbers):
    assert numbers_in(message) == numbers


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_is_measured_is_a_part_of_the_name(subject):
    assert numbers_in(f"{subject} loss 0.5") == {f"{subject} loss": 0.5}


@given(st.dictionaries(NAMES, NUMBERS, max_size=6), st.sampled_from([" ", "=", ": ", " = "]), st.sampled_from("  ,;|"))
def test_every_number_is_found_whatever_separates_it(numbers, between, after):
    message = f"{after} ".join(f"{name}{between}{value}" for name, value in numbers.items())
    found = numbers_in(message)
    assert {name: found.get(name) for name in numbers} == pytest.approx(numbers) or len(message) > 1_000


@given(st.text(max_size=300) | st.text("loss =:0123456789.e+-%/\x1b[m", max_size=300))
def test_numbers_of_any_row_are_finite(message):
    assert all(map(math.isfinite, numbers_in(message).values()))


@pytest.mark.parametrize(
    "part", ["a", "a ", "1", "a=", "loss ", "x.", "-", "\x1b[0", "\x1b]", "\x1b[0;", "\x9d", "\x1b ", " ", "val ", "1e"]
)
def test_no_row_takes_long(part):
    began = time.process_time()
    numbers_in(part * 1_000_000)
    assert time.process_time() - began < 0.5


def rows(*values, job="js1"):
    return [Numbers(job, line, found) for line, found in enumerate(values, start=1)]


def test_a_name_that_repeats_is_a_chart_unless_it_is_a_constant_whole_number():
    numbers = [{"worker": 1.0, "step": line * 10.0, "loss": 1 / line, "frozen_server": 0.5} for line in range(1, 5)]
    numbers[1]["once"] = 1.0
    charts, more = charts_of(rows(*numbers), {"js1": "worker 0"})
    assert [(chart["name"], chart["axis"]) for chart in charts] == [("loss", "step"), ("frozen_server", "step")]
    assert charts[0]["series"] == [{"name": "worker 0", "x": [10, 20, 30, 40], "y": [1, 1 / 2, 1 / 3, 1 / 4]}]
    assert more == 0


@pytest.mark.parametrize(
    ("numbers", "axis"),
    [
        ([{"epoch": float(line), "step": line % 2, "loss": 1 / line} for line in range(1, 9)], "epoch"),
        ([{"step": line % 2, "loss": 1 / line} for line in range(1, 9)], "line"),
        ([{"step": float(line // 2), "loss": 1 / line} for line in range(1, 9)], "line"),
        ([{"step": 1.0, "loss": 0.5}, {"loss": 0.25}], "line"),
    ],
    ids=["steps that start again with each epoch", "steps that start again", "steps that repeat", "rows without steps"],
)
def test_the_axis_is_a_step_that_grows_in_every_row(numbers, axis):
    (chart,), _ = charts_of(rows(*numbers), {})
    assert chart["axis"] == axis


@pytest.mark.parametrize("first", range(len(STEPS)))
def test_a_step_is_the_axis_the_most_exact_one_first_and_no_chart(first):
    numbers = [dict.fromkeys(STEPS[first:], float(line)) | {"loss": 1 / line} for line in range(1, 4)]
    (chart,), _ = charts_of(rows(*numbers), {})
    assert (chart["name"], chart["axis"]) == ("loss", STEPS[first])


def test_each_job_is_a_series():
    numbers = [{"loss": 1 / line} for line in range(1, 4)]
    (chart,), _ = charts_of([*rows(*numbers), *rows(*numbers, job="js2")], {"js1": "worker 0", "js2": "worker 1"})
    assert [series["name"] for series in chart["series"]] == ["worker 0", "worker 1"]


def test_charts_with_most_points_come_first_and_others_are_counted():
    numbers = [{f"metric{number}": line / 7 for number in range(line)} for line in range(1, 12)]
    charts, more = charts_of(rows(*numbers), {})
    assert [chart["name"] for chart in charts] == [f"metric{number}" for number in range(8)]
    assert more == 2  # of eleven names, one occurs only once


def test_a_log_with_ever_new_names_has_two_hundred_metrics():
    numbers = [{f"metric{number}": line / 7 for number in range(300)} for line in range(2)]
    charts, more = charts_of(rows(*numbers), {})
    assert (len(charts), more) == (8, 192)


@given(st.lists(st.dictionaries(st.sampled_from([*STEPS, "loss", "gain"]), st.floats(-1e15, 1e15)), max_size=30))
def test_charts_are_json_with_as_many_points_as_rows(numbers):
    charts, _ = charts_of(rows(*numbers), {})
    json.dumps(charts, allow_nan=False)
    for chart in charts:
        (series,) = chart["series"]
        assert series["y"] == [found[chart["name"]] for found in numbers if chart["name"] in found]
        assert series["x"] == sorted(set(series["x"]))
        assert len(series["x"]) == len(series["y"])
