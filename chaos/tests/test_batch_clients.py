"""The clients that post batches, against an API that is scripted."""

import pytest

from chaos.batches import client, drafts
from chaos.batches.client import BatchClients
from chaos.tests.test_client import SEED, Keys
from harness.vendor.scripted import Answer, VendorServer
from harness.waiting import wait_for

ACCEPTED = Answer(202, {"batch_id": "b1", "received": 1, "accepted": 1, "refused": 0})


@pytest.fixture
def posts(monkeypatch):
    """Let clients post one batch of a shape; yields a function that returns it and the requests."""
    monkeypatch.setattr(client, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(client, "PIECE_SECONDS", 0.0)
    monkeypatch.setattr(client, "THREADS", 1)
    servers = []

    def posts(script, shape):
        monkeypatch.setattr(drafts, "SHAPES", [shape])
        # With a Content-Length, which is all that the scripted server reads.
        monkeypatch.setattr(drafts.Draft, "length", property(lambda draft: len(draft.body)))
        server = VendorServer(script)
        servers.append(server)
        clients = BatchClients([server.url.rstrip("/")], SEED, 100.0, Keys())
        monkeypatch.setattr(clients, "_due_times", enumerate([0.0, 1000.0]))
        clients.start()
        wait_for(lambda: clients.parcels and clients.parcels[0].is_sealed, "the batch")
        clients.stop()
        [parcel] = clients.parcels
        return parcel, server.arrivals

    yield posts
    for server in servers:
        server.stop()


def after(*failures):
    """Fail in these ways first; after that accept each upload."""
    left = list(failures)

    def answer(arrival):
        if not arrival.path.startswith("/batches?") and arrival.path != "/batches":
            return Answer(404, {})
        if arrival.method == "GET":
            return Answer(200, {"items": [{"batch_id": "b1"}]})
        return left.pop(0) if left else ACCEPTED

    return answer


def uploads(arrivals):
    of_batches = [each for each in arrivals if each.path.partition("?")[0] == "/batches"]
    return [each for each in of_batches if each.method == "POST"]


@pytest.mark.parametrize("form", [drafts.JSON, drafts.NDJSON])
def test_an_upload_is_repeated_unchanged_until_it_is_accepted(posts, form):
    cut_short = Answer(400, {"code": "body_cut_short"})
    failures = [b"no HTTP\r\n\r\n", Answer(503, {}), Answer(429, {}), Answer(408, {}), cut_short]
    parcel, arrivals = posts(after(*failures), (form, ""))
    assert [each.answer for each in parcel.sent[1:]] == ["503", "429", "408", "400", "202"]
    assert len({each.raw for each in uploads(arrivals)}) == 1
    assert parcel.batch_id == "b1"


def test_an_upload_is_cut_off_half_way_and_sent_again(posts):
    parcel, arrivals = posts(after(), (drafts.NDJSON, "cut"))
    assert [each.answer for each in parcel.sent] == ["Cut", "202"]
    assert len(uploads(arrivals)) == 1  # the first was never complete


def test_the_same_upload_is_sent_twice_at_once(posts):
    slow = Answer(202, ACCEPTED.body, delay_seconds=0.2)
    parcel, arrivals = posts(after(slow, slow), (drafts.JSON, "at_once"))
    first, second = parcel.sent
    assert max(first.at, second.at) < min(first.at, second.at) + 0.2
    assert len({each.raw for each in uploads(arrivals)}) == 1


def test_a_batch_is_cancelled_half_way_through_its_upload(posts):
    parcel, arrivals = posts(after(), (drafts.NDJSON, "cancel_upload"))
    assert [each.path for each in arrivals[:2]] == [
        f"/batches?reference={parcel.draft.reference}",
        "/batches/b1/cancel",
    ]
    assert (parcel.cancel_requested, parcel.cancelled_at) == (True, 0.0)
