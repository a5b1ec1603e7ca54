"""Who may use the API: requests with a valid key. All others get the same 401, before anything else
of them is looked at.
"""

import json
import logging
import resource
import time
from datetime import timedelta
from itertools import product

import pytest
from django.db import OperationalError
from django.test import Client as Browser
from django.utils import timezone

from clients import issuing, keys
from clients.directory import directory
from harness.clients import ACTOR, bearer, issue, key_row, make_client, make_key
from jobs.api.access import authentication
from jobs.callbacks import tokens
from jobs.models import Job

# About requests and answers, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

ROUTES = (
    *("/jobs", "/jobs/{id}", "/jobs/{id}/cancel", "/jobs/{id}/retry", "/jobs/x"),
    *("/batches", "/batches/{id}", "/batches/{id}/results"),
    *("/batches/{id}/cancel", "/batches/{id}/retry"),
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")
A_JOB = b'{"vendor": "acme", "name": "John Doe"}'
BODIES = [  # each with its content type
    ("application/json", A_JOB),
    ("application/json", b"{"),
    ("text/plain", b"x"),
    ("application/json", b"x" * 70_000),
    ("application/x-ndjson", A_JOB),
    ("application/json", b'{"vendor": "unknown", "options": {"x": 1}}'),
]


@pytest.fixture(autouse=True)
def _refusals(monkeypatch):
    monkeypatch.setattr(authentication, "refusals", authentication.RefusalLog())


@pytest.fixture
def key():
    return make_key()


@pytest.fixture
def job(make_vendor, make_job, key):
    make_vendor("acme")
    return make_job(client="team-a")


def raw(answer) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.content, sorted(answer.items())


@pytest.fixture
def refusal(client, key):
    """The answer to a request without a key."""
    answer = client.get("/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    return raw(answer)


def test_the_refusal_challenges_and_says_nothing_else(refusal):
    _, body, headers = refusal
    named = dict(headers)
    assert named.pop("X-Content-Type-Options") == "nosniff"
    for name in ("Referrer-Policy", "Cross-Origin-Opener-Policy", "X-Frame-Options"):
        named.pop(name)
    assert named == {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "WWW-Authenticate": 'Bearer realm="EnrichLabs"',
        "Connection": "close",
        "Cache-Control": "no-store",
        "Vary": "Authorization",
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", ROUTES)
def test_every_request_without_a_key_is_refused_first(client, job, refusal, route, method):
    path = route.format(id=job.pk)
    for (content_type, data), headers in product(BODIES, ({}, bearer("elk_wrong"))):
        answer = client.generic(method, path, data, content_type=content_type, headers=headers)
        status, content, sent = raw(answer)
        assert (status, sent) == (401, refusal[2])
        assert content == (refusal[1] if method != "HEAD" else b"")
    assert list(Job.objects.values_list("status", flat=True)) == ["queued"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_header_changes_the_method_or_the_path(client, job, refusal, method):
    headers = {
        "X-HTTP-Method-Override": "OPTIONS",
        "X-Original-URL": "/healthz",
        "X-Rewrite-URL": "/healthz",
        "X-Forwarded-Prefix": "/healthz",
    }
    assert raw(client.generic(method, "/jobs", headers=headers)) == refusal


def wrong(key: str) -> dict[str, str]:
    """Return wrong values of the header Authorization, by what is wrong."""
    other = "B" if key[20] == "A" else "A"
    changed = key[:20] + other + key[21:40]
    body = key[:12] + changed[12:40].ljust(32, other)
    resigned = body + keys._checksum(body)
    return {
        "one character changed": f"Bearer {key[:20]}{other}{key[21:]}",
        "changed, with the right checksum": f"Bearer {resigned}",
        "unknown": f"Bearer {keys.new_key()}",
        "cut": f"Bearer {key[:-1]}",
        "doubled": f"Bearer {key}{key}",
        "twice": f"Bearer {key}, Bearer {key}",
        "joined with another": f"Bearer {key},{key}",
        "empty": "",
        "no key": "Bearer ",
        "the scheme alone": "Bearer",
        "no scheme": key,
        "another scheme": f"Basic {key}",
        "a scheme of others": f"Token {key}",
        "two blanks": f"Bearer  {key}",
        "a tab": f"Bearer\t{key}",
        "a blank behind": f"Bearer {key} ",
        "a null character": f"Bearer {key}\0",
        "a line break": f"Bearer {key}\n",
        "a no-break space": f"Bearer {key}\xa0",
        "full-width digits": f"Bearer {key[:-1]}\uff11",
        "not ASCII": "Bearer elk_\xe9",
        "upper case": f"Bearer {key.upper()}",
        "8 KB": "Bearer " + "x" * 8000,
        "the digest": f"Bearer {keys.digest(key)}",
        "the public part": f"Bearer {key[4:12]}",
    }


@pytest.mark.parametrize("fault", wrong("elk_" + "x" * 46))
def test_a_wrong_key_is_refused(client, key, refusal, fault):
    answer = client.get("/jobs", headers={"Authorization": wrong(key)[fault]})
    assert raw(answer) == refusal


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_case_of_the_scheme_does_not_matter(client, key, scheme):
    answer = client.get("/jobs", headers={"Authorization": f"{scheme} {key}"})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert answer["Vary"] == "Authorization"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_key_anywhere_else_is_refused(client, key, refusal, method):
    client.cookies["Authorization"] = f"Bearer {key}"
    client.cookies["api_key"] = key
    query = f"api_key={key}&access_token={key}&Authorization=Bearer%20{key}"
    body = json.dumps({"vendor": "acme", "name": "J", "api_key": key, "access_token": key})
    headers = {"X-Api-Key": key, "Proxy-Authorization": f"Bearer {key}", "Api-Key": key}
    answer = client.generic(method, f"/jobs?{query}", body, "application/json", headers=headers)
    assert raw(answer) == refusal


def test_secrets_for_other_purposes_are_no_keys(client, job, key, refusal, settings):
    token = tokens.make("acme", job.pk, 1, 1)
    for text in (token, settings.SECRET_KEY, settings.CALLBACK_SECRETS[0]):
        assert raw(client.get("/jobs", headers=bearer(text))) == refusal
    answer = client.post(f"/vendor-webhook/acme/{job.pk}?token={key}", "{}", "application/json")
    assert answer.status_code == 401


def revoke(key):
    issuing.revoke(key_row(key), ACTOR)


def expire(key):
    type(key_row(key)).objects.update(expires_at=timezone.now())


def disable(key):
    make_client("team-a", enabled=False)


def restrict(key):
    type(key_row(key)).objects.update(addresses="192.0.2.1")


@pytest.mark.parametrize("end", [revoke, expire, disable, restrict])
def test_a_key_that_is_not_valid_any_more_is_refused_like_an_unknown_one(client, key, refusal, end):
    assert client.get("/jobs", headers=bearer(key)).status_code == 200
    end(key)
    directory.forget()
    assert raw(client.get("/jobs", headers=bearer(key))) == refusal


def test_a_key_expires_at_its_second(client, monkeypatch):
    now = timezone.now()
    key = make_key(expires_at=now + timedelta(seconds=60))
    for seconds, status in ((59.9, 200), (60, 401), (61, 401), (-3600, 200)):
        at = now + timedelta(seconds=seconds)
        monkeypatch.setattr(authentication.timezone, "now", lambda at=at: at)
        assert client.get("/jobs", headers=bearer(key)).status_code == status


def test_two_keys_of_a_client_are_revoked_apart(client):
    first, second = make_key(), make_key()
    revoke(first)
    statuses = [client.get("/jobs", headers=bearer(key)).status_code for key in (first, second)]
    assert statuses == [401, 200]


def test_the_jobs_of_a_disabled_client_still_run(client, key, job):
    disable(key)
    assert client.get(f"/jobs/{job.pk}", headers=bearer(key)).status_code == 401
    job.refresh_from_db()
    assert job.status == "queued"


def test_the_cookie_of_the_console_does_not_count(refusal, admin_client, admin_user):
    assert admin_client.get("/admin/").status_code == 200
    assert raw(admin_client.get("/jobs"))[:2] == refusal[:2]
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(admin_user)
    assert raw(browser.post("/jobs", A_JOB, "application/json"))[0] == 401


def test_a_request_with_a_header_is_never_anonymous(client, db):
    assert client.get("/jobs").status_code == 200  # there is no key yet
    assert client.get("/jobs", headers={"Authorization": ""}).status_code == 401
    assert client.get("/jobs", headers=bearer(keys.new_key())).status_code == 401


def test_without_the_setting_nobody_is_anonymous(client, db, settings):
    settings.ALLOW_ANONYMOUS = False
    assert client.get("/jobs").status_code == 401


@pytest.mark.parametrize("with_key", [True, False])
def test_a_store_that_is_away_is_not_a_refusal(client, monkeypatch, key, with_key):
    def away(*_):
        raise OperationalError("database is locked")

    directory.forget()
    monkeypatch.setattr("clients.directory._read", away)
    monkeypatch.setattr("clients.directory._read_anonymous", away)
    answer = client.get("/jobs", headers=bearer(key) if with_key else {})
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer.has_header("Retry-After")


@pytest.mark.usefixtures("lasting_keys")
def test_a_key_is_looked_up_once_for_many_requests(client, key, django_assert_num_queries):
    for _ in range(2):  # the first one also notes when the key was used
        client.get("/jobs/x", headers=bearer(key))
    with django_assert_num_queries(0):
        for _ in range(20):
            assert client.get("/jobs/x", headers=bearer(key)).status_code == 404


@pytest.mark.usefixtures("lasting_keys")
def test_an_unknown_key_is_looked_up_once(client, key, django_assert_max_num_queries):
    unknown = bearer(keys.new_key())
    with django_assert_max_num_queries(1):
        for _ in range(20):
            assert client.get("/jobs", headers=unknown).status_code == 401


def test_a_flood_of_wrong_keys_is_cheap_and_logged_once_a_second(client, key, caplog, rf):
    caplog.set_level(logging.INFO)
    wrong_keys = [keys.new_key() for _ in range(3000)]
    used_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, cpu = time.monotonic(), time.process_time()
    for text in wrong_keys:
        request = rf.get("/jobs", headers=bearer(text))
        with pytest.raises(authentication.Unauthorized):
            authentication.authenticate(request)
    each_ms = (time.process_time() - cpu) * 1000 / len(wrong_keys)
    assert each_ms < 2.5  # with the rest of the test, of which the key is the smaller part
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used_before < 30_000  # KiB
    lines = [each.getMessage() for each in caplog.records if each.name == authentication.__name__]
    assert 1 <= len(lines) <= time.monotonic() - started + 1
    assert not [line for line in lines if "elk_" in line or wrong_keys[0][4:12] in line]


def test_the_log_counts_the_refusals_and_names_no_key(client, key, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    moment = [0.0]
    monkeypatch.setattr(authentication.time, "monotonic", lambda: moment[0])
    text = keys.new_key()
    for _ in range(5):
        client.get("/jobs", headers=bearer(text), REMOTE_ADDR="192.0.2.9")
    moment[0] = 1.5
    client.get("/jobs", headers=bearer(text))
    assert [record.getMessage() for record in caplog.records] == [
        "Requests refused without a valid API key: 1, the last one from 192.0.2.9",
        "Requests refused without a valid API key: 5, the last one from 127.0.0.1",
    ]


def test_the_last_use_is_kept_to_the_minute(client, monkeypatch):
    issued = issue()
    assert issued.key.last_used_at is None
    client.get("/jobs", headers=bearer(issued.text))
    first = key_row(issued.text).last_used_at
    assert abs((timezone.now() - first).total_seconds()) < 10
    directory.forget()
    client.get("/jobs", headers=bearer(issued.text))
    assert key_row(issued.text).last_used_at == first
    type(issued.key).objects.update(last_used_at=first - timedelta(minutes=2))
    directory.forget()
    client.get("/jobs", headers=bearer(issued.text))
    assert key_row(issued.text).last_used_at > first - timedelta(seconds=1)


def test_a_store_that_can_not_write_does_not_refuse_a_request(client, key, monkeypatch):
    def locked():
        raise OperationalError("database is locked")

    monkeypatch.setattr(authentication, "writing", locked)
    assert client.get("/jobs", headers=bearer(key)).status_code == 200
