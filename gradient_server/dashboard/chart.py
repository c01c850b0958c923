"""One curve as SVG. Its colours come from the style sheet, which knows whether the page is dark. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradient_server.dashboard.curves import Curve, Line, Point
from gradient_server.dashboard.markup import Html, joined, tag
from gradient_server.dashboard.scale import Scale, scale_of

WIDTH, HEIGHT = 480, 190
MOST_POINTS = 400
"""How many points of a line are drawn; of more, what is highest and lowest in equal parts of it."""
COLOURS = 8
"""How many colours the style sheet has for lines."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 22


def chart(curve: Curve, titles: Mapping[str, str]) -> Html:
    """Draw a curve, with its name, its last number, and what its lines are where there are several.

    :param Curve curve: what to draw
    :param titles: what to call each job
    """
    lines = [line for line in curve.lines if line.points]
    last = lines[0].points[-1][1] if len(lines) == 1 else None
    keys = [
        tag("li", tag("span", class_=f"key line-{number % COLOURS}"), titles.get(line.job, line.job))
        for number, line in enumerate(lines)
    ]
    return tag(
        "figure",
        tag("figcaption", tag("b", curve.name), " ", None if last is None else tag("span", f"{last:.6g}")),
        _drawing(curve, lines),
        tag("ul", keys, class_="keys") if len(lines) > 1 else None,
        class_="curve",
    )


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """Leave at most so many points, in their order, and among them the first, the last, the highest and the lowest."""
    if len(points) <= most:
        return list(points)
    parts = max(1, (most - 2) // 2)
    kept = {0, len(points) - 1}
    for part in range(parts):
        places = range(len(points) * part // parts, len(points) * (part + 1) // parts)
        kept.add(min(places, key=lambda place: points[place][1]))
        kept.add(max(places, key=lambda place: points[place][1]))
    return [points[place] for place in sorted(kept)]


def _drawing(curve: Curve, lines: Sequence[Line]) -> Html:
    places = [point for line in lines for point in line.points]
    across = scale_of(min(x for x, _ in places), max(x for x, _ in places))
    up = scale_of(min(y for _, y in places), max(y for _, y in places))
    what = f"{curve.name} over {curve.over}, from {up.low:.6g} to {up.high:.6g}"
    return tag(
        "svg",
        tag("title", what),
        _grid(across, up, curve.over),
        [_line(line, number, across, up) for number, line in enumerate(lines)],
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
    )


def _grid(across: Scale, up: Scale, over: str) -> Html:
    def horizontal(value: float, text: str) -> Html:
        y = _y(up, value)
        line = tag("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, class_="grid")
        return joined((line, tag("text", text, x=_LEFT - 6, y=y, class_="mark-left")))

    def below(value: float, text: str) -> Html:
        return tag("text", text, x=_x(across, value), y=HEIGHT - 6, class_="mark-below")

    # The name of the axis stands where its last marks would be.
    free = [mark for mark in across.marks() if across.share(mark[0]) < 1 - 0.022 * (len(over) + 2)]
    name = tag("text", over, x=WIDTH - _RIGHT, y=HEIGHT - 6, class_="axis")
    return joined((*(horizontal(*mark) for mark in up.marks()), *(below(*mark) for mark in free), name))


def _line(line: Line, number: int, across: Scale, up: Scale) -> Html:
    drawn = [(_x(across, x), _y(up, y)) for x, y in thinned(line.points, MOST_POINTS)]
    last_x, last_y = drawn[-1]
    points = " ".join(f"{x},{y}" for x, y in drawn)
    colour = f"line-{number % COLOURS}"
    return joined(
        (
            tag("polyline", points=points, class_=f"line {colour}"),
            tag("circle", cx=last_x, cy=last_y, r=2.5, class_=f"dot {colour}"),
        )
    )


def _x(scale: Scale, value: float) -> float:
    return round(_LEFT + scale.share(value) * (WIDTH - _LEFT - _RIGHT), 1)


def _y(scale: Scale, value: float) -> float:
    return round(HEIGHT - _BOTTOM - scale.share(value) * (HEIGHT - _TOP - _BOTTOM), 1)
