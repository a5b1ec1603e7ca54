"""How things are shown to an operator: badges, times and JSON."""

import json
import re
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from vendors.payloads import exact

MAX_CHARACTERS = 20_000
IN_LINES = json.JSONEncoder(indent=2, ensure_ascii=False)
UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def badge(word: str, kind: str = "") -> SafeString:
    """Return the word on a coloured ground; `kind` names the colour where the word does not."""
    return format_html('<span class="badge badge-{}">{}</span>', kind or word, word)


def standing(sentence: str) -> SafeString:
    """Return how a vendor stands, coloured where it is not running."""
    return format_html('<span class="is-{}">{}</span>', re.split(r"\W", sentence)[0], sentence)


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
    """Return the JSON value in lines, cut where it is too long to be read; `more` says where to
    find all of it then.
    """
    return "-" if value is None else format_html('<pre class="json">{}</pre>', _lines(value, more))


def _lines(value: Any, more: str) -> str:
    # Piece by piece: written out with indents, a deeply nested value is hundreds of times as long
    # as it was received.
    pieces, length = [], 0
    for piece in IN_LINES.iterencode(value):
        pieces.append(piece[: MAX_CHARACTERS + 1])
        length += len(piece)
        if length > MAX_CHARACTERS:
            return cut("".join(pieces), MAX_CHARACTERS, more)
    return cut(exact.write(value, IN_LINES), MAX_CHARACTERS, more)  # with all digits of its numbers


def cut(text: str, length: int, more: str = "") -> str:
    """Return the text as it can be sent, with a note where it was longer than `length`."""
    # Half a surrogate pair can be kept as JSON, but not be sent as UTF-8.
    shown = text[:length].encode("utf-8", "replace").decode()
    if len(text) <= length:
        return shown
    return f"{shown}\n… cut here: only the first {length:,} characters are shown.{f' {more}' if more else ''}"
