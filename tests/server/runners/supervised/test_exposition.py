"""The text format of Prometheus: which values become points of which metrics."""

import contextlib
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.runners.supervised.exposition import Sample, decode, parse_group, parse_samples

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,9}[a-z]", fullmatch=True).filter(
    lambda name: not name.endswith(("_created", "_info"))
)
LABELS = st.dictionaries(st.sampled_from(["split", "layer", "a"]), st.text(min_size=1, max_size=9), max_size=3)


def as_line(name, labels, value):
    """Return a sample as clients of Prometheus write it."""
    escaped = {key: text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"") for key, text in labels.items()}
    labels = ",".join(f'{key}="{text}"' for key, text in escaped.items())
    return f"{name}{{{labels}}} {value}\n".encode()


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("loss 0.5", [Sample("loss", None, 0.5)]),
        ('loss{step="3"} 5e-1', [Sample("loss", 3, 0.5)]),
        ('loss{step="None",pod="worker-es1-0",label_metrics_experiment_handle="es1"} 1', [Sample("loss", None, 1)]),
        ('loss{split="val",} -1', [Sample('loss{split="val"}', None, -1)]),
        ('loss { b = "}" , a="\\"" }\t2', [Sample('loss{a="\\"",b="}"}', None, 2)]),
        ("# HELP loss\n# TYPE loss gauge\n\nloss +Inf\r\n  acc NaN", "[loss inf, acc nan]"),
        (
            '# TYPE t summary\nt{quantile="0.5"} 1\nt_count 2\nt_sum 3\nt_created 1.6e9',
            [Sample('t{quantile="0.5"}', None, 1), Sample("t_count", None, 2), Sample("t_sum", None, 3)],
        ),
        ('h_bucket{le="+Inf"} 2\nh_count 2\nh_sum 3', [Sample("h_count", None, 2), Sample("h_sum", None, 3)]),
        ('build_info{version="1"} 1', []),
        ("", []),
    ],
)
def test_values_are_points_of_the_metric_that_they_name(text, samples):
    found = parse_samples(text.encode(), {"job": "es1"})
    assert (found if isinstance(samples, list) else f"[{', '.join(f'{s.name} {s.value}' for s in found)}]") == samples


def test_labels_of_the_path_take_precedence():
    group = parse_group("metrics/job/es1/name/loss/step/7/split@base64/YS9i")
    assert parse_samples(b'loss{step="1",split="x"} 2', group) == [Sample('loss{split="a/b"}', 7, 2)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("loss", "line 1: not NAME"),
        ("a 1\n0b 2", "line 2: not NAME"),
        ("a 1\nb x", "line 2: the value is no number: b x"),
        ("a 1_0", "line 1: the value is no number"),
        ("a 1\n\udce9 1", "line 2: 'utf-8' codec can't decode byte 0xe9"),
        ("a 1.2.3", "line 1: could not convert"),
        ("a 1 1700000000000", "line 1: a pushed value must not have a timestamp"),
        ('a{b="1} 1', "line 1: the labels are not"),
        ("a{b=1} 1", "line 1: the labels are not"),
        (f'a{{b="{"x" * 200}"}} 1', "line 1: the name and its labels are longer than 200 characters"),
    ],
)
def test_a_wrong_line_is_named(text, problem):
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        parse_samples(text.encode(errors="surrogateescape"), {})


@pytest.mark.parametrize(
    "path", ["", "metrics", "metrics/job", "metrics/step/1", "metrics/job/a/step", "metrics/job@x/a", "x/job/a"]
)
def test_what_is_no_path_of_a_push_is_refused(path):
    with pytest.raises(ValueError, match=r"path|encoding"):
        parse_group(path)


@given(NAMES, LABELS, st.floats() | st.integers(-(10**9), 10**9))
def test_what_clients_write_is_read(name, labels, value):
    (sample,) = parse_samples(as_line(name, labels, value), {})
    assert (sample.name.startswith(name), sample.name.count("=") >= len(labels)) == (True, True)
    assert sample.value == pytest.approx(value, nan_ok=True)


@given(st.binary(max_size=300) | st.text('ab{}=",\\ \n0.1eNif+#', max_size=100).map(str.encode))
def test_any_text_is_values_or_names_a_line(body):
    with contextlib.suppress(ValueError):
        assert all(sample.name for sample in parse_samples(body, {}))
        return
    with pytest.raises(ValueError, match=r"^line [0-9]+: "):
        parse_samples(body, {})


@given(st.text(), st.none() | st.floats(0, 1e9), st.floats())
def test_values_are_the_same_after_a_file(name, step, value):
    pushed = decode(1, 2.0, Sample(name, step, value).encode())
    assert (pushed.number, pushed.timestamp, pushed.name, pushed.step) == (1, 2.0, name, step)
    assert pushed.value == value or (math.isnan(pushed.value) and math.isnan(value))


def test_a_damaged_row_is_no_value():
    assert decode(1, 2.0, "(this row of the log is lost)") is None
