"""What the rows say of the jobs that wait, where Redis does not."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from jobs.models import EPOCH, QUEUES, Job, Status

MAX_COUNTED = 10_000  # of each vendor
MAX_DELAYED = 1000  # of all
DELAYED_SECONDS = 5.0  # how old their count may be


@dataclass(frozen=True)
class Backlog:
    """The jobs of one vendor; from rows, each number is at most MAX_COUNTED."""

    waiting: int
    in_flight: int
    oldest_seconds: float


def from_rows(slugs: Iterable[str], now: datetime) -> dict[str, Backlog]:
    """Return the backlog of these vendors. Raises STORE_ERRORS."""
    return {
        slug: Backlog(
            _count(slug, Status.QUEUED),
            _count(slug, Status.PROCESSING) + _count(slug, Status.WAITING),
            max(0.0, *(_oldest_seconds(slug, each, now) for each in QUEUES)),
        )
        for slug in slugs
    }


def _count(slug: str, status: Status) -> int:
    # Ordered as the index is, or a limit would have the store sort.
    jobs = Job.objects.filter(vendor=slug, status=status).order_by("id")
    return jobs.values("pk")[:MAX_COUNTED].count()


def _oldest_seconds(slug: str, stream: str, now: datetime) -> float:
    queued = Job.objects.filter(status=Status.QUEUED, vendor=slug, stream=stream)
    first = queued.order_by("queued_at").values_list("queued_at", flat=True).first()
    return (now - first).total_seconds() if first else 0.0


class Delayed:
    """How many queued jobs have no entry in a stream yet, because they wait until a time."""

    def __init__(self) -> None:
        self._counts: Mapping[str, int] = {}
        self._read_at = float("-inf")

    def by_vendor(self) -> Mapping[str, int]:
        """Return the first MAX_DELAYED of them. Raises STORE_ERRORS."""
        if time.monotonic() - self._read_at > DELAYED_SECONDS:
            jobs = Job.objects.filter(status=Status.QUEUED, not_before__gt=EPOCH)
            self._counts = Counter(jobs.values_list("vendor", flat=True)[:MAX_DELAYED])
            self._read_at = time.monotonic()
        return self._counts
