"""What is wrong with a vendor's URL: whatever passes can be called."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

import idna

from vendors.http import addresses

# Underscores too: names of services in a cluster have them. One dot at the end is a whole name's.
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
MAX_CHARACTERS = 253
WHOLE = "Must be a whole address that starts with https:// or http://."


def refusal(url: str) -> str:
    """Return why no vendor can have this URL, in a sentence; empty where one can."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port  # a bad port shows only when it is asked for
    except ValueError:
        return WHOLE
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\x00-\x1f\x7f\\]", url):
        return WHOLE
    wrong = {
        "Must hold no user name or password; put the key into a variable and name it below.": "@"
        in parts.netloc,
        "Must hold no #: what follows it is never sent.": "#" in url,
        "Must name a port from 1 to 65535, or none.": port == 0 or parts.netloc.endswith(":"),
        f"{host[:100]!r} is no name of a host.": not _is_host(
            host, in_brackets="[" in parts.netloc
        ),
    }
    sentence = next((sentence for sentence, is_wrong in wrong.items() if is_wrong), "")
    return sentence or addresses.refusal_of_host(
        host, port or (443 if parts.scheme == "https" else 80)
    )


def _is_host(host: str, *, in_brackets: bool) -> bool:
    if in_brackets:
        return _is_ip(host, version=6)
    try:
        ascii_name = (
            host if host.isascii() else idna.encode(host, uts46=True).decode()
        )  # as it is done for each call
    except UnicodeError:
        return False
    labels = ascii_name.removesuffix(".").split(".")
    if labels[-1].isdigit():
        return _is_ip(ascii_name, version=4)
    return len(ascii_name) <= MAX_CHARACTERS and all(LABEL.fullmatch(label) for label in labels)


def _is_ip(host: str, *, version: int) -> bool:
    try:
        return ip_address(host).version == version and "%" not in host
    except ValueError:
        return False
