"""examples/digits on one node: what it learns, prints and saves, and what it refuses."""

import gzip
import hashlib
import re

import numpy as np
import pytest

from tests.e2e.examples.nodes import DIGITS, QUICKLY, ended, epochs, outcome, script


def test_train_learns_prints_and_saves_a_model(tmp_path):
    """The loss falls, each epoch has a line, the accuracy is above 95 %, and so is that of the saved model."""
    folder = tmp_path / "models" / "first"
    code, output, errors = outcome("train.py", **QUICKLY, PS_MODEL_PATH=str(folder))
    assert (code, errors) == (0, "")
    rows = epochs(output)
    assert [(epoch, of) for epoch, of, _, _ in rows] == [(1, 3), (2, 3), (3, 3)]
    losses = [loss for _, _, loss, _ in rows]
    assert losses == sorted(losses, reverse=True)
    *_, accuracy, place = output.splitlines()
    assert accuracy == f"accuracy {rows[-1][3]:.4f} on 360 images that were not used to learn"
    assert rows[-1][3] > 0.95
    assert place == f"The model is saved in {folder / 'digits.npz'}"
    assert recognised(folder / "digits.npz") > 0.95


def recognised(path):
    """Return the accuracy of a saved model on all images."""
    table = np.loadtxt(DIGITS / "digits.csv.gz", delimiter=",")
    with np.load(path, allow_pickle=False) as model:
        hidden = np.maximum(table[:, :-1] / 16 @ model["hidden_weights"] + model["hidden_biases"], 0)
        scores = hidden @ model["output_weights"] + model["output_biases"]
    return np.mean(scores.argmax(axis=1) == table[:, -1])


def test_a_line_appears_when_its_epoch_ends(tmp_path):
    """A line is flushed when its epoch ends, also if the output is not a terminal."""
    with script("train.py", EPOCHS="100000", PS_MODEL_PATH=str(tmp_path)) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        assert process.poll() is None
    assert [line[:18] for line in lines[1:]] == ["epoch      1/10000", "epoch      2/10000"]


def test_the_same_seed_leads_to_the_same_model(tmp_path):
    runs = [outcome("train.py", EPOCHS="1", SEED=seed, PS_MODEL_PATH=str(tmp_path)) for seed in ("7", "7", "8")]
    assert [code for code, _, _ in runs] == [0, 0, 0]
    first, again, other = (output for _, output, _ in runs)
    assert first == again
    assert epochs(first) != epochs(other)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"EPOCHS": "many"}, "EPOCHS has to be a whole number of at least 1, not 'many'.\n"),
        ({"BATCH_SIZE": "0"}, "BATCH_SIZE has to be a whole number of at least 1, not '0'.\n"),
        ({"LEARNING_RATE": "nan"}, "LEARNING_RATE has to be a number above 0, not 'nan'.\n"),
        ({"SEED": "-1"}, "SEED has to be a whole number of at least 0, not '-1'.\n"),
    ],
)
def test_an_invalid_setting_is_an_error_before_the_training(environment, said, tmp_path):
    """The error is a sentence, before the training."""
    assert outcome("train.py", **environment, PS_MODEL_PATH=str(tmp_path / "model")) == (1, "", said)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error_before_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    code, output, errors = outcome("train.py", PS_MODEL_PATH=str(tmp_path / "file" / "model"))
    assert (code, output) == (1, "")
    assert errors.startswith("PS_MODEL_PATH has to be a folder that can be made: ")
    assert errors.count("\n") == 1


def test_a_learning_rate_that_is_too_high_ends_with_a_sentence(tmp_path):
    with script("train.py", LEARNING_RATE="1e20", PS_MODEL_PATH=str(tmp_path)) as process:
        code, output, errors = ended(process)
    assert (code, epochs(output)) == (1, [])
    assert errors.splitlines()[-1] == "The loss is nan in epoch 1: a lower LEARNING_RATE than 1e+20 is needed."
    assert list(tmp_path.iterdir()) == []


def test_the_data_has_the_hashes_in_its_description():
    packed = (DIGITS / "digits.csv.gz").read_bytes()
    described = re.findall(r"\| ([\d,]+) \| `([0-9a-f]{64})` \|", (DIGITS / "DATA.md").read_text())
    assert described == [
        (f"{len(content):,}", hashlib.sha256(content).hexdigest()) for content in (packed, gzip.decompress(packed))
    ]
