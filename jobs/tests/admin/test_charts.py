"""Charts are SVG without styles or scripts, and their numbers stand in a table."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from jobs.admin.charts import ChartMark, Frame, Series, lines, marks_list, sparkline, stacked

pytestmark = pytest.mark.sqlite
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def frame(steps, *, step=MINUTE, zone=UTC, marks=(), now=None):
    end = NOON + steps * step
    return Frame([NOON + n * step for n in range(steps)], step, zone, now or end, marks)


def svg(chart):
    return ElementTree.fromstring(re.search(r"<svg.*?</svg>", chart, flags=re.S)[0])


def paths(chart, kind):
    return [path.get("d") for path in svg(chart).iter("path") if kind in path.get("class", "")]


def numbers(chart):
    table = chart.partition("<tbody>")[2].partition("</tbody>")[0]
    return [row.split("<td>")[1:] for row in table.split("<tr>")[1:]]


def test_counts_are_stacked_from_the_ground_to_their_sum():
    found, error = Series("found", [1, 2, 0], "found"), Series("error", [1, 2, 8], "error")
    chart = stacked("Calls", frame(3), [found, error])
    assert paths(chart, "area-found") == ["M34 116H34.0V103H121.3V90H208.7V116H296.0V116z"]
    assert paths(chart, "area-error") == ["M34 116H34.0V90H121.3V64H208.7V12H296.0V116z"]
    assert numbers(chart) == [["12:00", "1", "1"], ["12:01", "2", "2"], ["12:02", "0", "8"]]


def test_a_line_has_gaps_and_marks_few_samples_and_the_unfinished_step():
    series = Series("p50", [0.1, 0.1, None, 1, 1, 1], "call", [False, True])
    chart = lines("Calls", frame(6, now=NOON + 5.5 * MINUTE), [series], is_log=True)
    sure, unsure = paths(chart, "line-call")
    assert sure == "M186.8 12.0L230.5 12.0"
    assert paths(chart, "unsure") == [unsure]
    assert unsure.count("M") == 2
    cells = [cell for _, cell in numbers(chart)]
    assert cells == ["100 ms", "~100 ms", "–", "1 s", "1 s", "1 s"]
    assert numbers(chart)[-1][0] == "12:05*"


def test_a_point_alone_is_a_dot():
    chart = lines("Calls", frame(3), [Series("p50", [None, 1, None], "call")])
    assert paths(chart, "line-call") == ["M164.0 12.0L166.0 12.0"]


def test_a_long_chart_has_a_table_of_at_most_sixty_rows():
    values = list(range(288))
    series = [Series("sum", values, "found"), Series("most", values, "waiting", merge=max)]
    rows = numbers(stacked("Calls", frame(288, step=timedelta(minutes=5)), series))
    assert len(rows) == 58
    assert rows[1] == ["12:25", str(5 + 6 + 7 + 8 + 9), "9"]


def test_times_are_in_the_zone_of_the_reader():
    mark = ChartMark(NOON + 30 * MINUTE, "acme <paused>")
    there = frame(60, zone=ZoneInfo("Asia/Kolkata"), marks=(mark,))
    chart = stacked("Calls", there, [Series("found", [1] * 60, "found")])
    labels = [text.text for text in svg(chart).iter("text")]
    assert {"17:30", "17:45", "18:00", "A"} <= set(labels)
    assert "acme &lt;paused&gt;" in marks_list(there)


def test_marks_whose_letters_would_overlap_have_one():
    marks = tuple(ChartMark(NOON + n * MINUTE, f"event {n}") for n in (30, 10, 31))
    there = frame(60, marks=marks)
    letters = [text.text for text in svg(stacked("", there, [])).iter("text")]
    assert [each for each in letters if each.isalpha()] == ["A", "B"]
    [first, second] = re.findall("<li>.*?</li>", marks_list(there))
    assert "event 10" in first
    assert re.findall(r"event \d+", second) == ["event 30", "event 31"]


def test_hours_of_a_week_say_their_day():
    rows = numbers(stacked("", frame(2, step=timedelta(hours=1)), [Series("a", [1, 2], "a")]))
    assert rows[0][0] == "Mon 1, 12:00"


def test_texts_are_escaped_and_nothing_is_inline():
    hostile = '"><script>alert(1)</script>'
    chart = stacked(hostile, frame(2), [Series(hostile, [1, 2], "a"), Series("b", [1, 2], "b")])
    for page in (chart, sparkline([1, 2], hostile)):
        assert "<script" not in page
        assert "style=" not in page
    svg(chart)


@pytest.mark.parametrize("values", [[], [0, 0], [None, None], [1e9, 0.001]])
def test_any_numbers_can_be_drawn(values):
    series = [Series("a", values, "found", merge=max)]
    for chart in (
        stacked("A", frame(len(values)), series),
        lines("A", frame(len(values)), series),
        lines("A", frame(len(values)), series, is_log=True),
        sparkline([value or 0 for value in values]),
    ):
        svg(chart)
