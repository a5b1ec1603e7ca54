"""The frame of a chart in HTML: its title, legend, plot, and the table of its numbers."""

from collections.abc import Sequence

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from jobs.admin.charts import marks
from jobs.admin.charts.frame import HEIGHT, WIDTH, Frame, Label, Series, time_axis
from jobs.admin.page.texts import NONE

MAX_ROWS = 60


def figure(
    title: str, frame: Frame, series: Sequence[Series], plot: str, *, label: Label, note: str = ""
) -> SafeString:
    """Return the whole chart. `plot`: SVG, safe."""
    heading = escape(title)
    more = f' <span class="quiet">{escape(note)}</span>' if note else ""
    svg = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{heading}. Its numbers are in'
        f' the table below.">{plot}{time_axis(frame)}{marks.drawn(frame)}</svg>'
    )
    parts = (
        f'<figure class="chart"><figcaption><b>{heading}</b>{more}</figcaption>',
        _legend(series),
        f'{svg}<p class="readout" aria-hidden="true"></p>{_numbers(frame, series, label)}</figure>',
    )
    return mark_safe("".join(parts))  # noqa: S308 - each text was escaped


def _legend(series: Sequence[Series]) -> str:
    if len(series) < 2:
        return '<ul class="legend"></ul>'  # its height, so that charts in a row stand level
    items = "".join(f'<li class="key-{one.kind}">{escape(one.name)}</li>' for one in series)
    return f'<ul class="legend">{items}</ul>'


def _numbers(frame: Frame, series: Sequence[Series], label: Label) -> str:
    """Return the table. Closing tags are left out where HTML lets them be: it is most of a page."""
    group = -(-len(frame.times) // MAX_ROWS)
    heads = "".join(f"<th scope=col>{escape(one.name)}" for one in series)
    rows = "".join(
        _row(frame, series, label, range(start, min(start + group, len(frame.times))))
        for start in range(0, len(frame.times), group or 1)
    )
    return (
        '<details class="numbers"><summary>Show numbers</summary>'
        f'<div class="table"><table class="rows rows-small"><thead><tr><th scope=col>Time{heads}'
        f"</thead><tbody>{rows}</tbody></table></div></details>"
    )


def _row(frame: Frame, series: Sequence[Series], label: Label, steps: range) -> str:
    is_last = steps.stop == len(frame.times)
    time = frame.words(frame.times[steps.start]) + ("*" if is_last and frame.is_unfinished else "")
    cells = []
    for one in series:
        found = [value for step in steps if (value := one.values[step]) is not None]
        few = (
            "~"
            if found and any(step < len(one.is_few) and one.is_few[step] for step in steps)
            else ""
        )
        cells.append(f"<td>{few}{escape(label(one.merge(found)))}" if found else f"<td>{NONE}")
    return f"<tr><td>{time}{''.join(cells)}"
