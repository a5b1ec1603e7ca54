"""GET of a queued job says what holds it, and until when, as the console does."""

from datetime import UTC, datetime, timedelta

import pytest

from harness.limits import restore_own
from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.buckets import buckets_of
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.held.hold import Hold, Kind, Standing
from jobs.queue.held.recent import recent_holds
from jobs.queue.keys import HEARTBEATS, UNUSABLE, Keys
from jobs.queue.redis import hints
from jobs.queue.take import take
from jobs.recovery import unusable
from jobs.tests.console import sign_in_as_superuser, text
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Credential, Limit, Vendor

# About answers of Redis, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
WORKER = "host-1-well"
OF_LIMIT = {"limit": "", "in_flight": "max_in_flight of ", "quota": "the quota of "}
KEYS = ["VENDOR_POOL_1", "VENDOR_POOL_2"]


@pytest.fixture
def now(redis_client):
    """Redis' time, with one live worker."""
    seconds, microseconds = redis_client.time()
    redis_client.zadd(HEARTBEATS, {WORKER: seconds * 1000 + microseconds / 1000})
    return datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)


@pytest.fixture
def acme(make_vendor, now):
    """Return a function that makes the vendor, with an intact limiter and six entries."""

    def make(**fields):
        vendor = make_vendor("acme", **fields)
        restore_own(vendor.slug, vendor.windows, [], [])
        stream.add(vendor.slug, [f"job-{n}" for n in range(6)], Stream.JOBS)
        return vendor

    return make


@pytest.fixture
def held_by(client, make_job):
    """Return a function that makes a job and returns what holds it; `...` if that is left out."""

    def held_by(**fields):
        recent_holds.__init__()
        return client.get(f"/jobs/{make_job(**fields).pk}").json().get("held_by", ...)

    return held_by


def open_breaker(vendor):
    failures = [Report("bad", "", f"job-{n}", started_us=1, code="timeout") for n in range(5)]
    breaker.report(vendor, failures)


def test_nothing_holds_a_job_that_waits_for_its_turn(acme, held_by):
    acme()
    assert held_by() is None
    assert held_by(status="processing") is ...


def test_its_delay(acme, held_by, now):
    acme()
    later = now + timedelta(days=1)
    held = held_by(not_before=later)
    assert (held["kind"], datetime.fromisoformat(held["until"])) == ("delay", later)
    assert held["message"].startswith("Held by its delay until 20")
    assert held_by(not_before=now - timedelta(seconds=1)) is None


def test_a_pause(acme, held_by, now):
    vendor = acme(paused=True, pause_reason="It refused our key.", paused_by="alice")
    assert held_by(not_before=now + timedelta(days=1)) == {
        "kind": "pause",
        "name": None,
        "until": None,
        "message": "Held by a pause of the vendor.",
    }
    vendor.paused, vendor.paused_until = False, now + timedelta(hours=1)
    vendor.save()
    catalogue.forget()
    held = held_by(not_before=now + timedelta(minutes=1))
    assert (held["kind"], datetime.fromisoformat(held["until"])) == ("pause", vendor.paused_until)
    assert held_by(not_before=now + timedelta(hours=2))["kind"] == "delay"


def test_a_pause_that_workers_have_not_read_yet(acme, held_by):
    acme()
    limiter.pause("acme", 60)
    assert held_by()["kind"] == "pause"


def test_a_hold_is_not_shown_beyond_its_end(acme, now):
    vendor, standing = acme(), Standing(True, Hold(Kind.LIMIT, until=now))
    assert standing.hold_at(now - timedelta(seconds=1), vendor) == standing.hold
    assert standing.hold_at(now, vendor) is None


@pytest.mark.parametrize(
    "report", [None, unusable.report({"acme": "No key."}, None), unusable.report({}, ["globex"])]
)
def test_no_live_worker_that_serves_the_vendor(acme, held_by, redis_client, report):
    acme()
    if report is None:
        redis_client.zincrby(HEARTBEATS, -60_000, WORKER)
    else:
        redis_client.hset(UNUSABLE, WORKER, report)
    assert held_by()["message"] == "Held because no live worker serves the vendor."


