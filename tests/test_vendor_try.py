"""`manage.py vendor try` makes one call by hand: within the limits, with masked secrets and an
Attempt row.
"""

import json
from datetime import timedelta
from io import StringIO
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from harness.vendor.scripted import Answer
from harness.waiting import wait_for
from jobs.models import Attempt, Callback, Job, Kind
from jobs.queue import limiter
from jobs.queue.keys import Keys
from jobs.recovery.rebuild import rebuild
from jobs.worker import trial
from vendors.models import Limit, Vendor

pytestmark = pytest.mark.django_db(transaction=True)

INPUT = '{"name": "John Doe"}'
KEY = "VENDOR_ACME_API_KEY"


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, redis_client):
    return make_vendor(url=vendor_server.url)


def attempt(*, given: str = INPUT, vendor: str = "acme") -> str:
    printed = StringIO()
    call_command("vendor", "try", vendor, "--input", given, stdout=printed)
    return printed.getvalue()


def failed(**options: str) -> str:
    printed = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("vendor", "try", "acme", "--input", INPUT, stdout=printed)
    assert caught.value.code == 1
    return printed.getvalue()


def error_of(**options: str) -> str:
    with pytest.raises(CommandError) as caught:
        attempt(**options)
    return str(caught.value)


def test_it_prints_request_answer_and_outcome(vendor_server, redis_client):
    vendor_server.answer = lambda _: Answer(
        body={"info": "done", "ssn": "123"}, headers=(("X-Request-Id", "r1"),)
    )
    printed = attempt()
    assert f"POST {vendor_server.url}" in printed
    assert '{"name": "John Doe"}' in printed
    assert "status 200" in printed
    assert "X-Request-Id: r1" in printed
    assert printed.split("Outcome after")[1].split("\n")[1:3] == ["  found", '  {"info": "done"}']
    assert "123" not in printed
    row = Attempt.objects.get()
    assert (row.kind, row.job, row.run, row.number, row.outcome) == (Kind.TRY, "", 0, 0, "found")
    assert (row.vendor, row.started_at <= row.ended_at) == ("acme", True)
    assert not Job.objects.exists()
    assert redis_client.zcard(Keys("acme").in_flight) == 0
    assert vendor_server.arrivals[0].body == {"name": "John Doe"}


def test_it_masks_secrets(acme, vendor_server, monkeypatch):
    monkeypatch.setenv(KEY, 'k3y-"secret')
    monkeypatch.setenv("VENDOR_ACME_SECRET", "whsec_c2VjcmV0")
    Vendor.objects.update(
        adapter="async",
        url=f"{vendor_server.url}?api_key=in-the-url&page=1",
        api_key_env=KEY,
        webhook_secret_env="VENDOR_ACME_SECRET",
    )
    echo = {"echo": 'k3y-"secret whsec_c2VjcmV0'}
    vendor_server.answer = lambda arrival: Answer(
        202, {**echo, **arrival.body}, headers=(("Set-Cookie", "session=abc"),)
    )
    printed = attempt()
    for secret in (
        "k3y",
        "c2VjcmV0",
        "in-the-url",
        "session=abc",
        vendor_server.arrivals[0].body["callback_url"][-64:],
    ):
        assert secret not in printed
    assert "Authorization: ***" in printed
    assert "?token=***" in printed
    assert "page=1" in printed
    assert "whsec_***" not in printed


@pytest.mark.sqlite
@pytest.mark.parametrize("body", ['{"a": "%s"}', '{"%s": 1}', "%s"])
def test_it_prints_nothing_that_a_terminal_obeys(body, acme, vendor_server):
    vendor_server.answer = lambda _: Answer(
        text=body % "x\x1b[2Jy\\u001b[31mz\x9b1m\u202eend", headers=(("X-Request-Id", "\x9b2J"),)
    )
    Vendor.objects.update(
        adapter="http", url=f"GET {vendor_server.url}", definition={"result": "body"}
    )
    printed = attempt()
    assert "end" in printed
    assert not {"\x1b", "\x9b", "\u202e"} & {*printed}


def test_the_callback_of_an_accepted_call_is_unmatched(acme, vendor_server, client):
    Vendor.objects.update(adapter="async")
    assert "pending" in attempt()
    assert Attempt.objects.get().outcome == "pending"
    callback_url = vendor_server.arrivals[0].body["callback_url"]
    path = callback_url[callback_url.index("/vendor-webhook") :]
    assert client.post(path, {"info": "done"}, content_type="application/json").status_code == 202
    assert Callback.objects.get().verdict == "unmatched"


def test_it_exits_with_1_when_the_call_fails(vendor_server):
    vendor_server.answer = lambda _: Answer(422, {"error": "no such person"})
    printed = failed()
    assert "status 422" in printed
    assert '{"error": "no such person"}' in printed
    assert "invalid_input" in printed
    assert Attempt.objects.get().outcome == "invalid_input"


