"""What a valid key may do: its scopes, its vendors, and nothing for pages of other sites."""

import json
import re

import pytest
from django.http import HttpResponse
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from clients.scopes import Scope
from enrichlabs.urls import urlpatterns as own
from harness.clients import bearer, make_client, make_key
from jobs.api.access.plain_views import requires_scope
from jobs.models import Job
from jobs.tests.batch_rows import make_batch

# About requests and answers, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

NEEDED = {
    ("POST", "/jobs"): Scope.SUBMIT,
    ("GET", "/jobs"): Scope.READ,
    ("HEAD", "/jobs"): Scope.READ,
    ("GET", "/jobs/{id}"): Scope.READ,
    ("HEAD", "/jobs/{id}"): Scope.READ,
    ("POST", "/jobs/{id}/cancel"): Scope.MANAGE,
    ("POST", "/jobs/{id}/retry"): Scope.MANAGE,
    ("POST", "/batches"): Scope.SUBMIT,
    ("GET", "/batches"): Scope.READ,
    ("HEAD", "/batches"): Scope.READ,
    ("GET", "/batches/{batch}"): Scope.READ,
    ("GET", "/batches/{batch}/results"): Scope.READ,
    ("POST", "/batches/{batch}/cancel"): Scope.MANAGE,
    ("POST", "/batches/{batch}/retry"): Scope.MANAGE,
}
JOB = {"vendor": "acme", "name": "John Doe"}
BODIES = {"/jobs": json.dumps(JOB), "/batches": json.dumps({"jobs": [JOB]})}


class Forgotten(APIView):
    """A view whose author did not think of scopes."""

    def get(self, request):
        return Response("secret")


class ForgottenSet(ViewSet):
    def list(self, request):
        return Response("secret")


class Named(Forgotten):
    scopes = {"get": (Scope.READ, Scope.SUBMIT)}


@requires_scope(Scope.METRICS)
def plain(request):
    return HttpResponse("figures")


urlpatterns = [
    *own,
    path("forgotten", Forgotten.as_view()),
    path("forgotten-set", ForgottenSet.as_view({"get": "list"})),
    path("named", Named.as_view()),
    path("plain", plain),
]


@pytest.fixture(autouse=True)
def job(make_vendor, make_job, settings):
    settings.ROOT_URLCONF = __name__
    make_vendor("acme")
    make_vendor("beta")
    batch = make_batch(client="team-a")
    return make_job(client="team-a", batch=batch.pk, batch_index=0)


@pytest.fixture
def send(client, job):
    def send(method, address, key, body=None, **headers):
        where = address.format(id=job.pk, batch=job.batch)
        body = body or BODIES.get(address, "")
        headers = {**(bearer(key) if key else {}), **headers}
        return client.generic(method, where, body, "application/json", headers=headers)

    return send


