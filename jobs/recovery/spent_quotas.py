"""Fails the queued jobs of vendors whose quota is spent, where the limit has `spent = "fail"`."""

from datetime import datetime

from jobs import failures, lifecycle
from jobs.models import EPOCH, QUEUES, Job, Status, Stream
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.held.hold import Standing
from jobs.queue.held.recent import read
from jobs.queue.stream import Settlement
from vendors.catalogue import catalogue
from vendors.models import Limit, Vendor

CHUNK = 500


def fail_jobs() -> int:
    """Fail jobs, and drop the entries of those that have failed. Returns how many at most, of one
    vendor and stream.
    """
    vendors = [vendor for vendor in catalogue.all().values() if _failing_limits(vendor)]
    if not vendors:
        return 0
    # Not what requests share: a quota may have been raised within the last second.
    standings, done = read(vendors), 0
    for vendor in vendors:
        standing = standings.get(vendor.slug)
        if standing and (failing := _failing(vendor, standing)):
            limit, until = failing
            done = max(done, *(_fail(vendor.slug, of, limit, until) for of in QUEUES))
    return done


def _failing(vendor: Vendor, standing: Standing) -> tuple[Limit, datetime] | None:
    """Return the limit whose quota fails the vendor's jobs now, and until when; None if none does,
    or not with each key that may be used.
    """
    limits = _failing_limits(vendor)
    of_keys = [[it for it in spent if it.name in limits] for spent in standing.spent]
    if not of_keys or not all(of_keys) or not standing.is_served:
        return None
    until, name = min(max((it.until or EPOCH, it.name) for it in spent) for spent in of_keys)
    # The quota may be another one by the end of a pause.
    is_paused = vendor.paused or vendor.is_paused(until)
    return None if is_paused else (limits[name], until)


def _failing_limits(vendor: Vendor) -> dict[str, Limit]:
    """Return the limits whose quota fails jobs when it is spent, by slug."""
    if not vendor.limit_names:
        return {}
    try:
        limits = [limit for limit in vendor.limits if limit.rules.quota]
    except ValueError:
        return {}  # nobody calls such a vendor
    return {limit.slug: limit for limit in limits if limit.rules.quota and limit.rules.quota.fails}


def _fail(vendor: str, of: Stream, limit: Limit, until: datetime) -> int:
    """A job that is delayed is queued as of the end of its delay: beyond the reset, it is kept."""
    jobs = Job.objects.filter(status=Status.QUEUED, vendor=vendor, stream=of, queued_at__lte=until)
    found = list(jobs.order_by("queued_at")[:CHUNK])
    moves = [lifecycle.fail_spent(job, limit, until, redis_clock.now()) for job in found]
    happened = lifecycle.apply(moves) if moves else []
    failed = [move for move, yes in zip(moves, happened, strict=True) if yes]
    for move in failed:
        failures.report(vendor, move)
    if failed:
        stream.settle_final(vendor, [move.job_id for move in failed])
    return max(len(found), _drop_entries(vendor, of))


def _drop_entries(vendor: str, of: Stream) -> int:
    """Drop entries that nobody would take before the reset, and whose jobs are not queued."""
    entries = stream.in_line(vendor, of, CHUNK)
    rows = Job.objects.filter(pk__in=[entry.job_id for entry in entries], status=Status.QUEUED)
    queued = set(rows.values_list("pk", flat=True))
    dropped = [Settlement(it.job_id, it) for it in entries if it.job_id not in queued]
    stream.settle(vendor, dropped)
    return len(dropped)