def test_it_says_when_the_vendor_refuses_connections(acme, redis_client):
    Vendor.objects.update(url="http://127.0.0.1:9/", rate_limits="2/h")
    printed = failed()
    assert "Response\n  none" in printed
    assert "it refused the connection" in printed
    assert (Attempt.objects.get().units, redis_client.llen(Keys("acme").log)) == (0, 0)


def test_it_calls_a_vendor_despite_a_pause_or_an_open_breaker(acme, redis_client, vendor_server):
    Vendor.objects.update(paused=True, pause_reason="Its key was refused.")
    attempt()
    redis_client.hset(Keys("acme").state, mapping={"open_until": str(10**17), "opened": "1"})
    printed = attempt()
    assert "The vendor is paused: Its key was refused. Calling it anyway." in printed
    assert "The vendor's breaker is open" in printed
    assert redis_client.hget(Keys("acme").state, "open_until") == str(10**17)
    assert len(vendor_server.arrivals) == 2


def test_it_takes_a_permit(acme, vendor_server, monkeypatch, redis_client):
    monkeypatch.setattr(trial, "TIMEOUT_SECONDS", 0.3)
    Vendor.objects.update(rate_limits="2/h")
    attempt(), attempt()
    assert redis_client.llen(Keys("acme").log) == 2
    assert "The rate limits (2/h) allow no call now." in error_of()
    assert len(vendor_server.arrivals) == 2
    assert Attempt.objects.count() == 2


def test_it_says_until_when_a_quota_is_spent(make_vendor, vendor_server, monkeypatch):
    monkeypatch.setattr(trial, "TIMEOUT_SECONDS", 0.3)
    quota = {"calls": 1, "period": "month"}
    Limit.objects.create(slug="plan", definition={"quota": quota, "windows": "9/s"})
    Vendor.objects.update(definition={"limits": ["plan"]})
    attempt()
    start = "No permit for vendor acme within 0 s. Held by the quota of the limit plan until 20"
    said = error_of()
    assert said.startswith(start)
    assert said.endswith(" UTC. Wait, or raise quota.calls of the limit plan.")


def test_it_respects_max_in_flight(acme, vendor_server, monkeypatch, redis_client):
    monkeypatch.setattr(trial, "TIMEOUT_SECONDS", 0.3)
    Vendor.objects.update(max_in_flight=1)
    attempt()
    redis_client.zadd(Keys("acme").in_flight, {"a-job": 1})
    assert "1 jobs are in flight, and max_in_flight is 1." in error_of()
    assert len(vendor_server.arrivals) == 1


def test_a_rebuild_counts_it(acme, redis_client):
    Vendor.objects.update(rate_limits="1/h")
    attempt()
    redis_client.flushall()
    vendor = Vendor.objects.get()
    assert rebuild([vendor])
    row = Attempt.objects.get()
    kept_us = 1000 if connection.vendor == "mongodb" else 1
    [start] = redis_client.lrange(Keys("acme").log, 0, -1)
    assert int(start) // kept_us - limiter.microseconds(row.started_at) // kept_us in range(1000)
    assert not limiter.renew(vendor, "a-job", "").granted


def test_a_rebuild_counts_a_call_under_way_as_late_as_possible(acme, vendor_server, redis_client):
    Vendor.objects.update(rate_limits="1/min")
    vendor_server.hold.clear()
    thread = Thread(target=attempt)
    thread.start()
    wait_for(lambda: vendor_server.arrivals, "the call")
    assert Attempt.objects.get().outcome == "unknown"
    redis_client.flushall()
    vendor = Vendor.objects.get()
    assert rebuild([vendor])
    renewal = limiter.renew(vendor, "a-job", "")
    assert (renewal.granted, renewal.wait_seconds > 59) == (False, True)
    vendor_server.hold.set()
    thread.join()
    wait_for(lambda: Attempt.objects.get().outcome == "found", "the outcome")


def test_its_attempt_is_exported_and_imported(acme, tmp_path):
    attempt()
    file = str(tmp_path / "export.jsonl")
    call_command("export", file, stdout=StringIO())
    Attempt.objects.all().delete()
    call_command("import", file, stdout=StringIO())
    assert Attempt.objects.get().kind == Kind.TRY


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"given": "{"}, "--input is not valid JSON"),
        ({"given": "[1]"}, "--input must be a JSON object, such as"),
        ({"vendor": "nobody"}, "There is no vendor 'nobody'. Known vendors: acme."),
    ],
)
def test_it_explains_invalid_options(options, sentence):
    assert sentence in error_of(**options)


def test_it_calls_nothing_without_the_api_key(acme, vendor_server):
    Vendor.objects.update(api_key_env=KEY)
    assert error_of() == f"Can't call vendor acme from here: The variable {KEY} is not set."
    assert (len(vendor_server.arrivals), Attempt.objects.count()) == (0, 0)


def test_it_prints_dates_in_the_input(vendor_server):
    given = {"name": "John", "since": (timezone.now() - timedelta(days=1)).isoformat()}
    assert given["since"] in attempt(given=json.dumps(given))
