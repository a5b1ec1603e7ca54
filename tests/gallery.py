"""Loads definitions of the gallery so that they call servers of a test."""

import re

from harness.vendor.recordings import KEY, ROOT
from harness.vendor.server import Server
from vendors.catalogue import catalogue
from vendors.loading.load import load
from vendors.loading.toml import parse
from vendors.models import Vendor

GALLERY = ROOT / "vendors/gallery"
NAMES = sorted(path.stem for path in GALLERY.glob("*.toml"))
HOST = re.compile(r'(\b(?:url = "[A-Z]+ |token_url = "))https://[^/"]+')
VARIABLE = re.compile(r"\bVENDOR_\w+")
POLL_TIMES = re.compile(r'\b(after|every) = "[0-9a-z]+"')


def load_definition(
    name: str, server: Server, *, vendor: str = "", slug: str = "", polls_after: str = "1s"
) -> Vendor:
    """Load `vendor` of the definition `name` as `slug`. It calls the server, and polls soon."""
    vendor = vendor or name
    slug = slug or vendor
    text = HOST.sub(rf"\g<1>{server.url.rstrip('/')}", (GALLERY / f"{name}.toml").read_text())
    text = POLL_TIMES.sub(rf'\1 = "{polls_after}"', text)
    text = re.sub(rf"\[vendors\.{vendor}(?=[.\]])", f"[vendors.{slug}", text)
    if slug != vendor:  # a credential of its own, whose key may be paused
        text = re.sub(r"\[credentials\.[a-z_]+", f"[credentials.{slug}", text)
        text = re.sub(r'\bcredential = "[a-z_]+"', f'credential = "{slug}"', text)
    parsed = parse(text)
    load(parsed._replace(vendors=[entry for entry in parsed.vendors if entry.slug == slug]))
    catalogue.forget()
    return Vendor.objects.get(slug=slug)


def variables() -> dict[str, str]:
    """Return the variables that the gallery's definitions name, with the key that servers know."""
    texts = [(GALLERY / f"{name}.toml").read_text() for name in NAMES]
    return {name: KEY for text in texts for name in VARIABLE.findall(text)}
