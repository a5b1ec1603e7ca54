"""A client learns about the vendors that it may use, and about no others."""

import json

import pytest

from harness.clients import bearer, make_client, make_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _vendors(make_vendor):
    make_vendor("gamma", required_input="email, city")
    make_vendor("beta", enabled=False)
    make_vendor("alpha", required_input="")


def slugs(answer):
    assert answer.status_code == 200, answer.content
    return [item["slug"] for item in answer.json()["items"]]


def test_vendors_are_listed_by_slug_with_their_required_input(client):
    answer = client.get("/vendors")
    assert answer.json() == {
        "items": [
            {"slug": "alpha", "enabled": True, "required_input": []},
            {"slug": "beta", "enabled": False, "required_input": ["name"]},
            {"slug": "gamma", "enabled": True, "required_input": ["email", "city"]},
        ]
    }
    assert answer["Cache-Control"] == "no-store"
    assert client.head("/vendors").status_code == 200


def headers_of(scopes="jobs:submit", vendors="", *, of_client=""):
    make_client("team", vendors=of_client)
    return bearer(make_key("team", scopes=scopes, vendors=vendors))


@pytest.mark.parametrize(
    ("of_key", "of_client", "shown"),
    [
        ("gamma, beta", "", ["beta", "gamma"]),
        ("", "gamma, alpha", ["alpha", "gamma"]),
        ("gamma", "gamma, alpha", ["gamma"]),
    ],
)
def test_only_the_vendors_of_the_key_and_its_client_are_listed(client, of_key, of_client, shown):
    headers = headers_of(vendors=of_key, of_client=of_client)
    assert slugs(client.get("/vendors", headers=headers)) == shown


@pytest.mark.parametrize(
    ("scopes", "status"),
    [("jobs:submit", 200), ("jobs:read", 200), ("jobs:manage", 403), ("metrics:read", 403)],
)
def test_vendors_need_the_scope_to_submit_or_to_read(client, scopes, status):
    answer = client.get("/vendors", headers=headers_of(scopes))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "missing_scope"


def test_vendors_need_a_key_once_there_is_one(client):
    headers_of()
    assert client.get("/vendors").status_code == 401


def post(client, headers, **body):
    return client.post(
        "/jobs", json.dumps(body), content_type="application/json", headers=headers
    ).json()


def test_vendor_errors_name_only_the_vendors_of_the_caller(client):
    headers = headers_of(vendors="gamma, beta")
    disabled = post(client, headers, vendor="beta", name="x")
    assert (disabled["code"], disabled["detail"]) == (
        "vendor_disabled",
        "This vendor is disabled. Use one of: gamma.",
    )


@pytest.mark.parametrize("foreign", ["secret-on", "secret-off", "nobody"])
def test_a_vendor_of_others_is_like_one_that_does_not_exist(client, make_vendor, foreign):
    make_vendor("secret-on", required_input="shoe_size")
    make_vendor("secret-off", required_input="shoe_size", enabled=False)
    problem = post(client, headers_of(vendors="gamma"), vendor=foreign)
    assert (problem["status"], problem["code"]) == (403, "vendor_not_allowed")
    assert problem["detail"] == "This API key can't be used for this vendor, only for: gamma."


def test_vendor_errors_name_twenty_vendors_at_most(client, make_vendor):
    for number in range(30):
        make_vendor(f"many-{number:02}")
    allowed = ",".join(f"many-{number:02}" for number in range(25))
    of_some = post(client, headers_of(vendors=allowed), vendor="nobody")
    assert of_some["detail"].endswith(", many-18, many-19 and 5 more.")
    of_all = post(client, bearer(make_key("all")), vendor="x")
    assert of_all["code"] == "unknown_vendor"
    assert of_all["detail"].endswith(", many-16, many-17 and 12 more.")
