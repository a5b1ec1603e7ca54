"""Applies unreadable callbacks again once their adapter may have been fixed: when a process starts
to sweep, and when a vendor gets another adapter. (They are also retried when their job is overdue,
and by `replay`.)
"""

from collections import deque
from datetime import datetime

from jobs.callbacks import apply
from jobs.models import OPEN, Callback, Job, Verdict
from vendors.catalogue import catalogue

MAX_PER_STEP = 100  # each is a commit
MAX_CALLBACKS = 10_000  # the newest; older ones wait for their deadline or a replay
JOBS_PER_READ = 500


class UnreadableRetries:
    """The unreadable callbacks that this process still has to retry."""

    def __init__(self) -> None:
        self._adapters: dict[str, str] = {}
        self._left: deque[str] = deque()

    def step(self, now: datetime) -> bool:
        """Retry up to MAX_PER_STEP callbacks; return whether more are left."""
        adapters = {slug: vendor.adapter for slug, vendor in catalogue.all().items()}
        changed = {
            slug for slug, adapter in adapters.items() if self._adapters.get(slug) != adapter
        }
        if changed:
            self._left.extend(_unreadable_of(changed))
        self._adapters = adapters
        some = [self._left.popleft() for _ in range(min(MAX_PER_STEP, len(self._left)))]
        for callback in apply.load_each(some):
            apply.apply(callback, catalogue.get(callback.vendor), now)
        return bool(self._left)


def _unreadable_of(slugs: set[str]) -> list[str]:
    """Return the ids of the vendors' unreadable callbacks whose job is still open in that run."""
    rows = Callback.objects.filter(verdict=Verdict.UNREADABLE).order_by("-received_at")
    # The vendor is not in the filter: a store might then choose an index that is not in this order.
    newest = rows.values_list("pk", "job", "run", "vendor")[:MAX_CALLBACKS]
    found = [row for row in newest if row[3] in slugs]
    callback_ids = []
    for start in range(0, len(found), JOBS_PER_READ):
        some = found[start : start + JOBS_PER_READ]
        jobs = Job.objects.filter(pk__in=[job for _, job, _, _ in some], status__in=OPEN)
        runs = dict(jobs.values_list("pk", "run"))
        callback_ids += [pk for pk, job, run, _ in some if runs.get(job) == run]
    return callback_ids
