"""A small line without axes, for a row of a table."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDTH, HEIGHT = 90, 20


def sparkline(numbers: Sequence[float], label: str = "", kind: str = "") -> SafeString:
    """Return the numbers as bars, oldest first. `label` says what they are; '' if the text beside
    it does.
    """
    highest = max(numbers, default=0)
    width = WIDTH / max(len(numbers), 1)
    bars = "".join(
        f"M{step * width:.1f} {HEIGHT}v-{max(value / highest * (HEIGHT - 1), 1):.1f}"
        for step, value in enumerate(numbers)
        if value > 0
    )
    return format_html(
        '<svg class="sparkline{}" viewBox="-1 0 {} {}" preserveAspectRatio="none"{}>'
        '<path class="ground" d="M-1 {}H{}"/><path d="{}"/></svg>',
        f" sparkline-{kind}" if kind else "",
        WIDTH + 1,
        HEIGHT,
        format_html(' role="img" aria-label="{}"', label)
        if label
        else SafeString(' aria-hidden="true"'),
        HEIGHT,
        WIDTH,
        bars,
    )
