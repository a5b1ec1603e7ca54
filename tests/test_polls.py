"""Vendors that are polled, by real workers."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from harness.vendor.scripted import Answer, Arrival
from harness.vendor.strict import StrictVendor
from jobs.models import Attempt, Job, Kind
from tests.conftest import statuses, wait_until_final

ADAPTER = "adapters.polled.Polled"
LIMIT = 20
MARGIN_MS = 500  # as in test_strict_vendor
POLLS = 2  # of a job, until it is done


class Tasks:
    """What a vendor does with its tasks: each is done when it is asked for the second time."""

    def __init__(self) -> None:
        self.polls: Counter[str] = Counter()

    def __call__(self, arrival: Arrival) -> Answer:
        body = arrival.body
        if "poll" not in body:
            return Answer(202, {"id": f"task of {body['name']}"})
        self.polls[body["poll"]] += 1
        is_done = self.polls[body["poll"]] >= POLLS
        return Answer(body={"result": {"task": body["poll"]}} if is_done else {"state": "pending"})


@pytest.fixture
def strict_vendor() -> Iterator[StrictVendor]:
    server = StrictVendor(LIMIT, jitter_seconds=0.03, answer=Tasks())
    yield server
    server.stop()


def test_jobs_that_fill_the_cap_all_end_by_poll(make_vendor, start_worker, submit, vendor_server):
    """No callback ever comes, and the jobs that wait for one hold all slots."""
    vendor_server.answer = Tasks()
    definition = {"poll": {"every": "200ms", "give_up": "5min"}}
    make_vendor(adapter=ADAPTER, url=vendor_server.url, max_in_flight=5, definition=definition)
    submit(8)
    start_worker("--drain").end()
    assert statuses() == ["complete"] * 8
    assert {job.attempt for job in Job.objects.all()} == {1}
    polls = Attempt.objects.filter(kind=Kind.POLL)
    assert Counter(polls.values_list("outcome", flat=True)) == {"pending": 8, "found": 8}
    assert len(vendor_server.arrivals) == 3 * 8


@pytest.mark.about_redis
def test_calls_and_polls_together_never_exceed_the_vendors_limit(
    make_vendor, start_worker, submit, strict_vendor
):
    fields = {"rate_limits": f"{LIMIT}/s", "arrival_margin_ms": MARGIN_MS}
    definition = {"poll": {"every": "500ms", "give_up": "5min"}}
    make_vendor(adapter=ADAPTER, url=strict_vendor.url, definition=definition, **fields)
    jobs = submit(14)
    start_worker()
    start_worker("--drain")
    wait_until_final()
    assert statuses() == ["complete"] * len(jobs)
    assert not strict_vendor.refusals
    assert len(strict_vendor.arrivals) == (1 + POLLS) * len(jobs)
    starts = defaultdict(list)
    for arrival in strict_vendor.arrivals:
        starts[arrival.key, "poll" in arrival.body].append(arrival.at)
    assert Counter(map(len, starts.values())) == {1: len(jobs), POLLS: len(jobs)}
