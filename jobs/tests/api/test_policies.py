"""Authentication, permission and throttle classes are honoured on every action of the API.

REST framework copies its settings to APIView, so a class set there stands for one in the settings.
"""

import json

import pytest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from clients.directory import Caller
from jobs.api.base import APIViewSet
from jobs.api.views import JobViewSet
from jobs.models import Job

# About requests and answers, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

ALICE = Caller("default", frozenset())
BODY = json.dumps({"vendor": "acme", "name": "John Doe"})
ACTIONS = [
    ("POST", "/jobs"),
    ("GET", "/jobs"),
    ("HEAD", "/jobs"),
    ("OPTIONS", "/jobs"),
    ("PUT", "/jobs"),
    ("GET", "/jobs/{id}"),
    ("HEAD", "/jobs/{id}"),
    ("OPTIONS", "/jobs/{id}"),
    ("POST", "/jobs/{id}/cancel"),
    ("POST", "/jobs/{id}/retry"),
    ("POST", "/batches"),
    ("GET", "/batches"),
    ("GET", "/batches/{id}"),
    ("GET", "/batches/{id}/results"),
    ("POST", "/batches/{id}/cancel"),
    ("POST", "/batches/{id}/retry"),
]
every_action = pytest.mark.parametrize(("method", "path"), ACTIONS)
everywhere = pytest.mark.parametrize("view", [APIView, APIViewSet], ids=["settings", "view"])


class DenyAll(BasePermission):
    def has_permission(self, request, view):
        return False


class NeedsUser(BasePermission):
    def has_permission(self, request, view):
        return request.user is ALICE


class ReadsData(BasePermission):
    def has_permission(self, request, view):
        return request.data["vendor"] == "acme"


class Broken(BasePermission):
    def has_permission(self, request, view):
        raise ZeroDivisionError("John Doe")


class Anonymous(BaseAuthentication):
    def authenticate(self, request):
        return None

    def authenticate_header(self, request):
        return "Bearer"


class Rejecting(Anonymous):
    def authenticate(self, request):
        raise AuthenticationFailed


class Unchallenging(Rejecting):
    def authenticate_header(self, request):
        return None


class Alice(Anonymous):
    def authenticate(self, request):
        return ALICE, "token"


class Busy(BaseThrottle):
    def allow_request(self, request, view):
        return False

    def wait(self):
        return 6.5


@pytest.fixture(autouse=True)
def job(make_vendor, make_job):
    make_vendor("acme")
    return make_job()


@pytest.fixture
def request_(client, job):
    """Send a request and return the answer."""

    def request_(method, path):
        address = path.format(id=job.pk)
        return client.generic(method, address, BODY, content_type="application/json")

    return request_


def check(answer, status, code):
    """Check that the answer is a problem and that no job was created or changed."""
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Cache-Control"] == "no-store"
    if answer.wsgi_request.method != "HEAD":
        assert answer.json()["code"] == code
    assert list(Job.objects.values_list("status", flat=True)) == ["queued"]


@every_action
@everywhere
def test_a_permission_class_denies_every_action(monkeypatch, request_, view, method, path):
    monkeypatch.setattr(view, "permission_classes", [DenyAll])
    answer = request_(method, path)
    check(answer, 403, "permission_denied")
    assert not answer.has_header("WWW-Authenticate")


@every_action
@everywhere
def test_an_authentication_class_rejects_every_action(monkeypatch, request_, view, method, path):
    monkeypatch.setattr(view, "authentication_classes", [Rejecting])
    answer = request_(method, path)
    check(answer, 401, "authentication_failed")
    assert answer["WWW-Authenticate"] == "Bearer"


@every_action
@everywhere
def test_a_throttle_class_limits_every_action(monkeypatch, request_, view, method, path):
    monkeypatch.setattr(view, "throttle_classes", [Busy])
    answer = request_(method, path)
    check(answer, 429, "throttled")
    assert answer["Retry-After"] == "7"


def test_an_anonymous_request_is_challenged_when_permission_is_denied(monkeypatch, request_):
    monkeypatch.setattr(JobViewSet, "authentication_classes", [Anonymous])
    monkeypatch.setattr(JobViewSet, "permission_classes", [NeedsUser])
    answer = request_("GET", "/jobs")
    check(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"] == "Bearer"


def test_failed_authentication_is_forbidden_without_a_challenge(monkeypatch, request_):
    monkeypatch.setattr(JobViewSet, "authentication_classes", [Unchallenging])
    answer = request_("GET", "/jobs")
    check(answer, 403, "authentication_failed")
    assert not answer.has_header("WWW-Authenticate")


def test_a_permission_class_sees_the_authenticated_user(monkeypatch, request_):
    monkeypatch.setattr(JobViewSet, "permission_classes", [NeedsUser])
    check(request_("GET", "/jobs"), 403, "permission_denied")
    monkeypatch.setattr(JobViewSet, "authentication_classes", [Alice])
    assert request_("GET", "/jobs").status_code == 200


def test_a_permission_class_may_read_the_posted_job(monkeypatch, request_):
    monkeypatch.setattr(JobViewSet, "permission_classes", [ReadsData])
    assert request_("POST", "/jobs").status_code == 202


def test_an_error_in_a_permission_class_is_a_server_error(monkeypatch, client, request_):
    client.raise_request_exception = False
    monkeypatch.setattr(JobViewSet, "permission_classes", [Broken])
    answer = request_("POST", "/jobs")
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")
    assert "John" not in answer.content.decode()


def test_an_error_in_an_action_is_a_server_error(monkeypatch, client, request_):
    client.raise_request_exception = False
    monkeypatch.setattr("jobs.api.views.redis_clock.now", lambda: 1 / 0)
    answer = request_("POST", "/jobs/{id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (500, "server_error")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/jobs", "/jobs/{id}", "/vendors"])
def test_options_is_not_allowed(request_, path):
    answer = request_("OPTIONS", path)
    check(answer, 405, "method_not_allowed")
    assert "OPTIONS" not in answer["Allow"]
