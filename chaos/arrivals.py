"""What the vendor itself counts against its limits: arrivals, except calls that the campaign
delayed.
"""

from collections.abc import Iterator

from chaos.faults import KINDS
from chaos.history import History
from chaos.journal import Trouble
from chaos.vendors import VENDORS
from chaos.witness import worst_window
from vendors import limits

# These freeze or delay calls between their permit and the vendor, or make Redis slower than the
# lifetime of a permit.
DELAYING = {
    "worker_frozen",
    "redis_slow",
    "redis_frozen",
    "vendor_connections_disturbed",
    "vendors_refuse_connections",
}
GRACE_SECONDS = 2.0  # within which delayed calls arrive


def regular_arrivals_us(history: History, slug: str) -> list[int]:
    """Return the sorted arrival times (microseconds) of calls that the campaign did not delay."""
    troubles = [trouble for trouble in history.journal.troubles if _delays(trouble)]
    times = sorted(
        at
        for story in history.stories.values()
        if story.job.vendor == slug
        for at in story.reached_at
    )
    return [
        int(at * 1e6)
        for at in times
        if not any(each.began <= at <= each.ended + GRACE_SECONDS for each in troubles)
    ]


def above_limit(history: History) -> Iterator[str]:
    """Describe each limit that was exceeded at the vendor."""
    for slug, settings in VENDORS.items():
        arrivals = regular_arrivals_us(history, slug)
        for window in limits.parse(settings.fields.get("rate_limits", "")):
            most, _ = worst_window(arrivals, window.calls, window.seconds)
            if most > window.calls:
                limit = f"within {window.seconds:g} s (limit {window.calls})"
                yield f"{most} calls of {slug} arrived {limit}"


def _delays(trouble: Trouble) -> bool:
    is_cut = trouble.name not in KINDS  # a network partition (chaos/cuts.py)
    return is_cut or trouble.name in DELAYING
