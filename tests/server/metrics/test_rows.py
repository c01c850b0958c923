"""Numbers in log rows, and the steps that they belong to."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.metrics.rows import RowParser
from gradient_server.runners.base import LogColumns

SUBJECTS = ("training", "train", "validation", "valid", "val", "testing", "test", "evaluation", "eval", "dev", "best")
NAMES = st.from_regex(r"metric_[A-Za-z0-9_]{0,9}[a-z]", fullmatch=True)
NUMBERS = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))
TEXTS = st.text(max_size=300) | st.text("loss =:0123456789.e+-%/|│\x1b[mnaif(){}'", max_size=300)


def numbers_in(message):
    """Return the numbers of a row by name, steps included."""
    found = {}
    for points in RowParser().parse(LogColumns(0, [1.0], [message])):
        found |= {name: steps[0] for name, steps in points.steps.items()} | {points.name: points.values[-1]}
    return found


@pytest.mark.parametrize(
    ("message", "numbers"),
    [
        ("epoch  7/30  loss 0.1234  accuracy 0.9567", {"epoch": 7, "loss": 0.1234, "accuracy": 0.9567}),
        ("loss=0.12, acc: .9.", {"loss": 0.12, "acc": 0.9}),
        ("worker 1: step 3/20  loss 0.8783", {"step": 3, "loss": 0.8783}),
        ("10/10 [====] - 1s 3ms/step - loss: 0.3 - val_loss: 2e-1", {"loss": 0.3, "val_loss": 0.2}),
        ('{"step": 3, "loss": 0.5, "lr": 1e-05}', {"step": 3, "loss": 0.5, "lr": 1e-05}),
        ("{'loss': 0.5, 'learning_rate': 5e-05, 'epoch': 0.1}", {"loss": 0.5, "learning_rate": 5e-05, "epoch": 0.1}),
        ("Train Epoch: 1 [25600/60000 (43%)]\tLoss: -0.1", {"epoch": 1, "Loss": -0.1}),
        ("Average loss: 0.0481, Accuracy: 9843/10000 (98%)", {"loss": 0.0481, "Accuracy": 9843}),
        ("train loss 0.4 val loss 0.5", {"train loss": 0.4, "val loss": 0.5}),
        ("trainer/global_step=12 train/loss=0.5", {"global_step": 12, "train/loss": 0.5}),
        ("loss=tensor(0.5), acc tensor([0.25])", {"loss": 0.5, "acc": 0.25}),
        ("{'loss': tensor(0.5, device='cuda:0', grad_fn=<NllLossBackward0>)}", {"loss": 0.5}),
        ("loss: np.float64(0.5) lr=np.float32(1e-3) Array(2.5, dtype=float32)", {"loss": 0.5, "lr": 0.001}),
        ("Epoch 1:  45%|####5  | 45/100 [00:12<00:15,  3.67it/s, loss=0.5, v_num=0]", {"epoch": 1, "loss": 0.5}),
        ("Training:  45%|███▌      | 45/100 [00:12<00:15,  3.67it/s]", {}),
        ("\x1b[32mloss\x1b[0m: 0.5", {"loss": 0.5}),
        ("\x1b[1;38:2::255:0:0mtr\x1b[0main_loss\x1b[m: 0.5", {"train_loss": 0.5}),
        ("\x1b[Kloss 0.5\x1b[K", {"loss": 0.5}),
        ("\x1b[2K\x1b[1Gstep 5\x1b[3Closs=0.5", {"step": 5, "loss": 0.5}),
        ("\x1b]0;title 7\x07loss 0.5 \x1b]8;;http://x/?a=1\x1b\\acc\x1b]8;;\x1b\\: 0.9", {"loss": 0.5, "acc": 0.9}),
        ("\x9b32mloss\x9b0m 0.5\x9bKacc 0.9 \x9d0;t 1\x9c", {"loss": 0.5, "acc": 0.9}),
        ("50%\rloss 0.5\x08\x08\0acc 0.9", {"loss": 0.5, "acc": 0.9}),
        ("loss 0.5 \x1b[3", {"loss": 0.5}),
        ("accuracy 95.5%", {"accuracy": 95.5}),
        (f"{' ' * 3990}loss 0.25", {"loss": 0.25}),
        (f"{' ' * 3996}loss 0.25", {}),  # only the first four thousand characters count
        ("most 1e20 least -1000000000000000", {"most": 1e20, "least": -1e15}),
        ("", {}),
    ],
)
def test_numbers_are_found_as_people_and_libraries_print_them(message, numbers):
    assert numbers_in(message) == numbers


@pytest.mark.parametrize(
    ("message", "name", "value"),
    [
        ("step 3 loss nan", "loss", math.nan),
        ("loss: NaN", "loss", math.nan),
        ("{'loss': inf}", "loss", math.inf),
        ("loss=-Infinity", "loss", -math.inf),
        ("loss=tensor(nan, device='cuda:0')", "loss", math.nan),
    ],
)
def test_what_is_no_number_or_infinite_is_told(message, name, value):
    assert numbers_in(message)[name] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    "message",
    [
        '  File "/srv/train.py", line 12, in <module>',
        "train.py:12: UserWarning",
        "at 2024-05-06 at 12:30:01,123 version 1.2.3 took 3s on K80 x 1,234",
        "2024-05-06T12:30:01 INFO 7 started, May 6 12:30",
        "listening on 127.0.0.1:8080, localhost:8080, port 8080, node.cluster:8080",
        "job_id=12 jobId: 7 pid=991 request 0x7f commit 1234567 v_num: 0",
        "user 12345678901234567890",
        "GET https://example.com/x?loss=0.5&page=3",
        "/data/loss=0.5/x saved mnist-epoch=02-val_loss=0.32.ckpt",
        "Python 3.11 torch 2.1 CUDA 12.1 cuda:0",
        "found nan, no banana",
        "ETA: 0:00:12  eta 12.5  1.5it/s",
    ],
)
def test_what_is_no_metric_is_not_one(message):
    assert numbers_in(message) == {}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_is_measured_is_a_part_of_the_name(subject):
    assert numbers_in(f"{subject} loss 0.5") == {f"{subject} loss": 0.5}


@given(st.dictionaries(NAMES, NUMBERS, max_size=6), st.sampled_from([" ", "=", ": ", " = "]), st.sampled_from("  ,;"))
def test_every_number_is_found_whatever_separates_it(numbers, between, after):
    message = f"{after} ".join(f"{name}{between}{value}" for name, value in numbers.items())
    found = numbers_in(message)
    assert {name: found.get(name) for name in numbers} == pytest.approx(numbers)


def parsed(*messages, at_once=1000):
    """Return the points of rows, as (step, value) by name."""
    parser, found = RowParser(), {}
    for start in range(0, len(messages), at_once):
        part = messages[start : start + at_once]
        for points in parser.parse(LogColumns(start, [float(start)] * len(part), part)):
            steps = next(iter(points.steps.values()), [None] * len(points.values))
            found.setdefault(points.name, []).extend(zip(steps, points.values, strict=True))
    return found


@given(st.lists(TEXTS, max_size=20), st.integers(1, 20))
def test_any_rows_are_parsed(messages, at_once):
    parsed(*messages, at_once=at_once)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_rows_of_one_layout_and_others_keep_their_order(at_once):
    messages = [f"step {line}  loss {1 / line}" + "  (best)" * (line % 7 == 0) for line in range(1, 200)]
    messages[50] = "a row between"
    found = parsed(*messages, at_once=at_once)
    assert found == {"loss": [(float(line), 1 / line) for line in range(1, 200) if line != 51]}


@pytest.mark.parametrize("at_once", [1, 100])
def test_a_row_with_nothing_but_a_step_is_about_those_that_follow(at_once):
    rows = ["Epoch 1/2", "10/10 [====] - loss: 0.5", "Epoch 2/2", "10/10 [====] - loss: 0.25"]
    assert parsed(*rows, at_once=at_once) == {"loss": [(1, 0.5), (2, 0.25)]}


STABLE_BASELINES = """\
---------------------------------
| rollout/           |          |
|    ep_rew_mean     | 22.5     |
| time/              |          |
|    fps             | 1234     |
|    total_timesteps | 2048     |
| train/             |          |
|    loss            | -7.5e-03 |
---------------------------------
| rollout/ep_rew_mean  | nan    |
| time/total_timesteps | 4096   |
---------------------------------"""


@pytest.mark.parametrize("at_once", [1, 100])
def test_numbers_of_a_table_have_its_step(at_once):
    assert str(parsed(*STABLE_BASELINES.splitlines(), at_once=at_once)) == str(
        {
            "rollout/ep_rew_mean": [(2048.0, 22.5), (4096.0, math.nan)],
            "time/fps": [(2048.0, 1234.0)],
            "train/loss": [(2048.0, -0.0075)],
        }
    )


def test_the_table_of_a_validation_is_read():
    rows = ["┃  Validate metric  ┃  DataLoader 0  ┃", "│     val_loss      │      0.5       │", "└────┴────┘"]
    assert parsed(*rows) == {"val_loss": [(None, 0.5)]}


@pytest.mark.parametrize(
    "part",
    [
        *("a", "a ", "1", "a=", "loss ", "x.", "-", "\x1b[0", "\x1b]", "\x1b[0;", "\x9d", "\x1b ", " ", "val ", "1e"),
        *("| a ", "│", "|1", "tensor(", "http://", "nan", "a:1.", "1 ", "é", "a-"),
    ],
)
def test_no_row_takes_long(part):
    rows = LogColumns(0, [1.0], [part * (64 * 1024 // len(part))])
    parser = RowParser()
    parser.parse(rows)
    began = time.process_time()
    for _ in range(10):
        parser.parse(rows)
    assert time.process_time() - began < 0.5
