"""What no store can keep concerns the job that it was the answer to, and no other."""

import pytest

from harness.vendor.scripted import Answer
from harness.waiting import wait_for
from jobs.models import Attempt, Job

HUGE = "9" * 400
BODIES = {
    "cost": f'{{"data": 1, "cost": {HUGE}}}',
    "text": f'{{"data": 1, "cost": "{HUGE}"}}',
    "confidence": f'{{"data": 1, "likelihood": {HUGE}}}',
    "reference": '{"id": "\\ud800"}',
}
OUTCOMES = {
    "cost": ("complete", ""),
    "text": ("complete", ""),
    "confidence": ("complete", ""),
    "reference": ("failed", "bad_reply"),
    "Boasts": ("complete", ""),
    "Unnamed": ("failed", "adapter_failed"),
    "NamedInNoText": ("failed", "adapter_failed"),
    "Hurries": ("waiting", ""),
    "Patient": ("waiting", ""),
    "RaisesInNoText": ("failed", "odd"),
}


@pytest.fixture
def vendors(make_vendor, vendor_server, transactional_db):
    vendor_server.answer = lambda arrival: Answer(text=BODIES[arrival.path.strip("/")])
    keys = {"result": "body.data", "cost": "body.cost", "confidence": "body.likelihood"}
    for slug in OUTCOMES:
        definition, adapter, url = {"poll": {}}, f"adapters.faulty.{slug}", vendor_server.url
        if slug in BODIES:
            definition, adapter, url = keys, "http", f"GET {vendor_server.url}{slug}"
        if slug == "reference":
            poll = {"url": f"GET {vendor_server.url}{{ref}}"}
            definition = {**keys, "reference": "body.id", "poll": poll}
        make_vendor(slug, adapter=adapter, url=url, definition=definition, max_attempts=1)


def test_each_vendor_gets_on_whatever_the_others_answer(vendors, submit, work):
    for slug in OUTCOMES:
        submit(1, slug)
    work()

    def found():
        return {job.vendor: (job.status, job.error_code) for job in Job.objects.all()}

    wait_for(lambda: found() == OUTCOMES, "all jobs to be answered")
    attempts = Attempt.objects.values_list("vendor", "cost", "confidence")
    assert {row[1:] for row in attempts} == {(None, None)}
