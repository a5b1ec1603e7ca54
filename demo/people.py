"""The demo's clients, users, and what these have done during the day."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from audit.models import Entry
from audit.record import Actor
from clients import issuing
from clients.models import Client
from demo.rows import id_at
from vendors.models import Vendor
from vendors.models.pausable import DENIED

SCOPES = "jobs:submit,jobs:read,jobs:manage"
CLIENTS = {
    "billing": "Billing",
    "crm": "Customer relations",
    "research": "Market research",
}
USERS = {"olivia": "operator", "victor": "viewer"}
ADDRESS = "192.0.2.17"


def add_clients() -> dict[str, str]:
    """Create the clients and return an API key of each."""
    keys = {}
    for slug, name in CLIENTS.items():
        client = Client.objects.create(slug=slug, name=name, request_limits="200/s")
        fields: dict[str, Any] = {"name": "nightly import", "scopes": SCOPES}
        if slug == "crm":
            fields["expires_at"] = timezone.now() + timedelta(days=9)
        keys[slug] = issuing.create(client, Actor("admin", ADDRESS), **fields).text
    return keys


def add_users() -> dict[str, str]:
    """Create an operator and a viewer, and return their passwords."""
    passwords = {}
    for name, role in USERS.items():
        passwords[name] = secrets.token_urlsafe(12)
        user = User.objects.create_user(name, password=passwords[name], is_staff=True)
        user.groups.set(Group.objects.filter(name=role))
    return passwords


def pause_vendors(now: datetime) -> None:
    """Pause one vendor by hand, and one because it denied jobs."""
    Vendor.objects.filter(slug="vat").update(
        paused_until=now + timedelta(hours=3),
        pause_reason="Their maintenance, announced by mail",
        paused_at=now - timedelta(hours=2.2),
        paused_by="olivia",
    )
    Vendor.objects.filter(slug="credit").update(
        paused=True, pause_reason=DENIED, paused_at=now - timedelta(minutes=50)
    )


def add_entries(now: datetime) -> None:
    """Write the audit trail of the day."""
    day: list[tuple[float, str, str, str, dict[str, list[Any]], str]] = [
        (
            23.0,
            "admin",
            "vendor.limits_changed",
            "vendor:emails",
            {"rate_limits": ["10/s", "5/s"]},
            "Their new contract",
        ),
        (17.5, "EnrichLabs", "service.version", "service", {"version": ["0.1.9", "0.2.0"]}, ""),
        (9.0, "olivia", "vendor.paused", "vendor:phones", {"paused": [False, True]}, "Wrong bill"),
        (8.2, "olivia", "vendor.resumed", "vendor:phones", {"paused": [True, False]}, ""),
        (
            6.0,
            "admin",
            "vendor.limits_changed",
            "vendor:addresses",
            {"rate_limits": ["20/min", "8/min, 20000/day"]},
            "Too many of their answers came late",
        ),
        (
            2.2,
            "olivia",
            "vendor.paused",
            "vendor:vat",
            {"paused_until": [None, (now + timedelta(hours=3)).isoformat()]},
            "Their maintenance, announced by mail",
        ),
        (
            50 / 60,
            "EnrichLabs",
            "vendor.paused",
            "vendor:credit",
            {"paused": [False, True]},
            DENIED,
        ),
    ]
    for hours, actor, action, target, changes, reason in day:
        at = now - timedelta(hours=hours)
        Entry.objects.create(
            id=id_at(at),
            at=at,
            actor=actor,
            action=action,
            target=target,
            changes=changes,
            reason=reason,
            address="" if actor == "EnrichLabs" else ADDRESS,
        )
