"""Which attempts windows and quotas still count. After a loss of Redis data, limits are rebuilt
from these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from django.db.models import QuerySet

from jobs.models import Attempt
from vendors.models import Limit, Vendor, counted_since

# Windows count by the clock of Redis, from the permit of a call on. That may come half a minute and
# its vendor's timeout after the time in the row, if the worker died. The rest is for the clocks.
LATE = timedelta(minutes=1)


@dataclass(frozen=True)
class CountedCalls:
    """Since when the calls of vendors count, and those that were charged to limits, by slug. Left
    out are those of which no old call counts.
    """

    vendors: Mapping[str, datetime]
    limits: Mapping[str, datetime]

    @classmethod
    def before(cls, end: datetime, now: datetime) -> Self:
        """Read which calls from before `end` count."""
        limits = {limit.slug: limit for limit in Limit.objects.all()}
        vendors = list(Vendor.objects.all())
        for vendor in vendors:
            vendor.name_limits(limits)
        timeout_seconds = max((vendor.timeout_seconds for vendor in vendors), default=0.0)
        late = LATE + timedelta(seconds=timeout_seconds)
        called = {
            vendor.slug: counted_since(vendor.windows, vendor.named_limits.values(), now) - late
            for vendor in vendors
        }
        charged = {slug: counted_since((), (limit,), now) - late for slug, limit in limits.items()}
        return cls(_earlier(called, end), _earlier(charged, end))

    def __bool__(self) -> bool:
        return bool(self.vendors or self.limits)

    def among(self, attempts: QuerySet[Attempt]) -> list[str]:
        """Return the ids of those attempts that count.

        Not decided by the store, which might prefer an index of all old attempts to that of these.
        """
        if not self:
            return []
        rows = attempts.filter(units__gt=0).values_list("pk", "vendor", "limits", "started_at")
        return [
            pk for pk, vendor, limits, at in rows.iterator() if self._counts(vendor, limits, at)
        ]

    def _counts(self, vendor: str, limits: str, at: datetime) -> bool:
        since = [self.vendors.get(vendor), *map(self.limits.get, limits.split(","))]
        return any(each and at >= each for each in since)


def _earlier(moments: Mapping[str, datetime], end: datetime) -> dict[str, datetime]:
    return {slug: moment for slug, moment in moments.items() if moment < end}
