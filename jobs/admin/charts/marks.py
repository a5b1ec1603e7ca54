"""Chart marks: lines with a letter, explained below the charts."""

from string import ascii_uppercase

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from jobs.admin.charts.frame import BOTTOM, TOP, ChartMark, Frame
from jobs.admin.page.texts import moment

MAX_MARKS = 12


def shown(frame: Frame) -> list[tuple[str, ChartMark]]:
    """Return the newest marks within the chart, with the letter of each."""
    if not frame.times:
        return []
    end = frame.times[-1] + frame.step
    within = [mark for mark in frame.marks if frame.times[0] <= mark.at < end]
    newest = sorted(within, key=lambda mark: mark.at)[-MAX_MARKS:]
    return list(zip(ascii_uppercase, newest, strict=False))


def drawn(frame: Frame) -> str:
    return "".join(
        f'<path class="mark" d="M{frame.x(mark.at):.1f} {TOP}V{BOTTOM}"/>'
        f'<text class="mark-letter" x="{frame.x(mark.at):.1f}" y="{TOP - 3}">{letter}</text>'
        for letter, mark in shown(frame)
    )


def marks_list(frame: Frame) -> SafeString:
    """Return what the letters mean; nothing if there are none."""
    if not (marks := shown(frame)):
        return SafeString("")
    rows = ((letter, moment(mark.at, frame.zone, "short"), mark.words) for letter, mark in marks)
    lines = format_html_join("", "<li><b>{}</b> {} {}</li>", rows)
    return format_html('<ol class="marks">{}</ol>', lines)
