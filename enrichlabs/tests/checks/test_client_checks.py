"""Checks of clients and their API keys."""

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from django.utils import timezone

from audit.record import Actor
from clients import issuing
from clients.models import ApiKey, Client
from enrichlabs.tests.checks.issues import found

pytestmark = [pytest.mark.usefixtures("well_configured"), pytest.mark.django_db]
NO_KEY, NO_EXPIRY, ANONYMOUS = (f"enrichlabs.W04{digit}" for digit in "012")


def messages(issue_id: str) -> list[str]:
    issues = run_checks(include_deployment_checks=True)
    return [issue.msg for issue in issues if issue.id == issue_id]


@pytest.mark.parametrize(
    "end",
    [
        lambda: ApiKey.objects.all().delete(),
        lambda: ApiKey.objects.update(revoked_at=timezone.now()),
        lambda: ApiKey.objects.update(expires_at=timezone.now()),
        lambda: Client.objects.update(enabled=False),
    ],
    ids=["none", "revoked", "expired", "client disabled"],
)
def test_a_service_without_a_valid_key_is_reported_once(db: None, end: object) -> None:
    end()
    assert found() == [NO_KEY]
    assert found(databases=["default"]) == [NO_KEY]


def test_keys_without_expiry_are_named(db: None) -> None:
    client = Client.objects.get()
    made = [
        issuing.create(client, Actor("test"), name="import", scopes="jobs:read").key
        for _ in range(25)
    ]
    assert found() == [NO_EXPIRY]
    [message] = messages(NO_EXPIRY)
    first = sorted(map(str, made))[:20]
    assert message == f"API keys that never expire: {', '.join(first)} and 5 more."
    ApiKey.objects.filter(expires_at=None).update(revoked_at=timezone.now())
    assert found() == []


def test_anonymous_requests_are_reported_once(db: None) -> None:
    with override_settings(ALLOW_ANONYMOUS=True):
        assert found() == [ANONYMOUS]
        ApiKey.objects.all().delete()
        assert found() == [NO_KEY, ANONYMOUS]