def test_an_open_breaker_and_a_recovery(acme, held_by, redis_client):
    vendor = acme()
    open_breaker(vendor)
    held = held_by()
    open_until = redis_client.hget(Keys("acme").state, "open_until")
    until = datetime.fromisoformat(held["until"])
    assert (held["kind"], until) == ("breaker", limiter.moment(open_until))
    redis_client.hset(Keys("acme").state, "open_until", 1)
    assert held_by() is None, "the next job is the probe"
    probe = take(vendor, WORKER, 1).probe
    assert held_by()["kind"] == "breaker"
    breaker.report(vendor, [Report("good", probe, "job-0")])
    take(vendor, WORKER, 1)
    held = held_by()
    assert (held["kind"], held["until"]) == ("breaker", None)
    assert held["message"].endswith("lets few calls through after an outage.")


@pytest.mark.parametrize("limits", ["2/h", "10/s, 1/h", "1/h, 5/day"])
def test_a_rate_limit_of_its_own(acme, held_by, limits):
    vendor = acme(rate_limits=limits)
    first = take(vendor, WORKER, 5).entries[0]
    held = held_by()
    assert (held["kind"], held["name"]) == ("limit", None)
    lasts = datetime.fromisoformat(held["until"]) - limiter.moment(first.charge)
    assert lasts == timedelta(hours=1, milliseconds=vendor.arrival_margin_ms, microseconds=1)


def test_max_in_flight_of_its_own(acme, held_by):
    vendor = acme(max_in_flight=2)
    take(vendor, WORKER, 5)
    assert held_by() == {
        "kind": "in_flight",
        "name": None,
        "until": None,
        "message": "Held by max_in_flight of the vendor.",
    }


def test_slots_that_are_full_longer_than_a_rate_limit_is(acme, held_by):
    vendor = acme(rate_limits="2/min", max_in_flight=2)
    take(vendor, WORKER, 5)
    assert held_by()["kind"] == "in_flight"


def test_a_rate_limit_that_never_permits_a_call(acme, held_by):
    """An older release accepted it."""
    acme(rate_limits="2/s", definition={"weight": 5})
    held = held_by()
    assert (held["kind"], held["until"]) == ("limit", None)


@pytest.fixture
def shared(acme, now, redis_client):
    """Return a function that makes a limit with this definition and a vendor that names it and has
    two keys, with intact buckets.
    """

    def make(**definition):
        Limit.objects.create(slug="pdl", definition=definition)
        Credential.objects.create(slug="pool", definition={"header": "X-Api-Key", "keys_env": KEYS})
        acme(adapter="http", definition={"limits": ["pdl"], "credential": "pool"})
        vendor = catalogue.get("acme")
        run_id = redis_client.info("server")["run_id"]
        for bucket in buckets_of(vendor).of_all(KEYS)[1:]:
            quota = bucket.quota
            text = f"{quota.period} {quota.first_day} {quota.zone}" if quota else ""
            members = {"vendors": f" {bucket.member} ", "capped": 1}
            history = {"depth": 10, "length": 3600 * 1_100_000}
            state = {"run_id": run_id, "quota": text, **members, **history}
            redis_client.hset(bucket.keys.state, mapping=state)
        return vendor

    return make


def taken_with_keys(vendor):
    """Take an entry as a worker does. The API has no keys."""
    with pytest.MonkeyPatch.context() as of_worker:
        for name in KEYS:
            of_worker.setenv(name, "secret")
        return take(vendor, WORKER, 1).entries


