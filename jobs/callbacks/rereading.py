"""Callbacks that an adapter could not read are read again when the adapter may have been corrected:
when a process begins to sweep, and when their vendor is given another adapter. They are also read
when their job is overdue, and by a replay.
"""

from collections import deque
from datetime import datetime

from jobs.callbacks import inbox
from jobs.models import OPEN, Callback, Job, Verdict
from vendors.catalogue import catalogue

AT_A_TIME = 100  # each is a commit
MOST = 10_000  # the newest; older ones wait for their deadline or a replay
BATCH = 500


class Rereading:
    def __init__(self) -> None:
        self._adapters: dict[str, str] = {}
        self._left: deque[str] = deque()

    def go_on(self, now: datetime) -> bool:
        """Read some of them again; returns whether more are left."""
        adapters = {slug: vendor.adapter for slug, vendor in catalogue.all().items()}
        changed = {
            slug for slug, adapter in adapters.items() if self._adapters.get(slug) != adapter
        }
        if changed:
            self._left.extend(_unread(changed))
        self._adapters = adapters
        some = [self._left.popleft() for _ in range(min(AT_A_TIME, len(self._left)))]
        for callback in inbox.one_by_one(some):
            inbox.apply(callback, catalogue.get(callback.vendor), now)
        return bool(self._left)


def _unread(vendors: set[str]) -> list[str]:
    """Return the callbacks of these vendors that could not be read, and whose job is still open in
    the same run.
    """
    rows = Callback.objects.filter(verdict=Verdict.UNREADABLE).order_by("-received_at")
    # The vendor is no condition, for which a store might choose an index that is not in this order.
    found = [
        row for row in rows.values_list("pk", "job", "run", "vendor")[:MOST] if row[3] in vendors
    ]
    ids = []
    for start in range(0, len(found), BATCH):
        some = found[start : start + BATCH]
        jobs = Job.objects.filter(pk__in=[job for _, job, _, _ in some], status__in=OPEN)
        runs = dict(jobs.values_list("pk", "run"))
        ids += [pk for pk, job, run, _ in some if runs.get(job) == run]
    return ids
