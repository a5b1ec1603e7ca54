"""Every method on every route, with and without a key, whatever is accepted: documented answers."""

import json

import pytest

from harness.clients import bearer, make_key
from jobs.tests.batch_rows import make_batch

# About requests and answers, whatever the store.
pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY")
VARIANTS = {
    "plain": ("", {}),
    "html": ("", {"Accept": "text/html"}),
    "nothing": ("", {"Accept": "image/png;q=0"}),
    "browsable": ("format=api", {}),
    "override": ("", {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}),
}
# A list refuses unknown parameters; elsewhere they are ignored, as RFC 9110 has servers do.
JSON, LINES, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
variants = pytest.mark.parametrize("variant", VARIANTS)
methods = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def operations(client, make_vendor, make_job):
    """The operations of the schema by path with a real id, and by method."""
    make_vendor("acme")
    paths = client.get("/schema?format=json").json()["paths"]
    job_id = make_job(client="team-a").pk
    batch_id = make_batch("complete", client="team-a", state="finished").pk
    return {
        path.replace("{request_id}", job_id).replace("{batch_id}", batch_id): operations
        for path, operations in paths.items()
        if "vendor-webhook" not in path
    }


@pytest.fixture
def ask(client):
    def ask(method, path, variant, **headers):
        query, more = VARIANTS[variant]
        return client.generic(
            method,
            path,
            json.dumps({"vendor": "acme", "name": "x"}),
            content_type="application/json",
            QUERY_STRING=query,
            headers={**more, **headers},
        )

    return ask


@methods
@variants
def test_operations_answer_as_documented(operations, ask, method, variant):
    headers = bearer(make_key("team-a"))
    for path, described in operations.items():
        answer = ask(method, path, variant, **headers)
        operation = described.get(method.lower().replace("head", "get"))
        where = (method, path, variant, getattr(answer, "content", b""))
        if operation is None:
            assert answer.status_code == 405, where
            assert method not in answer["Allow"].split(", "), where
        else:
            assert str(answer.status_code) in operation["responses"], where
        shown = LINES if path.endswith("/results") else JSON
        assert answer["Content-Type"] == (shown if answer.status_code < 300 else PROBLEM), where
        assert answer["Cache-Control"] == "no-store", where
        assert "Authorization" in answer["Vary"], where
        answer.getvalue()  # to its end, which frees the place of a streamed file


@methods
@variants
def test_operations_without_a_key_answer_401_alike(operations, ask, method, variant):
    make_key("team-a")
    bodies = set()
    for path in operations:
        answer = ask(method, path, variant)
        assert answer.status_code == 401, (method, path, variant, answer.content)
        assert answer["WWW-Authenticate"] == 'Bearer realm="EnrichLabs"'
        bodies.add(answer.content)
    assert len(bodies) == 1


@methods
@variants
@pytest.mark.parametrize("key", [False, True])
def test_the_docs_are_open_and_only_shown(ask, method, variant, key):
    headers = bearer(make_key("team-a")) if key else {}
    for path, status in [("/docs", 200), ("/schema", 200), ("/", 302)]:
        answer = ask(method, path, variant, **headers)
        if method in ("GET", "HEAD"):
            assert answer.status_code == status, (path, answer.content)
            continue
        assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD"), path
        assert answer["Content-Type"] == PROBLEM
        assert answer.json()["code"] == "method_not_allowed"
