"""What several vendors do to the limits that they share, as a plain list of starts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from types import SimpleNamespace

from jobs.models import Stream
from jobs.queue import limiter
from jobs.queue.buckets import buckets_of, quota_text
from jobs.queue.keys import Keys
from jobs.queue.restore import NOW_US, ROUNDED_US, Content, Start, restore
from jobs.queue.stream import Entry
from vendors.definitions.limit import SharedLimit
from vendors.limits import Quota, Range, parse
from vendors.models import Limit, PoolKey, Vendor

KEYS = ("KEY_A", "KEY_B")
PERIOD = timedelta(seconds=40)
OVERLAP = timedelta(seconds=2)


class Period(Quota):
    """A quota with a period of seconds."""

    def ranges(self, now):
        begin = datetime.fromtimestamp(now.timestamp() // 40 * 40, now.tzinfo)
        begins = [begin - PERIOD, begin, begin + PERIOD]
        return [Range(begin - OVERLAP, begin + PERIOD + OVERLAP) for begin in begins]


class Credential:
    """A pool of two keys, and one that is used for polls alone."""

    slug = "pool"
    settings_key = ()
    scheme = SimpleNamespace(names=(*KEYS, "KEY_OLD"))

    def pool(self, now, *, anywhere=False):
        return [*(PoolKey(name) for name in KEYS), PoolKey("KEY_OLD", calls=False)]


@dataclass
class Call:
    """A job or a poll that a worker has taken."""

    slug: str
    entry: Entry
    start: int | None = None  # of the first unit, in microseconds; None: not permitted any more
    has_slot: bool = True

    @property
    def is_poll(self):
        return self.entry.stream == Stream.POLLS


@dataclass
class Model:
    """The vendors, their limits, and what was called."""

    versions: count = field(default_factory=lambda: count(1))
    limits: dict[str, Limit] = field(default_factory=dict)
    vendors: dict[str, Vendor] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)  # in progress, by job
    ended: list[Call] = field(default_factory=list)
    waiting: dict[str, Call] = field(default_factory=dict)

    def limit(self, slug, windows="", cap=None, quota=None, *, per_credential=False):
        row = Limit(slug=slug, definition={}, version=next(self.versions))
        quota = Period(quota, "day") if quota else None
        rules = SharedLimit(tuple(parse(windows)), cap, quota, per_credential)
        row._parsed = row.definition, rules
        self.limits[slug] = row
        for vendor in list(self.vendors.values()):
            if slug in vendor.limit_names:
                self.vendors[vendor.slug] = self._with_limits(vendor)

    def vendor(self, slug, *, limits, weight=1, poll_weight=None, pooled=False, **fields):
        definition = {"limits": limits, "weight": weight}
        if poll_weight is not None:
            definition["poll"] = {"every": "1s", "weight": poll_weight}
        number = next(self.versions)
        vendor = Vendor(slug=slug, adapter="sync", definition=definition, version=number, **fields)
        vendor.membership = str(number)
        vendor.credential = Credential() if pooled else None
        self.vendors[slug] = self._with_limits(vendor)

    def _with_limits(self, vendor):
        copy = Vendor(
            **{it.attname: getattr(vendor, it.attname) for it in Vendor._meta.concrete_fields}
        )
        copy.credential = vendor.credential
        copy.name_limits(self.limits)
        return copy

    def buckets(self, slug):
        vendor = self.vendors[slug]
        keys = [key.name for key in vendor.credential.pool(None)] if vendor.credential else [""]
        return buckets_of(vendor).of_all(keys)

    def members(self, bucket):
        """Return the vendors whose calls this bucket counts."""
        if not bucket.limit:
            return [bucket.keys.log.split("{")[1].split("}")[0]]
        return [it.slug for it in self.vendors.values() if bucket.limit in it.limit_names]

    def counted(self, bucket, calls):
        members = self.members(bucket)
        return [
            call
            for call in calls
            if call.slug in members and bucket.key in ("", call.entry.credential)
        ]

    def starts(self, bucket, *, every=True):
        """Return the microseconds of all units, in order: those of ended calls, or of all."""
        calls = [*self.ended, *(self.calls.values() if every else ())]
        return sorted(
            call.start + unit
            for call in self.counted(bucket, calls)
            if call.start
            for unit in range(call.entry.units)
        )

    def in_flight(self, bucket):
        jobs = {**self.calls, **self.waiting}
        counted = self.counted(bucket, jobs.values())
        return {job for job, call in jobs.items() if call.has_slot and call in counted}

    def rebuild(self, slug, now_us):
        """From the rows: ended calls as charged, calls in progress as late as possible."""
        for bucket in limiter.stale(self.buckets(slug)):
            calls = [it for it in self.counted(bucket, self.calls.values()) if it.start]
            ended = [it for it in self.counted(bucket, self.ended) if it.start]
            running = [Start(it.start, NOW_US, it.entry.units) for it in calls]
            over = [Start(it.start, it.start + ROUNDED_US, it.entry.units) for it in ended]
            starts = [*running, *sorted(over, reverse=True)]
            is_own = not bucket.limit
            content = Content(
                windows=bucket.windows,
                starts=[start for start in starts if start.units],
                in_flight=sorted(self.in_flight(bucket)),
                members=() if is_own else [self.member(it) for it in self.members(bucket)],
                version=bucket.version,
                quota=quota_text(bucket.quota),
                spent=self.spent(bucket, now_us) if bucket.quota else {},
                is_estimated=bool(running),
                is_capped=bucket.max_in_flight is not None,
            )
            streams = [Keys(slug).retries, Keys(slug).jobs] if is_own else []
            assert restore(bucket.keys, content, token="", streams=streams)

    def member(self, slug):
        return f"{slug}:{self.vendors[slug].membership}"

    def spent(self, bucket, now_us):
        """Return the units in each range: of calls in progress, too, as if they started now."""
        running = [it for it in self.counted(bucket, self.calls.values()) if it.start]
        now = sum(it.entry.units for it in running)
        ended = self.starts(bucket, every=False)
        return {
            f"{begin}:{end}": now + sum(begin <= start < end for start in ended)
            for begin, end in self.ranges(bucket, now_us)
        }

    def ranges(self, bucket, now_us):
        """Return the ranges of its quota that contain this time, in microseconds."""
        pairs = bucket.quota.ranges(limiter.moment(str(now_us)))
        found = [tuple(limiter.microseconds(at) for at in pair) for pair in pairs]
        return [(begin, end) for begin, end in found if begin <= now_us < end]
