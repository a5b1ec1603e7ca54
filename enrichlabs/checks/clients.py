"""Whether the API is open to everyone, or to no one, and keys that never end."""

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.db.models import Q, QuerySet
from django.utils import timezone

from clients.models import ApiKey, Client
from vendors.catalogue import listed

NO_KEY = "enrichlabs.W040"
NO_EXPIRY = "enrichlabs.W041"
ANONYMOUS = "enrichlabs.W042"


def check_settings() -> list[CheckMessage]:
    if not settings.ALLOW_ANONYMOUS:
        return []
    return [
        Warning(
            "ALLOW_ANONYMOUS is on: until an API key exists, anyone who reaches the API can post "
            "and read jobs.",
            hint="Remove ALLOW_ANONYMOUS, and create an API key for each client.",
            id=ANONYMOUS,
        )
    ]


def check_keys() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    keys = _valid_keys()
    if not keys.exists():
        return [
            Warning(
                "There is no valid API key of an enabled client: no request with a key is "
                "accepted. Where ALLOW_ANONYMOUS is on, as script/server has it on a loopback "
                "address, requests without a key are, until the first key is made.",
                hint="Create one: manage.py api_key create --client SLUG --new-client",
                id=NO_KEY,
            )
        ]
    endless = [f"elk_{key.public}" for key in keys.filter(expires_at=None)]
    if not endless:
        return []
    return [
        Warning(
            f"API keys that never expire: {listed(endless)}.",
            hint="Replace each by one that expires: manage.py api_key create --expires-in 90d, "
            "then manage.py api_key revoke KEY.",
            id=NO_EXPIRY,
        )
    ]


def _valid_keys() -> QuerySet[ApiKey]:
    enabled = list(Client.objects.filter(enabled=True).order_by().values_list("pk", flat=True))
    in_time = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return ApiKey.objects.filter(in_time, revoked_at=None, client__in=enabled)
