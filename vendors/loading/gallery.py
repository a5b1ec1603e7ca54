"""The gallery: definitions of real vendors that come with EnrichLabs, in vendors/gallery/NAME.toml.

A file begins with a comment whose first line says in a few words what the vendor does.
"""

import tomllib
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "gallery"
MAX_SUGGESTIONS = 3


class GalleryEntry:
    """One file of the gallery."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.text = path.read_text(encoding="utf-8")

    @cached_property
    def description(self) -> str:
        """The first line of the comment at the top."""
        first = self.text.lstrip().partition("\n")[0]
        return first.lstrip("#").strip() if first.startswith("#") else ""

    @cached_property
    def vendors(self) -> dict[str, Any]:
        """The tables of its vendors, by slug."""
        tables: dict[str, Any] = tomllib.loads(self.text).get("vendors", {})
        return tables


def names() -> list[str]:
    """Return the names of all entries, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find(name: str) -> GalleryEntry | None:
    # Only names of files that exist, so that none leads out of the folder.
    return GalleryEntry(FOLDER / f"{name}.toml") if name in names() else None


def near(name: str) -> list[str]:
    """Return names that someone who wrote `name` may have meant, best first."""
    known, wanted = names(), name.lower()
    begin = [each for each in known if each.startswith(wanted) or wanted.startswith(each)]
    close = get_close_matches(wanted, known, MAX_SUGGESTIONS, cutoff=0.5)
    return list(dict.fromkeys([*begin, *close]))[:MAX_SUGGESTIONS]
