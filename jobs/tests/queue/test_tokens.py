"""One token serves all workers: whoever finds none asks, and the others wait or use the old one."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.utils import timezone

from harness.vendor.scripted import Answer
from harness.vendor.tokens import CLIENT, SECRET, TOKEN_PATH, TokenVendor
from harness.waiting import wait_for
from jobs.callbacks import receive
from jobs.queue import tokens
from jobs.queue.keys import token_keys
from jobs.queue.tokens import NoTokenError, sealing, shared
from vendors.base import Access, Call, VendorError
from vendors.catalogue import catalogue
from vendors.execute import execute
from vendors.models import Credential, Vendor, new_id

pytestmark = [pytest.mark.sqlite, pytest.mark.usefixtures("redis_client")]

THREADS = 50


class Tokens:
    """The tokens of one credential, and the server that issues them."""

    def __init__(self, redis_client):
        self.server, self.redis = TokenVendor(), redis_client
        oauth2 = {
            "token_url": self.server.url.rstrip("/") + TOKEN_PATH,
            "id_env": "VENDOR_SNOV_ID",
            "secret_env": "VENDOR_SNOV_SECRET",
        }
        self.vendor = Vendor(slug="snov", adapter="http", definition={"credential": "snov"})
        self.vendor.credential = Credential(slug="snov", definition={"oauth2": oauth2})
        self.grant = self.vendor.credential.grant

    @property
    def key(self):
        return token_keys("snov", sealing.digest(self.grant.identity))[0]

    def current(self):
        return tokens.current(self.vendor, self.grant)

    def all_at_once(self, count=THREADS):
        """Return what as many threads get; each a value, or the code of an error."""

        def get(_):
            try:
                return self.current().value
            except VendorError as error:
                return error.code

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(get, range(count)))

    def age(self, share):
        """Have the token live for only this share of its life."""
        life = int(self.redis.hget(self.key, "life"))
        self.redis.pexpire(self.key, round(life * (1 - share)))


@pytest.fixture
def snov(redis_client, monkeypatch):
    monkeypatch.setenv("VENDOR_SNOV_ID", CLIENT)
    monkeypatch.setenv("VENDOR_SNOV_SECRET", SECRET + "\n")
    found = Tokens(redis_client)
    yield found
    found.server.stop()


def test_as_many_threads_as_may_be_need_one_request(snov):
    snov.server.token_delay_seconds = 0.1
    assert set(snov.all_at_once()) == set(snov.server.issued)
    assert len(snov.server.asked) == 1
    snov.redis.flushall()
    assert set(snov.all_at_once()) == {snov.server.issued[1]}
    assert len(snov.server.asked) == 2


def test_the_old_token_serves_while_one_thread_renews_it(snov):
    old = snov.current().value
    snov.age(0.75)
    assert snov.current().value == old
    snov.age(0.85)
    snov.server.hold.clear()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(snov.current)
        wait_for(lambda: len(snov.server.asked) == 2, "the renewal to begin")
        assert set(snov.all_at_once(10)) == {old}
        snov.server.hold.set()
        new = renewing.result()
    assert new.is_fresh
    assert snov.all_at_once(2) == [new.value] * 2 == [snov.server.issued[1]] * 2
    assert len(snov.server.asked) == 2


def test_a_renewal_that_fails_costs_nothing_while_the_old_token_lives(snov):
    old = snov.current()
    snov.age(0.9)
    snov.server.refusal = Answer(503)
    assert {snov.current().value for _ in range(5)} == {old.value}
    assert len(snov.server.asked) == 2  # and not at each call
    assert 0 < snov.redis.pttl(snov.key.replace(":token:", ":no_token:")) <= 1000


def test_a_refused_token_is_dropped_once(snov):
    old = snov.current()
    tokens.drop(snov.vendor, snov.grant, old)
    new = snov.current()
    tokens.drop(snov.vendor, snov.grant, old)
    assert snov.current().value == new.value != old.value
    assert len(snov.server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "code", "sentence"),
    [
        (Answer(400, {"error": "invalid_client"}), "auth", "(status 400, invalid_client)"),
        (Answer(429, headers=(("Retry-After", "7"),)), "rate_limited", "is rate limiting us"),
        (Answer(503), "vendor_error", "answered with an error (status 503)"),
    ],
)
def test_those_who_wait_share_the_failure(snov, answer, code, sentence):
    snov.server.refusal = answer
    assert snov.all_at_once(20) == [code] * 20
    with pytest.raises(VendorError, match="status") as caught:
        snov.current()
    error = caught.value
    assert sentence in error.message
    assert (error.outage, error.outcome_known) == (code == "vendor_error", True)
    assert (error.retry_after is not None) == (code == "rate_limited")
    assert len(snov.server.asked) == 1


def test_who_waits_too_long_gives_up_and_a_dead_holder_is_replaced(snov, monkeypatch):
    monkeypatch.setattr(shared, "WAIT_SECONDS", 0.1)
    lease = snov.key.replace(":token:", ":asking:")
    snov.redis.set(lease, "dead", px=400)
    with pytest.raises(NoTokenError):
        snov.current()
    monkeypatch.setattr(shared, "WAIT_SECONDS", 20)
    assert snov.current().value == snov.server.issued[0]


def test_who_answers_after_its_lease_replaces_no_newer_token(snov):
    lease, other = snov.key.replace(":token:", ":asking:"), "other"
    late = shared._Tokens(snov.vendor, snov.grant)
    assert late._read() == (None, "ask")
    snov.redis.set(lease, other)
    late._keep(shared.Issued("late", 60), 0)
    assert not snov.redis.exists(snov.key)
    snov.redis.delete(lease)
    new = snov.current().value
    late._keep(shared.Issued("late", 60), 0)
    assert snov.current().value == new


def test_redis_shows_no_token_and_another_secret_gets_another_one(snov, settings, monkeypatch):
    value = snov.current().value
    shown = str([snov.redis.hgetall(snov.key), snov.redis.keys()])
    assert value not in shown
    assert CLIENT not in shown
    assert SECRET not in shown
    assert value not in str(snov.current())
    sealed = snov.redis.hget(snov.key, "sealed")
    first = settings.SECRET_KEY
    settings.SECRET_KEY = "another" * 10
    sealing.unseal.cache_clear()
    assert sealing.unseal(sealed) == ""
    assert snov.current().value == snov.server.issued[1]
    settings.SECRET_KEY = first
    sealing.unseal.cache_clear()
    assert snov.current().value == value
    monkeypatch.setenv("VENDOR_SNOV_SECRET", "changed")
    with pytest.raises(VendorError, match="refused our credentials"):
        snov.current()


def test_a_spoilt_token_is_replaced(snov):
    snov.current()
    snov.redis.hset(snov.key, "sealed", "spoilt")
    assert snov.current().value == snov.server.issued[1]


@pytest.mark.parametrize(
    ("life", "age_share", "is_fresh"),
    [(3600, 0, True), (3600, 9 / 3600, True), (3600, 11 / 3600, False), (4, 0.6, False)],
)
def test_a_token_is_fresh_for_a_moment(snov, life, age_share, is_fresh):
    snov.server.life_seconds = life
    snov.current()
    snov.age(age_share)
    assert snov.current().is_fresh == is_fresh


@pytest.mark.django_db
def test_no_token_is_stored_with_what_the_vendor_says(snov, monkeypatch):
    class Adapter:
        def call(self, call):
            raise VendorError("auth", f"Wrong token {call.access.token}.")

    token = snov.current().value
    body = json.dumps({"request": {"headers": [f"Bearer {token}"]}}).encode()
    names = {"webhook_id": "", "body": body, "now": timezone.now()}
    stored = receive.store(snov.vendor, new_id(), None, **names)
    assert stored.body == {"request": {"headers": ["Bearer ***"]}}
    monkeypatch.setattr(catalogue, "adapter", lambda _: Adapter())
    call = Call("job", {}, "key", "", access=Access("VENDOR_SNOV_SECRET", token))
    assert execute(snov.vendor, call).message == "Wrong token ***."
