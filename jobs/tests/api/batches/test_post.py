"""POST /batches: each item is accepted or refused alone."""

import pytest

from jobs.models import Batch, Job, RefusedItem
from jobs.queue.keys import Keys

pytestmark = pytest.mark.django_db

JOHN = {"vendor": "acme", "name": "John Doe"}
ways = pytest.mark.parametrize("way", ["json", "lines"])


@pytest.fixture
def post(api, way):
    return getattr(api, way)


@ways
def test_items_are_accepted_or_refused_alone(post, acme, redis_client):
    items = [JOHN, {"vendor": "acme"}, 5, {**JOHN, "n": 1.50}]
    answer = post(items)
    assert answer.status_code == 202, answer.content
    batch = Batch.objects.get()
    shown = answer.json()
    refusals = shown.pop("refusals")
    assert shown == {
        "batch_id": batch.pk,
        "state": "running",
        "received": 4,
        "accepted": 2,
        "refused": 2,
    }
    assert [
        (each["index"], each["status"], each["code"], each["pointer"]) for each in refusals
    ] == [
        (1, 400, "required", "/name"),
        (2, 400, "not_an_object", None),
    ]
    assert answer["Location"] == f"/batches/{batch.pk}"
    assert int(answer["Retry-After"]) >= 1
    assert "Idempotency-Replayed" not in answer
    jobs = Job.objects.order_by("pk")
    assert [(job.batch, job.batch_index, job.input) for job in jobs] == [
        (batch.pk, 0, {"name": "John Doe"}),
        (batch.pk, 3, {"name": "John Doe", "n": 1.5}),
    ]
    assert [(each.batch_index, each.code) for each in RefusedItem.objects.order_by("pk")] == [
        (1, "required"),
        (2, "not_an_object"),
    ]
    entries = redis_client.xrange(Keys("acme").jobs)
    assert [entry["job"] for _, entry in entries] == [job.pk for job in jobs]
