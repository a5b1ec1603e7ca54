"""POST /jobs with an Idempotency-Key: a repeated request gets the job of the first one."""

import json
import string

import pytest
from django.db import OperationalError, connection
from pymongo.errors import AutoReconnect

from audit.record import Actor
from clients import issuing
from clients.models import Client
from clients.scopes import Scope
from jobs import operator_actions
from jobs.api import idempotency
from jobs.models import Job, Stream
from jobs.queue import stream
from jobs.queue.backlog import backlog
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.storage import bulk_writes
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.django_db

BODY = {"vendor": "acme", "name": "John Doe", "more": {"a": 1, "b": [1, 2.5, None]}}
TEST = Actor("test")


@pytest.fixture(autouse=True)
def acme(make_vendor):
    return make_vendor()


def post(client, body=BODY, key="k-1", **headers):
    text = body if isinstance(body, str) else json.dumps(body)
    headers |= {} if key is None else {"Idempotency-Key": key}
    return client.post("/jobs", text, content_type="application/json", headers=headers)


def bearer(issued):
    return {"Authorization": f"Bearer {issued.text}"}


def api_key(slug, **fields):
    owner, _ = Client.objects.get_or_create(slug=slug)
    return issuing.create(owner, TEST, name="key", scopes=",".join(Scope), **fields)


def assert_replayed(answer, job_id, status="queued"):
    assert answer.status_code == 202, answer.content
    assert answer.json() == {"request_id": job_id, "status": status}
    assert answer["Location"] == f"/jobs/{job_id}"
    assert answer["Idempotency-Replayed"] == "true"
    assert Job.objects.count() == 1


def assert_refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.fixture
def first(client):
    answer = post(client)
    assert (answer.status_code, answer.has_header("Idempotency-Replayed")) == (202, False)
    return answer.json()["request_id"]


def test_a_repeated_request_gets_the_first_job(client, first, redis_client):
    answer = post(client)
    assert_replayed(answer, first)
    assert 1 <= int(answer["Retry-After"]) <= 60


def test_a_repeated_request_is_not_queued_again(client, redis_client):
    post(client)
    post(client)
    assert redis_client.xlen(Keys("acme").jobs) == 1


def test_without_a_key_each_request_makes_a_job(client):
    ids = {post(client, key=None).json()["request_id"] for _ in range(3)}
    assert len(ids) == Job.objects.count() == 3
    assert set(Job.objects.values_list("idempotency_key", "fingerprint")) == {(None, "")}


def test_other_keys_make_other_jobs(client, first):
    for key in ("k-2", "K-1", "k-1 x"):
        assert not post(client, key=key).has_header("Idempotency-Replayed")
    assert Job.objects.count() == 4


@pytest.mark.parametrize(
    "spelling",
    [
        '{"more": {"b": [1, 2.5, null], "a": 1}, "name": "John Doe", "vendor": "acme"}',
        '{"vendor":"acme","name":"John Doe","more":{"a":1,"b":[1,2.5,null]}}',
        ' {"vendor" : "\\u0061cme",\n"name":"John\\u0020Doe", "more":{"a":1,"b":[1,2.5,null]}}\n',
    ],
)
def test_the_spelling_of_a_body_does_not_matter(client, first, spelling):
    assert_replayed(post(client, spelling), first)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"a": 1', '"a": 1.0'),
        ('"a": 1', '"a": 2'),
        ('"a": 1', '"a": true'),
        ('"a": 1', '"a": "1"'),
        ('"a": 1', '"A": 1'),
        ("2.5", "2.50000000000000000001"),
        ("null", "[]"),
        ("[1, 2.5, null]", "[2.5, 1, null]"),
        ("John Doe", "John Doe "),
        ('"vendor"', '"options": {}, "vendor"'),
    ],
)
def test_another_body_is_refused(client, first, old, new):
    other = json.dumps(BODY).replace(old, new)
    assert other != json.dumps(BODY)
    assert_refused(post(client, other), 422, "idempotency_key_reused")
    assert Job.objects.count() == 1


def test_a_body_that_is_not_valid_is_refused_alike(client, first):
    assert_refused(post(client, {"vendor": 5}), 422, "idempotency_key_reused")


@pytest.mark.parametrize("exact", ["1234567890123456.789", "1e400", "12345678901234567890"])
def test_long_numbers_are_compared_by_all_their_digits(client, exact):
    body = '{"vendor": "acme", "name": "John Doe", "n": %s}'
    if post(client, body % exact).status_code == 202:
        assert post(client, body % exact)["Idempotency-Replayed"] == "true"
        assert_refused(post(client, body % f"{exact}1"), 422, "idempotency_key_reused")


