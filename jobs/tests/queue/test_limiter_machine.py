"""The limiter, compared with a plain list of starts: in any order of events, no window is broken
and no worker waits longer than needed.

LIMITER_EXAMPLES=2000 makes a long run, with other cases than the suite's.
"""

import os
import time
from dataclasses import dataclass, replace
from itertools import count

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

from harness.limits import restore_own
from jobs.models import QUEUES, Stream
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.stream import Entry, Requeue, Settlement
from jobs.queue.take import take
from jobs.recovery.rebuild import SETTLING_SECONDS
from jobs.tests.clock import SECOND, Clock, scripts_by_the_clock
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures(scripts_by_the_clock.__name__)

EXAMPLES = int(os.environ.get("LIMITER_EXAMPLES", "0"))
LIMITS = ["", "1/s", "20/s", "150/s", "3/s, 4/2 s", "3/s, 5/min", "2/min"]


@dataclass
class Call:
    """A job or a poll that a worker has taken."""

    entry: Entry
    start: int | None = None  # microseconds; None: no windows, or no longer permitted
    has_slot: bool = True

    @property
    def is_poll(self):
        return self.entry.stream == Stream.POLLS


class Limiter(RuleBasedStateMachine):
    @initialize(
        limits=st.sampled_from(LIMITS),
        cap=st.sampled_from([None, None, 1, 3]),
        polled=st.booleans(),
    )
    def begin(self, limits, cap, polled):
        commands().flushall()
        self.clock = Clock(1_800_000_000 * SECOND)
        self.slug = "acme"
        self.numbers = count()
        self.keys = Keys(self.slug)
        self.definition = {"poll": {"every": "1s"}} if polled else {}
        self.queued = {of: [] for of in Stream}
        self.calls: dict[str, Call] = {}
        self.ended: list[int] = []  # starts of calls that have ended
        self.waiting: set[str] = set()
        self.paced: list[int] = []  # starts since the pace was reset
        self.refunds = 0  # since then
        self.slots_before = 0
        self.set_limits(limits, cap)
        self.rebuild()

    def set_limits(self, limits, cap):
        fields = {"rate_limits": limits, "max_in_flight": cap, "definition": self.definition}
        self.vendor = Vendor(slug=self.slug, adapter="sync", **fields)
        self.reset_pace()

    def reset_pace(self):
        self.paced, self.refunds = [], 0

    @property
    def starts(self):
        return sorted(
            [*self.ended, *(call.start for call in self.calls.values() if call.start)], reverse=True
        )

    @property
    def in_flight(self):
        return {job for job, call in self.calls.items() if call.has_slot} | self.waiting

    def rebuild(self):
        """From the rows: ended calls as charged, calls in progress by the start of their batch."""
        self.time_passes(round(SETTLING_SECONDS * SECOND))
        running = [call.start - 5000 for call in self.calls.values() if call.start]
        max_calls, seconds = limiter.memory(self.vendor)
        since = self.clock.now_us - seconds * SECOND
        ended = sorted((start for start in self.ended if start >= since), reverse=True)[:max_calls]
        assert restore_own(
            self.slug, self.vendor.windows, ended, sorted(self.in_flight), calling_us=running
        )

    def log(self):
        return commands().lrange(self.keys.log, 0, -1)

    def log_without(self, charge):
        log, rebuilt = self.log(), commands().hget(self.keys.state, "rebuilt") or 0
        if charge in log and int(charge) > int(rebuilt):
            log.remove(
                charge
            )  # one: a rebuild may have entered a call in progress at the same time
        return log

    def take(self, want, consumer="w"):
        before = self.log()
        taken = take(self.vendor, consumer, want)
        if taken.stale:
            self.rebuild()
            before = self.log()
            taken = take(self.vendor, consumer, want)
            assert not taken.stale
        charges = [entry.charge for entry in reversed(taken.entries) if entry.charge]
        assert self.log() == [*charges, *before][: len(self.log())], "a permit without an entry"
        queued = [(of, job) for of in (Stream.RETRIES, Stream.JOBS) for job in self.queued[of]]
        found = [(entry.stream, entry.job_id) for entry in taken.entries]
        polls = [pair for pair in found if pair[0] == Stream.POLLS]
        calls = found[: len(found) - len(polls)]
        assert len(found) <= want
        assert calls == queued[: len(calls)]
        assert [job for _, job in polls] == self.queued[Stream.POLLS][: len(polls)]
        cap = self.vendor.max_in_flight
        if queued[len(calls) :] and (not cap or len(self.in_flight) + len(calls) < cap):
            assert len(polls) <= len(calls) + 1, "more than half of the permits"
        if self.queued[Stream.POLLS][len(polls) :]:
            assert len(calls) <= len(polls) + 1, "less than half of the permits"
        for entry in taken.entries:
            self.queued[entry.stream].remove(entry.job_id)
            self.calls[entry.job_id] = Call(entry)
            self.starts_at(entry.job_id, entry.charge)
        return taken

    def starts_at(self, job, charge):
        """A call was permitted: it must break no window, wherever that begins."""
        assert bool(charge) == bool(self.vendor.windows)
        self.calls[job].start = int(charge) if charge else None
        self.calls[job].has_slot = not self.calls[job].is_poll
        assert not self.vendor.max_in_flight or len(self.in_flight) <= max(
            self.vendor.max_in_flight, self.slots_before
        )
        if charge:
            self.check_windows(int(charge))
            self.check_pace(int(charge))

    def check_windows(self, at):
        for window in self.vendor.windows:
            inside = [start for start in self.starts if at - window.seconds * SECOND <= start <= at]
            assert len(inside) <= window.calls, f"{len(inside)} starts in {window}"

    def check_pace(self, at):
        gap = self.vendor.windows[0].seconds * SECOND / self.vendor.windows[0].calls
        self.paced.append(at)
        catch_up = max(gap, 20_000) + 100  # starts of one moment are a microsecond apart
        for since, start in enumerate(self.paced):
            apart = len(self.paced) - 1 - since - self.refunds
            assert at - start >= apart * gap - catch_up

    def refunded(self, job):
        """Return the entry of a job that refunds its permit: one more may then start at once."""
        self.refunds += 1
        return replace(self.calls[job].entry, charge=str(self.calls[job].start or ""))

    def settle(self, job, **how):
        stream.settle(self.slug, [Settlement(job, self.calls[job].entry, **how)])

    def add(self, number, to=Stream.JOBS):
        jobs = [f"job{next(self.numbers)}" for _ in range(number)]
        if to == Stream.POLLS:
            stream.add_polls(self.slug, [(job, 1) for job in jobs])
        else:
            stream.add(self.slug, jobs, to)
        self.queued[to] += jobs

    def renew(self, job):
        self.slots_before = len(self.in_flight)
        entry = self.refunded(job)
        before = self.log_without(entry.charge)
        is_poll = self.calls[job].is_poll
        renewal = limiter.renew(self.vendor, "" if is_poll else job, entry.charge)
        if renewal.granted:
            fresh = [renewal.charge] if renewal.charge else []
            assert self.log() == [*fresh, *before][: len(self.log())]
            assert is_poll == (commands().zscore(self.keys.in_flight, job) is None)
            self.starts_at(job, renewal.charge)
        else:
            assert renewal.wait_seconds > 0
            if self.calls[job].start and entry.charge not in self.log():
                self.calls[job].start = None

    # Events

    @rule(number=st.integers(1, 8), to=st.sampled_from(list(QUEUES)))
    def jobs_are_queued(self, number, to):
        self.add(number, to)

    @precondition(lambda self: self.definition)
    @rule(number=st.integers(1, 8))
    def polls_are_due(self, number):
        self.add(number, Stream.POLLS)

    @rule(want=st.integers(1, 40), consumer=st.sampled_from("abc"))
    def a_worker_takes(self, want, consumer):
        self.slots_before = len(self.in_flight)
        event(f"takes {'some' if self.take(want, consumer).entries else 'none'}")

    @rule()
    def a_worker_waits_as_long_as_take_says(self):
        """The wait ends with a job, unless the queue is empty or no slot is free."""
        self.slots_before = len(self.in_flight)
        for _ in range(3):  # the end of a pause, and a wait for a window
            taken = self.take(1)
            if taken.entries:
                return
            if commands().delete(self.keys.pause):
                continue
            if self.keys.freed in taken.listen:
                assert commands().zcard(self.keys.in_flight) >= self.vendor.max_in_flight
                assert not self.queued[Stream.POLLS]
                return
            if taken.listen:
                assert not any(self.queued.values())
                return
            assert taken.wait_seconds > 0
            self.clock.passes(round(taken.wait_seconds * SECOND), [self.keys.log])
        raise AssertionError("no job after the wait")

    @precondition(lambda self: self.in_flight - self.waiting)
    @rule(data=st.data())
    def a_call_ends(self, data):
        job = data.draw(st.sampled_from(sorted(self.in_flight - self.waiting)))
        waits = data.draw(st.booleans())
        self.settle(job, frees_slot=not waits)
        call = self.calls.pop(job)
        if call.start:
            self.ended.append(call.start)
        if waits:
            self.waiting.add(job)

    @precondition(lambda self: any(call.is_poll for call in self.calls.values()))
    @rule(data=st.data())
    def a_poll_ends(self, data):
        polls = sorted(job for job, call in self.calls.items() if call.is_poll)
        job = data.draw(st.sampled_from(polls))
        self.settle(job)
        call = self.calls.pop(job)
        if call.start:
            self.ended.append(call.start)

    @precondition(lambda self: self.waiting)
    @rule()
    def a_callback_arrives(self):
        job = min(self.waiting)
        self.waiting.remove(job)
        stream.settle(self.slug, [Settlement(job, frees_slot=True)])

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), requeued=st.booleans())
    def a_call_is_not_made(self, data, requeued):
        job = data.draw(st.sampled_from(sorted(self.calls)))
        is_poll = self.calls[job].is_poll
        requeued = requeued and not is_poll
        entry = self.refunded(job)
        was_pending = bool(commands().xrange(getattr(self.keys, entry.stream), entry.id, entry.id))
        how = Requeue.IF_PENDING if requeued else Requeue.NO
        before = self.log_without(entry.charge)
        frees = {"frees_slot": not is_poll, "refunds": True}
        stream.settle(self.slug, [Settlement(job, entry, **frees, requeue=how)])
        assert self.log() == before
        del self.calls[job]
        if requeued and was_pending:
            self.queued[Stream.RETRIES].append(job)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_late_permit_is_renewed(self, data):
        self.renew(data.draw(st.sampled_from(sorted(self.calls))))

    @rule(us=st.integers(1, 2 * SECOND) | st.integers(1, 70 * SECOND))
    def time_passes(self, us):
        self.clock.passes(us, [self.keys.log])

    @rule()
    def a_job_arrives_after_a_rest(self):
        """The limits would permit more starts than there are jobs."""
        for _ in range(10):
            self.time_passes(70 * SECOND)
            self.a_worker_takes(40, "b")
        self.time_passes(70 * SECOND)
        self.add(1)
        self.a_worker_takes(5, "b")

    @rule(data=st.data())
    def starts_leave_their_windows(self, data):
        """One start too many would be permitted around the end of a window."""
        self.add(3)
        for window in self.vendor.windows:
            if len(self.starts) >= window.calls:
                leaves_at = self.starts[window.calls - 1] + window.seconds * SECOND
                off_us = data.draw(st.sampled_from([-1000, -1, 0, 1]))
                self.time_passes(max(0, leaves_at - self.clock.now_us + off_us))
                self.a_worker_takes(2, "a")

    @rule()
    def the_vendor_asks_for_a_pause(self):
        limiter.pause(self.slug, 600)

    @rule()
    def the_pause_ends(self):
        commands().delete(self.keys.pause)

    @rule(limits=st.sampled_from(LIMITS), cap=st.sampled_from([None, None, 1, 3]))
    def an_operator_changes_the_limits(self, limits, cap):
        self.set_limits(limits, cap)
        self.add(2)
        self.a_worker_waits_as_long_as_take_says()
        self.a_worker_waits_as_long_as_take_says()

    @rule(data=st.data())
    def redis_loses_everything(self, data):
        commands().flushall()
        time.sleep(0.001)  # entry ids are milliseconds: none may equal one from before
        self.clock.set(self.clock.now_us)
        self.queued = {of: [] for of in Stream}
        for call in self.calls.values():
            if data.draw(st.booleans()):
                # Taken, not claimed: no row shows it, and its permit will be renewed.
                call.start, call.has_slot = None, False
        self.reset_pace()
        self.rebuild()
        self.starts_leave_their_windows(data)
        for job in sorted(self.calls.keys() - self.in_flight):
            if self.calls[job].start is None:
                self.renew(job)

    @rule()
    def redis_loses_the_log(self):
        commands().delete(self.keys.log)
        self.reset_pace()
        self.add(2)
        self.a_worker_waits_as_long_as_take_says()


def test_no_window_is_broken_and_no_wait_is_too_long_in_any_order_of_events():
    quick = settings(
        max_examples=EXAMPLES or 120,
        stateful_step_count=40,
        derandomize=not EXAMPLES,
        database=None,
    )
    patient = settings(quick, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Limiter, settings=patient)
