"""Which vendors a worker takes from, and how it rebuilds limits that Redis lost."""

from datetime import timedelta

import pytest

from harness.limits import restore_own
from jobs.models import Stream
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.health.pausing import pause_users
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.stream import Settlement
from jobs.queue.take import take
from jobs.recovery.key_pauses import pause_or_resume_users
from jobs.recovery.polls import add_due_polls
from jobs.recovery.rebuild import rebuild
from jobs.tests.polling import POLLED, waiting
from jobs.worker.held_entries import HeldEntries
from jobs.worker.schedule import Schedule
from jobs.worker.taker import Taker
from jobs.worker.threads.pool import Pool
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Credential, CredentialKey, Vendor
from vendors.pauses import keys

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")


def vendor_with(slug, rate_limits=""):
    vendor = Vendor(slug=slug, adapter="sync", rate_limits=rate_limits)
    restore_own(slug, vendor.windows, [], [])
    return vendor


def test_a_vendor_with_a_new_limit_is_rebuilt_although_another_has_a_backlog():
    busy, changed = vendor_with("busy"), vendor_with("changed", "10/s")
    changed = Vendor(slug="changed", adapter="sync", rate_limits="10/s, 100/min")
    stream.add("busy", [str(number) for number in range(30)], Stream.JOBS)
    stream.add("changed", ["job"], Stream.JOBS)
    schedule, held = Schedule(), HeldEntries("w", Heartbeat("w"))
    schedule.serve({"busy": busy, "changed": changed})
    pool = Pool(12, lambda task: None, lambda: None)  # with room for 8 of one vendor
    taker = Taker("w", schedule, held, pool)
    slugs = set()
    for _ in range(5):
        for taken in taker.take():
            slugs.add(taken.vendor.slug)
            settlements = [
                Settlement(entry.job_id, entry, frees_slot=True) for entry in taken.entries
            ]
            stream.settle(taken.vendor.slug, settlements)
    assert slugs == {"busy", "changed"}


def test_a_vendor_whose_only_charge_was_refunded_is_not_stale():
    vendor = vendor_with("one", "10/min")
    stream.add("one", ["a", "b"], Stream.JOBS)
    [entry] = take(vendor, "w", 1).entries
    stream.settle("one", [stream.refused(entry, frees_slot=True)])
    assert not take(vendor, "w", 1).stale


@pytest.fixture
def out_of_credits(make_vendor, make_job, monkeypatch):
    """Return a function that pauses a vendor whose keys have these reasons, with a job to call and
    one to poll.
    """

    def make(*reasons):
        names = [f"VENDOR_KEY_{number}" for number in range(len(reasons))]
        for name in names:
            monkeypatch.setenv(name, "k3y")
        definition = {"header": "X-Key", "keys_env": names}
        Credential.objects.create(slug="pdl", definition=definition)
        rebuild([make_vendor(definition={**POLLED, "credential": "pdl"})])
        for name, reason in zip(names, reasons, strict=True):
            keys.pause("pdl", name, reason)
        pause_users("pdl")
        assert Vendor.objects.get().paused
        stream.add("acme", ["job"], Stream.JOBS)
        waiting(make_job, credential=names[0])
        return make_taker()

    return make


def make_taker():
    schedule, pool = Schedule(), Pool(12, lambda task: None, lambda: None)
    schedule.serve(catalogue.all())
    return Taker("w", schedule, HeldEntries("w", Heartbeat("w")), pool)


def streams_of(taker):
    return [entry.stream for taken in taker.take() for entry in taken.entries]


@pytest.mark.parametrize("reasons", [[pauses.UNPAID], [pauses.UNPAID, pauses.DENIED]])
def test_polls_go_on_while_no_key_has_credits(out_of_credits, reasons):
    taker = out_of_credits(*reasons)
    assert (add_due_polls(), streams_of(taker)) == (1, [Stream.POLLS])
    CredentialKey.objects.all().delete()  # no call is made as long as the vendor is paused
    catalogue.forget()
    assert streams_of(make_taker()) == []


@pytest.mark.sqlite
@pytest.mark.parametrize("reason", [pauses.DENIED, "The operator's."])
def test_they_stop_with_a_key_that_is_paused_for_another_reason(out_of_credits, reason):
    taker = out_of_credits(reason)
    assert (add_due_polls(), streams_of(taker)) == (0, [])


def _by_vendor():
    end, now = redis_clock.now() + timedelta(minutes=1), redis_clock.now()
    assert pauses.pause_until("acme", end, pauses.SLOW_DOWN, now=now)


@pytest.mark.parametrize("pause", [_by_vendor, lambda: pauses.pause("acme", "Budget.", "ann")])
def test_another_pause_stops_them_and_stays(out_of_credits, pause):
    out_of_credits(pauses.UNPAID)
    pause()
    reason = Vendor.objects.get().pause_reason
    pause_or_resume_users()
    assert (add_due_polls(), streams_of(make_taker())) == (0, [])
    assert Vendor.objects.get().pause_reason == reason != pauses.UNPAID


def test_the_pause_for_lack_of_credits_is_back_once_another_has_ended(out_of_credits):
    taker = out_of_credits(pauses.UNPAID)
    _by_vendor()
    Vendor.objects.update(paused_until=redis_clock.now())
    catalogue.forget()
    assert streams_of(taker) == []
    pause_or_resume_users()
    assert (Vendor.objects.get().pause_reason, CredentialKey.objects.get().paused) == (
        pauses.UNPAID,
        True,
    )