# The form of the key.


@pytest.mark.parametrize(
    ("one", "other"),
    [("k-1", '"k-1"'), ('a"b\\c', r'"a\"b\\c"'), ("x" * 255, f'"{"x" * 255}"'), ("a b", '"a b"')],
)
def test_a_key_may_be_in_quotes(client, one, other):
    job_id = post(client, key=one).json()["request_id"]
    assert_replayed(post(client, key=other), job_id)


@pytest.mark.parametrize(
    "key",
    [
        "",
        '""',
        '"',
        '"a',
        'a"b"c"'[1:],
        r'"a\b"',
        '"a"b"',
        '"a";x=1',
        "x" * 256,
        "ü",
        "a\tb",
        "a,b",  # also two headers
        "\x7f",
    ],
)
def test_a_malformed_key_is_refused(client, key):
    assert_refused(post(client, key=key), 400, "bad_idempotency_key")
    assert not Job.objects.exists()


def test_every_printable_character_but_a_comma_may_be_in_a_key_without_quotes(client):
    key = "".join(sorted(string.ascii_letters + string.digits + string.punctuation + " ")).strip()
    key = key.removeprefix('"').replace(",", "")
    job_id = post(client, key=key).json()["request_id"]
    assert_replayed(post(client, key=key), job_id)
    assert Job.objects.get().idempotency_key == key


# What does not count.


@pytest.mark.parametrize("bad", [{"vendor": "acme", "name": ""}, {"vendor": "other", "name": "x"}])
def test_a_refused_request_leaves_no_key(client, bad):
    assert post(client, bad).status_code == 400
    answer = post(client)
    assert (answer.status_code, answer.has_header("Idempotency-Replayed")) == (202, False)


def test_a_request_to_a_full_queue_leaves_no_key(client, acme, redis_client):
    acme.max_queued = 1
    acme.save()
    catalogue.forget()
    stream.add("acme", ["a"], Stream.JOBS)
    assert post(client).status_code == 429
    redis_client.flushall()
    backlog.forget()
    assert post(client).status_code == 202


# What a key outlives.


def test_a_key_outlives_the_loss_of_redis(client, first, redis_client):
    redis_client.flushall()
    assert_replayed(post(client), first)


def test_a_key_outlives_its_vendor(client, first):
    Vendor.objects.update(enabled=False)
    catalogue.forget()
    assert_replayed(post(client), first)
    Vendor.objects.all().delete()
    catalogue.forget()
    assert_replayed(post(client), first)


def test_a_key_outlives_a_full_queue(client, acme, redis_client):
    first = post(client).json()["request_id"]
    acme.max_queued = 1
    acme.save()
    catalogue.forget()
    backlog.forget()
    assert post(client, key="k-2").status_code == 429
    assert_replayed(post(client), first)


def test_a_key_outlives_the_api_key_that_was_sent_with_it(client):
    old = api_key("globex")
    job_id = post(client, **bearer(old)).json()["request_id"]
    new = issuing.rotate(old.key, TEST)
    issuing.revoke(old.key, TEST)
    assert post(client, **bearer(old)).status_code == 401
    assert_replayed(post(client, **bearer(new)), job_id)


def test_clients_have_keys_of_their_own(client):
    headers = [bearer(api_key(slug)) for slug in ("one", "two")]
    answers = [post(client, **each) for each in headers * 2]
    assert [answer.has_header("Idempotency-Replayed") for answer in answers] == [0, 0, 1, 1]
    assert len({answer.json()["request_id"] for answer in answers}) == Job.objects.count() == 2


@pytest.mark.parametrize("status", ["processing", "waiting", "complete", "failed", "cancelled"])
def test_a_repeated_request_gets_the_present_status(client, first, status):
    Job.objects.update(status=status)
    answer = post(client)
    assert_replayed(answer, first, "processing" if status == "waiting" else status)
    assert answer.has_header("Retry-After") == (status in ("processing", "waiting"))


def test_a_key_stays_with_its_job_when_that_is_retried(client, first):
    Job.objects.update(status="failed", error_code="invalid_input")
    assert operator_actions.retry(Job.objects.get(), redis_clock.now())
    assert_replayed(post(client), first)