def problem(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("scope", Scope.values)
@pytest.mark.parametrize(("method", "address"), NEEDED)
def test_a_key_does_what_its_scopes_allow_and_nothing_else(send, method, address, scope):
    answer = send(method, address, make_key(scopes=scope))
    if scope == NEEDED[method, address]:
        assert answer.status_code in (200, 202, 409)
        return
    assert answer.status_code == 403
    if method != "HEAD":
        assert problem(answer) == (403, "missing_scope")
        expected = f"This API key lacks the scope {NEEDED[method, address]}."
        assert answer.json()["detail"] == expected
    assert list(Job.objects.values_list("status", flat=True)) == ["queued"]


@pytest.mark.parametrize("address", ["/jobs", "/batches"])
@pytest.mark.parametrize("body", ["{", "x" * 70_000, "{}"])
def test_the_scope_is_checked_before_the_body(send, body, address):
    assert problem(send("POST", address, make_key(scopes=Scope.READ), body))[1] == "missing_scope"


@pytest.mark.parametrize(
    "address",
    ["/jobs/{id}", "/jobs/x", "/jobs/{id}/cancel", "/batches/x", "/batches/{batch}/cancel"],
)
def test_the_scope_is_checked_before_the_row_is_looked_up(send, address):
    method = "POST" if address.endswith("cancel") else "GET"
    assert problem(send(method, address, make_key(scopes=Scope.SUBMIT))) == (403, "missing_scope")


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_need_a_key_but_no_scope(send, method):
    answer = send(method, "/jobs", make_key(scopes=Scope.METRICS))
    assert problem(answer) == (405, "method_not_allowed")
    assert sorted(answer["Allow"].split(", ")) == ["GET", "HEAD", "POST"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("address", ["/forgotten", "/forgotten-set"])
def test_a_view_that_names_no_scopes_is_closed(send, address, method):
    assert send(method, address, None).status_code in (200, 403, 405)  # as long as there is no key
    answer = send(method, address, make_key())
    assert answer.status_code in (403, 405)
    assert b"secret" not in answer.content
    assert send(method, address, None).status_code == 401
    assert send(method, f"{address}?format=api", None).status_code == 401


def test_one_of_the_named_scopes_is_enough(send):
    statuses = {scope: send("GET", "/named", make_key(scopes=scope)) for scope in Scope.values}
    assert {scope: answer.status_code for scope, answer in statuses.items()} == {
        Scope.SUBMIT: 200,
        Scope.READ: 200,
        Scope.MANAGE: 403,
        Scope.METRICS: 403,
    }
    assert send("HEAD", "/named", make_key(scopes=Scope.READ)).status_code == 200
    detail = statuses[Scope.MANAGE].json()["detail"]
    assert detail == "This API key lacks the scope jobs:read or jobs:submit."


def test_a_plain_view_is_checked_as_the_api_is(send, settings):
    key = make_key(scopes=Scope.METRICS)
    refused, refused_by_api = send("GET", "/plain", None), send("GET", "/jobs", None)
    assert refused.content == refused_by_api.content
    assert dict(refused.items()) == dict(refused_by_api.items())
    assert problem(send("GET", "/plain", make_key(scopes=Scope.READ)))[1] == "missing_scope"
    assert problem(send("GET", "/plain", key, Origin="https://evil.example"))[1] == "cross_site"
    answer = send("GET", "/plain", key)
    assert (answer.content, answer["Cache-Control"]) == (b"figures", "no-store")
    assert "Authorization" in answer["Vary"]
    assert not answer.has_header("RateLimit")


def test_a_plain_view_counts_requests(send, redis_client):
    key = make_key("team-a", scopes=Scope.METRICS)
    make_client("team-a", request_limits="1/min")
    assert send("GET", "/plain", key)["RateLimit"] == '"minute";r=0;t=60'
    answer = send("GET", "/plain", key)
    assert problem(answer) == (429, "rate_limited")
    assert answer["RateLimit-Policy"] == '"minute";q=1;w=60'


def test_a_key_is_used_for_its_vendors_alone(send):
    key = make_key(vendors="beta")
    answer = send("POST", "/jobs", key)
    assert problem(answer) == (403, "vendor_not_allowed")
    assert "only for: beta." in answer.json()["detail"]
    assert send("GET", "/jobs/{id}", key).status_code == 404
    assert send("POST", "/jobs/{id}/cancel", key).status_code == 404
    assert send("GET", "/jobs", key).json()["items"] == []
    for method, address in NEEDED:
        if "{batch}" in address:
            assert send(method, address, key).status_code == 404
    assert send("GET", "/batches", key).json()["items"] == []


def test_a_key_can_not_have_more_vendors_than_its_client(send):
    keys = [make_key("team-a", vendors=vendors) for vendors in ("", "acme, beta", "acme")]
    make_client("team-a", vendors="beta")
    for key in keys:
        assert send("POST", "/jobs", key).status_code == 403


def test_an_error_about_vendors_names_only_those_of_the_key(send, make_vendor):
    make_vendor("gamma")
    body = json.dumps({"vendor": "unknown", "name": "J"})
    answer = send("POST", "/jobs", make_key(vendors="beta"), body)
    assert "beta" in answer.json()["detail"]
    assert not re.search("acme|gamma", answer.json()["detail"])


CROSS_SITE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:8001"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-site"},
]
SAME_SITE = [
    {},
    {"Origin": "http://testserver"},
    {"Origin": "https://testserver:8443", "Host": "testserver:8443"},
    {"Origin": "https://jobs.example.com", "Host": "127.0.0.1:8000"},
    {"Origin": "http://proxy.example", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
def test_pages_of_other_sites_are_refused(send, headers):
    key = make_key()
    for method, address in [*NEEDED, ("OPTIONS", "/jobs")]:
        answer = send(method, address, key, **headers)
        assert answer.status_code == 403, (method, address)
        if method != "HEAD":
            assert problem(answer)[1] == "cross_site"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert send(method, address, None, **headers).status_code == 401
    assert list(Job.objects.values_list("status", flat=True)) == ["queued"]


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
def test_pages_of_other_sites_are_refused_without_a_key_too(send, headers):
    assert problem(send("POST", "/jobs", None, **headers)) == (403, "cross_site")


@pytest.mark.parametrize("headers", SAME_SITE, ids=str)
def test_our_own_pages_and_programs_are_let_in(send, settings, headers):
    settings.PUBLIC_URL = "https://jobs.example.com/gateway"
    assert send("POST", "/jobs", make_key(), **headers).status_code == 202
