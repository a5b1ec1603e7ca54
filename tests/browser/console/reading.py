"""What keeps people from reading a page: found by axe, and by measuring its width."""

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

WIDTHS = (1280, 390)
SCHEMES: tuple[Any, ...] = ("light", "dark")
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


def faults(
    page: Page, widths: tuple[int, ...] = WIDTHS, schemes: tuple[Any, ...] = SCHEMES
) -> Iterator[str]:
    """Yield a line for each fault of the page, which is loaded once for all looks."""
    page.evaluate(AXE_SCRIPT)
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        yield from (f"{width}: {text}" for text in page.evaluate(TOO_WIDE))
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            yield from unreadable(page, scheme, f"{scheme} {width}: ")


def unreadable(page: Page, scheme: str, where: str) -> Iterator[str]:
    found = page.evaluate("options => axe.run(document, options)", options(scheme))
    for violation in found["violations"]:
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
