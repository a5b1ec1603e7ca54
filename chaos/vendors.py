"""The vendors of a campaign: their settings and their share of the jobs."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - made up for the campaign
WEBHOOK_SECRET_ENV = "VENDOR_CHAOS_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
TIMEOUT_SECONDS = 4
CALLBACK_TIMEOUT_SECONDS = 15
MAX_ATTEMPTS = 6


@dataclass(frozen=True)
class Settings:
    share: int  # of 100 jobs
    adapter: str
    fields: dict[str, Any] = field(default_factory=dict)


VENDORS = {
    "quick": Settings(45, "sync"),
    "limited": Settings(20, "sync", {"rate_limits": "20/s"}),
    "windows": Settings(5, "sync", {"rate_limits": "10/s, 200/min"}),
    "once": Settings(5, "sync", {"repeat_unknown": False}),
    "signed": Settings(
        20,
        "async",
        {"rate_limits": "20/s", "max_in_flight": 100, "webhook_secret_env": WEBHOOK_SECRET_ENV},
    ),
    "overdue": Settings(5, "async", {"repeat_overdue": True}),
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


def as_toml(address: str) -> str:
    """Return the vendors for `manage.py load_vendors`, all served below `address`."""
    return "\n".join(
        _table(slug, f"{address}/{slug}", settings) for slug, settings in VENDORS.items()
    )


def _table(slug: str, url: str, settings: Settings) -> str:
    fields = {"adapter": settings.adapter, "url": url, **COMMON, **settings.fields}
    lines = [f"{name} = {_literal(value)}" for name, value in fields.items()]
    return "\n".join([f"[vendors.{slug}]", *lines, ""])


def _literal(value: Any) -> str:
    return json.dumps(value)  # the same as TOML for the types used here