@pytest.mark.parametrize(
    ("definition", "kind"),
    [
        ({"windows": "2/h"}, "limit"),
        ({"max_in_flight": 2}, "in_flight"),
        ({"quota": {"calls": 2, "period": "day"}}, "quota"),
    ],
)
@pytest.mark.parametrize("per", [{}, {"per": "credential"}])
def test_a_shared_limit(shared, held_by, definition, kind, per):
    vendor, taken = shared(**definition, **per), 0
    while (held := held_by()) is None:
        taken += 1
        assert taken_with_keys(vendor), "take says the same"
    assert not taken_with_keys(vendor)
    assert (held["kind"], held["name"], taken) == (kind, "pdl", 4 if per else 2)
    assert held["message"].startswith(f"Held by {OF_LIMIT[kind]}the limit pdl")
    assert (held["until"] is None) == (kind == "in_flight")


def test_all_keys_are_paused(shared, held_by):
    shared(max_in_flight=1)
    limiter.pause_key("pool", KEYS[0], 100)
    assert held_by() is None
    limiter.pause_key("pool", KEYS[1], 50)
    held = held_by()
    assert (held["kind"], held["name"]) == ("credential", KEYS[1])
    assert held["message"].startswith(f"Held by a pause of the key {KEYS[1]} until ")


def test_a_pause_for_want_of_a_key_is_not_an_operators(shared, held_by, now):
    vendor, message = shared(max_in_flight=1), "no key of the vendor's credential can be used"
    vendor.paused, vendor.pause_reason = True, pauses.NONE_USABLE + "Leaked, says Bob."
    vendor.save()
    catalogue.forget()
    held = held_by(not_before=now + timedelta(days=1))
    assert held == {
        "kind": "credential",
        "name": None,
        "until": None,
        "message": f"Held because {message}.",
    }
    until = now + timedelta(days=400)
    Vendor.objects.update(paused=False, paused_until=until, pause_reason=pauses.DENIED)
    catalogue.forget()
    held = held_by()
    assert (held["kind"], datetime.fromisoformat(held["until"])) == ("credential", until)
    assert held["message"].startswith(f"Held because {message} until 20")
    Vendor.objects.update(paused_by="ann")
    catalogue.forget()
    assert held_by()["kind"] == "pause"


def test_without_redis_it_is_left_out(acme, held_by, client, settings, monkeypatch):
    acme()
    assert held_by() is None
    settings.REDIS_URL = "redis://127.0.0.1:1"
    hints.cache_clear()
    assert client.get("/jobs").json()["items"][0]["held_by"] is None, "a second at most"
    monkeypatch.setattr("jobs.queue.held.recent.MAX_AGE_SECONDS", 0)
    assert "held_by" not in client.get("/jobs").json()["items"][0]
    assert held_by() is ...


def test_a_page_asks_redis_once_for_all_of_its_vendors(
    client, acme, make_vendor, make_job, redis_client
):
    acme(paused=True), make_vendor("beta"), make_vendor("gamma")
    for slug in ("acme", "beta", "gamma", "gone", "beta"):
        make_job(vendor=slug)
    make_job(vendor="acme", status="failed")
    client.get("/jobs")
    recent_holds.__init__()
    redis_client.config_resetstat()
    items = client.get("/jobs").json()["items"]
    stats = redis_client.info("commandstats")
    assert (stats["cmdstat_zrevrange"]["calls"], stats["cmdstat_evalsha"]["calls"]) == (1, 3)
    kinds = [(item["vendor"], item.get("held_by", ...)) for item in items]
    assert [held and held is not ... and held["kind"] for _, held in kinds] == [
        *(False, None, False, None, None, "pause"),
    ]


def test_the_console_shows_the_same(acme, make_job, held_by):
    vendor = acme(max_in_flight=1)
    take(vendor, WORKER, 1)
    message, browser = held_by()["message"], sign_in_as_superuser()
    job = make_job()
    assert f"queued {message}" in text(browser.get(f"/admin/jobs/job/{job.pk}/change/"))
    assert message in text(browser.get("/admin/jobs/job/"))
    vendors = "/admin/vendors/vendor/"
    shown = {f"{vendors}{vendor.pk}/change/": "All slots for jobs in flight are taken."}
    for page, words in {vendors: "limited", "/admin/": "limited", **shown}.items():
        assert words in text(browser.get(page)), page
