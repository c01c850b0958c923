"""Pictures of the figures in `results.json`: how the contenders compare, and cost against size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.workers import GENERATED, OLD, RAW, THIS

_LOOKS = {
    THIS: ("this client", "#1b6ca8"),
    GENERATED: ("generated client", "#8fb8de"),
    OLD: ("gradient 1.9.1", "#d1495b"),
}
_COMPARED = ("get", "get_tls", "create", "list_10k", "logs_100k", "async_1000")
_SIZE = re.compile(r"(\w+)\(\) of ([\d,]+), (an item|memory at its peak)")
Rows = dict[str, dict[str, Any]]


def draw(file: Path, directory: Path) -> None:
    """Draw the figures that there are.

    :param Path file: the figures
    :param Path directory: where to write `results.svg` and `growth.svg`
    """
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9})
    rows: Rows = json.loads(file.read_text(encoding="utf-8"))
    if any(name in rows for name in _COMPARED):
        _draw_ratios(rows, directory / "results.svg")
    if "growth" in rows:
        _draw_growth(rows["growth"], directory / "growth.svg")


def _draw_ratios(rows: Rows, file: Path) -> None:
    lines = [
        (name, line)
        for row in _COMPARED
        for name, line in rows.get(row, {}).items()
        if RAW in line["medians"] and line["ratios"]
    ]
    figure, axes = pyplot.subplots(figsize=(9, 0.6 * len(lines) + 1.4), layout="constrained")
    height = 0.8 / len(_LOOKS)
    for number, (who, (label, colour)) in enumerate(_LOOKS.items()):
        found = [
            (place + number * height, line["medians"][who] / line["medians"][RAW])
            for place, (_, line) in enumerate(lines)
            if who in line["medians"]
        ]
        bars = axes.barh(
            [place for place, _ in found], [value for _, value in found], height, label=label, color=colour
        )
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=7)
    for place, (_, line) in enumerate(lines):
        for aim in line["aims"]:
            if "most" in aim:
                axes.plot([aim["most"]] * 2, [place - height / 2, place + height / 2], color="black", linewidth=1.5)
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50], labels=["0.5", "1", "2", "5", "10", "20", "50"])
    axes.margins(x=0.12)
    axes.set_yticks([place + height for place in range(len(lines))], labels=[name for name, _ in lines])
    axes.invert_yaxis()
    axes.set_xlabel("times as long as raw httpx with json.loads; black: what this client aims at")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    _write(figure, file)


def _draw_growth(lines: dict[str, Any], file: Path) -> None:
    figure, (times, memory) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    curves: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
    for name, line in lines.items():
        if found := _SIZE.fullmatch(name):
            for who, value in line["medians"].items():
                curves.setdefault((found[3], found[1], who), []).append((int(found[2].replace(",", "")), value))
    for (kind, what, who), points in curves.items():
        axes: Axes = times if kind == "an item" else memory
        style: dict[str, Any] = {"linestyle": "-", "marker": "o"} if who == THIS else {"linestyle": ":", "marker": "."}
        axes.plot(*zip(*points, strict=True), label=f"{what}(){'' if who == THIS else ', raw httpx'}", **style)
    times.set_ylabel("microseconds an item")
    memory.set_ylabel("megabytes at the peak")
    for axes in (times, memory):
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("how many")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    _write(figure, file)


def _write(figure: Any, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
