"""Numbers of each step as lines, on a linear or a logarithmic axis."""

import math
from collections.abc import Callable, Sequence

from django.utils.safestring import SafeString

from jobs.admin.charts.figure import figure
from jobs.admin.charts.frame import BOTTOM, LEFT, TOP, Frame, Label, Series, grid, top_of
from jobs.admin.page.texts import words_of

# Round times in seconds: the labels of a logarithmic axis, and the top of a linear one.
TICKS = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000)
DURATIONS = tuple(
    unit * count
    for unit, counts in ((60, (2, 4, 10, 20, 40)), (3600, (1, 2, 4, 8, 16)), (86_400, (1, 2, 4, 8)))
    for count in counts
)
MAX_TICKS = 5
DOT = 1
Scale = Callable[[float], float]


def lines(
    title: str,
    frame: Frame,
    series: Sequence[Series],
    *,
    label: Label = words_of,
    is_log: bool = False,
    note: str = "",
) -> SafeString:
    """Return a chart of lines. A line is dashed where it rests on few samples, and in a step that
    is not over.
    """
    found = [value for one in series for value in one.values if value is not None]
    scale, levels = _logarithmic(found, label) if is_log else _linear(found, label)
    drawn = "".join(_line(one, frame, scale) for one in series)
    note = ", ".join(filter(None, [note, "log scale" if is_log else ""]))
    return figure(title, frame, series, grid(levels) + drawn, label=label, note=note)


def _linear(found: list[float], label: Label) -> tuple[Scale, list[tuple[float, str]]]:
    highest = max(found, default=0)
    is_long = label is words_of and highest > 60
    top: float = next((top for top in DURATIONS if top >= highest), 0) if is_long else 0
    top = top or top_of(highest)

    def y(value: float) -> float:
        return BOTTOM - value / top * (BOTTOM - TOP)

    return y, [(y(value), label(value) if value else "0") for value in (0, top / 2, top)]


def _logarithmic(found: list[float], label: Label) -> tuple[Scale, list[tuple[float, str]]]:
    """Return the scale between the round times around the values."""
    seen = [value for value in found if value > 0] or [0.1]
    low = max((tick for tick in TICKS if tick <= min(seen)), default=TICKS[0])
    high = min((tick for tick in TICKS if tick >= max(seen) and tick > low), default=TICKS[-1])
    low = max(low, TICKS[max(TICKS.index(high) - MAX_TICKS, 0)])
    length = math.log(high / low)

    def y(value: float) -> float:
        inside = min(max(value, low), high)
        return BOTTOM - math.log(inside / low) / length * (BOTTOM - TOP)

    return y, [(y(tick), label(tick)) for tick in TICKS if low <= tick <= high]


def _line(one: Series, frame: Frame, scale: Scale) -> str:
    sure: list[str] = []
    unsure: list[str] = []
    last = len(one.values) - 1
    before: str | None = None
    for step, value in enumerate(one.values):
        if value is None:
            before = None
            continue
        x, y = LEFT + (step + 0.5) * frame.width, scale(value)
        point = f"{x:.1f} {y:.1f}"
        few = step < len(one.is_few) and one.is_few[step]
        path = unsure if few or (step == last and frame.is_unfinished) else sure
        if before:
            path.append(f"M{before}L{point}")
        elif step == last or one.values[step + 1] is None:
            # Alone it is a dot. Browsers don't draw a line of no length that keeps its width.
            path.append(f"M{x - DOT:.1f} {y:.1f}L{x + DOT:.1f} {y:.1f}")
        before = point
    return _path(one.kind, "", sure) + _path(one.kind, " unsure", unsure)


def _path(kind: str, more: str, moves: list[str]) -> str:
    """Return one path; moves that go on where the last one ended are joined."""
    if not moves:
        return ""
    joined, end = [], ""
    for move in moves:
        start, _, point = move[1:].partition("L")
        joined.append(f"L{point}" if start == end else move)
        end = point
    return f'<path class="line line-{kind}{more}" d="{"".join(joined)}"/>'
