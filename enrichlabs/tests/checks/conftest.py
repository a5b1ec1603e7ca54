"""An installation without issues, to which a test adds one."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.test import override_settings
from django.utils import timezone

from audit.record import Actor
from clients import issuing
from clients.models import Client
from enrichlabs.tests.checks.issues import WELL_CONFIGURED


@pytest.fixture
def well_configured(request: pytest.FixtureRequest, redis_client: redis.Redis) -> Iterator[None]:
    redis_client.config_set("appendonly", "yes")
    for name in ("transactional_db", "db"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
            _create_key()
            break
    with override_settings(**WELL_CONFIGURED):
        yield
    redis_client.config_set("appendonly", "no")
    redis_client.config_set("maxmemory-policy", "noeviction")


def _create_key() -> None:
    client, expires_at = Client.objects.create(slug="billing"), timezone.now() + timedelta(days=90)
    issuing.create(client, Actor("test"), name="import", scopes="jobs:read", expires_at=expires_at)
