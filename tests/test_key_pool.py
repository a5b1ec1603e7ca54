"""One of two keys runs out of credits in the middle of the queue: no job fails, and the other key
goes on at its full rate. When it has run out as well, the vendor is paused.
"""

import os
from collections import Counter
from threading import Lock

import pytest

from harness.vendor.scripted import Answer, done
from harness.waiting import wait_for
from jobs.models import Attempt, Job
from jobs.queue.clock import redis_clock
from tests.conftest import statuses, wait_until_final
from vendors import pauses
from vendors.models import Credential, CredentialKey, Limit, Vendor

JOBS = int(os.environ.get("KEY_POOL_JOBS", "90"))
RATE = 40  # calls a second with each key
MARGIN_SECONDS = 0.07
FIRST, SECOND = "VENDOR_POOL_KEY_1", "VENDOR_POOL_KEY_2"
KEYS = {FIRST: "f1rst-key", SECOND: "s3cond-key"}
# In few jobs, the start of a worker and other tests at the same time weigh more.
MIN_USE = 0.93 if JOBS >= 500 else 0.6

pytestmark = pytest.mark.sqlite


class Accounts:
    """Answers as long as the key has credits, and notes when each was refused or answered."""

    def __init__(self, **credit: int) -> None:
        self.credit = dict(credit)
        self.answered: list[tuple[float, str, str]] = []
        self.refused: list[tuple[float, str]] = []
        self._lock = Lock()

    def __call__(self, arrival):
        key = next(name for name, key in KEYS.items() if key == arrival.headers["x-key"])
        with self._lock:
            if self.credit[key] <= 0:
                self.refused.append((arrival.at, key))
                return Answer(402, {"error": "out of credit"})
            self.credit[key] -= 1
            self.answered.append((arrival.at, key, arrival.key))
        return done(arrival)


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, transactional_db, monkeypatch):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    Credential.objects.create(slug="acme", definition={"header": "X-Key", "keys_env": [*KEYS]})
    Limit.objects.create(slug="plan", definition={"windows": f"{RATE}/s", "per": "credential"})
    definition = {"json": {"name": "{input.name}"}, "credential": "acme", "limits": ["plan"]}
    url = f"POST {vendor_server.url}"
    make_vendor(adapter="http", url=url, required_input="", max_attempts=1, definition=definition)


@pytest.fixture
def start(work, start_worker):
    """Start a worker in this process or, for many jobs, three processes."""
    return work if JOBS < 500 else lambda: start_worker("--processes", "3", **KEYS)


def test_the_other_key_goes_on_at_its_full_rate(vendor_server, start, submit):
    vendor_server.answer = accounts = Accounts(**{FIRST: JOBS // 4, SECOND: JOBS})
    jobs = submit(JOBS)
    start()
    wait_until_final(JOBS / RATE + 60)
    assert statuses() == ["complete"] * JOBS
    assert set(Job.objects.values_list("failures", flat=True)) == {0}
    assert Counter(job for _, _, job in accounts.answered) == Counter(job.pk for job in jobs)
    assert CredentialKey.objects.get().pause_reason == pauses.UNPAID
    assert not Vendor.objects.get().is_paused(redis_clock.now())
    # Refused are only those calls that were under way when the first one was.
    assert len(accounts.refused) <= RATE / 4
    assert {key for _, key in accounts.refused} == {FIRST}
    kept = Attempt.objects.values_list("credential", "outcome")
    assert Counter(kept) == Counter(
        [(key, "found") for _, key, _ in accounts.answered]
        + [(key, "no_credits") for _, key in accounts.refused]
    )
    alone = sorted(at for at, key, _ in accounts.answered if key == SECOND)
    alone = [at for at in alone if at > accounts.refused[0][0]]
    used = (len(alone) - 1) / (alone[-1] - alone[0]) / (RATE / (1 + MARGIN_SECONDS))
    assert used > MIN_USE, f"{used:.0%} of its rate"
    for key in KEYS:
        calls = Attempt.objects.filter(credential=key).order_by("started_at")
        starts = [at.timestamp() for at in calls.values_list("started_at", flat=True)]
        pairs = zip(starts, starts[RATE:], strict=False)
        assert all(later - first > 1 + MARGIN_SECONDS for first, later in pairs)


def test_the_vendor_is_paused_when_no_key_has_credits(vendor_server, work, submit):
    vendor_server.answer = accounts = Accounts(**{FIRST: 2, SECOND: 3})
    jobs = submit(9)
    work()
    wait_for(lambda: Vendor.objects.get().paused, "the vendor to be paused")
    wait_for(lambda: set(statuses()) == {"complete", "queued"}, "calls under way to end")
    assert Vendor.objects.get().pause_reason == pauses.NONE_USABLE + pauses.UNPAID
    assert len(accounts.answered) == 5
    accounts.credit[SECOND] = 9
    pauses.keys.resume("acme", SECOND, now=redis_clock.now())
    wait_until_final()
    assert Counter(job for _, _, job in accounts.answered) == Counter(job.pk for job in jobs)
    assert [key for _, key, _ in accounts.answered[5:]] == [SECOND] * 4
