"""How templates of the console show times, numbers, durations and shares."""

from datetime import UTC, datetime, tzinfo

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin.page.reader import zone_name

NONE = "–"
MAX_WHOLE = 99_999  # above it, a number is shortened
MAGNITUDES = ((1e9, "bn"), (1e6, "M"), (1e3, "k"))
MINUTE, HOUR, DAY = 60, 3600, 86400


def exact(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def moment(at: datetime | None, where: tzinfo, style: str = "") -> SafeString:
    """Return a time in that zone. `style`: "" for all of it, "short" for the time alone, with the
    day unless that is today.
    """
    if at is None:
        return SafeString(NONE)
    try:
        local = at.astimezone(where)
    except OverflowError:  # within the last hours of the year 9999
        local, where = at, UTC
    if style == "short":
        is_today = local.date() == timezone.now().astimezone(where).date()
        words = f"{local:%H:%M}" if is_today else f"{local:%b} {local.day}, {local:%H:%M}"
    else:
        words = f"{local:%Y-%m-%d %H:%M:%S} {zone_name(where, at)}"
    return _time(at, words)


def ago(at: datetime | None) -> SafeString:
    """Return how long ago it was."""
    if at is None:
        return SafeString(NONE)
    seconds = (timezone.now() - at).total_seconds()
    if seconds < 0:
        return _time(at, f"in {words_of(-seconds)}")
    return _time(at, "now" if seconds < 1 else f"{words_of(seconds)} ago")


def _time(at: datetime, words: str) -> SafeString:
    utc = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', f"{utc:%Y-%m-%dT%H:%M:%SZ}", exact(at), words
    )


def number(value: float | None) -> str | SafeString:
    """Return a whole number: 1,234, and above 99,999 as 1.2 M with the exact one in its title."""
    if value is None:
        return NONE
    whole = round(value)
    if abs(whole) <= MAX_WHOLE:
        return f"{whole:,}"
    size, unit = next((size, unit) for size, unit in MAGNITUDES if abs(whole) >= size)
    short = whole / size
    digits = 1 if abs(short) < 100 else 0
    return format_html('<span title="{}">{} {}</span>', f"{whole:,}", f"{short:.{digits}f}", unit)


def words_of(seconds: float) -> str:
    """Return a duration in its largest unit, with the next one where that tells more."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10 and seconds != int(seconds):
        return f"{seconds:.1f} s"
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    if seconds < 2 * DAY:
        hours, minutes = divmod(round(seconds / MINUTE), 60)
        return f"{hours} h {minutes} min" if minutes and hours < 10 else f"{hours} h"
    days, hours = divmod(round(seconds / HOUR), 24)
    return f"{days} d {hours} h" if hours and days < 10 else f"{days} d"


def span(seconds: float | None) -> str:
    return NONE if seconds is None else words_of(seconds)


def share(part: float | None) -> str:
    """Return a share of one as a percentage."""
    if part is None:
        return NONE
    percent = part * 100
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def bar(value: float, most: float, label: str, kind: str = "") -> SafeString:
    """Return a bar filled by value of `most`, before its label; the label alone if `most` is 0.
    `kind`: a colour (console.css).
    """
    if not most:
        return format_html('<span class="bar bar-none">{}</span>', label)
    kind = kind or ("full" if value >= most else "")
    return format_html(
        '<span class="bar{}"><progress value="{}" max="{}" aria-hidden="true"></progress>{}</span>',
        f" bar-{kind}" if kind else "",
        f"{min(value, most):g}",
        f"{most:g}",
        label,
    )
