"""Chart marks: lines with a letter, explained below the charts."""

from string import ascii_uppercase

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin.charts.frame import BOTTOM, TOP, ChartMark, Frame
from jobs.admin.page.texts import moment

MAX_MARKS = 12
MIN_GAP = 10  # between two letters, of the chart's 300


def shown(frame: Frame) -> list[tuple[str, list[ChartMark]]]:
    """Return the newest marks within the chart, oldest first, under their letters. Marks whose
    letters would overlap have one.
    """
    if not frame.times:
        return []
    end = frame.times[-1] + frame.step
    within = [mark for mark in frame.marks if frame.times[0] <= mark.at < end]
    groups: list[list[ChartMark]] = []
    for mark in sorted(within, key=lambda mark: mark.at)[-MAX_MARKS:]:
        if groups and frame.x(mark.at) - frame.x(groups[-1][0].at) < MIN_GAP:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    return list(zip(ascii_uppercase, groups, strict=False))


def drawn(frame: Frame) -> str:
    parts = []
    for letter, marks in shown(frame):
        parts += [
            f'<path class="mark" d="M{frame.x(mark.at):.1f} {TOP}V{BOTTOM}"/>' for mark in marks
        ]
        x = frame.x(marks[0].at)
        parts.append(f'<text class="mark-letter" x="{x:.1f}" y="{TOP - 3}">{letter}</text>')
    return "".join(parts)


def marks_list(frame: Frame) -> SafeString:
    """Return what the letters mean; nothing if there are none."""
    rows = []
    for letter, marks in shown(frame):
        each = ((moment(mark.at, frame.zone, "short"), mark.words) for mark in marks)
        rows.append((letter, format_html_join(" · ", "{} {}", each)))
    lines = format_html_join("", "<li><b>{}</b> {}</li>", rows)
    return format_html('<ol class="marks">{}</ol>', lines) if rows else SafeString("")
