"""A client learns about the vendors that it may use, and about no others."""

import json

import pytest

from audit.record import Actor
from clients import issuing
from clients.directory import directory
from clients.models import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def bearer():
    """Return a function that makes a key and returns the header that authenticates with it."""

    def make(scopes="jobs:submit", vendors=""):
        owner = Client.objects.create(slug="team")
        issued = issuing.create(
            owner, Actor("test", ""), name="test", scopes=scopes, vendors=vendors
        )
        return {"Authorization": f"Bearer {issued.text}"}

    return make


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


def test_only_the_vendors_of_the_key_and_its_client_are_listed(client, bearer):
    headers = bearer(vendors="gamma, beta")
    Client.objects.update(vendors="gamma, alpha")
    directory.forget()
    assert slugs(client.get("/vendors", headers=headers)) == ["gamma"]


@pytest.mark.parametrize(
    ("scopes", "status"),
    [("jobs:submit", 200), ("jobs:read", 200), ("jobs:manage", 403), ("metrics:read", 403)],
)
def test_vendors_need_the_scope_to_submit_or_to_read(client, bearer, scopes, status):
    answer = client.get("/vendors", headers=bearer(scopes))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "missing_scope"


def test_vendors_need_a_key_once_there_is_one(client, bearer):
    bearer()
    assert client.get("/vendors").status_code == 401


def post(client, headers, **body):
    return client.post(
        "/jobs", json.dumps(body), content_type="application/json", headers=headers
    ).json()


def test_vendor_errors_name_only_the_vendors_of_the_caller(client, bearer, make_vendor):
    headers = bearer(vendors="gamma, beta")
    unknown = post(client, headers, vendor="nobody")
    assert (unknown["code"], unknown["detail"]) == (
        "vendor_not_allowed",
        "This API key can't be used for this vendor, only for: beta, gamma.",
    )
    disabled = post(client, headers, vendor="beta", name="x")
    assert (disabled["code"], disabled["detail"]) == (
        "vendor_disabled",
        "This vendor is disabled. Use one of: gamma.",
    )


@pytest.mark.parametrize("foreign", ["secret-on", "secret-off"])
def test_another_vendor_s_settings_stay_unknown(client, bearer, make_vendor, foreign):
    make_vendor("secret-on", required_input="shoe_size")
    make_vendor("secret-off", required_input="shoe_size", enabled=False)
    problem = post(client, bearer(vendors="gamma"), vendor=foreign)
    assert (problem["status"], problem["code"]) == (403, "vendor_not_allowed")
    assert "shoe_size" not in str(problem)
    assert problem["detail"].endswith("only for: gamma.")


def test_vendor_errors_name_twenty_vendors_at_most(client, bearer, make_vendor):
    for number in range(30):
        make_vendor(f"many-{number:02}")
    allowed = ",".join(f"many-{number:02}" for number in range(25))
    problem = post(client, bearer(vendors=allowed), vendor="nobody")
    assert problem["detail"].endswith(", many-18, many-19 and 5 more.")
