"""Errors outside the API are problems too, except in the console."""

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from django.urls import path

RAISED = {
    "fault": ZeroDivisionError("John Doe"),
    "store": OperationalError("database is locked"),
    "suspicious": SuspiciousOperation("John Doe"),
    "missing": Http404("John Doe"),
    "denied": PermissionDenied("John Doe"),
}


def fail(request, name):
    raise RAISED[name]


urlpatterns = [path("fail/<name>", fail), path("admin/fail/<name>", fail)]
handler400 = "jobs.api.problems.bad_request"
handler404 = "jobs.api.problems.not_found"
handler500 = "jobs.api.problems.server_error"


@pytest.fixture(autouse=True)
def _urls(settings, client):
    settings.ROOT_URLCONF = __name__
    client.raise_request_exception = False


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/fail/fault", 500, "server_error"),
        ("/fail/store", 503, "store_unavailable"),
        ("/fail/suspicious", 400, "bad_request"),
        ("/fail/missing", 404, "not_found"),
        ("/nowhere", 404, "not_found"),
        ("/jobs/", 404, "not_found"),
        ("/administration", 404, "not_found"),
    ],
)
def test_a_failing_view_answers_with_a_problem_without_details(client, address, status, code):
    answer = client.get(address)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["code"] == code
    assert "John" not in answer.content.decode()
    assert answer.has_header("Retry-After") == (status == 503)


@pytest.mark.parametrize(
    ("name", "status"), [("fault", 500), ("suspicious", 400), ("missing", 404), ("nothing", 500)]
)
def test_the_console_keeps_its_own_error_pages(client, name, status):
    answer = client.get(f"/admin/fail/{name}")
    assert (answer.status_code, answer["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert client.get("/admin").headers["Content-Type"].startswith("text/html")


def test_an_unknown_host_is_a_bad_request(client, settings):
    settings.ALLOWED_HOSTS = ["localhost"]
    answer = client.get("/nowhere", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert "evil" not in answer.content.decode()
