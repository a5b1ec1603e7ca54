"""What all charts share: the plot's size, the axis of time, and scales."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from django.utils.html import escape

WIDTH, HEIGHT = 300, 132
LEFT, RIGHT, TOP, BOTTOM = 34, 296, 12, 116
MAX_TIME_LABELS = 5
TIME_STEPS = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 180, 360, 720, 1440, 2880, 10080)
)
Label = Callable[[float], str]


@dataclass(frozen=True)
class ChartMark:
    """Something that happened at a time: a new version, a pause, a changed limit."""

    at: datetime
    words: str


@dataclass(frozen=True)
class Frame:
    """The steps of a chart. `times`: the start of each. A last step that `now` is in is marked as
    unfinished.
    """

    times: Sequence[datetime]
    step: timedelta
    zone: tzinfo
    now: datetime
    marks: tuple[ChartMark, ...] = ()

    @property
    def width(self) -> float:
        """Return the width of a step."""
        return (RIGHT - LEFT) / max(len(self.times), 1)

    @property
    def is_unfinished(self) -> bool:
        return bool(self.times) and self.times[-1] + self.step > self.now

    def x(self, at: datetime) -> float:
        return LEFT + (at - self.times[0]) / self.step * self.width

    def words(self, at: datetime) -> str:
        """Return a step's time as precisely as its length asks for."""
        local = at.astimezone(self.zone)
        if self.step >= timedelta(days=1):
            return f"{local:%b} {local.day}"
        day = f"{local:%a} {local.day}, " if self.step >= timedelta(hours=1) else ""
        return f"{day}{local:%H:%M}"


@dataclass(frozen=True)
class Series:
    """One number a step; None where there is none. `kind` names its colour (charts.css).

    `is_few`: the steps whose number rests on few samples. `merge`: how the table joins steps of a
    long chart into one row, by `sum` or `max`.
    """

    name: str
    values: Sequence[float | None]
    kind: str
    is_few: Sequence[bool] = ()
    merge: Callable[[list[float]], float] = sum


def top_of(highest: float) -> float:
    """Return the number at the top of a linear axis: 1, 2, 4, 5 or 8 times a power of ten."""
    if highest <= 1:
        return 1
    power = 10.0 ** math.floor(math.log10(highest))
    return next(power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= highest * 0.9999)


def grid(levels: Sequence[tuple[float, str]]) -> str:
    """Return horizontal lines, and their labels at the left. `levels`: height and label."""
    across = "".join(f"M{LEFT} {y:.1f}H{RIGHT}" for y, _ in levels)
    words = "".join(
        f'<text x="{LEFT - 4}" y="{y + 3:.1f}" class="end">{escape(label)}</text>'
        for y, label in levels
    )
    return f'<path class="grid" d="{across}"/>{words}'


def time_axis(frame: Frame) -> str:
    words = []
    for at in _time_labels(frame):
        x = frame.x(at)
        local = at.astimezone(frame.zone)
        is_day = frame.times[-1] - frame.times[0] > timedelta(days=2)
        text = f"{local:%a} {local.day}" if is_day else f"{local:%H:%M}"
        place = ' class="start"' if x < LEFT + 8 else ' class="end"' if x > RIGHT - 8 else ""
        words.append(f'<text x="{x:.1f}" y="{BOTTOM + 12}"{place}>{text}</text>')
    return "".join(words)


def _time_labels(frame: Frame) -> list[datetime]:
    """Return round times, in the reader's zone."""
    if not frame.times:
        return []
    length = frame.step * len(frame.times)
    gap = next((step for step in TIME_STEPS if length / step <= MAX_TIME_LABELS), TIME_STEPS[-1])
    start, end = frame.times[0], frame.times[0] + length
    midnight = start.astimezone(frame.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight + math.ceil((start - midnight) / gap) * gap
    return [at for count in range(MAX_TIME_LABELS + 1) if (at := first + count * gap) < end]


def unfinished(frame: Frame) -> str:
    """Return what fades the last step, which is not over."""
    if not frame.is_unfinished:
        return ""
    x = RIGHT - frame.width
    return (
        f'<rect class="unfinished" x="{x:.1f}" y="{TOP}" width="{frame.width:.1f}"'
        f' height="{BOTTOM - TOP}"/>'
    )
