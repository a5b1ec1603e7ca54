"""The state of a key is said in words."""

from datetime import UTC, datetime, timedelta

import pytest

from clients.models import ApiKey, Client
from clients.states import describe

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER, SOON, BEFORE = NOON + timedelta(days=90), NOON + timedelta(days=3), NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    ("fields", "is_enabled", "state"),
    [
        ({}, True, "active"),
        ({"expires_at": LATER}, True, "active until 2026-05-01 12:00 UTC"),
        ({"expires_at": SOON}, True, "active, expires in 3 days"),
        ({"expires_at": BEFORE}, True, "expired 2026-01-31 11:00 UTC"),
        ({"revoked_at": BEFORE}, True, "revoked 2026-01-31 11:00 UTC"),
        ({}, False, "client disabled"),
        ({"expires_at": LATER}, False, "client disabled"),
        ({"expires_at": SOON}, False, "client disabled"),
        ({"expires_at": BEFORE}, False, "expired 2026-01-31 11:00 UTC"),
    ],
)
def test_the_state_of_a_key_is_described(fields, is_enabled, state):
    client = Client(slug="billing", enabled=is_enabled)
    assert describe(ApiKey(client=client, **fields), NOON) == state


@pytest.mark.parametrize(
    ("fields", "is_enabled", "state"),
    [
        ({"expires_at": SOON}, True, "active until 2026-02-03 12:00 UTC"),
        ({"expires_at": SOON}, False, "client disabled"),
        ({"expires_at": BEFORE}, True, "expired 2026-01-31 11:00 UTC"),
        ({"expires_at": SOON, "revoked_at": BEFORE}, True, "revoked 2026-01-31 11:00 UTC"),
    ],
)
def test_a_replaced_key_names_the_new_one(fields, is_enabled, state):
    client = Client(slug="billing", enabled=is_enabled)
    key = ApiKey(client=client, replaced_by="AbCd1234", **fields)
    assert describe(key, NOON) == f"{state}, replaced by elk_AbCd1234"
