"""What keeps people from reading a page: found by axe, and by measuring its width."""

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

LOOKS = [("light", 1280), ("light", 390), ("dark", 1280), ("dark", 390)]
STANDARDS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
COLOURS = ("color-contrast", "link-in-text-block")  # all that differs in the dark
# What reaches beyond the right edge, unless it is inside a part that scrolls by itself.
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const found = [...document.body.querySelectorAll("*")].filter(
        each => each.getBoundingClientRect().right > width + 1);
    return found.slice(0, 5).map(each => each.outerHTML.slice(0, 120)).concat("is too wide");
}"""


def faults(page: Page, scheme: Any, width: int) -> Iterator[str]:
    """Yield a line for each fault of the page in this look."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    where = f"{scheme} {width}: "
    for text in page.evaluate(TOO_WIDE):
        yield where + text
    for violation in Axe().run(page, options=options(scheme)).response["violations"]:
        if violation["impact"] in ("serious", "critical"):
            for node in violation["nodes"][:3]:
                yield f"{where}{violation['id']}: {node['html'][:160]} {_said(node)}"


def options(scheme: str) -> dict[str, Any]:
    only = {"type": "rule", "values": COLOURS} if scheme == "dark" else None
    return {
        "runOnly": only or {"type": "tag", "values": STANDARDS},
        "resultTypes": ["violations"],
        "preload": False,  # for which axe would add a style that our policy refuses
    }


def _said(node: dict[str, Any]) -> str:
    checks = (*node["any"], *node["all"], *node["none"])
    return " ".join(each["message"] for each in checks)[:200]