def test_a_key_is_forgotten_with_its_job(client, first):
    Job.objects.all().delete()
    answer = post(client)
    assert (answer.status_code, answer.has_header("Idempotency-Replayed")) == (202, False)
    assert answer.json()["request_id"] != first


# Losing to a concurrent request.


@pytest.fixture
def concurrent(client, monkeypatch):
    """Let a concurrent request be stored after this one has looked for its key."""

    def store(body=BODY):
        find, inserts = idempotency.FIRST.find_durable, []

        def find_and_insert(key, owner):
            found = find(key, owner)
            if not inserts:
                inserts.append(key)
                post(client, body)
            return found

        monkeypatch.setattr(idempotency.FIRST, "find_durable", find_and_insert)

    return store


def test_the_loser_gets_the_winners_job_and_is_not_queued(client, concurrent, redis_client):
    concurrent()
    answer = post(client)
    assert_replayed(answer, Job.objects.get().pk)
    [(_, entry)] = redis_client.xrange(Keys("acme").jobs)
    assert entry["job"] == Job.objects.get().pk


def test_the_loser_with_another_body_is_refused(client, concurrent, redis_client):
    concurrent({**BODY, "name": "Jane Roe"})
    assert_refused(post(client), 422, "idempotency_key_reused")
    assert redis_client.xlen(Keys("acme").jobs) == Job.objects.count() == 1


def test_the_loser_is_stored_if_the_winner_is_pruned_at_once(client, concurrent, monkeypatch):
    concurrent()
    insert, inserted = bulk_writes.insert_each, []

    def insert_and_prune(jobs):
        stored = insert(jobs)
        inserted.append(stored)
        if stored == [False]:
            Job.objects.all().delete()
        return stored

    monkeypatch.setattr(bulk_writes, "insert_each", insert_and_prune)
    answer = post(client)
    assert inserted == [[True], [False], [True]]
    assert (answer.status_code, answer.has_header("Idempotency-Replayed")) == (202, False)
    assert Job.objects.get().pk == answer.json()["request_id"]


def test_a_winner_that_stays_unconfirmed_is_answered_with_503(client, first, monkeypatch):
    monkeypatch.setattr(idempotency.FIRST, "find_durable", lambda key, owner: None)
    monkeypatch.setattr("jobs.storage.store.seconds_left", lambda: 0.1)
    assert_refused(post(client), 503, "store_unavailable")
    assert Job.objects.count() == 1


def test_a_store_that_does_not_answer_is_answered_with_503(client, first, monkeypatch):
    def away(key, owner):
        raise AutoReconnect if connection.vendor == "mongodb" else OperationalError

    monkeypatch.setattr(idempotency.FIRST, "find_durable", away)
    assert_refused(post(client), 503, "store_unavailable")


def test_a_request_whose_commit_was_interrupted_can_be_repeated(client, monkeypatch):
    """Whether the row was stored or not."""
    insert = bulk_writes.insert_each

    def then_fail(jobs):
        insert(jobs)
        raise OperationalError("interrupted")

    with monkeypatch.context() as patch:
        patch.setattr(bulk_writes, "insert_each", then_fail)
        assert_refused(post(client), 503, "store_unavailable")
    was_stored = Job.objects.count()
    assert was_stored == (connection.vendor == "mongodb")
    answer = post(client)
    assert answer.has_header("Idempotency-Replayed") == bool(was_stored)
    assert Job.objects.get().pk == answer.json()["request_id"]


@pytest.mark.skipif(connection.vendor != "mongodb", reason="SQLite always replies")
def test_an_insert_that_is_repeated_because_its_reply_was_lost_is_no_repeat(client, monkeypatch):
    write = bulk_writes._insert_on_mongodb

    def twice(model, rows):
        write(model, rows)
        return write(model, rows)

    monkeypatch.setattr(bulk_writes, "_insert_on_mongodb", twice)
    answer = post(client)
    assert (answer.status_code, answer.has_header("Idempotency-Replayed")) == (202, False)
    assert Job.objects.get().pk == answer.json()["request_id"]


# API keys for some vendors.


def test_a_key_for_other_vendors_neither_posts_nor_replays(client, first, make_vendor):
    make_vendor("globex")
    headers = bearer(api_key("default", vendors="globex"))
    assert_refused(post(client, **headers), 403, "vendor_not_allowed")
    unknown = post(client, {**BODY, "vendor": "nowhere"}, key=None, **headers)
    assert_refused(unknown, 403, "vendor_not_allowed")
    assert "acme" not in unknown.content.decode()
