"""What a request prefers (RFC 7240): of all preferences, only `wait` means something here."""

import re
from collections.abc import Iterator

MAX_WAIT_SECONDS = 30

NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
VALUE = rf'(?:{NAME}|"(?:[^"\\]|\\.)*")'
# A server joins headers of the same name by commas, which may also stand in quotes.
ELEMENT = re.compile(r'((?:[^,"]|"(?:[^"\\]|\\.)*+")*+)(?:,|$)')
PARAMETER = rf"[ \t]*{NAME}(?:[ \t]*=[ \t]*{VALUE})?"
PREFERENCE = re.compile(
    rf"[ \t]*({NAME})(?:[ \t]*=[ \t]*({VALUE}))?(?:[ \t]*;(?:{PARAMETER})?)*[ \t]*"
)
SECONDS = re.compile(r'"?0*([0-9]+)"?')


def wait_seconds(header: str) -> int:
    """Return for how long the client would wait, at most MAX_WAIT_SECONDS. 0 if it does not ask for
    that; the first `wait` counts. What is malformed is ignored.
    """
    for element in _elements(header):
        found = PREFERENCE.fullmatch(element)
        if found and found[1].lower() == "wait":
            return _bounded(found[2] or "")
    return 0


def _elements(header: str) -> Iterator[str]:
    """Return the elements of the list, up to a quote that is not closed."""
    position = 0
    while position < len(header) and (found := ELEMENT.match(header, position)):
        yield found[1]
        position = found.end()


def _bounded(text: str) -> int:
    found = SECONDS.fullmatch(text)
    if not found:
        return 0
    digits = found[1]  # perhaps thousands of them
    return min(int(digits), MAX_WAIT_SECONDS) if len(digits) <= 2 else MAX_WAIT_SECONDS
