"""The entries of the gallery, and which of them have been added."""

import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from vendors import gallery
from vendors.models import Vendor

MAX_SUGGESTIONS = 3


def description(name: str) -> str:
    """Return the first sentence of the comment that its file begins with."""
    words: list[str] = []
    for line in gallery.text(name).splitlines():
        if not line.startswith("#"):
            break
        words.append(line.strip("# "))
        if line.endswith("."):
            break
    return " ".join(words)


def added_as(name: str, vendors: Iterable[Vendor]) -> list[str]:
    """Return the slugs of the vendors that were added from the entry, also under another slug."""
    tables: dict[str, Any] = tomllib.loads(gallery.text(name)).get("vendors", {})
    urls = {table.get("url") for table in tables.values()}
    return [each.slug for each in vendors if each.slug in tables or each.url in urls]


def near(name: str) -> list[str]:
    """Return the names that someone who wrote `name` may have meant, best first."""
    known, wanted = gallery.names(), name.lower()
    begin = [each for each in known if each.startswith(wanted) or wanted.startswith(each)]
    close = get_close_matches(wanted, known, MAX_SUGGESTIONS, cutoff=0.5)
    described = [each for each in known if wanted in description(each).lower()]
    return list(dict.fromkeys([*begin, *close, *described]))[:MAX_SUGGESTIONS]
