"""What holds a bulk action at present, as a sentence for people."""

from datetime import datetime, timedelta

from jobs.bulk.course import Course
from jobs.models import BulkAction
from jobs.queue.backlog import backlog
from jobs.queue.clock import redis_clock
from jobs.queue.held.hold import Kind
from jobs.queue.held.recent import recent_holds
from vendors.catalogue import catalogue
from vendors.models import Vendor

# Not a rate limit or a cap: a vendor at its limits takes jobs all the time.
HOLDS = (Kind.PAUSE, Kind.WORKER, Kind.BREAKER, Kind.QUOTA, Kind.CREDENTIAL)
# How many jobs of an action wait in the queue: enough that it never runs dry, but few, so that
# its progress is that of the jobs, and what is left can still be paused or cancelled.
MIN_AHEAD = 200
AHEAD_SECONDS = 5.0  # at its rate
MAX_SHARE = 10_000  # as many as wait of others, up to this
SLOW_AFTER_SECONDS = 10.0
LONG = timedelta(minutes=1)
KEPT_FREE = 0.1  # of a queue, for new jobs: a bulk action must not have them refused


def of_vendor(slug: str) -> str:
    """Return why no jobs of a vendor are retried at present; '' if they are."""
    vendor = catalogue.get(slug)
    if vendor is None:
        return f"The vendor {slug} no longer exists. Cancel this action, or add the vendor again."
    if not vendor.enabled:
        return f"{slug} is disabled. Enable it, and this action goes on."
    hold = recent_holds.of([slug]).get(slug)
    if hold and hold.kind in HOLDS:
        return " ".join(filter(None, (hold.message, _reason(vendor, redis_clock.now()))))
    if vendor.max_queued and backlog.queue(slug).length >= _most(vendor.max_queued):
        return (
            f"The queue of {slug} is nearly full. This action goes on when there is room, so that "
            "new jobs are not refused."
        )
    return ""


def _reason(vendor: Vendor, now: datetime) -> str:
    return vendor.pause_reason if vendor.is_paused(now) else ""


def _most(max_queued: int) -> int:
    """Return how long the queue may be for a bulk action to add to it."""
    return max(int(max_queued * (1 - KEPT_FREE)), 1)


def room(action: BulkAction, course: Course) -> int:
    """Return how many jobs more may queue now."""
    queue, own = backlog.queue(action.vendor), course.not_started()
    others = min(queue.length - queue.taken - own, MAX_SHARE)
    at_its_rate = AHEAD_SECONDS * (course.per_minute() or 0.0) / 60
    free = max(MIN_AHEAD, int(at_its_rate), others) - own
    vendor = catalogue.get(action.vendor)
    if vendor and vendor.max_queued:
        return min(free, _most(vendor.max_queued) - queue.length)
    return free


def of_queue(action: BulkAction, course: Course) -> str:
    """Return why there has been no room for a while; '' if there has."""
    if course.idle_seconds() < SLOW_AFTER_SECONDS:
        return ""
    sentence = f"The next jobs follow when {action.vendor} has taken those that wait in its queue."
    hold = recent_holds.of([action.vendor]).get(action.vendor)
    is_long = hold and hold.until and hold.until > redis_clock.now() + LONG
    return f"{sentence} {hold.message}" if hold and is_long else sentence
