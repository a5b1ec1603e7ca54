"""How the console formats values: badges, times, counts and JSON."""

import json
import re
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from vendors.payloads import exact

MAX_CHARACTERS = 20_000
INDENTED = json.JSONEncoder(indent=2, ensure_ascii=False)
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def badge(word: str, kind: str = "") -> SafeString:
    """Return the word with the sign and colour of its kind: a status, a vendor's state, or good,
    info, warning, bad or off.
    """
    return format_html('<span class="badge badge-{}">{}</span>', kind or word, word)


def vendor_state(text: str) -> SafeString:
    """Return a vendor's state, coloured by its first word: running, paused or down."""
    return format_html('<span class="is-{}">{}</span>', re.split(r"\W", text)[0], text)


def counted(count: int, noun: str) -> str:
    """Return, for example, '1 job' or '2,000 jobs'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "-"


def age(at: datetime, now: datetime) -> SafeString:
    """Return how long ago it was, in the largest unit."""
    seconds = max(int((now - at).total_seconds()), 0)
    unit, size = next(((unit, size) for unit, size in UNITS if seconds >= size), UNITS[-1])
    return format_html('<span title="{}">{} {}</span>', moment(at), seconds // size, unit)


def duration(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds():.2f} s"


def pretty(value: Any, more: str = "") -> str | SafeString:
    """Return JSON with indents, truncated. `more`: where to find all of it."""
    return "-" if value is None else format_html('<pre class="json">{}</pre>', _json(value, more))


def _json(value: Any, more: str) -> str:
    # In pieces: with indents, a deeply nested value is hundreds of times as long as without.
    pieces, length = [], 0
    for piece in INDENTED.iterencode(value):
        pieces.append(piece[: MAX_CHARACTERS + 1])
        length += len(piece)
        if length > MAX_CHARACTERS:
            return truncated("".join(pieces), MAX_CHARACTERS, more)
    return truncated(exact.write(value, INDENTED), MAX_CHARACTERS, more)  # numbers with all digits


def truncated(text: str, length: int, more: str = "") -> str:
    """Return at most `length` characters, valid as UTF-8, with a note if there are more."""
    # JSON can hold half a surrogate pair, UTF-8 cannot.
    first = text[:length].encode("utf-8", "replace").decode()
    if len(text) <= length:
        return first
    note = f"… truncated: only the first {length:,} characters are shown."
    return f"{first}\n{note}{f' {more}' if more else ''}"
