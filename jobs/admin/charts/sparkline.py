"""A small line without axes, for a row of a table."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

HEIGHT = 18
HIDDEN = SafeString(' aria-hidden="true"')


def sparkline(numbers: Sequence[float], label: str = "", kind: str = "") -> SafeString:
    """Return the numbers as bars, oldest first. `label` says what they are; '' if the text beside
    it does.
    """
    highest = max(numbers, default=0)
    bars = "".join(
        f"M{step} {HEIGHT}v-{max(round(value / highest * HEIGHT), 1)}"
        for step, value in enumerate(numbers)
        if value > 0
    )
    return format_html(
        '<svg class="sparkline{}" viewBox="-.5 0 {} {}" preserveAspectRatio="none"{}>'
        '<path d="{}"/></svg>',
        f" sparkline-{kind}" if kind else "",
        max(len(numbers), 1),
        HEIGHT,
        format_html(' role="img" aria-label="{}"', label) if label else HIDDEN,
        bars,
    )
