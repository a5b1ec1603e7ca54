"""An installation without issues, to which a test adds one."""

from collections.abc import Iterator

import pytest
import redis
from django.test import override_settings

from enrichlabs.tests.checks.issues import WELL_CONFIGURED


@pytest.fixture
def well_configured(redis_client: redis.Redis) -> Iterator[None]:
    redis_client.config_set("appendonly", "yes")
    with override_settings(**WELL_CONFIGURED):
        yield
    redis_client.config_set("appendonly", "no")
    redis_client.config_set("maxmemory-policy", "noeviction")
