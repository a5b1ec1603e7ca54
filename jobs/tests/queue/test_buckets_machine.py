"""Limits shared by vendors, keys of a pool, weights and quotas, compared with a plain list of
starts: in any order of events, no bucket is overdrawn, and none is charged without a call.

LIMITER_EXAMPLES=2000 makes a long run, with other cases than the suite's.
"""

import os
import time
from dataclasses import replace
from itertools import count
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import key_pause
from jobs.queue.redis import commands
from jobs.queue.stream import Settlement
from jobs.queue.take import take
from jobs.recovery.rebuild import SETTLING_SECONDS
from jobs.tests.clock import SECOND, Clock, scripts_by_the_clock
from jobs.tests.queue.bucket_model import KEYS, Call, Model
from vendors.catalogue import catalogue

pytestmark = pytest.mark.usefixtures(scripts_by_the_clock.__name__)

EXAMPLES = int(os.environ.get("LIMITER_EXAMPLES", "0"))
WINDOWS = ["", "6/s", "20/s", "150/s", "6/s, 9/4 s", "8/min"]
limits = {
    "windows": st.sampled_from(WINDOWS),
    "cap": st.sampled_from([None, None, 2, 4]),
    "quota": st.sampled_from([None, None, 6, 15]),
}
vendors = st.sampled_from(["acme", "beta", "core"])


