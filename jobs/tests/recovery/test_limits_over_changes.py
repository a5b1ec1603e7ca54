"""Shared limits, compared with a plain list of calls while they, their vendors and Redis change.

CHANGES=5000 makes a long run, with other cases than the suite's.
"""

import os
import random
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace

import pytest

from jobs.models import EPOCH, Attempt, Job, Status, Stream
from jobs.queue import limiter, stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys, limit_keys
from jobs.queue.redis import commands
from jobs.queue.take import take
from jobs.recovery.rebuild import rebuild
from jobs.tests.clock import SECOND, Clock, scripts_by_the_clock
from vendors.catalogue import catalogue
from vendors.limits import Quota, Range
from vendors.models import Credential, Limit, Vendor

pytestmark = [
    pytest.mark.usefixtures(scripts_by_the_clock.__name__),
    pytest.mark.django_db,
    pytest.mark.sqlite,
]

CHANGES = int(os.environ.get("CHANGES", "0"))
PERIOD_SECONDS = 60
KEYS = ["VENDOR_A_KEY_1", "VENDOR_A_KEY_2"]
DEFINITIONS = [
    {"windows": "4/s"},
    {"windows": "4/s, 9/min"},
    {"windows": "6/min", "arrival_margin_ms": 0},
    {"windows": "3/min", "per": "credential"},
    {"windows": "5/min", "max_in_flight": 3},
    {"windows": "9/s", "quota": {"calls": 7, "period": "day"}},
    {"quota": {"calls": 9, "period": "day"}, "per": "credential"},
]


@dataclass
class Made:
    """A call: what it was charged to, and how it went on."""

    slug: str
    at_us: int
    units: int
    credential: str
    limits: list[str]
    job: Job


