"""The vendors of a campaign: their settings and their share of the jobs."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chaos.limits.definitions import CREDENTIALS, KEYS, LIMITS, limited
from chaos.polls.definitions import (
    DEFINITIONS,
    SECRET,
    SECRET_ENV,
    SHARES,
    address_of,
    placed,
)

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - made up for the campaign
WEBHOOK_SECRET_ENV = "VENDOR_CHAOS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
SECRETS = {WEBHOOK_SECRET_ENV: WEBHOOK_SECRET, SECRET_ENV: SECRET, **KEYS}
TIMEOUT_SECONDS = 4
CALLBACK_TIMEOUT_SECONDS = 15
MAX_ATTEMPTS = 6


@dataclass(frozen=True)
class Settings:
    share: int  # of 100 jobs
    adapter: str
    fields: dict[str, Any] = field(default_factory=dict)


VENDORS = {
    "quick": Settings(27, "sync"),
    "limited": Settings(10, "sync", {"rate_limits": "20/s"}),
    "windows": Settings(5, "sync", {"rate_limits": "10/s, 200/min", **limited("windows")}),
    "once": Settings(4, "sync", {"repeat_unknown": False}),
    "signed": Settings(
        12,
        "async",
        {"rate_limits": "20/s", "max_in_flight": 100, "webhook_secret_env": WEBHOOK_SECRET_ENV},
    ),
    "overdue": Settings(4, "async", {"repeat_overdue": True, **limited("overdue")}),
    **{slug: Settings(share, "http", DEFINITIONS[slug]) for slug, share in SHARES.items()},
}
COMMON = {
    "timeout_seconds": TIMEOUT_SECONDS,
    "callback_timeout_seconds": CALLBACK_TIMEOUT_SECONDS,
    "max_attempts": MAX_ATTEMPTS,
}


def vendor_of(seed: int, serial: int) -> str:
    """Return the slug of a job's vendor."""
    shares = [settings.share for settings in VENDORS.values()]
    return random.Random(f"{seed}/{serial}").choices(list(VENDORS), shares)[0]


def set_limits(rate_limits: Mapping[str, str]) -> None:
    """Replace the limits of some vendors. Call this before anything reads them."""
    for slug, text in rate_limits.items():
        VENDORS[slug] = replace(VENDORS[slug], fields={**VENDORS[slug].fields, "rate_limits": text})


def as_toml(address: str, account: str) -> str:
    """Return the vendors for `manage.py load_vendors`, all served below `address`. `account`: where
    we receive callbacks.
    """
    limits = [_table(f"limits.{slug}", each) for slug, each in LIMITS.items()]
    credentials = [_table(f"credentials.{slug}", each) for slug, each in CREDENTIALS.items()]
    vendors = [_vendor(slug, address, account) for slug in VENDORS]
    return "\n".join([*limits, *credentials, *vendors])


def url_of(slug: str, address: str) -> str:
    """Return the `url` of a vendor that is served below `address`."""
    return address_of(slug, address) if slug in DEFINITIONS else f"{address}/{slug}"


def _vendor(slug: str, address: str, account: str) -> str:
    settings, fields = VENDORS[slug], VENDORS[slug].fields
    if slug in DEFINITIONS:
        fields = {**fields, **placed(slug, address, account)}
    common = {"adapter": settings.adapter, "url": url_of(slug, address), **COMMON}
    return _table(f"vendors.{slug}", {**common, **fields})


def _table(name: str, fields: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_literal(value)}" for key, value in fields.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{key} = {_literal(each)}" for key, each in value.items())
        return f"{{ {pairs} }}"
    return json.dumps(value)  # the same as TOML for the types used here