class Buckets(RuleBasedStateMachine):
    @initialize(
        team=st.fixed_dictionaries(limits),
        keyed=st.fixed_dictionaries(limits),
        weights=st.tuples(st.integers(1, 4), st.integers(0, 3), st.integers(1, 3)),
        own=st.sampled_from(["", "5/s"]),
    )
    def begin(self, team, keyed, weights, own):
        commands().flushall()
        self.clock = Clock(1_800_000_000 * SECOND)
        self.model, self.numbers = Model(), count()
        self.model.limit("team", **team)
        self.model.limit("keyed", **keyed, per_credential=True)
        weight, poll_weight, other = weights
        both = {"limits": ["team", "keyed"], "pooled": True}
        self.model.vendor("acme", **both, weight=weight, poll_weight=poll_weight, rate_limits=own)
        self.model.vendor("beta", **both, weight=other, max_in_flight=3)
        self.model.vendor("core", limits=["team"])
        self.queued = {slug: [] for slug in self.model.vendors}
        self.polls = {key: [] for key in (*KEYS, "KEY_OLD")}

    def time_is(self):
        """Tell everybody what time it is by Redis' clock."""
        redis_clock.hear(self.clock.now_us / SECOND, time.monotonic())
        catalogue._vendors = self.model.vendors

    def logs(self):
        buckets = {it.name or slug: it for slug in self.queued for it in self.model.buckets(slug)}
        return {name: commands().lrange(it.keys.log, 0, -1) for name, it in buckets.items()}

    def rebuild(self, slug):
        self.passes(round(SETTLING_SECONDS * SECOND))
        self.model.rebuild(slug, self.clock.now_us)

    def take(self, slug, want):
        self.time_is()
        vendor = self.model.vendors[slug]
        for _ in range(2):
            before, full = self.logs(), self.slots()
            taken = take(vendor, "w", want)
            if not taken.stale:
                break
            self.rebuild(slug)
        assert (taken.stale, taken.outdated) == (False, [])
        assert len(taken.entries) <= want
        for entry in taken.entries:
            is_poll = entry.stream == Stream.POLLS
            line = self.polls[entry.credential] if is_poll else self.queued[slug]
            assert line.pop(0) == entry.job_id
            assert is_poll or entry.credential != "KEY_OLD"
            self.model.calls[entry.job_id] = Call(slug, entry, has_slot=not is_poll)
            self.starts(entry.job_id, entry.charge)
        self.check_logs(slug, before, taken.entries)
        self.check_slots(full)
        return taken

    def check_logs(self, slug, before, entries):
        """Each call is charged to all of its buckets, and to no other."""
        after = self.logs()
        for bucket in self.model.buckets(slug):
            charges = [
                str(int(entry.charge) + unit)
                for entry in entries
                if entry.charge and bucket.key in ("", entry.credential)
                for unit in range(entry.units)
            ]
            name = bucket.name or slug
            if bucket.windows or bucket.quota:
                expected = [*charges[::-1], *before[name]]
                assert after[name] == expected[: len(after[name])]

    def starts(self, job, charge):
        """A call was permitted: it must overdraw no bucket."""
        call = self.model.calls[job]
        call.start = int(charge) if charge else None
        for bucket in self.model.buckets(call.slug):
            if bucket.key not in ("", call.entry.credential) or not call.entry.units:
                continue
            if bucket.windows or bucket.quota:
                assert charge
                self.check_bucket(bucket, call.start, call.start + call.entry.units)

    def check_bucket(self, bucket, first, end):
        starts = self.model.starts(bucket)
        assert len(starts) == len(set(starts)), "two units of one moment"
        for window in bucket.windows:
            inside = [it for it in starts if end - 1 - window.seconds * SECOND <= it < end]
            assert len(inside) <= window.calls, f"{len(inside)} in {window} of {bucket.name}"
        if bucket.quota:
            for at in (first, end - 1):
                for begin, until in self.model.ranges(bucket, at):
                    spent = sum(begin <= it < until for it in starts)
                    assert spent <= bucket.quota.calls, f"{spent} of {bucket.quota}"

    def slots(self):
        buckets = (it for slug in self.queued for it in self.model.buckets(slug))
        capped = [it for it in buckets if it.max_in_flight]
        return {it.keys.in_flight: (it, len(self.model.in_flight(it))) for it in capped}

    def check_slots(self, before):
        for key, (bucket, used) in self.slots().items():
            assert used <= max(bucket.max_in_flight, before[key][1]), bucket.name

    def settle(self, job, **how):
        self.time_is()
        call = self.model.calls.pop(job)
        entry = replace(call.entry, charge=str(call.start or ""))
        stream.settle(call.slug, [Settlement(job, entry, **how)])
        return call

    def add(self, slug, number):
        jobs = [f"job{next(self.numbers)}" for _ in range(number)]
        stream.add(slug, jobs, Stream.JOBS)
        self.queued[slug] += jobs

    # Events

    @rule(slug=vendors, number=st.integers(1, 8))
    def jobs_are_queued(self, slug, number):
        self.add(slug, number)

    @rule(number=st.integers(1, 6), key=st.sampled_from([*KEYS, "KEY_OLD"]))
    def polls_are_due(self, number, key):
        polls = [f"poll{next(self.numbers)}" for _ in range(number)]
        stream.add_polls("acme", [(job, 1) for job in polls], credential=key)
        self.polls[key] += polls

    @rule(slug=vendors, want=st.integers(1, 30))
    def a_worker_takes(self, slug, want):
        event(f"takes {'some' if self.take(slug, want).entries else 'none'}")

    @rule(slug=vendors)
    def a_worker_waits_as_long_as_take_says(self, slug):
        """The wait ends with an entry, unless nothing is queued or no slot is free."""
        for _ in range(8):  # for each key a quota, a window and the end of its pause
            taken = self.take(slug, 1)
            if taken.entries:
                return
            lines = [self.queued[slug], *(self.polls.values() if slug == "acme" else ())]
            freed = [it for it in self.model.buckets(slug) if it.keys.freed in taken.listen]
            for bucket in freed:
                assert commands().zcard(bucket.keys.in_flight) >= bucket.max_in_flight
            if taken.has_no_more:
                assert not self.queued[slug]
            if taken.wait_seconds > 3000:
                assert freed or not any(lines)
                return
            assert taken.wait_seconds > 0
            self.passes(round(taken.wait_seconds * SECOND))
        raise AssertionError("no job after the wait")

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), waits=st.booleans())
    def a_call_ends(self, data, waits):
        job = data.draw(st.sampled_from(sorted(self.model.calls)))
        call = self.model.calls[job]
        waits = waits and not call.is_poll
        self.settle(job, frees_slot=not waits and not call.is_poll)
        self.model.ended.append(call)
        if waits:
            self.model.waiting[job] = call

    @precondition(lambda self: self.model.waiting)
    @rule()
    def a_callback_arrives(self):
        self.time_is()
        job = min(self.model.waiting)
        call = self.model.waiting.pop(job)
        stream.settle(call.slug, [Settlement(job, frees_slot=True)])

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data(), again=st.booleans())
    def a_call_is_not_made(self, data, again):
        """Its permit is refunded, once."""
        job = data.draw(st.sampled_from(sorted(self.model.calls)))
        call = self.model.calls[job]
        self.settle(job, frees_slot=not call.is_poll, refunds=True)
        if again and call.start:
            entry = replace(call.entry, charge=str(call.start))
            stream.settle(call.slug, [Settlement(job, entry, refunds=True)])

    @precondition(lambda self: self.model.calls)
    @rule(data=st.data())
    def a_late_permit_is_renewed(self, data):
        self.renew(data.draw(st.sampled_from(sorted(self.model.calls))))

    def renew(self, job):
        self.time_is()
        call = self.model.calls[job]
        if not call.entry.units:
            return
        before = self.slots()
        renewal = limiter.renew(
            self.model.vendors[call.slug],
            "" if call.is_poll else job,
            str(call.start or ""),
            credential=call.entry.credential,
            units=call.entry.units,
        )
        if renewal.granted:
            call.has_slot = not call.is_poll
            self.starts(job, renewal.charge)
            self.check_slots(before)
        else:
            assert renewal.wait_seconds > 0
            # A stale bucket keeps the permit, and whoever waits for it has none.
            call.start = None

    def passes(self, us):
        buckets = (it for slug in self.queued for it in self.model.buckets(slug))
        keys = {it.keys.log for it in buckets} | {key_pause("pool", key) for key in KEYS}
        self.clock.passes(us, keys)

    @rule(us=st.integers(1, 2 * SECOND) | st.integers(1, 70 * SECOND))
    def time_passes(self, us):
        self.passes(us)

    @rule(off_us=st.sampled_from([-2_000_001, -2_000_000, -1, 0, 1, 1_999_999, 2_000_000]))
    def a_period_begins(self, off_us):
        period = 40 * SECOND
        self.passes(period - (self.clock.now_us - off_us) % period)
        for slug in self.queued:
            self.add(slug, 2)
            self.take(slug, 5)

    @rule(key=st.sampled_from(KEYS))
    def a_key_is_paused(self, key):
        limiter.pause_key("pool", key, 3)

    @rule(name=st.sampled_from(["team", "keyed"]), rules=st.fixed_dictionaries(limits))
    def an_operator_changes_a_limit(self, name, rules):
        """A worker with the old definition gets nothing once one has named the new one."""
        old = self.model.vendors["beta"]
        self.model.limit(name, **rules, per_credential=name == "keyed")
        self.take("beta", 1)
        self.add("beta", 1)
        [(bucket, version), *_] = take(old, "w", 5).outdated
        assert (bucket.limit, version) == (name, self.model.limits[name].version)

    @rule(joins=st.booleans())
    def a_vendor_joins_or_leaves(self, joins):
        """What it called before counts in the limit from its next take on."""
        self.model.vendor("core", limits=["team"] if joins else [])
        self.take("core", 1)

    @rule(data=st.data())
    def redis_loses_everything(self, data):
        commands().flushall()
        time.sleep(0.001)  # entry ids are milliseconds: none may equal one from before
        self.clock.set(self.clock.now_us)
        self.queued = {slug: [] for slug in self.queued}
        self.polls = {key: [] for key in self.polls}
        for call in self.model.calls.values():
            if data.draw(st.booleans()):
                # Taken, not claimed: no row shows it, and its permit will be renewed.
                call.start, call.has_slot = None, False
        for slug in self.queued:
            self.rebuild(slug)
        for job in sorted(self.model.calls):
            if self.model.calls[job].start is None:
                self.renew(job)


def test_no_bucket_is_overdrawn_in_any_order_of_events():
    quick = settings(
        max_examples=EXAMPLES or 40,
        stateful_step_count=40,
        derandomize=not EXAMPLES,
        database=None,
        report_multiple_bugs=False,
    )
    patient = settings(quick, deadline=None, suppress_health_check=list(HealthCheck))
    with patch.object(catalogue, "_vendors", {}), patch.object(redis_clock, "_last_reply", None):
        run_state_machine_as_test(Buckets, settings=patient)
