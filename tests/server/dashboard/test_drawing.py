"""Numbers out of logs, curves out of numbers, and pictures of curves: whatever is printed."""

import doctest
import importlib
import math
import pkgutil
import re
import sys
import time
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server import dashboard as page
from gradient_server.dashboard.chart import HEIGHT, WIDTH, chart, thinned
from gradient_server.dashboard.curves import Curve, Line, curves_of
from gradient_server.dashboard.log_numbers import LONGEST, PARTS, STEPS, numbers_in
from gradient_server.dashboard.markup import tag
from gradient_server.dashboard.scale import Scale, scale_of

MODULES = [found.name for found in pkgutil.iter_modules(page.__path__, "gradient_server.dashboard.")]
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,15}", fullmatch=True).filter(lambda name: name.casefold() not in STEPS)
NUMBERS = st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))
FINITE = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=60)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Those in docstrings are true."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0


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
        ("accuracy 95.5%", {"accuracy": 95.5}),
        ("at 2024-05-06 at 12:30:01 version 1.2.3 took 3s on K80 x 1,234 loss nan gain 1e999", {}),
        ("", {}),
    ],
)
def test_how_numbers_are_printed(message, numbers):
    """As people and libraries print them; what only looks like a number is none."""
    assert numbers_in(message) == numbers


@given(st.dictionaries(NAMES, NUMBERS, max_size=6), st.sampled_from([" ", "=", ": ", " = "]), st.sampled_from("  ,;|"))
def test_every_number_is_found(numbers, between, after):
    """Under its name, whatever stands between it and the others."""
    told = {name: value for name, value in numbers.items() if name.casefold() not in PARTS}
    message = f"{after} ".join(f"{name}{between}{value}" for name, value in told.items())
    found = numbers_in(message)
    assert {name: found.get(name) for name in told} == pytest.approx(told) or len(message) > LONGEST


@given(st.text(max_size=300) | st.text("loss =:0123456789.e+-%/\x1b[m", max_size=300))
def test_any_row_can_be_read(message):
    """Whatever is in it, all numbers are finite."""
    assert all(map(math.isfinite, numbers_in(message).values()))


@pytest.mark.parametrize("part", ["a", "a ", "1", "a=", "loss ", "x.", "-", "\x1b[0", " ", "val ", "1e"])
def test_no_row_takes_long(part):
    """However long it is, and however much it looks like numbers."""
    began = time.process_time()
    numbers_in(part * 1_000_000)
    assert time.process_time() - began < 0.5


def test_what_is_a_curve():
    """A name that repeats, unless it is a whole number that stays: that is what something is called."""
    rows = [
        (
            "js1",
            line,
            {
                "worker": 1.0,
                "step": line * 10.0,
                "loss": 1 / line,
                "still": 0.5,
                **({"once": 1.0} if line == 2 else {}),
            },
        )
        for line in range(1, 5)
    ]
    curves = curves_of(rows)
    assert [(curve.name, curve.over) for curve in curves] == [("loss", "step"), ("still", "step")]
    assert curves[0].lines == (Line(job="js1", points=((10, 1), (20, 1 / 2), (30, 1 / 3), (40, 1 / 4))),)


def test_steps_that_begin_again():
    """Do not do; then it is the epoch that does, or the line."""
    both = [("js1", line, {"epoch": float(line), "step": line % 2, "loss": 1 / line}) for line in range(1, 9)]
    assert [curve.over for curve in curves_of(both)] == ["epoch"]
    steps = [(job, line, {"step": line % 2, "loss": 1 / line}) for line in range(1, 9) for job in ("js1", "js2")]
    (curve,) = curves_of(steps)
    assert curve.over == "line"
    assert [line.job for line in curve.lines] == ["js1", "js2"]


def test_steps_that_stand_still():
    """Several numbers at the same step are not drawn above each other; the line tells them apart."""
    rows = [("js1", line, {"step": float(line // 2), "loss": 1 / line}) for line in range(1, 9)]
    (curve,) = curves_of(rows)
    assert curve.over == "line"


@given(FINITE, FINITE)
def test_marks_are_on_the_axis(one, other):
    """A few of them, in order, each of them written as another."""
    scale = scale_of(min(one, other), max(one, other))
    marks = scale.marks()
    assert 0 <= len(marks) <= 12
    assert [value for value, _ in marks] == sorted({value for value, _ in marks})
    assert all(0 <= scale.share(value) <= 1 and math.isfinite(float(text)) for value, text in marks)
    # The smallest numbers of all cannot be told apart.
    assert [scale.share(scale.low), scale.share(scale.high)] in ([0, 1], [0.5, 0.5])
    assert scale.share(scale.high) == 1 or scale.high - scale.low < 1e-300


def test_marks_are_round():
    """Where numbers are large, small, or close together, too."""

    def texts(low, high):
        return [text for _, text in Scale(low, high).marks()]

    assert texts(0, 1) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert texts(1, 30) == ["10", "20", "30"]
    assert texts(-1e300, 1e300) == ["-1e+300", "-5e+299", "0", "5e+299", "1e+300"]
    assert texts(0.99990, 0.99994) == ["0.9999", "0.99991", "0.99992", "0.99993", "0.99994"]
    assert texts(0, 1_000_000) == ["0", "200000", "400000", "600000", "800000", "1000000"]


@given(st.lists(POINTS, min_size=1, max_size=10), st.text(max_size=20))
def test_any_curve_can_be_drawn(lines, name):
    """It is XML, all of it is in the picture, and the numbers in it are numbers."""
    curve = Curve(name=name, over=name, lines=tuple(Line(job=name, points=tuple(points)) for points in lines))
    # Characters that are not allowed in XML are in HTML.
    drawn = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", chart(curve, {}))
    figure = ElementTree.fromstring(drawn)
    shown = list(figure.iter("polyline"))
    assert len(shown) == len(lines)
    for line in shown:
        for point in line.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=200), st.integers(4, 50))
def test_fewer_points_show_the_same(points, most):
    """First, last, highest and lowest are among them, in their order."""
    kept = thinned(points, most)
    assert len(kept) <= most
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    for choose in (min, max):
        assert choose(y for _, y in kept) == choose(y for _, y in points)
    left = iter(points)
    assert all(point in left for point in kept)


@given(st.text(), st.text())
def test_no_text_gets_out_of_its_place(text, value):
    """Neither out of an element nor out of an attribute."""
    written = tag("p", text, title=value)
    assert re.fullmatch(r'<p title="[^"<>]*">[^<>]*</p>', written)


def test_a_million_points_take_no_time():
    """A picture has at most so many points as can be seen."""
    points = tuple((float(x), math.sin(x)) for x in range(100_000))
    assert sys.getsizeof(chart(Curve(name="n", over="line", lines=(Line(job="j", points=points),)), {})) < 10_000
