"""Numbers of each step, one on another."""

from collections.abc import Sequence

from django.utils.safestring import SafeString

from jobs.admin.charts.figure import figure
from jobs.admin.charts.frame import BOTTOM, LEFT, TOP, Frame, Series, grid, top_of, unfinished


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def stacked(title: str, frame: Frame, series: Sequence[Series], *, note: str = "") -> SafeString:
    """Return a chart of counts. The first series is at the bottom."""
    sums: list[list[float]] = []
    below = [0.0] * len(frame.times)
    for one in series:
        below = [total + (value or 0) for total, value in zip(below, one.values, strict=True)]
        sums.append(below)
    top = top_of(max(below, default=0))
    # The highest is drawn first, and the others over it.
    areas = "".join(
        f'<path class="area-{one.kind}" d="{_area(frame, heights, top)}"/>'
        for one, heights in reversed(list(zip(series, sums, strict=True)))
        if any(one.values)
    )
    levels = [(_y(value, top), _short(value)) for value in (0, top / 2, top)]
    plot = f"{grid(levels)}{areas}{unfinished(frame)}"
    return figure(title, frame, series, plot, label=_whole, note=note)


def _y(value: float, top: float) -> float:
    return BOTTOM - value / top * (BOTTOM - TOP)


def _short(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:g} k"
    return f"{value:g}"


def _area(frame: Frame, heights: Sequence[float], top: float) -> str:
    """Return the outline: up and to the right, step by step, then along the ground."""
    path, now = [f"M{LEFT} {BOTTOM}"], float(BOTTOM)
    for step, height in enumerate(heights):
        y = round(_y(height, top), 1)
        if y != now:
            path.append(f"H{LEFT + step * frame.width:.1f}V{y:g}")
            now = y
    return "".join([*path, f"H{LEFT + len(heights) * frame.width:.1f}V{BOTTOM}z"])
