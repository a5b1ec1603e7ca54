"""What the vendor itself counts against its limits: arrivals, except calls that the campaign
delayed.
"""

from collections.abc import Iterator, Sequence

from chaos.faults import KINDS
from chaos.history import History
from chaos.journal import Trouble
from chaos.limits.buckets import Reached, counted, units_us
from chaos.witness import above

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


def regular(history: History, reached: Sequence[Reached]) -> list[Reached]:
    """Return the calls that the campaign did not delay."""
    troubles = [trouble for trouble in history.journal.troubles if _delays(trouble)]
    return [
        each
        for each in reached
        if not any(it.began <= each.at <= it.ended + GRACE_SECONDS for it in troubles)
    ]


def above_limit(history: History) -> Iterator[str]:
    """Describe each limit that was exceeded at the vendor."""
    for window in counted(history):
        arrived_us = units_us(regular(history, window.reached))
        if found := above(arrived_us, window.seconds, window.allowed):
            count, allowed, _ = found
            yield f"{count} calls arrived within {window.name}, which allowed {allowed}"


def _delays(trouble: Trouble) -> bool:
    is_cut = trouble.name not in KINDS  # a network partition (chaos/cuts.py)
    return is_cut or trouble.name in DELAYING
