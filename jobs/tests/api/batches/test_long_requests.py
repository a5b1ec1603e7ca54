"""Uploads and downloads that take long: what happens meanwhile to their key, and to others."""

import pytest

from clients import issuing
from clients.directory import directory
from harness.clients import ACTOR, bearer, issue, make_key
from jobs.api.access import slots
from jobs.api.batches import results
from jobs.api.batches.posting import receiver, upload
from jobs.models import Batch, Job
from jobs.tests.api.batches.conftest import JOHN, LINES, lines_of
from jobs.tests.batch_rows import make_batch

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@pytest.fixture
def key():
    return issue("team-a")


@pytest.fixture
def revoke(key):
    def revoke():
        issuing.revoke(key.key, ACTOR)
        directory.forget()  # it is half a second old at most

    return revoke


def test_an_upload_ends_when_its_key_is_revoked(api, acme, key, revoke, monkeypatch):
    monkeypatch.setattr(upload, "CHUNK_ITEMS", 1)
    take = receiver.Receiver.take

    def take_and_revoke(self, items, *, seals):
        take(self, items, seals=seals)
        revoke()

    monkeypatch.setattr(receiver.Receiver, "take", take_and_revoke)
    answer = api.send(lines_of([JOHN, JOHN]), LINES, "k-1", headers=bearer(key.text))
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert (Batch.objects.get().state, Job.objects.count()) == ("receiving", 1)


def test_a_download_ends_when_its_key_is_revoked(client, acme, key, revoke, monkeypatch):
    monkeypatch.setattr(results, "PART_BYTES", 1)
    batch = make_batch("complete", "complete", client="team-a", state="finished")
    answer = client.get(f"/batches/{batch.pk}/results", headers=bearer(key.text))
    parts = iter(answer._iterator)
    next(parts)
    revoke()
    with pytest.raises(ConnectionResetError):
        list(parts)
    answer._iterator.close()


@pytest.mark.parametrize("way", ["json", "lines"])
def test_a_key_for_some_vendors_does_not_continue_a_batch_of_others(api, make_vendor, way):
    make_vendor("acme")
    make_vendor("globex")
    whole, limited = bearer(make_key("team-a")), bearer(make_key("team-a", vendors="globex"))
    api.cut([JOHN, {**JOHN, "vendor": "globex"}], headers=whole)
    item = {**JOHN, "vendor": "globex"}
    if way == "lines":
        answer = api.send(lines_of([item]), LINES, "k-1", headers=limited)
    else:
        answer = api.json([item], key="k-1", headers=limited)
    assert (answer.status_code, answer.json()["code"]) == (403, "vendor_not_allowed")
    assert Batch.objects.get().state == "receiving"


def test_one_batch_in_json_at_a_time_is_in_memory(api, acme, monkeypatch):
    monkeypatch.setattr(upload, "seconds_left", lambda: 0.01)
    with slots.whole_batch:
        refused = api.json([JOHN])
        assert api.lines([JOHN]).status_code == 202
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert api.json([JOHN]).status_code == 202
