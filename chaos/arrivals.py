"""What the vendor itself counts against its limits: calls as they arrive, while the campaign delays
none of them.
"""

from collections.abc import Iterator

from chaos.faults import KINDS
from chaos.history import History
from chaos.journal import Trouble
from chaos.vendors import VENDORS
from chaos.witness import worst_window
from vendors import limits

# They freeze or delay calls between their permit and the vendor, or make Redis slower than a permit
# lives.
DELAYING = {
    "worker_frozen",
    "redis_slow",
    "redis_frozen",
    "vendor_connections_harmed",
    "vendors_refuse_connections",
}
AFTER_SECONDS = 2.0  # in which what was delayed arrives


def undelayed_us(history: History, slug: str) -> list[int]:
    """Return when calls of the vendor arrived that the campaign did not delay, in microseconds,
    sorted.
    """
    troubles = [trouble for trouble in history.journal.troubles if _delays(trouble)]
    times = sorted(
        arrival.at
        for story in history.stories.values()
        for arrival in story.arrivals
        if arrival.vendor == slug
    )
    return [
        int(at * 1e6)
        for at in times
        if not any(each.began <= at <= each.ended + AFTER_SECONDS for each in troubles)
    ]


def above_limit(history: History) -> Iterator[str]:
    """Yield each limit that the vendor saw exceeded, in words."""
    for slug, settings in VENDORS.items():
        arrivals = undelayed_us(history, slug)
        for window in limits.parse(settings.fields.get("rate_limits", "")):
            most, _ = worst_window(arrivals, window.calls, window.seconds)
            if most > window.calls:
                yield f"{most} calls of {slug} arrived within {window.seconds:g} s (limit {window.calls})"


def _delays(trouble: Trouble) -> bool:
    is_cut = trouble.name not in KINDS  # of the network between hosts (chaos/cuts.py)
    return is_cut or trouble.name in DELAYING
