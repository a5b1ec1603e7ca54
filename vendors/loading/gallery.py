"""The gallery: definitions of real vendors that come with EnrichLabs, in vendors/gallery."""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "gallery"
MAX_SUGGESTIONS = 3
VENDOR_HEADING = re.compile(r"^(\[+vendors\.)([\w-]+)(?=[.\]])", re.MULTILINE)


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def text(name: str) -> str:
    """Return the file of one of `names`."""
    return (FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def renamed(name: str, slugs: Mapping[str, str]) -> str:
    """Return the file with other slugs for its vendors."""
    return VENDOR_HEADING.sub(lambda found: found[1] + slugs.get(found[2], found[2]), text(name))


def description(name: str) -> str:
    """Return what the vendor does: the comment in the first line of its file."""
    return text(name).partition("\n")[0].strip("# ")


def vendors(name: str) -> dict[str, Any]:
    """Return the tables of the entry's vendors, by slug."""
    tables: dict[str, Any] = tomllib.loads(text(name))["vendors"]
    return tables


def near(name: str) -> list[str]:
    """Return the names that someone who wrote `name` may have meant, best first."""
    known, wanted = names(), name.lower()
    begin = [each for each in known if each.startswith(wanted) or wanted.startswith(each)]
    close = get_close_matches(wanted, known, MAX_SUGGESTIONS, cutoff=0.5)
    described = [each for each in known if wanted in description(each).lower()]
    return list(dict.fromkeys([*begin, *close, *described]))[:MAX_SUGGESTIONS]