class Walk:
    def __init__(self, seed, monkeypatch):
        self.random = random.Random(seed)
        self.clock = Clock(1_800_000_000 * SECOND)
        self.calls: list[Made] = []
        self.in_progress: list[Made] = []
        self.old: list[Vendor] = []  # as workers have them that know no newer ones
        self.number = 0
        monkeypatch.setattr(redis_clock, "now", self.now)
        monkeypatch.setattr("jobs.recovery.rebuild._now", self.now)
        monkeypatch.setattr("jobs.recovery.rebuild.time", SimpleNamespace(sleep=self.settle))
        by_clock = SimpleNamespace(time_ns=lambda: self.clock.now_us * 1000)
        monkeypatch.setattr("vendors.models.limited.time", by_clock)
        monkeypatch.setattr(Quota, "ranges", lambda quota, now: ranges_of(now))
        for key in KEYS:
            monkeypatch.setenv(key, key)
        Credential.objects.create(slug="a", definition={"header": "X-Key", "keys_env": KEYS})
        for slug in ("one", "two"):
            Limit.objects.create(slug=slug, definition=DEFINITIONS[0])
        for slug in ("a", "b", "c"):
            definition = {"limits": ["one"], "credential": "a"}
            Vendor.objects.create(slug=slug, adapter="http", definition=definition)
        catalogue.forget()

    def now(self):
        return EPOCH + timedelta(microseconds=self.clock.now_us)

    def settle(self, seconds):
        self.time_passes(seconds)

    def time_passes(self, seconds=None):
        seconds = seconds or self.random.choice([0.001, 0.3, 2, 12, 50])
        logs = commands().keys("*log")
        self.clock.passes(round(seconds * SECOND), logs)

    def vendor_is_called(self):
        slug = self.random.choice("abc")
        vendor = catalogue.all()[slug]
        if self.old and self.random.random() < 0.3:
            vendor = self.random.choice(self.old)
        self.number += 1
        stream.add(vendor.slug, [f"job-{self.number}"], Stream.JOBS)
        taken = take(vendor, "w", self.random.choice([1, 3]))
        if taken.stale:
            rebuild([vendor])
            taken = take(vendor, "w", 3)
        for entry in taken.entries:
            self.starts(vendor, entry)

    def starts(self, vendor, entry):
        row = {"credential": entry.credential, "attempt": 1, "started_at": self.now()}
        job = Job.new(vendor=vendor.slug, input={}, status=Status.PROCESSING, **row)
        job.save(force_insert=True)
        at_us = int(entry.charge) if entry.charge else self.clock.now_us
        made = Made(vendor.slug, at_us, vendor.weight, entry.credential, vendor.limit_names, job)
        commands().xack(Keys(vendor.slug).jobs, "workers", entry.id)
        self.calls.append(made)
        self.in_progress.append(made)
        for limit in vendor.limits:
            # A vendor that has just joined counts once its settings are used.
            vendors = commands().hget(
                limit_keys(limit.slug, self.key_of(limit, made)).state, "vendors"
            )
            known = catalogue.all().values()
            members = {it.slug for it in known if f" {it.slug}:{it.membership} " in vendors}
            self.check(limit, members | {vendor.slug}, made)

    def key_of(self, limit, made):
        return made.credential if limit.rules.per_credential else ""

    def check(self, limit, members, made):
        """No limit that the call was charged to is broken by it."""
        rules = limit.rules
        counted = [
            call
            for call in self.calls
            if call.slug in members or limit.slug in call.limits
            if self.key_of(limit, made) in ("", call.credential)
        ]
        for window in rules.windows:
            since = made.at_us - window.seconds * SECOND
            units = sum(call.units for call in counted if since <= call.at_us)
            assert units <= window.calls, f"{units} in {window}"
        for begin, end in ranges_of(self.now()) if rules.quota else ():
            inside = [call for call in counted if begin <= limiter.moment(str(call.at_us)) < end]
            if made in inside:
                assert sum(call.units for call in inside) <= rules.quota.calls
        if rules.max_in_flight:
            assert sum(call in self.in_progress for call in counted) <= rules.max_in_flight

    def call_ends(self):
        if not self.in_progress:
            return
        made = self.in_progress.pop(self.random.randrange(len(self.in_progress)))
        at = limiter.moment(str(made.at_us))
        Attempt.objects.create(
            job=made.job.pk,
            vendor=made.slug,
            run=1,
            number=1,
            worker="w",
            started_at=at,
            ended_at=at,
            outcome="found",
            units=made.units,
            credential=made.credential,
            limits=f",{','.join(made.limits)}," if made.limits else "",
        )
        Job.objects.filter(pk=made.job.pk).update(status=Status.COMPLETE)
        stream.settle(made.slug, [stream.Settlement(made.job.pk, frees_slot=True)])

    def redis_is_flushed(self):
        commands().flushall()
        self.clock.set(self.clock.now_us)

    def vendor_changes(self):
        vendor = Vendor.objects.get(slug=self.random.choice("abc"))
        limits = self.random.choice([[], ["one"], ["two"], ["one", "two"]])
        self.keep_old(vendor.slug)
        vendor.definition = {**vendor.definition, "limits": limits}
        vendor.save()
        catalogue.forget()

    def limit_changes(self):
        limit = Limit.objects.get(slug=self.random.choice(["one", "two"]))
        for slug in "abc":
            self.keep_old(slug)
        limit.definition = self.random.choice(DEFINITIONS)
        limit.save()
        catalogue.forget()

    def keep_old(self, slug):
        self.old = [*self.old[-2:], catalogue.all()[slug]]

    def go(self, steps):
        acts = {
            self.vendor_is_called: 12,
            self.call_ends: 8,
            self.time_passes: 4,
            self.vendor_changes: 1,
            self.limit_changes: 1,
            self.redis_is_flushed: 1,
        }
        for act in self.random.choices(list(acts), list(acts.values()), k=steps):
            act()
        return len(self.calls)


def ranges_of(now):
    """As of a quota by the minute."""
    begin = int(now.timestamp()) // PERIOD_SECONDS * PERIOD_SECONDS
    begins = [EPOCH + timedelta(seconds=begin + shift * PERIOD_SECONDS) for shift in (-1, 0, 1)]
    margin, length = timedelta(seconds=5), timedelta(seconds=PERIOD_SECONDS)
    return [Range(at - margin, at + length + margin) for at in begins]


@pytest.mark.parametrize("seed", [random.randrange(10**6)] if CHANGES else range(2))
def test_no_limit_is_broken_while_limits_vendors_and_redis_change(seed, monkeypatch):
    assert Walk(seed, monkeypatch).go(CHANGES or 80) > 10
