"""How a reader wants the console shown: time zone and colours, kept in cookies by console.js."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

THEME_COOKIE = "console_theme"
ZONE_COOKIE = "console_zone"
THEMES = ("light", "dark")


def theme(cookies: Mapping[str, str]) -> str:
    chosen = cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def zone(cookies: Mapping[str, str]) -> tzinfo:
    """Return the zone that the reader chose, or UTC."""
    return _zone(cookies.get(ZONE_COOKIE, "").replace("%2F", "/")[:64])


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):  # KeyError: there is no such zone
        return UTC


def zone_name(where: tzinfo, at: datetime) -> str:
    """Return the zone's short name at that time, as "UTC" or "CET"."""
    name = at.astimezone(where).tzname() or "UTC"
    # Zones without letters are named by their distance from UTC.
    return f"UTC{name}" if name[0] in "+-" else name
