"""Who may read /metrics behind the API: API keys with the scope metrics:read."""

from collections.abc import Callable

import pytest
import redis
from django.test import Client as Browser

from audit.record import Actor
from clients import issuing
from clients.models import Client
from clients.scopes import Scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def read(redis_client: redis.Redis) -> Callable[..., int]:
    """Return a function that reads /metrics with a key of these scopes, and returns the status."""
    client = Client.objects.create(slug="monitoring")
    issuing.create(client, Actor("test"), name="other", scopes=Scope.READ)

    def read(*scopes: str, method: str = "GET", **headers: str) -> int:
        if scopes:
            name = {"name": "scraper", "scopes": ",".join(scopes)}
            key = issuing.create(client, Actor("test"), **name).text
            headers["Authorization"] = f"Bearer {key}"
        return Browser().generic(method, "/metrics", headers=headers).status_code

    return read


def test_the_scope_is_needed(read: Callable[..., int]) -> None:
    assert read() == 401
    assert read(Scope.SUBMIT, Scope.READ, Scope.MANAGE) == 403
    assert read(Scope.METRICS) == 200
    assert read(Scope.METRICS, method="HEAD") == 200
    assert read(Scope.METRICS, method="POST") == 405
    assert read(method="POST") == 401


def test_another_sites_page_is_refused(read: Callable[..., int]) -> None:
    assert read(Scope.METRICS, Origin="https://evil.example") == 403


def test_without_any_key_anonymous_requests_have_all_scopes(redis_client: redis.Redis) -> None:
    assert Browser().get("/metrics").status_code == 200
