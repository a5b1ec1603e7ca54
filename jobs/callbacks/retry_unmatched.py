"""Looks again for the jobs of callbacks that named an unknown reference. Normally the worker finds
them when it records the reference. This is for one that ended before it did.
"""

from collections import defaultdict
from datetime import datetime

from jobs.callbacks import apply, references
from jobs.models import Callback, Verdict
from vendors.catalogue import account_url, catalogue

CHUNK = 500
MAX_PER_STEP = 100  # each is a commit


class UnmatchedRetries:
    """Goes through the unmatched callbacks, newest first, a chunk at a time."""

    def __init__(self) -> None:
        self._before: datetime | None = None  # where the last chunk ended
        self._found: list[str] = []

    def step(self, now: datetime) -> bool:
        """Apply up to MAX_PER_STEP callbacks; return whether more are known to have a job."""
        vendors = catalogue.all().values()
        slugs = {vendor.slug for vendor in vendors if account_url(vendor)}
        if not slugs:
            return False
        if not self._found:
            self._found = self._next(slugs)
        some, self._found = self._found[:MAX_PER_STEP], self._found[MAX_PER_STEP:]
        for callback in apply.load_each(some):
            apply.apply(callback, catalogue.get(callback.vendor), now)
        return bool(self._found)

    def _next(self, slugs: set[str]) -> list[str]:
        """Return the ids of those callbacks of the next chunk whose reference is known by now."""
        rows = Callback.objects.filter(verdict=Verdict.UNMATCHED).order_by("-received_at")
        if self._before:
            rows = rows.filter(received_at__lt=self._before)
        # The vendor is not in the filter: a store might then choose another index.
        columns = ("received_at", "pk", "vendor", "vendor_reference")
        chunk = list(rows.values_list(*columns)[:CHUNK])
        self._before = chunk[-1][0] if len(chunk) == CHUNK else None
        by_vendor: dict[str, dict[str, str]] = defaultdict(dict)
        for _, pk, slug, reference in chunk:
            if reference and slug in slugs:
                by_vendor[slug][pk] = reference
        return [
            pk
            for slug, named in by_vendor.items()
            for found in [references.find_each(slug, named.values())]
            for pk, reference in named.items()
            if reference in found
        ]
